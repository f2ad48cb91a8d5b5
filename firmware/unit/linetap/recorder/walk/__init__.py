# SPDX-License-Identifier: Apache-2.0
"""The walk test: a person lifts each line in turn, and what the recorder makes of it is judged and signed."""
