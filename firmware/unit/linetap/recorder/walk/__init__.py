# SPDX-License-Identifier: Apache-2.0
"""The walk test: a person lifts each line in turn, and the recorder's observations are judged and signed."""
