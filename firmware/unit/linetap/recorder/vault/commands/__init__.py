# SPDX-License-Identifier: Apache-2.0
"""Signed commands: reading, checking and counting them, their effects, and the answers."""
