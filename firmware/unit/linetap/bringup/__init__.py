# SPDX-License-Identifier: Apache-2.0
"""The bring-up of a real unit: its hardware, and the measurable figures of docs/raspberry-pi.md."""
