# SPDX-License-Identifier: Apache-2.0
"""Service 4: the status LEDs and the button. Shows a fault even if the other three are dead."""
