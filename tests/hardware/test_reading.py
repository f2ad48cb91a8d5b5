# SPDX-License-Identifier: Apache-2.0
"""A person can read the schematic: wires are drawn, and nothing lies on anything else."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import pytest
from drawn_sheets import (
    STEP_MM,
    Node,
    Text,
    bodies,
    collinear_overlaps,
    each,
    labels,
    meet,
    overlapping,
    point,
    read,
    texts,
    wires,
)

from drawing import kicad
from drawing.placing import load_places
from drawing.project import Circuit
from linetap_core.errors import BadInput
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
SHEETS = ["linetap", *sorted(CIRCUIT.sheets)]
LABELS = ("label", "hierarchical_label", "global_label")
LEAST = 0.75  # of all that a sheet joins, by wires
LEAST_OF_ALL = 0.9


@cache
def drawn(name: str) -> Node:
    return read(HARDWARE / f"{name}.kicad_sch")


def joins(name: str) -> tuple[int, int]:
    """How often a sheet's wires join two ends, and how often its nets ask for it. A label more is a wire less."""
    sheet = CIRCUIT.sheets[name]
    ends: dict[str, int] = {}
    for part in sheet.parts():
        for net in part.nets.values():
            if net not in sheet.rails:
                ends[net] = ends.get(net, 0) + 1
    written = labels(drawn(name))
    asked = sum(count - 1 for count in ends.values())
    return asked - sum(max(written.count(net), 1) - 1 for net in ends), asked


@pytest.mark.parametrize("name", sorted(CIRCUIT.sheets))
def test_wires_join_what_a_sheet_joins(name: str) -> None:
    done, asked = joins(name)
    assert done >= LEAST * asked, f"{name}: {done} of {asked} by wires; circuit/{name}.place says where parts stand"


def test_nine_of_ten_joins_are_wires() -> None:
    done, asked = (sum(column) for column in zip(*map(joins, CIRCUIT.sheets), strict=True))
    assert done >= LEAST_OF_ALL * asked, (done, asked)


def test_the_root_shows_the_way_of_every_signal() -> None:
    """Each net that two sheets share is one wire with one name."""
    root = drawn("linetap")
    pins = [pin for sheet in each(root, "sheet") for pin in each(sheet, "pin")]
    names = labels(root)
    assert len(names) == len(set(names))
    assert len(wires(root)) >= len(names) > 50
    assert len(pins) >= 2 * len(names) - 1


@pytest.mark.parametrize("name", SHEETS)
def test_everything_is_on_the_grid(name: str) -> None:
    spots = [spot for wire in wires(drawn(name)) for spot in wire]
    for kind in ("symbol", *LABELS, "junction", "no_connect"):
        spots += [point(node, "at") for node in each(drawn(name), kind)]
    assert not [spot for spot in spots for length in spot if abs(length / STEP_MM - round(length / STEP_MM)) > 1e-6]


@pytest.mark.parametrize("name", SHEETS)
def test_no_wire_goes_through_a_part_or_along_another(name: str) -> None:
    sheet = drawn(name)
    if name != "linetap":
        outlines = list(bodies(sheet))
        for (x1, y1), (x2, y2) in wires(sheet):
            line = (min(x1, x2) - 0.2, min(y1, y2) - 0.2, max(x1, x2) + 0.2, max(y1, y2) + 0.2)
            assert not [part for part, box in outlines if "PWR" not in part and meet(line, box, 0.3)], (x1, y1, x2, y2)
        parts = [(part, box) for part, box in outlines if "PWR" not in part]
        assert not [(a, b) for i, (a, one) in enumerate(parts) for b, two in parts[i + 1 :] if meet(one, two, 0.1)]
    assert not collinear_overlaps(sheet)


@pytest.mark.skipif(not shutil.which("kicad-cli"), reason="kicad-cli is not installed: it draws the letters")
def test_no_text_lies_on_another(tmp_path: Path) -> None:
    """By the strokes of KiCad's own picture."""
    kicad.vectors(HARDWARE, tmp_path)
    names = ("", "-Line1", "-Line8", *(f"-{name}" for name in CIRCUIT.sheets if name != "line"))
    found = {name: texts(tmp_path / f"linetap{name}.svg") for name in names}
    assert all(len(written) > 20 for written in found.values())
    assert not {name: pairs for name, written in found.items() if (pairs := overlapping(written))}
    for name in SHEETS:
        spots = [tuple(point(node, "at")) for kind in LABELS for node in each(drawn(name), kind)]
        assert len(spots) == len(set(spots)), name


def test_two_texts_in_one_place_are_seen() -> None:
    assert overlapping([Text("a", (0, 0, 3, 1)), Text("b", (2, 0.5, 4, 2)), Text("c", (5, 0, 6, 1))]) == [("a", "b")]


@pytest.mark.parametrize("name", sorted(CIRCUIT.sheets))
def test_every_row_of_a_place_file_is_a_part_of_its_sheet(name: str) -> None:
    sheet = CIRCUIT.sheets[name]
    places = load_places(sheet.path.with_suffix(".place"), sheet)
    assert set(places.parts) <= {f"{part.prefix}{part.index}" for part in sheet.parts()}
    assert set(places.headings) <= {block.heading for block in sheet.blocks}


@pytest.mark.parametrize(
    "row",
    [
        "R1",
        "R1 4",
        "R1 4 x",
        "R1 0 4",
        "R1 4 4 askew",
        "R1 4 999",
        "R1..8 4 4 right 1",
        "[Sense 4 4",
        "R1 4 4 right 0 0 0",
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: str) -> None:
    path = tmp_path / "line.place"
    path.write_text(f"# places\n{row}\n")
    with pytest.raises(BadInput, match=r"line\.place:2: "):
        load_places(path, CIRCUIT.sheets["line"])
