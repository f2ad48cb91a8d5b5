# SPDX-License-Identifier: Apache-2.0
"""Signed commands: reading, checking and counting them, what each one does, and the answers."""
