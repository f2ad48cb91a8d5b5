# SPDX-License-Identifier: Apache-2.0
"""Signed commands: their reading, checks and counters, their effects, and the answers."""
