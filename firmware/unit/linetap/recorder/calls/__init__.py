# SPDX-License-Identifier: Apache-2.0
"""The life of a call: its state, the call table, and the actions of the table."""
