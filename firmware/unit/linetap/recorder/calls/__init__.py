# SPDX-License-Identifier: Apache-2.0
"""The life of a call: a state, a table, and what each step does."""
