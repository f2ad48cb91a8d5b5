# SPDX-License-Identifier: Apache-2.0
"""linetap on the unit: the recorder in the wiring closet."""
