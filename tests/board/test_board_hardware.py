# SPDX-License-Identifier: Apache-2.0
"""The header's board over RPi.GPIO."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_gpio import FakeGpio
from hypothesis import given
from hypothesis import strategies as st
from test_pins import TABLE

from linetap.board.gpio import import_gpio
from linetap.board.hardware import HardwareCard, HardwarePanel
from linetap.board.pins import CardWiring, load_pins
from linetap.ring import NO_VOLTS
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock
from linetap_core.errors import DeviceFault

HOOKS, RELAYS = (9, 10), (16, 17)
WIRING = CardWiring(hook=HOOKS, relay=RELAYS, hook_active_high=False, relay_active_high=True)
ON_HOOK, OFF_HOOK = 1, 0


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock(monotonic_ns=NS_PER_S)
        self.gpio = FakeGpio(self.clock)
        self.card = HardwareCard(self.gpio, WIRING, self.clock)

    def hook(self) -> str:
        """The last ten milliseconds of the first line: # off-hook, . on-hook."""
        bits = self.card.levels(self.clock.monotonic_ns()).hook[0]
        return "".join("#" if bit else "." for bit in bits)


def test_relays_are_open_at_start_and_at_the_end() -> None:
    bench = Bench()
    assert bench.gpio.outputs == {16: 0, 17: 0}
    bench.card.relay(1, True)
    assert bench.gpio.outputs == {16: 0, 17: 1}
    bench.card.close()
    assert bench.gpio.outputs == {16: 0, 17: 0}
    assert sorted(bench.gpio.cleaned) == [9, 10, 16, 17]


def test_a_card_that_is_not_there_reads_as_on_hook() -> None:
    bench = Bench()
    assert bench.gpio.pulls == dict.fromkeys(HOOKS, FakeGpio.PUD_UP)
    bench.gpio.wait_ms(10)
    levels = bench.card.levels(bench.clock.monotonic_ns())
    assert not levels.hook.any()
    assert not levels.ring.any()
    assert not levels.polarity.any()
    assert levels.hook.shape == (2, 10)
    assert levels.volts.tolist() == [NO_VOLTS, NO_VOLTS]
    assert levels.volts.dtype == np.int16


def test_a_change_stands_at_the_reading_that_saw_it() -> None:
    bench = Bench()
    bench.gpio.drive(9, OFF_HOOK)
    bench.gpio.wait_ms(10)
    assert bench.hook() == ".........."
    bench.gpio.wait_ms(10)
    assert bench.hook() == "##########"
    assert bench.card._hooks[0].edges == []


def test_a_change_between_two_readings_is_dated_by_the_second() -> None:
    bench = Bench()
    bench.hook()
    bench.gpio.drive(9, OFF_HOOK)
    bench.gpio.wait_ms(6)
    bench.hook()
    bench.gpio.wait_ms(5)
    assert bench.hook() == ".....#####"


def test_periods_that_are_asked_for_together_cost_one_reading_of_each_pin() -> None:
    bench = Bench()
    bench.gpio.wait_ms(40)
    bench.gpio.drive(10, OFF_HOOK)
    before, now_ns = bench.gpio.read, bench.clock.monotonic_ns()
    for ends_ms in (-30, -20, -10, 0):
        assert not bench.card.levels(now_ns + ends_ms * NS_PER_MS).hook[1].any()
    assert bench.gpio.read - before == len(HOOKS)
    bench.gpio.wait_ms(10)
    assert bench.card.levels(bench.clock.monotonic_ns()).hook[1].all()


@given(st.lists(st.tuples(st.sampled_from([ON_HOOK, OFF_HOOK]), st.integers(1, 50), st.booleans()), max_size=40))
def test_whatever_the_pin_does_a_steady_line_reads_right_after_two_periods(moves: list[tuple[int, int, bool]]) -> None:
    bench = Bench()
    for level, ms, is_read in moves:
        bench.gpio.drive(9, level)
        bench.gpio.wait_ms(ms)
        if is_read:
            bench.hook()
    bench.hook()
    bench.gpio.wait_ms(10)
    bench.hook()
    bench.gpio.wait_ms(10)
    assert bench.hook() == ("#" if bench.gpio.levels[9] == OFF_HOOK else ".") * 10


def test_an_open_input_that_never_stops_does_not_fill_memory() -> None:
    bench = Bench()
    end_ns = bench.clock.monotonic_ns()
    for i in range(2000):
        bench.gpio.drive(9, i % 2)
        bench.gpio.wait_ms(10)
        bench.card.levels(end_ns)  # no time passes for its reader
    assert len(bench.card._hooks[0].edges) <= 256


def test_a_pin_that_another_program_holds_is_named_and_the_rest_given_back() -> None:
    clock = ManualClock()
    gpio = FakeGpio(clock)
    gpio.busy = {10}
    with pytest.raises(DeviceFault, match=r"GPIO10: GPIO busy") as fault:
        HardwareCard(gpio, WIRING, clock)
    assert fault.value.code == "gpio_setup"
    assert gpio.cleaned == [16, 17, 9]
    assert gpio.outputs == {16: 0, 17: 0}


def test_a_pin_lost_while_running_is_a_device_fault() -> None:
    bench = Bench()
    bench.gpio.busy = {9, 16}
    with pytest.raises(DeviceFault, match="GPIO9") as fault:
        bench.card.levels(bench.clock.monotonic_ns())
    assert fault.value.code == "gpio_lost"
    with pytest.raises(DeviceFault, match="GPIO16"):
        bench.card.relay(0, True)
    bench.card.close()


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
