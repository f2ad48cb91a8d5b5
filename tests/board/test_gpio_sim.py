# SPDX-License-Identifier: Apache-2.0
"""The header's board over the real rpi-lgpio on the kernel's gpio-sim: needs root and such a kernel."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from test_pins import TABLE

from linetap.board.hardware import ArmLine, HardwarePanel, import_gpio
from linetap.board.pins import load_pins
from linetap_core.clock import NS_PER_S, SYSTEM

CONFIGFS = Path("/sys/kernel/config/gpio-sim")
DEADLINE_S = 120


def skip_reason() -> str | None:
    if not CONFIGFS.is_dir():
        return f"{CONFIGFS} is not there: needs a kernel with gpio-sim loaded and configfs mounted"
    if not os.access(CONFIGFS, os.W_OK):
        return f"{CONFIGFS} is not writable: needs root"
    if importlib.util.find_spec("RPi") is None or importlib.util.find_spec("lgpio") is None:
        return "rpi-lgpio is not installed (pip install './firmware/unit[pi]')"
    return None


pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=skip_reason() or "")


class Sim:
    """28 lines of the kernel's simulated chip: `pull` sets the level of an input, `value` is the level of an output."""

    def __init__(self) -> None:
        self._folder = CONFIGFS / f"linetap{os.getpid()}"
        self._bank = self._folder / "bank0"
        self._bank.mkdir(parents=True)
        (self._bank / "num_lines").write_text("28")
        (self._folder / "live").write_text("1")
        self.chip = (self._bank / "chip_name").read_text().strip()
        device = (self._folder / "dev_name").read_text().strip()
        self._lines = Path("/sys/devices/platform") / device / self.chip

    def pull(self, pin: int, level: int) -> None:
        (self._lines / f"sim_gpio{pin}" / "pull").write_text("pull-up" if level else "pull-down")

    def value(self, pin: int) -> int:
        return int((self._lines / f"sim_gpio{pin}" / "value").read_text())

    def close(self) -> None:
        (self._folder / "live").write_text("0")
        self._bank.rmdir()
        self._folder.rmdir()


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sim]:
    chip = Sim()
    monkeypatch.setenv("RPI_LGPIO_CHIP", chip.chip.removeprefix("gpiochip"))
    monkeypatch.setenv("RPI_LGPIO_REVISION", "c03114")
    monkeypatch.setenv("LG_WD", str(tmp_path))
    with contextlib.closing(chip):
        yield chip


def eventually(condition: Callable[[], bool]) -> bool:
    end_ns = SYSTEM.monotonic_ns() + DEADLINE_S * NS_PER_S
    while SYSTEM.monotonic_ns() < end_ns:
        if condition():
            return True
        SYSTEM.sleep(0.01)
    return False


def _falls(sim: Sim, arm: ArmLine, pin: int) -> bool:
    arm.beat()
    return sim.value(pin) == 0


def test_an_arm_line(sim: Sim) -> None:
    (pin, *_) = load_pins(TABLE).arm.pins
    arm = ArmLine(import_gpio(), pin, SYSTEM)
    try:
        assert sim.value(pin) == 0
        arm.beat()
        assert sim.value(pin) == 1
        assert eventually(partial(_falls, sim, arm, pin))
    finally:
        arm.close()


def test_leds_and_button(sim: Sim) -> None:
    panel = HardwarePanel(import_gpio(), load_pins(TABLE))
    try:
        panel.show({"run": True, "call": False, "fault": True})
        assert [sim.value(pin) for pin in (6, 7, 8)] == [1, 0, 1]
        sim.pull(27, 1)
        assert eventually(panel.button)
    finally:
        panel.close()
