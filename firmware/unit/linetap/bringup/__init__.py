# SPDX-License-Identifier: Apache-2.0
"""The bring-up of a real unit: its hardware, and the figures of docs/raspberry-pi.md that it can measure."""
