# SPDX-License-Identifier: Apache-2.0
"""The bring-up of a real unit: what the machine is, and each figure of docs/raspberry-pi.md that it can measure."""
