# SPDX-License-Identifier: Apache-2.0
"""Calls sealed to an overflow epoch: their re-wrapping for their own day, and its check by a second vault officer."""
