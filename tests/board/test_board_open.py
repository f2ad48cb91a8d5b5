# SPDX-License-Identifier: Apache-2.0
"""The board is chosen by name, and one that fails never becomes the other."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import msgspec
import pytest
from fake_gpio import FakeGpio
from test_pins import TABLE

from linetap.board.hardware import HardwareCard, HardwarePanel
from linetap.board.pins import card_wiring, check_pins, load_pins
from linetap.board.relays import open_relays
from linetap.board.simulated import SimulatedCard, SimulatedPanel
from linetap.boardchoice import open_card, open_panel
from linetap.config.schema import Board, Config, Line
from linetap_core.clock import ManualClock
from linetap_core.errors import BadInput, DeviceFault
from state_files import unit


def on_hardware(run_dir: Path, pins: Path = TABLE) -> Config:
    return msgspec.structs.replace(unit(run_dir), board=Board(kind="hardware", pins=str(pins)))


@pytest.fixture
def gpio(monkeypatch: pytest.MonkeyPatch) -> FakeGpio:
    """The module `import RPi.GPIO` finds."""
    fake = FakeGpio(ManualClock())
    module = ModuleType("RPi.GPIO")
    for name in ("BCM", "IN", "OUT", "PUD_UP", "PUD_DOWN", "setwarnings", "setmode", "setup", "input",
                 "output", "cleanup"):  # fmt: skip
        setattr(module, name, getattr(fake, name))
    monkeypatch.setitem(sys.modules, "RPi", ModuleType("RPi"))
    monkeypatch.setitem(sys.modules, "RPi.GPIO", module)
    return fake


def test_simulated(run_dir: Path) -> None:
    card, panel = open_card(unit(run_dir), 1), open_panel(unit(run_dir))
    assert isinstance(card, SimulatedCard)
    assert isinstance(panel, SimulatedPanel)
    assert card.levels(10**12).hook.shape == (2, 10)


def test_hardware(run_dir: Path, gpio: FakeGpio) -> None:
    card = open_card(on_hardware(run_dir), 1)
    assert isinstance(card, HardwareCard)
    assert gpio.outputs == {16: 0, 17: 0}
    panel = open_panel(on_hardware(run_dir))
    assert isinstance(panel, HardwarePanel)
    assert gpio.outputs == {16: 0, 17: 0, 6: 0, 7: 0, 8: 0}


def test_how_its_relays_are_opened_is_written_down_before_one_can_be_closed(run_dir: Path, gpio: FakeGpio) -> None:
    gpio.busy = {17}
    with pytest.raises(DeviceFault, match="GPIO17"):
        open_card(on_hardware(run_dir), 1)
    gpio.busy = set()
    gpio.outputs = {16: 1, 17: 1}
    open_relays(run_dir, 1)
    assert gpio.outputs == {16: 0, 17: 0}


def test_hardware_that_is_not_there_is_a_fault(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "RPi.GPIO", None)
    for opening in (lambda: open_card(on_hardware(run_dir), 1), lambda: open_panel(on_hardware(run_dir))):
        with pytest.raises(DeviceFault) as fault:
            opening()
        assert fault.value.code == "gpio_absent"
    assert not list(run_dir.iterdir())


def test_a_line_takes_the_pins_of_its_channel(run_dir: Path) -> None:
    config = msgspec.structs.replace(on_hardware(run_dir), line=[Line(number=1, channel=8), Line(number=2, channel=2)])
    wiring = card_wiring(config, 1, load_pins(TABLE))
    assert wiring.hook == (10, 26)
    assert wiring.relay == (17, 23)


def test_a_card_that_is_not_on_the_header_needs_its_meter(run_dir: Path, gpio: FakeGpio) -> None:
    with pytest.raises(DeviceFault, match="card 2") as fault:
        open_card(on_hardware(run_dir), 2)
    assert fault.value.code == "no_meter"
    assert gpio.outputs == {}


def test_the_pins_are_checked_with_the_configuration(run_dir: Path) -> None:
    check_pins(on_hardware(run_dir))
    check_pins(unit(run_dir))  # no table there, none needed
    bad = run_dir / "pins.toml"
    bad.write_text(TABLE.read_text().replace("call = 7", "call = 6"))
    with pytest.raises(BadInput, match=r"pins.toml:\d+: GPIO6 is LED call and already LED run"):
        check_pins(on_hardware(run_dir, bad))


def test_a_channel_without_a_hook_pin(run_dir: Path) -> None:
    config = msgspec.structs.replace(on_hardware(run_dir), line=[Line(number=7, channel=9)])
    with pytest.raises(BadInput, match="line 7 is on a channel above 8"):
        check_pins(config)
