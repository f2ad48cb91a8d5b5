# SPDX-License-Identifier: Apache-2.0
"""Raspberry Pi's own kernel: the boards with trees only in it, its built-in drivers, and its gaps.

The references are its trees: LINETAP_RPI_TREES names a folder with them, boot/ of raspberrypi/firmware or
/usr/lib/linux-image-VERSION of its package.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from boards_rig import BOARD, ROOT, compiled, entry, laid_by_the_build, sorted_source, unknown_properties, written_again

from boards import options, rules
from boards.models import ALSO, BOARDS, Board
from boards.tree import Node, Tree, read_tree, with_overlays

VENDORS = [board for board in BOARDS if board.is_vendors]
D0 = '/dts-v1/; /plugin/; &pins { compatible = "pins-d0"; };'
DRIVERS = ("gic", "simple-bus", "reader", "regulator-fixed", "lines", "pins", "clocks", "sequence")
KERNEL = bytes(56) + rules.IMAGE_MAGIC + bytes(4) + b"".join(map(entry, DRIVERS))
BUSES = (
    "mmc:block", "usb:v*", "scsi:t-*", "sdio:c00v02D0d*", "platform:raspberrypi-cpufreq", "auxiliary:reset.gpio",
    "pci:v*", "platform:bcm2835-wdt", "mdio:*",
)  # fmt: skip
CONFIG = "os_prefix=a/\nkernel=vmlinuz\nstart_file=start4.elf\nfixup_file=fixup4.dat\n"


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """A kernel with everything built in and the trees of every board, and the boot partition made of it."""
    for name in ("broadcom", "a/overlays", "modules"):
        (tmp_path / name).mkdir(parents=True)
    for name in {board.tree for board in BOARDS} | set(ALSO):
        (tmp_path / "broadcom" / name).write_bytes(compiled(BOARD, "-@"))
    (tmp_path / "a/overlays/bcm2712d0.dtbo").write_bytes(compiled(D0, "-@"))
    for name in ("a/overlays/README", "a/cmdline.txt", "fixup4.dat"):
        (tmp_path / name).write_text("there\n")
    (tmp_path / "start4.elf").write_bytes(b"VC_BUILD_ID_TIME: Feb 11 2026\0")
    (tmp_path / "modules/modules.alias").write_text("# Aliases\n")
    (tmp_path / "modules/modules.builtin.modinfo").write_text("".join(f"driver.alias={name}\0" for name in BUSES))
    (tmp_path / "a/vmlinuz").write_bytes(KERNEL + entry("pins-d0"))
    (tmp_path / "config.txt").write_text(CONFIG)
    return tmp_path


def boards(kernel: Path, command: str) -> subprocess.CompletedProcess[str]:
    words = ["--modules", "modules", "--kernel", "a/vmlinuz", "--boot", "a", "--config", "config.txt"]
    if command == "trees":
        words = ["broadcom", "a"]
    asked = [sys.executable, "-m", "boards", command, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "image")}
    return subprocess.run(asked, cwd=kernel, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_kernel_with_all_built_in_needs_no_module_for_the_root(kernel: Path) -> None:
    """It once got an empty line, a module without a name, and the build failed."""
    assert boards(kernel, "trees").returncode == 0
    done = boards(kernel, "early")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_each_board_that_the_kernel_has_a_tree_for_is_in_the_table(kernel: Path) -> None:
    (kernel / "broadcom/bcm2712-rpi-500.dtb").unlink()
    assert boards(kernel, "trees").returncode == 0
    done = boards(kernel, "table")
    assert done.returncode == 0, done.stderr
    assert "| CM5 | CM5 Lite | CM5 on a CM4's carrier |" in done.stdout.splitlines()[0]
    assert done.stdout.endswith("This kernel has no tree for, and so does not start on: Pi 500.\n")
    assert rules.faults(kernel) == []


def test_both_steppings_of_a_vendors_board_are_looked_at(kernel: Path) -> None:
    boards(kernel, "trees")
    (kernel / "a/vmlinuz").write_bytes(KERNEL)  # without a driver for pins-d0
    wanted = {"Pi 5 D0", *(board.name for board in VENDORS)}
    told = boards(kernel, "early").stderr.splitlines()
    assert {line.split(": ")[1] for line in told if "(pins-d0)" in line} == wanted
    (kernel / "a/overlays/bcm2712d0.dtbo").unlink()
    assert {line.partition(":")[0] for line in rules.faults(kernel)} == wanted


def initramfs(folder: Path, *builtin: str) -> subprocess.CompletedProcess[str]:
    """The modules listed by image/steps/boards.sh, with this machine's modprobe, for a kernel with these built in."""
    into = folder / "root/usr/lib/modules/6.12-rpi-v8"
    into.mkdir(parents=True)
    (folder / "root/lib").symlink_to("usr/lib")
    (into / "modules.builtin").write_text("".join(f"kernel/{name}.ko\n" for name in builtin))
    (into / "modules.builtin.modinfo").write_text("")
    (into / "modules.order").write_text("")
    (folder / "image/initramfs").mkdir(parents=True)
    shutil.copy(ROOT / "image/initramfs/modules.txt", folder / "image/initramfs")
    script = """set -euo pipefail
ROOT=root WORK=work
say() { echo "$*"; }
fail() { echo "$*" >&2; exit 1; }
kernel() { echo 6.12-rpi-v8; }
. "$STEPS/kernel.sh"
. "$STEPS/boards.sh"
of_kernel() { echo "of_$1"; }
depmod -b "$PWD/$ROOT" "$(kernel)"
wanted_modules"""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "STEPS": str(ROOT / "image/steps")}
    command = ["bash", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_modules_of_an_emulated_machine_may_be_missing_and_no_others(tmp_path: Path) -> None:
    done = initramfs(tmp_path, "virtio_pci")
    assert done.returncode == 0, done.stderr
    listed = done.stdout.split()
    assert listed[:2] == ["bcm2835_wdt", "of_early"], "what counts seconds comes first"
    assert "virtio_pci" in listed
    assert "dm-verity" in listed
    assert not {"i6300esb", "virtio_mmio", "virtio_blk", "emulated"} & set(listed)
    assert done.stderr.count("no i6300esb in this kernel") == 1
    assert "no virtio_blk in this kernel: no emulated machine but a Pi starts this image\n" in done.stderr


HEADER = """/dts-v1/; / { compatible = "brcm,bcm2712"; aliases { serial0 = "/a"; blconfig = "/nvram"; };
  rp1_uart0: a { status = "disabled"; }; rp1_uart2: b { status = "disabled"; };
  rp1_uart0_14_15: c { }; rp1_uart2_4_5: d { }; nvram { }; };"""
MAINLINES = """/dts-v1/; / { compatible = "brcm,bcm2712"; aliases { serial0 = "/a"; }; a { };
  rmem: reserved-memory { #address-cells = <2>; #size-cells = <2>; }; };"""


def test_the_headers_ports_are_laid_into_the_trees_that_have_them(tmp_path: Path) -> None:
    trees = {"bcm2712-rpi-5-b.dtb": compiled(MAINLINES, "-@"), "bcm2712-rpi-500.dtb": compiled(HEADER, "-@")}
    into = laid_by_the_build(tmp_path, trees)
    tree = read_tree((into / "bcm2712-rpi-500.dtb").read_bytes())
    assert [tree.by_path[path].texts("status") for path in ("/a", "/b")] == [["okay"], ["okay"]]
    mainlines = read_tree((into / "bcm2712-rpi-5-b.dtb").read_bytes())
    assert mainlines.by_path["/a"].properties == {}, "mainline's have none"
    assert not list((into / "overlays").iterdir()), "config.txt names it nowhere"


def test_what_closes_a_kernel_is_told_where_it_is_missing_and_required_nowhere() -> None:
    whole = "".join(f"CONFIG_{name}=y\n" for name in [*options.NEEDED, *options.CLOSED])
    assert options.lost(whole) == []
    without = whole.replace("CONFIG_MODULE_SIG=y\n", "")
    assert options.lost(without) == ["without CONFIG_MODULE_SIG: root can load any module: none is signed"]
    assert options.faults(without) == []


def test_a_kernel_with_large_pages_is_for_a_pi_5_alone() -> None:
    """Raspberry Pi's -2712: by ID_AA64MMFR0_EL1 a Cortex-A72 has no pages of 16 KiB (QEMU's too)."""
    whole = "".join(f"CONFIG_{name}=y\n" for name in options.NEEDED)
    (told,) = options.faults(whole.replace("CONFIG_ARM64_4K_PAGES=y", "CONFIG_ARM64_16K_PAGES=y"))
    assert told.endswith("CONFIG_ARM64_4K_PAGES: a Pi 4's processor has no pages of 16 KiB")


@pytest.fixture(scope="module")
def trees() -> Path:
    named = os.environ.get("LINETAP_RPI_TREES", "")
    folder = next((one for one in (Path(named) / "broadcom", Path(named)) if any(one.glob("bcm2712-*.dtb"))), None)
    if not named or folder is None:
        pytest.skip("Raspberry Pi's trees are not fetched: LINETAP_RPI_TREES names no folder")
    return folder


@pytest.fixture(scope="module")
def overlays(tmp_path_factory: pytest.TempPathFactory, trees: Path) -> Path:
    """The overlays of the image, and the one of Raspberry Pi's kernel."""
    folder = tmp_path_factory.mktemp("overlays")
    for source in (*(ROOT / "hardware/overlay").glob("*.dts"), *(ROOT / "image/boot").glob("*.dts")):
        name = source.stem + (".dtb" if source.stem == "overlay_map" else ".dtbo")
        (folder / name).write_bytes(compiled(source.read_text(), "-@"))
    beside = (trees / "overlays", trees.parent / "overlays")
    shutil.copy(next(one / "bcm2712d0.dtbo" for one in beside if one.is_dir()), folder)
    return folder


def laid(trees: Path, overlays: Path, board: Board) -> list[Tree]:
    """The trees passed by the firmware to the kernel, one for each stepping."""
    source = next(trees / name for name in (*board.asked, board.tree) if (trees / name).is_file())
    config = rules.read_config((ROOT / "image/boot/config.txt").read_text(), board.filters)
    names = [rules.mapped(overlays, name, board) for name in config.all("dtoverlay")]
    names = [*(["uarts-pi5"] if board.chip == "bcm2712" else []), *names]  # the build applies it to the tree itself
    return [
        with_overlays(source, [overlays / f"{name}.dtbo" for name in [*([patch] if patch else []), *names]])
        for patch in board.patches
    ]


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_vendors_tree_is_read_as_dtc_reads_it_and_has_no_unknown_property(trees: Path, board: Board) -> None:
    blob = next(trees / name for name in (*board.asked, board.tree) if (trees / name).is_file()).read_bytes()
    assert written_again(blob) == sorted_source(blob)
    assert unknown_properties(board.name, read_tree(blob)) == set()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_images_overlays_fit_the_vendors_tree(trees: Path, overlays: Path, board: Board) -> None:
    for tree in laid(trees, overlays, board):
        clocks = [node.name for node in tree.devices() if node.compatible == ["microcrystal,rv3028"]]
        assert clocks == ["rtc@52"]
        leds = next(node for node in tree.devices() if node.compatible == ["gpio-leds"] and node.name == "leds")
        assert len([node for node in leds.children if node.texts("label") == ["ACT"]]) == 1


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_what_the_vendors_tree_has_against_a_unit_is_answered(trees: Path, overlays: Path, board: Board) -> None:
    """It disables memory limits, and the clock of a Pi 5 would be the first."""
    words = (ROOT / "image/boot/cmdline.txt").read_text().split()
    config = rules.read_config((ROOT / "image/boot/config.txt").read_text(), board.filters)
    for tree in laid(trees, overlays, board):
        (given,) = tree.by_path["/chosen"].texts("bootargs")
        assert "cgroup_disable=memory" not in given.split() or "cgroup_enable=memory" in words
        own = [node for node in tree.devices() if "raspberrypi,rpi-rtc" in node.compatible]
        assert bool(own) == (board.chip == "bcm2712")
        if own:
            assert "rtc" in tree.by_path["/__overrides__"].properties, "dtparam=rtc=off is for this"
            order = [line for line in config.lines if line[0] in ("dtparam", "dtoverlay")]
            assert ("dtparam", "rtc=off") in order[: order.index(("dtoverlay", "linetap-pi5"))]


METER, SMDR = ("serial0", "serial@7e201000", "serial@30000"), ("serial[1-5]", "serial@7e201600", "serial@38000")


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_the_headers_ports_have_the_names_that_udev_looks_for(trees: Path, overlays: Path, board: Board) -> None:
    """ttyAMA and the number of the alias (drivers/tty/serial/amba-pl011.c): the meter's is 0, SMDR's one of 1 to 5."""
    for tree in laid(trees, overlays, board):
        aliases = tree.by_path["/aliases"]
        named = {path: name for name in aliases.properties if name.startswith("serial") for path in aliases.texts(name)}
        found = {}
        for node in tree.devices():
            is_port = any(name.startswith("arm,pl011") for name in node.compatible)
            if is_port and named.get(node.path) != "serial10":  # a Pi 5's socket for debugging
                assert not any(one.is_available() for one in node.children), "Bluetooth has it"
                found[node.name] = named[node.path]
        assert sorted(found) == sorted(name for name in (*METER[1:], *SMDR[1:]) if name in found)
        for alias, *names in (METER, SMDR):
            (port,) = [found[name] for name in names if name in found]
            assert re.fullmatch(alias, port)


def test_the_document_has_what_a_compute_module_5_uses(trees: Path, overlays: Path, tmp_path: Path) -> None:
    """Of 6.18; another kernel's trees may name other devices, and the document states its version."""
    given = {board.asked[0]: (trees / board.asked[0]).read_bytes() for board in VENDORS}
    boot = laid_by_the_build(tmp_path, given)
    shutil.copytree(overlays, boot / "overlays", dirs_exist_ok=True)
    document = (ROOT / "docs/boards.md").read_text()
    command = [sys.executable, "-m", "boards", "devices", "--boot", str(boot), "--config", "image/boot/config.txt"]
    environment = {**os.environ, "PYTHONPATH": "image"}

    def told(board: str) -> str:
        done = subprocess.run(
            [*command, board], cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout

    assert told("CM5") in document
    assert "| USB | **none** |" in told("CM5 on a CM4's carrier"), "no line card"


def test_the_node_for_the_eeproms_configuration_is_the_vendors_own(trees: Path) -> None:
    """Except for the cells of `reg`, counted in earlier trees as by earlier loaders."""
    ours = read_tree(compiled((ROOT / "image/boot/blconfig-pi5.dts").read_text(), "-@"))
    wanted = _filled_in(ours.by_path["/fragment@0/__overlay__/nvram@0"])
    for path in trees.glob("bcm2712-rpi-*.dtb"):
        tree = read_tree(path.read_bytes())
        assert tree.by_path["/aliases"].texts("blconfig") == ["/reserved-memory/nvram@0"]
        assert _filled_in(tree.by_path["/reserved-memory/nvram@0"]) == wanted


def _filled_in(node: Node) -> dict[str, bytes]:
    return {name: value for name, value in node.properties.items() if name not in ("reg", "phandle")}
