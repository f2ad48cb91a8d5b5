# SPDX-License-Identifier: Apache-2.0
"""The overlays compile without warnings, apply to a tree, and have the pins of pins.toml.

They are always tested on a minimal tree with the required nodes; on the kernel's own trees if `tools/kernel_trees.py`
has fetched them.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from linetap.board.pins import PinTable, load_pins
from simulation.netlist import HARDWARE

TREES = HARDWARE.parent / "build" / "trees"
PULLS = {2: "up", 1: "down"}  # values of brcm,pull
GROUPS = ("arm", "led", "button")


@dataclass(frozen=True, slots=True)
class Board:
    """`gpio`, `i2c`: the nodes named by the overlay, by their label in the board's tree."""

    overlay: str
    tree: str
    gpio: str
    i2c: str
    base: str


BOARDS = {
    "Pi 4": Board("linetap", "bcm2711-rpi-4-b", "gpio", "i2c1", """/dts-v1/;
/ { compatible = "raspberrypi,4-model-b", "brcm,bcm2711", "brcm,bcm2835";
  soc { gpio: gpio { }; i2c1: i2c { status = "disabled"; }; }; };"""),
    "Pi 5": Board("linetap-pi5", "bcm2712-rpi-5-b", "rp1_gpio", "rp1_i2c1", """/dts-v1/;
/ { compatible = "raspberrypi,5-model-b", "brcm,bcm2712";
  gio_aon: gpio { #gpio-cells = <2>; }; rp1 { rp1_gpio: pinctrl { }; rp1_i2c1: i2c { status = "disabled"; }; }; };"""),
}  # fmt: skip


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@dataclass(frozen=True, slots=True)
class Merged:
    board: Board
    tree: Path

    def node(self, label: str) -> str:
        """Path of a node by its label."""
        return run("fdtget", str(self.tree), "/__symbols__", label).strip()

    def words(self, node: str, name: str, kind: str = "s") -> list[str]:
        return run("fdtget", "-t", kind, str(self.tree), node, name).split()

    def has(self, node: str, name: str) -> bool:
        return name in run("fdtget", "-p", str(self.tree), node).split()

    def pins(self, group: str) -> list[int]:
        node = self.node(f"linetap_{group}")
        if self.has(node, "brcm,pins"):
            return [int(word) for word in self.words(node, "brcm,pins", "u")]
        return [int(word.removeprefix("gpio")) for word in self.words(node, "pins")]

    def pull(self, group: str) -> str:
        node = self.node(f"linetap_{group}")
        if self.has(node, "brcm,pull"):
            return PULLS[int(self.words(node, "brcm,pull", "u")[0])]
        (found,) = [way for way in ("up", "down") if self.has(node, f"bias-pull-{way}")]
        return found

    def is_input(self, group: str) -> bool:
        node = self.node(f"linetap_{group}")
        if self.has(node, "brcm,function"):
            return self.words(node, "brcm,function", "u") == ["0"]
        given = run("fdtget", "-p", str(self.tree), node).split()
        return self.words(node, "function") == ["gpio"] and "input-enable" in given and "output" not in " ".join(given)


@pytest.fixture(scope="module", params=[(name, real) for name in BOARDS for real in (False, True)], ids=str)
def merged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Merged:
    name, real = request.param
    board = BOARDS[name]
    folder = tmp_path_factory.mktemp("overlay")
    base = TREES / f"{board.tree}.dtb"
    if real and not base.exists():
        pytest.skip("build/trees has no tree of the kernel: tools/kernel_trees.py fetches it")
    if not real:
        base = folder / "base.dtb"
        (folder / "base.dts").write_text(board.base)
        run("dtc", "-@", "-I", "dts", "-O", "dtb", "-o", str(base), f"{folder}/base.dts")
    source = HARDWARE / "overlay" / f"{board.overlay}.dts"
    run("dtc", "-@", "-I", "dts", "-O", "dtb", "-o", f"{folder}/linetap.dtbo", str(source))
    run("fdtoverlay", "-i", str(base), "-o", f"{folder}/merged.dtb", f"{folder}/linetap.dtbo")
    return Merged(board, folder / "merged.dtb")


@pytest.fixture(scope="module")
def table() -> PinTable:
    return load_pins(HARDWARE / "pins.toml")


def test_the_pins_are_those_of_the_table(merged: Merged, table: PinTable) -> None:
    assert merged.pins("arm") == table.arm.pins
    assert merged.pins("led") == [table.led.run, table.led.call, table.led.fault]
    assert merged.pins("button") == [table.button.pin]


def test_an_input_is_pulled_to_its_idle_side_and_no_arm_line_is_driven(merged: Merged, table: PinTable) -> None:
    for group, level in {"arm": "high", "button": table.button.active}.items():
        assert merged.pull(group) == ("down" if level == "high" else "up")
        assert merged.is_input(group)


def test_every_group_is_in_force(merged: Merged) -> None:
    """By the controller's own state: a group without a reference is never set."""
    named = merged.words(merged.node(merged.board.gpio), "pinctrl-0", "u")
    assert named == [merged.words(merged.node(f"linetap_{group}"), "phandle", "u")[0] for group in GROUPS]


def test_no_pin_of_a_kernel_driver_is_touched(merged: Merged, table: PinTable) -> None:
    reserved = table.reserved
    touched = {pin for group in GROUPS for pin in merged.pins(group)}
    assert not touched & {*reserved.i2c, *reserved.smdr_uart}


def test_the_clock_is_on_the_bus(merged: Merged, table: PinTable) -> None:
    bus = merged.node(merged.board.i2c)
    assert merged.words(bus, "status") == ["okay"]
    assert merged.words(f"{bus}/rtc@52", "compatible") == ["microcrystal,rv3028"]
    if merged.board.overlay == "linetap-pi5":
        assert merged.pins("i2c") == table.reserved.i2c
        assert merged.words(bus, "pinctrl-0", "u") == merged.words(merged.node("linetap_i2c"), "phandle", "u")


def test_the_kernel_still_has_no_uart_on_the_header_of_a_pi_5() -> None:
    """hardware/README.md gives the reason why no overlay adds one. When this fails, linetap-pi5.dts can enable UARTs 0
    and 2.
    """
    tree = TREES / "bcm2712-rpi-5-b.dtb"
    if not tree.exists():
        pytest.skip("build/trees has no tree of the kernel: tools/kernel_trees.py fetches it")
    labels = run("fdtget", "-p", str(tree), "/__symbols__").split()
    assert "rp1_i2c1" in labels
    assert not [label for label in labels if label.startswith("rp1_uart")]
