# SPDX-License-Identifier: Apache-2.0
"""A Pi 5's tree has the node in which the firmware passes the EEPROM's configuration, and the unit reads it.

References: mainline's own node for a Pi 4 in Debian's trees (build/trees), Raspberry Pi's for a Pi 5 (its
bcm2712-rpi-ds.dtsi; test_vendors_kernel.py), and the kernel's rule for reserved memory (drivers/of/of_reserved_mem.c).
The firmware's own writing can only be tested on a Pi 5.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from boards_rig import compiled, laid_by_the_build, real_tree

from boards.models import ALSO, BOARDS
from boards.tree import Node, Tree, read_tree
from linetap.update.eepromboard import read_board

NODE = "/reserved-memory/nvram@0"
PI5 = sorted({board.tree for board in BOARDS if board.chip == "bcm2712" and not board.is_vendors} | set(ALSO))
CONFIG = b"[all]\nBOOT_UART=0\nBOOT_ORDER=0xf1\nPOWER_OFF_ON_HALT=0\n"
AT = "3fd16d00"  # of a Pi 5: "of: reserved_mem: Add fixup function", linux-kernel, 2025-11-05


@pytest.fixture
def laid(tmp_path: Path) -> dict[str, Path]:
    into = laid_by_the_build(tmp_path / "build", {name: real_tree(name).read_bytes() for name in PI5})
    return {name: into / name for name in PI5}


@pytest.mark.parametrize("name", PI5)
def test_a_pi_5_has_the_node_that_mainline_gives_a_pi_4(laid: dict[str, Path], name: str) -> None:
    made, pi4 = (read_tree(path.read_bytes()) for path in (laid[name], real_tree("bcm2711-rpi-4-b.dtb")))
    node, known = made.by_path[NODE], pi4.by_path[NODE]
    for tree in (made, pi4):
        assert tree.by_path["/aliases"].texts("blconfig") == [NODE]
        assert tree.labelled("blconfig") is tree.by_path[NODE]
        assert tree.by_path[NODE].cells("reg") == [0] * _cells(tree.by_path["/reserved-memory"])
    assert _but(node, "reg", "phandle") == _but(known, "reg", "phandle")
    assert node.cell("phandle") not in (0, *read_tree(real_tree(name).read_bytes()).by_phandle)


def test_what_was_in_the_tree_stays_as_it_was(laid: dict[str, Path]) -> None:
    for name, path in laid.items():
        made, before = read_tree(path.read_bytes()), read_tree(real_tree(name).read_bytes())
        assert made.by_path.keys() - before.by_path.keys() == {NODE}
        for where, node in before.by_path.items():
            more = ("blconfig",) if where in ("/aliases", "/__symbols__") else ()
            assert _but(made.by_path[where], *more) == node.properties


def test_a_tree_that_has_the_node_is_left_alone(tmp_path: Path) -> None:
    vendors = compiled(f'/dts-v1/; / {{ compatible = "brcm,bcm2712"; aliases {{ blconfig = "{NODE}"; }}; }};', "-@")
    into = laid_by_the_build(tmp_path, {"bcm2712-rpi-500.dtb": vendors})
    assert (into / "bcm2712-rpi-500.dtb").read_bytes() == vendors
    assert not (tmp_path / "work/untouched").exists()


def test_the_tree_of_the_package_is_kept_for_the_list_of_contents(laid: dict[str, Path], tmp_path: Path) -> None:
    for name in laid:
        assert (tmp_path / "build/work/untouched" / name).read_bytes() == real_tree(name).read_bytes()


@pytest.mark.parametrize("name", PI5)
def test_the_unit_reads_the_configuration_that_a_firmware_has_left(
    laid: dict[str, Path], tmp_path: Path, name: str
) -> None:
    board = read_board(_running(laid[name], tmp_path / "root", "0", AT, "0", f"{len(CONFIG):x}"))
    assert board is not None
    assert board.config == CONFIG
    assert board.setting("BOOT_ORDER") == "0xf1"


@pytest.mark.parametrize("reg", [("0", AT, f"{len(CONFIG):x}"), ()], ids=["one cell of size", "not filled in"])
def test_an_older_loaders_node_gives_no_configuration(
    laid: dict[str, Path], tmp_path: Path, reg: tuple[str, ...]
) -> None:
    """Before 2025-02-11 it writes one cell of size (raspberrypi/linux#7405): such a unit writes no EEPROM."""
    board = read_board(_running(laid["bcm2712-rpi-5-b.dtb"], tmp_path / "root", *reg))
    assert board is not None
    assert board.config is None


def _running(tree: Path, root: Path, *reg: str) -> Path:
    """The files of a kernel whose firmware has filled `reg` into this tree, or has not."""
    for words in (["-t", "x", tree, NODE, "reg", *reg], ["-t", "s", tree, NODE, "status", "okay"]) if reg else ():
        subprocess.run(["fdtput", *map(str, words)], check=True, capture_output=True, timeout=60)
    read = read_tree(tree.read_bytes())
    base = root / "sys/firmware/devicetree/base"
    _unpack(read.root, base)
    _put(root / "proc/device-tree/compatible", read.root.properties["compatible"])
    _put(root / "proc/device-tree/chosen/bootloader/build-timestamp", bytes(4))
    (root / "sys/bus/nvmem/devices").mkdir(parents=True)
    for number, node in enumerate(_reserved(read)):
        device = root / f"sys/bus/nvmem/devices/rmem{number}"
        _put(device / "nvmem", CONFIG)
        (device / "of_node").symlink_to(base / node.path.lstrip("/"))
    return root


def _reserved(tree: Tree) -> list[Node]:
    """The nodes used by nvmem-rmem. For an incomplete `reg` the kernel logs "invalid reg property", "skipping node"."""
    memory = tree.by_path["/reserved-memory"]
    whole = [one for one in memory.children if "reg" in one.properties and len(one.cells("reg")) % _cells(memory) == 0]
    return [one for one in whole if one.is_available() and "nvmem-rmem" in one.compatible]


def _cells(memory: Node) -> int:
    return memory.cell("#address-cells") + memory.cell("#size-cells")


def _unpack(node: Node, folder: Path) -> None:
    for name, value in node.properties.items():
        _put(folder / name, value)
    for child in node.children:
        _unpack(child, folder / child.name)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _but(node: Node, *names: str) -> dict[str, bytes]:
    return {name: value for name, value in node.properties.items() if name not in names}
