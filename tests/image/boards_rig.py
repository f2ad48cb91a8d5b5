# SPDX-License-Identifier: Apache-2.0
"""A small board, a small kernel, and the real trees where `tools/kernel_trees.py` has put them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from boards.kernel import BUILTIN, Kernel, kernel_of
from boards.tree import Tree, read_tree

ROOT = Path(__file__).parents[2]
TREES = ROOT / "build" / "trees"

# The card reader of a Pi: two supplies, one of them switched by a pin of a controller that has pins of its own.
BOARD = """/dts-v1/;
/ { compatible = "board"; #address-cells = <1>; #size-cells = <1>; interrupt-parent = <&gic>;
  gic: interrupt-controller@1 { compatible = "gic"; interrupt-controller; #interrupt-cells = <1>; };
  soc { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>;
    clocks: clock-controller@2 { compatible = "clocks"; #clock-cells = <1>; };
    pins: pinctrl@3 { compatible = "pins"; card_pins: card-state { function = "sd"; }; };
    lines: gpio@4 { compatible = "lines"; #gpio-cells = <2>; gpio-controller; pinctrl-0 = <&card_pins>; };
    unused: dma@5 { compatible = "unused"; status = "disabled"; #dma-cells = <0>; };
    mmc@6 { compatible = "reader"; interrupts = <7>; clocks = <0>, <&clocks 5>; vmmc-supply = <&supply>;
            dmas = <&unused>; mmc-pwrseq = <&sequence>; };
    mmc@7 { compatible = "reader"; status = "disabled"; vmmc-supply = <&nobody>; };
  };
  supply: supply { compatible = "regulator-fixed"; gpio = <&lines 3 0>; };
  nobody: nobody { compatible = "nobody"; };
  sequence: sequence { compatible = "sequence"; reset-gpios = <&lines 1 0>; };
};"""
MODULES = {"reader": "sdhci", "regulator-fixed": "fixed", "lines": "gpio_lines", "pins": "pinctrl_pins",
           "clocks": "clk", "sequence": "pwrseq"}  # fmt: skip
IN_KERNEL = ("gic", "simple-bus")


def tree_of(source: str) -> Tree:
    return read_tree(compiled(source))


def compiled(source: str, *options: str) -> bytes:
    command = ["dtc", "-q", "-I", "dts", "-O", "dtb", *options]
    return subprocess.run(command, input=source.encode(), capture_output=True, check=True, timeout=60).stdout


def entry(name: str) -> bytes:
    """Of struct of_device_id in a kernel's image."""
    return bytes(64) + name.encode().ljust(128, b"\0") + bytes(8)


def small_kernel(*without: str) -> Kernel:
    pairs = [(f"of:N*T*C{name}C*", module) for name, module in MODULES.items() if module not in without]
    pairs += [("mmc:block", BUILTIN), ("auxiliary:reset.gpio", BUILTIN)]
    return kernel_of(pairs, b"".join(map(entry, IN_KERNEL)))


def real_tree(name: str) -> Path:
    path = TREES / name
    if not path.exists():
        pytest.skip("build/trees has no tree of the kernel: tools/kernel_trees.py fetches it")
    return path
