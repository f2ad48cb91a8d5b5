# SPDX-License-Identifier: Apache-2.0
"""Events of the loop: ringing, off-hook, flash, pulses, the exchange's loop break."""
