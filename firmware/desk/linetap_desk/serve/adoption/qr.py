# SPDX-License-Identifier: Apache-2.0
"""A QR code (ISO/IEC 18004) as one path of an SVG, drawn by our own page: no markup comes from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

QUIET = 4  # modules around it, ISO/IEC 18004 clause 9.1


@dataclass(frozen=True, slots=True)
class Code:
    """`size`: its side in modules with the quiet zone; `path`: the dark ones, a rectangle for each run of a row."""

    size: int
    path: str


def code_of(text: str) -> Code:
    """Of level M: readable with 15 % of it dirty."""
    import segno  # of this page alone

    rows = segno.make_qr(text, error="m", boost_error=False).matrix
    parts = []
    for y, row in enumerate(rows, QUIET):
        x = QUIET
        for is_dark, run in groupby(row):
            length = len(list(run))
            if is_dark:
                parts.append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return Code(len(rows) + 2 * QUIET, "".join(parts))
