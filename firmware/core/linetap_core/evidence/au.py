# SPDX-License-Identifier: Apache-2.0
"""The head of an .au stream. Apart from the codec, so that whoever only counts bytes needs no numpy."""

from __future__ import annotations

import struct

RATE_HZ = 8000
# Magic, where the audio begins, its length (not known), encoding 1 = 8-bit mu-law, rate, channels; then an annotation,
# which readers expect to be there and to end in a zero byte.
HEADER = struct.pack(">4sIIIII8s", b".snd", 32, 0xFFFFFFFF, 1, RATE_HZ, 1, b"linetap\0")
