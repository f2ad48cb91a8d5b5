# SPDX-License-Identifier: Apache-2.0
"""The header as drawn follows pins.toml. test_pins.py tests the table itself."""

from __future__ import annotations

from pathlib import Path

from hardware_rig import copied

from drawing.header import differences
from drawing.project import LINES, Circuit
from linetap.board.pins import load_pins
from simulation.netlist import HARDWARE

TABLE = HARDWARE / "pins.toml"
PHYSICAL = {  # of the 40-way header, GPIO by GPIO, written independently from the Pi's own documentation
    2: 3, 3: 5, 4: 7, 5: 29, 6: 31, 7: 26, 8: 24, 9: 21, 10: 19, 11: 23, 12: 32, 13: 33, 14: 8, 15: 10, 16: 36, 17: 11,
    18: 12, 19: 35, 20: 38, 21: 40, 22: 15, 23: 16, 24: 18, 25: 22, 26: 37, 27: 13,
}  # fmt: skip


def test_the_drawing_has_the_pins_of_the_table() -> None:
    assert differences(load_pins(TABLE), Circuit()) == []


def test_the_headers_own_numbers() -> None:
    pins = {pin.name: pin.number for pin in Circuit().kinds["pi_header"].pin_rows()}
    assert {f"GPIO{gpio}": str(number) for gpio, number in PHYSICAL.items()}.items() <= pins.items()
    assert sorted(map(int, pins.values())) == list(range(1, 41))


def test_two_pins_exchanged_in_the_table_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    path.write_text(TABLE.read_text().replace("[16, 17,", "[17, 16,"))
    assert differences(load_pins(path), Circuit()) == [
        "GPIO16: pins.toml asks for /connectors/ARM2, the drawing has /ARM_IN",
        "GPIO17: pins.toml asks for /ARM_IN, the drawing has /connectors/ARM2",
    ]


def test_a_pin_that_only_the_drawing_uses_is_reported(tmp_path: Path) -> None:
    circuit = Circuit(copied(tmp_path, ("connectors.sheet", "GPIO27=BUTTON", "")))
    assert differences(load_pins(TABLE), circuit) == ["GPIO27: pins.toml asks for /BUTTON, the drawing has nothing"]


def test_every_relay_is_pulled_open_until_the_meter_drives_it() -> None:
    circuit = Circuit()
    for line in range(1, LINES + 1):
        between = {part for part, _ in circuit.nets()[f"/RELAY{line}"]} & {part for part, _ in circuit.nets()["GND"]}
        assert {part for part in between if part.startswith("R")} == {f"R{line}34"}


def test_what_arms_the_relays_hangs_on_the_pi_alone() -> None:
    """A dead or faulty meter cannot supply a coil's current."""
    nets = Circuit().nets()
    assert {part for part, _ in nets["/ARM_IN"]} == {"J1301", "J1308", "R1004", "U1005"}
    assert not {part for part, _ in nets["/supply/ARM"]} & {"U1101"}
    coils = {part for part, _ in nets["COIL"]}
    assert {"U1006"} <= coils
    assert {f"K{line}0{relay}" for line in range(1, LINES + 1) for relay in (1, 2)} <= coils
