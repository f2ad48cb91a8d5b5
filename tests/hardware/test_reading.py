# SPDX-License-Identifier: Apache-2.0
"""The schematic is readable: wires are drawn, and nothing overlaps."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path

import pytest
from drawn_sheets import STEP_MM, Node, collinear_overlaps, each, frames, labels, meet, parts, point, read, wires
from drawn_strokes import Picture, Text, foreign, on_lines, overlapping, picture

from drawing import kicad
from drawing.placing import load_places
from drawing.project import Circuit
from linetap_core.errors import BadInput
from pcb.lineboard import NAME as LINE_BOARD
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
SHEETS = ["linetap", *sorted(CIRCUIT.sheets)]
LABELS = ("label", "hierarchical_label", "global_label")
LEAST = 0.75  # least share of a sheet's connections drawn as wires
LEAST_OF_ALL = 0.9


@cache
def drawn(name: str) -> Node:
    return read(HARDWARE / f"{name}.kicad_sch")


def joins(name: str) -> tuple[int, int]:
    """The number of a sheet's connections drawn as wires, and of all its connections."""
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
    """Each net shared by two sheets is one wire with one name."""
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
        outlines = [(part.reference, part.body()) for part in parts(sheet)]
        for (x1, y1), (x2, y2) in wires(sheet):
            line = (min(x1, x2) - 0.2, min(y1, y2) - 0.2, max(x1, x2) + 0.2, max(y1, y2) + 0.2)
            assert not [part for part, box in outlines if "PWR" not in part and meet(line, box, 0.3)], (x1, y1, x2, y2)
        bought = [(part, box) for part, box in outlines if "PWR" not in part]
        assert not [(a, b) for i, (a, one) in enumerate(bought) for b, two in bought[i + 1 :] if meet(one, two, 0.1)]
    assert not collinear_overlaps(sheet)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Node, Picture]]:
    """By KiCad's name: the sheet's file and KiCad's picture of it."""
    if not shutil.which("kicad-cli"):
        pytest.skip("kicad-cli is not installed: it draws the letters")
    into = tmp_path_factory.mktemp("pictures")
    kicad.vectors(HARDWARE, into)
    names = {"": "linetap", "-Line1": "line", "-Line8": "line"}
    names |= {f"-{name}": name for name in CIRCUIT.sheets if name != "line"}
    found = {f"linetap{name}": (drawn(sheet), picture(into / f"linetap{name}.svg")) for name, sheet in names.items()}
    alone = tmp_path_factory.mktemp(LINE_BOARD)
    shutil.copy(HARDWARE / LINE_BOARD / f"{LINE_BOARD}.kicad_sch", alone / "linetap.kicad_sch")
    kicad.vectors(alone, alone)
    return found | {LINE_BOARD: (read(alone / "linetap.kicad_sch"), picture(alone / "linetap.svg"))}


def test_no_text_lies_on_another(pictures: dict[str, tuple[Node, Picture]]) -> None:
    assert all(len(found.texts) > 20 for _, found in pictures.values())
    assert not {name: pairs for name, (_, found) in pictures.items() if (pairs := overlapping(found.texts))}
    for name in SHEETS:
        spots = [tuple(point(node, "at")) for kind in LABELS for node in each(drawn(name), kind)]
        assert len(spots) == len(set(spots)), name


def test_no_text_lies_on_a_wire_a_pin_or_an_outline(pictures: dict[str, tuple[Node, Picture]]) -> None:
    assert not {name: hit for name, (sheet, found) in pictures.items() if (hit := on_lines(found, names(sheet)))}


def test_within_a_block_stand_the_names_of_its_pins_and_nothing_else(
    pictures: dict[str, tuple[Node, Picture]],
) -> None:
    wrong = {
        part.reference: texts
        for sheet, found in pictures.values()
        for part in (*parts(sheet), *frames(sheet))
        if (texts := foreign(found, part))
    }
    assert not wrong


def names(sheet: Node) -> set[str]:
    """Names of wires, without those of other sheets, which have a frame."""
    return {str(label[1]) for label in each(sheet, "label")}


MOVED = {  # on the sheet of the references, in steps: the text, its new place, and the test that detects it
    "a value onto a wire": ('"Value" "15k"', (12.3, 23), "lines"),
    "a value onto a pin": ('"Value" "15k"', (60.5, 21), "lines"),
    "a value onto a block's edge": ('"Value" "15k"', (61, 20), "lines"),
    "a value into an amplifier": ('"Value" "15k"', (63.2, 22), "block"),
    "a label onto a frame": ('(label "tm"', (40.6, 23), "lines"),
}


@pytest.mark.skipif(not shutil.which("kicad-cli"), reason="kicad-cli is not installed: it draws the letters")
@pytest.mark.parametrize("change", MOVED)
def test_a_text_that_was_moved_is_seen(tmp_path: Path, change: str) -> None:
    which, (x, y), seen_by = MOVED[change]
    text = (HARDWARE / "references.kicad_sch").read_text()
    before, after = text[: (start := text.rindex(which))], text[start:]
    after = re.sub(r"\(at [\d.]+ [\d.]+", f"(at {x * STEP_MM:.4f} {y * STEP_MM:.4f}", after, count=1)
    (tmp_path / "linetap.kicad_sch").write_text(before + after)
    kicad.vectors(tmp_path, tmp_path)
    sheet, found = read(tmp_path / "linetap.kicad_sch"), picture(tmp_path / "linetap.svg")
    seen = {
        "lines": on_lines(found, names(sheet)),
        "block": [text for part in parts(sheet) for text in foreign(found, part)],
    }
    assert seen[seen_by]


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
        "like nowhere.place",
        "R1 4 4 right 0 0 0",
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: str) -> None:
    path = tmp_path / "line.place"
    path.write_text(f"# places\n{row}\n")
    with pytest.raises(BadInput, match=r"line\.place:2: "):
        load_places(path, CIRCUIT.sheets["line"])
