# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from linetap.board.pins import load_pins
from linetap_core.errors import BadInput

TABLE = Path(__file__).parents[2] / "hardware" / "pins.toml"


def refused(tmp_path: Path, *changes: tuple[str, str]) -> list[str]:
    text = TABLE.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "pins.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as refusal:
        load_pins(path)
    return str(refusal.value).replace(str(path), "pins.toml").splitlines()


def line_of(text: str) -> int:
    return next(i for i, line in enumerate(TABLE.read_text().splitlines(), 1) if text in line)


def test_the_table_uses_each_of_the_26_pins_once() -> None:
    pins = [pin for _, _, pin in load_pins(TABLE).uses()]
    assert sorted(pins) == list(range(2, 28))


def test_two_lines_on_one_pin(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, ("13, 24, 25, 26", "13, 24, 9, 26"))
    assert told == f"pins.toml:{line_of('pins = [9')}: GPIO9 is HOOK7 and already HOOK1; a pin has one use"


def test_a_hook_on_the_reserved_i2c(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, ("[9, 10,", "[2, 10,"))
    assert "GPIO2 is HOOK1 and already i2c" in told


def test_a_relay_on_a_pin_that_boots_pulled_up(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, ("[16, 17,", "[0, 17,"))
    assert told.startswith(f"pins.toml:{line_of('pins = [16')}: RELAY1 on GPIO0, which is pulled up")


def test_every_error_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        ("run = 6", "run = 28"),
        ("call = 7", "call = 7\nblink = 3"),
        ("pin = 27", 'pin = "27"'),
        ("[relay]\n", "[relays]\n"),
    )
    assert [line.split(": ")[0] for line in told] == sorted(
        (line.split(": ")[0] for line in told), key=lambda at: int(at.split(":")[1])
    )
    text = "\n".join(told)
    for wanted in ("led.run = 28", "unknown key led.blink", "button.pin", "unknown key relays", "relay is missing"):
        assert wanted in text


def test_fewer_relays_than_hooks(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, ("22, 23]", "22]"))
    assert "8 HOOK and 7 RELAY pins" in told


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"pins.toml: No such file"):
        load_pins(tmp_path / "pins.toml")
