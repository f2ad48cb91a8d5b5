# SPDX-License-Identifier: Apache-2.0
"""Compares a footprint's pads with those of another source."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from pcb.footprints import Footprint, Pad
from pcb.places import on_board

NEAR_MM = 0.11  # tolerance of a pad's middle and sides: 0.06, or 0.1 from the outer end, which a rounded corner moves
PITCH_MM = 0.005  # tolerance of the pitch in a row of three or more pads
ROW = 3


def differences(footprint: Footprint, theirs: list[Pad]) -> list[str]:
    """Differences between all pads except `own`, and between the pitches of rows."""
    ours = [pad for pad in footprint.numbered() if pad.number not in footprint.own]
    theirs = [turned(pad, footprint.turned) for pad in theirs]
    left, found = list(theirs), []
    for pad in ours:
        near = next((each for each in left if each.number == pad.number and _near(pad, each)), None)
        if near:
            left.remove(near)
        else:
            found.append(f"pad {pad.number}: they have none like it")
    found += [f"pad {pad.number}: only they have it" for pad in left]
    return found or _pitches(_rows(ours), _rows(theirs))


def covered(pad: Pad, theirs: Pad) -> float:
    """The share of their pad that ours covers."""
    across = min(pad.x + pad.width / 2, theirs.x + theirs.width / 2) - max(
        pad.x - pad.width / 2, theirs.x - theirs.width / 2
    )
    down = min(pad.y + pad.height / 2, theirs.y + theirs.height / 2) - max(
        pad.y - pad.height / 2, theirs.y - theirs.height / 2
    )
    return max(0.0, across) * max(0.0, down) / (theirs.width * theirs.height)


def turned(pad: Pad, angle: int) -> Pad:
    box = on_board(pad, (0, 0, angle))
    drill, slot = (pad.slot, pad.drill) if angle % 180 and pad.slot else (pad.drill, pad.slot)
    where = (box.left + box.right) / 2, (box.top + box.bottom) / 2, box.right - box.left, box.bottom - box.top
    x, y, width, height = (round(each, 4) for each in where)
    return Pad(pad.number, x, y, width, height, drill, slot)


def _near(one: Pad, other: Pad) -> bool:
    names = ("x", "y", "width", "height", "drill", "slot")
    return all(abs(getattr(one, name) - getattr(other, name)) < NEAR_MM for name in names)


def _rows(pads: list[Pad]) -> list[list[float]]:
    """The positions along each horizontal or vertical row of three or more equal pads."""
    rows: defaultdict[tuple[str, float, float, float], set[float]] = defaultdict(set)
    for pad in pads:
        rows["across", round(pad.y, 3), pad.width, pad.height].add(pad.x)
        rows["down", round(pad.x, 3), pad.width, pad.height].add(pad.y)
    return [sorted(row) for _, row in sorted(rows.items()) if len(row) >= ROW]


def _pitches(ours: list[list[float]], theirs: list[list[float]]) -> list[str]:
    found = []
    for one, other in zip(ours, theirs, strict=False):
        steps = [(b - a, d - c) for (a, b), (c, d) in zip(pairwise(one), pairwise(other), strict=False)]
        wrong = next(((our, their) for our, their in steps if abs(our - their) > PITCH_MM), None)
        if wrong or len(one) != len(other):
            found.append("pitch of a row: {:.3f} here, {:.3f} there".format(*(wrong or (0, 0))))
    return found
