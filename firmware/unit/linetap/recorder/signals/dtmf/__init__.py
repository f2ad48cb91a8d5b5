# SPDX-License-Identifier: Apache-2.0
"""Digits by two tones, to Q.24."""
