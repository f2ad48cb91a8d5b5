# SPDX-License-Identifier: Apache-2.0
"""Signals and currents of a sheet flow from left to right; exceptions are listed here, each with its reason."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
from drawn_flow import Flow
from drawn_sheets import frames, parts, read
from hardware_rig import copied

from drawing.project import LINES, Circuit, files
from drawing.schematic import PROJECT
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
LEFTWARD = {  # sheet -> step -> why it does not flow to the right
    "line": {
        "TIP_TEL -> K102.b?": "the tip behind the contact goes both ways, and the telephone is on the right",
    },
    "audio": {
        "R120[567].2 -> U120[12].*": "the module is the master of the clocks, and takes what the converters record",
    },
    "connectors": {
        "J1304.rx -> U1301.rin": "the call log comes from its plug on the right, towards the header on the left",
        "U1301.rout -> J1301.GPIO5": "the same, behind the receiver",
        "U1301.?in -> U1301.rout": "the same, within the part: its other direction goes to the right",
        "U1301.rin -> U1301.dout": "two directions of one part: neither drives the other",
    },
}
BACK = {  # on the root, where each box has both directions on one side
    "TX*": "what is played goes back to its line",
    "RELAY*": "a command goes back to its line",
    "CONTACT*": "a command goes back to its line",
    "LAMP_*": "the panel is beside the header, whose LEDs and button it has too",
    "BUTTON": "to the header, on the left",
    "CODEC_SCL": "meter and converters are above one another",
}
OTHER_SIDE = {  # of a symbol: inputs on the right and outputs on the left
    "rs232": {"rin": "the line's side, where the plug is", "rout": "the card's side"},
    "holdup": dict.fromkeys(("bstfb", "rstfb", "capfb"), "watches what the part gives there"),
    "hub": {"xout": "beside xin: one crystal is on both"}
    | {f"ocs{i}": "its port is on that side" for i in range(1, 5)},
}
LEAST_STEPS = {"line": 80, "meter": 300, "audio": 100, "supply": 25, "panel": 12, "usb": 8, "connectors": 8}


@cache
def flow(name: str, folder: Path = HARDWARE, circuit: Circuit = CIRCUIT) -> Flow:
    return Flow(circuit.sheets[name], read(folder / f"{name}.kicad_sch"), circuit.instances(name)[0][1])


def leftward(name: str, found: Flow) -> list[str]:
    known = LEFTWARD.get(name, {})
    steps = [str(step) for step in found.steps if not step.goes_right()]
    return [step for step in steps if not any(fnmatchcase(step, each) for each in known)]


@pytest.mark.parametrize("name", sorted(CIRCUIT.sheets))
def test_what_drives_is_to_the_left_of_what_it_drives(name: str) -> None:
    assert len(flow(name).steps) >= LEAST_STEPS.get(name, 2)
    assert not leftward(name, flow(name)), f"circuit/{name}.place says where parts stand"


@pytest.mark.parametrize("name", sorted(LEFTWARD))
def test_each_exception_is_still_one(name: str) -> None:
    steps = [str(step) for step in flow(name).steps if not step.goes_right()]
    assert not [each for each in LEFTWARD[name] if not any(fnmatchcase(step, each) for step in steps)]


@pytest.mark.parametrize(
    ("name", "row", "moved", "told"),
    [
        ("line", "U8 97 50", "U8 97 50 back", "U108.inp -> U108.out"),
        ("line", "Q1 87 95", "Q1 70 103", "R135.2 -> Q101.g"),
        ("supply", "U1 82 18", "U1 20 42", "Q1001.s -> U1001.vin"),
        ("references", "R4 56 34 down", "R4 80 50 down", "R904.2 -> U902.inp"),
        ("panel", "U2 88 32", "U2 34 76", "U1401.next -> U1402.ser"),
    ],
)
def test_a_stage_that_stands_wrong_is_seen(tmp_path: Path, name: str, row: str, moved: str, told: str) -> None:
    """An amplifier that points left, a driver behind its load, a converter before its fuse, and so on."""
    circuit = Circuit(copied(tmp_path, (f"{name}.place", f"{row}\n", f"{moved}\n")))
    (tmp_path / f"{name}.kicad_sch").write_text(files(circuit)[f"{name}.kicad_sch"])
    assert told in leftward(name, flow(name, tmp_path, circuit))


def test_the_root_goes_from_the_lines_to_the_pi() -> None:
    """A sheet's outputs are on its right, towards sheets further right; USB's data are bidirectional,
    towards the Pi.
    """
    where = {
        frame.reference: {pin.name: pin.at[0] for pin in frame.pins}
        for frame in frames(read(HARDWARE / f"{PROJECT}.kicad_sch"))
    }
    nets: dict[str, list[tuple[float, bool]]] = {}
    for name, sheet in CIRCUIT.sheets.items():
        for instance, base in CIRCUIT.instances(name):
            for port in sheet.ports:
                net = f"{port}{base}" if name == "line" else port
                nets.setdefault(net, []).append((where[instance][port], port in flow(name).driven))
    right = {
        net: all(x < other for x, drives in ends if drives for other, driven in ends if not driven)
        for net, ends in nets.items()
    }
    driven = {net for net, ends in nets.items() if any(drives for _, drives in ends)}
    back = {net for net in driven if any(fnmatchcase(net, each) for each in BACK)}
    assert {net for net in driven if not right[net]} == back
    assert driven - back == {f"{port}{i}" for port in ("RX", "VM") for i in range(1, LINES + 1)} | {"PFAIL"}
    assert where["connectors"]["TIP1"] < where["Line1"]["TIP"]
    assert where["audio"]["USB_DP"] < where["usb"]["USB_DP"]
    assert where["meter"]["METER_DP"] < where["usb"]["METER_DP"]


@pytest.mark.parametrize("name", sorted(CIRCUIT.sheets))
def test_supplies_come_from_above_and_grounds_go_down(name: str) -> None:
    """Judged by the bars of their symbols, relative to the pin."""
    supplies = [part for part in parts(read(HARDWARE / f"{name}.kicad_sch")) if part.reference.startswith("#PWR")]
    assert supplies
    for part in supplies:
        (_, upper, _, lower), (_, y) = part.body(), part.pins[0].at
        assert (upper >= y and lower > y) if part.pins[0].name == "GND" else (upper < y and lower <= y), part.reference


def test_a_symbol_has_inputs_on_the_left_and_outputs_on_the_right() -> None:
    """As in rule S4.2 of KiCad's library convention, except for the listed ones."""
    side = {"input": "left", "output": "right", "open_collector": "right", "power_out": "right"}
    found: dict[str, set[str]] = {}
    for name, kind in CIRCUIT.kinds.items():
        wrong = {pin.name for pin in kind.pin_rows() if pin.side != side.get(pin.type, pin.side)}
        if wrong and kind.fitted:
            found[name] = wrong
    assert found == {name: set(pins) for name, pins in OTHER_SIDE.items()}
