# SPDX-License-Identifier: Apache-2.0
"""Reads the positions of a sheet's parts from `circuit/NAME.place`; the layout puts parts without a position in rows.

A row is a part or a port, its centre in steps of 2.54 mm, and its orientation: `right` as in its symbol, `down` with
its first pin on top, `left`, `up`, `back` with left and right exchanged; a port's label has its wire on the opposite
side. `R1..8 10 4 right 0 3` places eight parts, each 3 steps below the previous one. `[Block] 4 2` is the start of a
heading. `like NAME.place` includes the rows of another file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from drawing.tables import Sheet, expand
from linetap_core.errors import BadInput

TURNS: dict[str, tuple[int, int, int, int]] = {  # x' = a x + b y, y' = c x + d y
    "right": (1, 0, 0, 1),
    "down": (0, -1, 1, 0),
    "left": (-1, 0, 0, -1),
    "up": (0, 1, -1, 0),
    "back": (-1, 0, 0, 1),
}
MOST_STEPS = 330


@dataclass(slots=True)
class Places:
    parts: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    ports: list[tuple[str, int, int, str]] = field(default_factory=list)
    headings: dict[str, tuple[int, int]] = field(default_factory=dict)


def load_places(path: Path, sheet: Sheet) -> Places:
    """Loads the positions; empty if the file does not exist. BadInput names the faulty line."""
    places = Places()
    if path.exists():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                try:
                    _take(places, line, sheet, path)
                except ValueError as error:
                    raise BadInput(
                        f"{path}:{number}: {error}: {line!r} is not: name x y [turn [step-x step-y]]"
                    ) from None
    return places


def _take(places: Places, line: str, sheet: Sheet, path: Path) -> None:
    if line.startswith("["):
        name, _, rest = line[1:].partition("]")
        left, top = (_steps(word) for word in rest.split())
        places.headings[name] = (left, top)
        return
    name, *words = line.split()
    if name == "like":
        (file,) = words
        if not path.with_name(file).exists():
            raise ValueError("no such file beside it")
        other = load_places(path.with_name(file), sheet)
        places.parts |= other.parts
        places.ports += other.ports
        places.headings |= other.headings
        return
    words += {2: ["right", "0", "0"], 3: ["0", "0"]}.get(len(words), [])
    across, down, turn, *by = words
    x, y, (dx, dy) = _steps(across), _steps(down), map(int, by)
    if turn not in TURNS:
        raise BadInput(f"{turn} is none of {', '.join(TURNS)}")
    for i, each in enumerate(expand(name)):
        place = (x + i * dx, y + i * dy, turn)
        if each in sheet.ports or each in sheet.rails:
            places.ports.append((each, *place))
        else:
            places.parts[each] = place


def _steps(word: str) -> int:
    value = int(word)
    if not 0 < value < MOST_STEPS:
        raise BadInput(f"{value} is not from 1 to {MOST_STEPS - 1}")
    return value
