# SPDX-License-Identifier: Apache-2.0
"""Sounds on lines, rendered at 8 kHz: tones, speech, music, the signals of exchanges and machines."""
