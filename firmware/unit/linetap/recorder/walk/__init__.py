# SPDX-License-Identifier: Apache-2.0
"""The walk test: one person lifts each line in turn, and what the recorder makes of it is judged and signed."""
