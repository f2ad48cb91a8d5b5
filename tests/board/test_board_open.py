# SPDX-License-Identifier: Apache-2.0
"""The board is chosen by name, and a failing one is never replaced by the other."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from test_pins import TABLE

from fake_gpio import FakeGpio
from linetap.board.hardware import HardwarePanel
from linetap.board.meter.card import MeteredCard
from linetap.board.pins import arm_pin, load_pins
from linetap.board.simulated import SimulatedCard, SimulatedPanel
from linetap.boardchoice import open_card, open_panel
from linetap.config.schema import Board, Card, Config
from linetap.learned import LearnedWatch
from linetap_core.clock import ManualClock
from linetap_core.errors import BadInput, DeviceFault
from state_files import unit


def on_hardware(run_dir: Path, pins: Path = TABLE) -> Config:
    return msgspec.structs.replace(unit(run_dir), board=Board(kind="hardware", pins=str(pins)))


@pytest.fixture
def gpio(monkeypatch: pytest.MonkeyPatch) -> FakeGpio:
    """The module found by `import RPi.GPIO`."""
    fake = FakeGpio(ManualClock())
    module = ModuleType("RPi.GPIO")
    for name in ("BCM", "IN", "OUT", "PUD_UP", "PUD_DOWN", "setwarnings", "setmode", "setup", "input",
                 "output", "cleanup"):  # fmt: skip
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "RPi", ModuleType("RPi"))
    monkeypatch.setitem(sys.modules, "RPi.GPIO", module)
    return fake


def test_simulated(run_dir: Path) -> None:
    config = unit(run_dir)
    card, panel = open_card(config, 1, LearnedWatch(Path(config.learned))), open_panel(config)
    assert isinstance(card, SimulatedCard)
    assert isinstance(panel, SimulatedPanel)
    assert card.levels(10**12).hook.shape == (2, 10)


def test_hardware(run_dir: Path, gpio: FakeGpio) -> None:
    """A card is its meter, by udev's name for its port, and an arm line."""
    config = on_hardware(run_dir)
    assert config.meter_port(1) == "/dev/linetap/card1/meter"
    with closing(open_card(config, 1, LearnedWatch(Path(config.learned)))) as card:
        assert isinstance(card, MeteredCard)
        assert gpio.outputs == {16: 0}
        panel = open_panel(config)
        assert isinstance(panel, HardwarePanel)
        assert gpio.outputs == {16: 0, 6: 0, 7: 0, 8: 0}


def test_real_leds_beside_simulated_lines(run_dir: Path, gpio: FakeGpio) -> None:
    config = msgspec.structs.replace(
        on_hardware(run_dir), board=Board(kind="hardware", lines="simulated", pins=str(TABLE))
    )
    assert isinstance(open_card(config, 1, LearnedWatch(Path(config.learned))), SimulatedCard)
    assert isinstance(open_panel(config), HardwarePanel)
    assert gpio.outputs == {6: 0, 7: 0, 8: 0}


def test_hardware_that_is_not_there_is_a_fault(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "RPi.GPIO", None)
    config = on_hardware(run_dir)
    learned = LearnedWatch(Path(config.learned))
    for opening in (lambda: open_card(config, 1, learned), lambda: open_panel(config)):
        with pytest.raises(DeviceFault) as fault:
            opening()
        assert fault.value.code == "gpio_absent"
    assert not list(run_dir.iterdir())


def test_a_card_without_an_arm_line(run_dir: Path) -> None:
    few = run_dir / "pins.toml"
    few.write_text(TABLE.read_text().replace("[16, 17, 18, 19]", "[16]"))
    config = msgspec.structs.replace(on_hardware(run_dir, few), card=[Card(number=1), Card(number=2)])
    with pytest.raises(BadInput, match=r"arm\.pins has 1 pins, and none for card 2"):
        arm_pin(config, 2, load_pins(few))
