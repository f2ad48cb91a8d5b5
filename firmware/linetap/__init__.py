# SPDX-License-Identifier: Apache-2.0
"""linetap, the recorder that sits in the wiring closet."""

__version__ = "0.1.0"
