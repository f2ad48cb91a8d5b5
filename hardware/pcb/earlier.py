# SPDX-License-Identifier: Apache-2.0
"""The tracks that a board's file has, so that the next layout begins with them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pcb.pcb import MOVED
from pcb.routing import BACK, BOTH, FRONT, Track

PIECE = re.compile(r"\n\t\((segment|via)\n(.*?)\n\t\)", re.DOTALL)
SPOT = re.compile(r"\((?:start|end|at) ([-\d.]+) ([-\d.]+)\)")


def tracks(text: str, nets: Iterable[str], beside: Iterable[Track]) -> list[Track]:
    """As KiCad writes them. A line's, those `beside` and those of nets that are no more are left out."""
    names = dict(re.findall(r'\n\t\(net (\d+) "([^"]+)"\)', text))
    known, laid = set(nets), {_key(each) for each in beside}
    found = []
    for kind, body in PIECE.findall(text):
        net = re.search(r"\(net (\d+)\)", body)
        ends = [(float(x) - MOVED, float(y) - MOVED) for x, y in SPOT.findall(body)]
        if not net or names.get(net[1]) not in known or not ends or names[net[1]].startswith("/Line"):
            continue
        layers = BOTH if kind == "via" else FRONT if '"F.Cu"' in body else BACK
        track = Track(names[net[1]], layers, *ends[0], *ends[-1])
        if _key(track) not in laid:
            found.append(track)
    return found


def _key(track: Track) -> tuple[str | float, ...]:
    ends = (round(each, 3) for each in (track.x1, track.y1, track.x2, track.y2))
    return (track.net, track.layers, *ends)
