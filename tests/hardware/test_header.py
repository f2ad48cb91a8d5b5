# SPDX-License-Identifier: Apache-2.0
"""pins.toml is the one table: what is drawn at the header follows it. What the table itself may say: test_pins.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from hardware_rig import copied

from drawing.header import differences
from drawing.project import LINES, Circuit
from linetap.board.pins import LOWEST_RELAY_PIN, load_pins
from linetap_core.errors import BadInput
from simulation.netlist import HARDWARE

TABLE = HARDWARE / "pins.toml"
PHYSICAL = {  # of the 40-way header, GPIO by GPIO, written down a second time: by the Pi's own documentation
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
    path.write_text(TABLE.read_text().replace("[9, 10, 11", "[10, 9, 11"))
    assert differences(load_pins(path), Circuit()) == [
        "GPIO9: pins.toml asks for /HOOK2, the drawing has /HOOK1",
        "GPIO10: pins.toml asks for /HOOK1, the drawing has /HOOK2",
    ]


def test_a_pin_that_only_the_drawing_uses_is_reported(tmp_path: Path) -> None:
    circuit = Circuit(copied(tmp_path, ("connectors.sheet", "GPIO27=BUTTON", "")))
    assert differences(load_pins(TABLE), circuit) == ["GPIO27: pins.toml asks for /BUTTON, the drawing has nothing"]


def test_every_relay_pin_is_pulled_down_at_boot_and_on_the_card() -> None:
    table, circuit = load_pins(TABLE), Circuit()
    assert all(pin >= LOWEST_RELAY_PIN for pin in table.relay.pins)
    for line in range(1, LINES + 1):
        between = {part for part, _ in circuit.nets()[f"/RELAY{line}"]} & {part for part, _ in circuit.nets()["GND"]}
        assert {part for part in between if part.startswith("R")} == {f"R{line}34"}


def test_a_relay_on_a_pin_that_boots_high_fails_before_any_drawing(tmp_path: Path) -> None:
    path = tmp_path / "pins.toml"
    path.write_text(TABLE.read_text().replace("[16, 17,", "[8, 17,").replace("fault = 8", "fault = 16"))
    with pytest.raises(BadInput, match="RELAY1 on GPIO8, which is pulled up"):
        load_pins(path)
