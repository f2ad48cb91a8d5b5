# SPDX-License-Identifier: Apache-2.0
"""Caller ID: FSK and DTMF."""
