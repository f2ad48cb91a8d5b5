# SPDX-License-Identifier: Apache-2.0
"""What the loop does: ringing, off-hook, flash, pulses, the exchange's break."""
