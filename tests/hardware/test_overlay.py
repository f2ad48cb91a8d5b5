# SPDX-License-Identifier: Apache-2.0
"""The overlay compiles without a word, applies to a tree, and has the pins of pins.toml."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from linetap.board.pins import load_pins
from simulation.netlist import HARDWARE

SOURCE = HARDWARE / "overlay" / "linetap.dts"
PULLS = {"up": 2, "down": 1}
BASE = """
/dts-v1/;
/ { compatible = "raspberrypi,4-model-b", "brcm,bcm2711", "brcm,bcm2835";
  soc { gpio: gpio { }; i2c1: i2c { status = "disabled"; }; }; };
"""  # what a Pi's tree has of that which the overlay names


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overlay")
    (folder / "base.dts").write_text(BASE)
    run("dtc", "-@", "-I", "dts", "-O", "dtb", "-o", f"{folder}/base.dtb", f"{folder}/base.dts")
    run("dtc", "-@", "-I", "dts", "-O", "dtb", "-o", f"{folder}/linetap.dtbo", str(SOURCE))
    run("fdtoverlay", "-i", f"{folder}/base.dtb", "-o", f"{folder}/merged.dtb", f"{folder}/linetap.dtbo")
    return folder / "merged.dtb"


def cells(tree: Path, node: str, name: str) -> list[int]:
    return [int(cell) for cell in run("fdtget", "-t", "u", str(tree), node, name).split()]


def test_the_pins_are_those_of_the_table(merged: Path) -> None:
    table = load_pins(HARDWARE / "pins.toml")
    groups = {
        "hook": table.hook.pins,
        "relay": table.relay.pins,
        "led": [table.led.run, table.led.call, table.led.fault],
        "button": [table.button.pin],
    }
    for group, pins in groups.items():
        assert cells(merged, f"/soc/gpio/linetap_{group}", "brcm,pins") == pins


def test_an_input_is_pulled_to_its_idle_side_and_no_relay_is_driven(merged: Path) -> None:
    table = load_pins(HARDWARE / "pins.toml")
    idle = {"hook": table.hook.active, "relay": table.relay.active, "button": table.button.active}
    for group, active in idle.items():
        pull = PULLS["down" if active == "high" else "up"]
        assert cells(merged, f"/soc/gpio/linetap_{group}", "brcm,pull") == [pull]
        assert cells(merged, f"/soc/gpio/linetap_{group}", "brcm,function") == [0]


def test_no_pin_of_a_kernel_driver_is_touched(merged: Path) -> None:
    reserved = load_pins(HARDWARE / "pins.toml").reserved
    touched = {pin for group in ("hook", "relay", "led", "button")
               for pin in cells(merged, f"/soc/gpio/linetap_{group}", "brcm,pins")}  # fmt: skip
    assert not touched & {*reserved.i2c, *reserved.meter_uart, *reserved.smdr_uart}


def test_the_clock_is_on_the_bus(merged: Path) -> None:
    assert run("fdtget", str(merged), "/soc/i2c", "status").strip() == "okay"
    assert run("fdtget", str(merged), "/soc/i2c/rtc@52", "compatible").strip() == "microcrystal,rv3028"
