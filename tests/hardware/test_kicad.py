# SPDX-License-Identifier: Apache-2.0
"""KiCad's checks of the drawing. Without KiCad the committed netlist is simulated all the same."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hardware_rig import copied

from drawing import kicad
from drawing.project import LINES, OTHERS, Circuit, files
from drawing.schematic import PROJECT
from linetap_core.errors import Refusal
from simulation.netlist import HARDWARE

pytestmark = pytest.mark.skipif(
    not shutil.which("kicad-cli"), reason="kicad-cli is not installed: the drawing is not compared with a fresh export"
)


def drawn(folder: Path, *changes: tuple[str, str, str]) -> Path:
    """A drawing with the committed settings, which KiCad needs to find libraries (test_card_board.py tests them)."""
    circuit = folder / "circuit"
    circuit.mkdir()
    shutil.copy(HARDWARE / f"{PROJECT}.kicad_pro", folder)
    for name, text in files(Circuit(copied(circuit, *changes))).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_rules_hold_and_the_export_is_the_committed_netlist(tmp_path: Path) -> None:
    folder = drawn(tmp_path)
    assert kicad.rules(folder, folder / "erc.rpt") == "Found 0 violations"
    assert kicad.spice_netlist(folder) == (HARDWARE / kicad.NETLIST).read_text(), "tools/draw.py"


def test_every_sheet_is_a_picture_and_a_page(tmp_path: Path) -> None:
    folder = drawn(tmp_path)
    into = tmp_path / "pictures"
    into.mkdir()
    kicad.pictures(folder, into)
    once = {"linetap", "linetap-Line1", *(f"linetap-{name}" for name in OTHERS)}
    sheets = once | {f"linetap-Line{i}" for i in range(1, LINES + 1)}
    for suffix, magic, wanted in ((".svg", b"<?xml", sheets), (".png", b"\x89PNG", once)):
        found = {path.stem: path.read_bytes() for path in into.glob(f"*{suffix}")}
        assert set(found) == wanted
        assert all(data.startswith(magic) and len(data) > 10_000 for data in found.values())
    assert len(re.findall(rb"/Type /Page\b", (into / "linetap.pdf").read_bytes())) == len(sheets)


def test_kicad_finds_the_same_nets_and_parts(tmp_path: Path) -> None:
    """Therefore tests of the tables, without KiCad, are valid for the drawing."""
    folder, circuit = drawn(tmp_path), Circuit()
    assert kicad.nets(folder) == circuit.nets()
    bought = {
        (part.reference(base), part.kind.value, part.kind.number)
        for sheet in circuit.sheets.values()
        for _, base in circuit.instances(sheet.name)
        for part in sheet.parts()
        if part.kind.bought
    }
    assert kicad.parts(folder) == bought


def test_a_pin_that_is_forgotten_breaks_a_rule(tmp_path: Path) -> None:
    folder = drawn(tmp_path, ("panel.sheet", "oe=GND clr=+3V3 vcc=+3V3", "oe=nowhere clr=+3V3 vcc=+3V3"))
    with pytest.raises(Refusal, match="pin_not_driven"):
        kicad.rules(folder, folder / "erc.rpt")


def test_a_supply_that_nothing_feeds_breaks_a_rule(tmp_path: Path) -> None:
    folder = drawn(tmp_path, ("connectors.sheet", "FLG1 pwr_flag PI3V3\n", ""))
    with pytest.raises(Refusal, match="power_pin_not_driven"):
        kicad.rules(folder, folder / "erc.rpt")
