# SPDX-License-Identifier: Apache-2.0
"""linetap, the recorder that sits in the wiring closet: the unit."""
