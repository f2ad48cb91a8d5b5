# SPDX-License-Identifier: Apache-2.0
"""The header's board over RPi.GPIO."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from test_pins import TABLE

from fake_gpio import FakeGpio
from linetap.board.hardware import ArmLine, HardwarePanel, import_gpio
from linetap.board.pins import load_pins
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock
from linetap_core.errors import DeviceFault


def test_an_arm_line_moves_ten_times_a_second_while_it_is_asked_to_and_then_stands_still() -> None:
    clock = ManualClock(monotonic_ns=NS_PER_S)
    gpio = FakeGpio(clock)
    arm = ArmLine(gpio, 16, clock)
    levels = [gpio.outputs[16]]
    for _ in range(100):
        arm.beat()
        levels.append(gpio.outputs[16])
        clock.advance(10 * NS_PER_MS)
    edges = sum(one != other for one, other in pairwise(levels))
    assert edges == 10
    arm.close()
    assert gpio.cleaned == [16]


def test_a_pin_that_another_program_holds_is_named() -> None:
    clock = ManualClock()
    gpio = FakeGpio(clock)
    gpio.busy = {16}
    with pytest.raises(DeviceFault, match=r"GPIO16: GPIO busy") as fault:
        ArmLine(gpio, 16, clock)
    assert fault.value.code == "gpio_setup"


def test_a_pin_lost_while_running_is_a_device_fault() -> None:
    clock = ManualClock()
    gpio = FakeGpio(clock)
    arm = ArmLine(gpio, 16, clock)
    gpio.busy = {16}
    with pytest.raises(DeviceFault, match="GPIO16") as fault:
        arm.beat()
    assert fault.value.code == "gpio_lost"


def test_panel() -> None:
    gpio = FakeGpio(ManualClock())
    panel = HardwarePanel(gpio, load_pins(TABLE))
    panel.show({"run": True, "call": False, "fault": True})
    assert gpio.outputs == {6: 1, 7: 0, 8: 1}
    assert not panel.button()
    gpio.drive(27, 1)
    assert panel.button()
    panel.close()
    assert gpio.outputs == {6: 0, 7: 0, 8: 0}


def test_a_dimmed_panel() -> None:
    gpio = FakeGpio(ManualClock())
    panel = HardwarePanel(gpio, load_pins(TABLE))
    panel.dim(20)
    panel.show({"run": True, "call": False, "fault": True})
    assert gpio.duties == {6: 20, 7: 0, 8: 20}
    panel.show({"run": True, "call": True, "fault": False})
    assert gpio.duties == {6: 20, 7: 20, 8: 0}
    panel.dim(100)
    panel.show({"run": True, "call": True, "fault": False})
    assert (gpio.duties, gpio.outputs) == ({}, {6: 1, 7: 1, 8: 0})
    panel.dim(1)
    panel.show({"run": True, "call": True, "fault": False})
    panel.close()
    assert (gpio.duties, gpio.outputs) == ({}, {6: 0, 7: 0, 8: 0})


def test_dimmed_leds_that_are_lit_by_a_low_pin(tmp_path: Path) -> None:
    table = tmp_path / "pins.toml"
    text = TABLE.read_text()
    high = 'fault = 8\nactive = "high"'
    assert high in text
    table.write_text(text.replace(high, high.replace("high", "low")))
    gpio = FakeGpio(ManualClock())
    panel = HardwarePanel(gpio, load_pins(table))
    panel.dim(20)
    panel.show({"run": True, "call": False, "fault": False})
    assert gpio.duties == {6: 80, 7: 100, 8: 100}
    panel.close()
    assert gpio.outputs == {6: 1, 7: 1, 8: 1}


def test_without_the_module_the_line_says_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "RPi.GPIO", None)
    with pytest.raises(DeviceFault, match="rpi-lgpio") as fault:
        import_gpio()
    assert fault.value.code == "gpio_absent"
