# SPDX-License-Identifier: Apache-2.0
"""DTMF digits, to Q.24."""
