# SPDX-License-Identifier: Apache-2.0
"""The schematics, the netlist and the circuit's tables agree."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hardware_rig import copied

from drawing import picture, sheetpictures
from drawing.project import LINES, Circuit, files
from drawing.schematic import PROJECT
from drawing.tables import Part
from linetap_core.errors import BadInput
from simulation.netlist import HARDWARE, Netlist

CIRCUIT = Circuit()
DRAWN = files(CIRCUIT)
PAGE = (HARDWARE / "README.md").read_text()
MOST_BYTES = 120_000


@pytest.mark.parametrize("name", sorted(DRAWN))
def test_what_is_committed_is_what_the_tables_draw(name: str) -> None:
    assert (HARDWARE / name).read_text() == DRAWN[name], "tools/draw.py"


def test_the_picture_shows_every_part_and_net_of_the_line() -> None:
    sheet = CIRCUIT.sheets["line"]
    text = (HARDWARE / picture.NAME).read_text()
    assert text == picture.svg(sheet, 1), "tools/draw.py"
    told = {element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")}
    assert {part.reference(1) for part in sheet.parts()} <= told
    assert {net for part in sheet.parts() for net in part.nets.values()} - {"GND"} <= told  # its symbol has no name


@pytest.mark.parametrize("sheet", [PROJECT, *CIRCUIT.sheets])
def test_each_sheet_has_its_picture_and_the_page_shows_it(sheet: str) -> None:
    """KiCad's own picture may have other bytes elsewhere: each picture names its drawing, and that is the committed
    one.
    """
    path = sheetpictures.path(HARDWARE, sheet)
    shown = re.search(rf"!\[[^\]]{{8,}}\]\({re.escape(f'{path.parent.name}/{path.name}')}\)", PAGE)
    assert shown, f"hardware/README.md shows no {path.name}"
    assert path.stat().st_size < MOST_BYTES
    if path.suffix == ".png":
        assert sheetpictures.drawn_from(path.read_bytes()) == sheetpictures.drawing(HARDWARE, sheet), "tools/draw.py"


def test_both_boards_are_shown() -> None:
    assert re.search(r"!\[[^\]]{8,}\]\(card\.png\)", PAGE)
    assert re.search(r"!\[[^\]]{8,}\]\(lineboard/lineboard\.svg\)", PAGE)


def test_every_net_goes_somewhere() -> None:
    """KiCad checks this too; this test works without KiCad. A test pad does not count as an end."""
    ends = {net: [node for node in nodes if not node[0].startswith("TP")] for net, nodes in CIRCUIT.nets().items()}
    assert not [net for net, nodes in ends.items() if len(nodes) < 2]


def test_the_netlist_is_that_of_the_tables() -> None:
    """Without KiCad: the simulated parts, with their values and nets, and no others."""
    expected: dict[str, tuple[tuple[str, ...], str]] = {}
    names = {node: net for net, nodes in CIRCUIT.nets().items() for node in nodes}
    for sheet in CIRCUIT.sheets.values():
        for _, base in CIRCUIT.instances(sheet.name):
            for part in sheet.parts():
                if sheet.simulated and part.kind.bought:
                    reference = part.reference(base)
                    nodes = tuple(names[reference, pin.number] for pin in part.kind.pin_rows())
                    expected[reference] = (nodes, part.kind.spice or _as_spice(part))
    found = {name: (each.nodes, each.what) for name, each in Netlist.read().elements.items()}
    assert found == expected


def _as_spice(part: Part) -> str:
    return part.kind.value.replace("M", "Meg")


def test_eight_front_ends_are_one() -> None:
    def of_line(number: int) -> set[tuple[str, tuple[str, ...], str]]:
        def plain(net: str) -> str:
            inner = f"/Line{number}/"
            if net.startswith(inner):
                return net.removeprefix(inner)
            return net.removesuffix(str(number)) if net.startswith("/") else net

        line = (each for each in Netlist.read().elements.values() if each.sheet == number)
        return {(each.reference[:-3] + each.reference[-2:], tuple(map(plain, each.nodes)), each.what) for each in line}

    assert all(of_line(number) == of_line(1) for number in range(2, LINES + 1))
    assert len(of_line(1)) > 60


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("R37 r10k +3V3 go", "R37 r11k +3V3 go"), "R37: r11k is not in parts.toml"),
        (("R37 r10k +3V3 go", "R37 r10k +3V3"), "R37: 1 nets for the 2 pins of r10k"),
        (("R37 r10k +3V3 go", "R38 r10k +3V3 go"), "R38 stands in line"),
        (("R37 r10k +3V3 go", "R37x r10k +3V3 go"), "'R37x' is no reference"),
        (("R37 r10k +3V3 go", "R37 r10k 3=go"), "R37: r10k has no pin 3"),
        (("[Protection]", "Protection"), "no reference such as"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    folder = copied(tmp_path, ("line.sheet", *change))
    with pytest.raises(BadInput, match=r"line\.sheet:\d+: ") as refusal:
        Circuit(folder)
    if change[0] != "[Protection]":
        assert told in str(refusal.value)


def test_a_part_with_an_unknown_key(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\[r62k\].*tolerance"):
        Circuit(copied(tmp_path, ("parts.toml", 'number = "RG1608P-623-B-T5"', "tolerance = 1")))
