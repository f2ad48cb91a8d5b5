# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from linetap.board.pins import load_panel_pins, load_pins
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


def test_two_uses_of_one_pin(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, ("[16, 17,", "[16, 16,"))
    assert (
        told
        == f"pins.toml:{line_of('pins = [16')}: GPIO16 is ARM of card 2 and already ARM of card 1; a pin has one use"
    )


def test_an_arm_line_on_the_reserved_i2c(tmp_path: Path) -> None:
    (told,) = refused(tmp_path, ("[16, 17,", "[2, 17,"))
    assert "GPIO2 is ARM of card 1 and already i2c" in told


def test_every_error_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    told = refused(
        tmp_path,
        ("run = 6", "run = 28"),
        ("call = 7", "call = 7\nblink = 3"),
        ("pins = [16", "pins = [99"),
        ("[button]\n", "[buttons]\n"),
    )
    assert [line.split(": ")[0] for line in told] == sorted(
        (line.split(": ")[0] for line in told), key=lambda at: int(at.split(":")[1])
    )
    text = "\n".join(told)
    for wanted in ("led.run = 28", "unknown key led.blink", "arm.pins", "unknown key buttons", "button is missing"):
        assert wanted in text


EARLIER = """
[hook]
pins = [9, 10, 11, 12, 13, 24, 25, 26]
active = "low"

[relay]
pins = [16, 17, 18, 19, 20, 21, 22, 23]
active = "high"
"""


def test_a_table_of_cards_with_lines_on_the_header_says_what_to_do_and_lights_the_leds(tmp_path: Path) -> None:
    """Edges of an arm line would drive the relays of such a card."""
    text = TABLE.read_text()
    arm = text[text.index("# Card 1 first") : text.index("[button]")]
    earlier = text.replace(arm, "").replace("i2c = [2, 3]", "i2c = [2, 3]\nmeter_uart = [14, 15]") + EARLIER
    (tmp_path / "pins.toml").write_text(earlier)
    with pytest.raises(
        BadInput, match=r"pins\.toml:\d+: \[hook\] is of cards with lines on the header.*meter on USB"
    ) as told:
        load_pins(tmp_path / "pins.toml")
    assert len(str(told.value).splitlines()) == 1
    assert load_panel_pins(tmp_path / "pins.toml").led.fault == 8


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"pins.toml: No such file"):
        load_pins(tmp_path / "pins.toml")
