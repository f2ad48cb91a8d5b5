# SPDX-License-Identifier: Apache-2.0
"""The boot partition has the files required by a Pi's firmware, by the rules of its documentation (boards/rules.py)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from boards_rig import ROOT, compiled, laid_by_the_build, real_tree

from boards import options, rules
from boards.models import ALSO, BOARDS, Board
from boards.tree import TreeError, read_tree, with_overlays

HERE = [board for board in BOARDS if not board.is_vendors]
CONFIG = (ROOT / "image/boot/config.txt").read_text().replace("@SLOT@", "a")
SOURCES = [*(ROOT / "hardware/overlay").glob("*.dts"), *(ROOT / "image/boot").glob("*.dts")]
KERNEL = bytes(56) + rules.IMAGE_MAGIC + bytes(4)
MADE = b"\x7fELF VC_BUILD_ID_TIME: 18:28:41\0VC_BUILD_ID_VARIANT: start\0VC_BUILD_ID_TIME: %s\0"


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A card written by image/steps/boards.sh, with the kernel's own trees."""
    slot = tmp_path / "a"
    (slot / "overlays").mkdir(parents=True)
    for tree, names in ({board.tree: board.asked for board in HERE} | ALSO).items():
        for name in names:
            shutil.copy(real_tree(tree), slot / name)
    for source in SOURCES:
        name = source.stem + (".dtb" if source.stem == "overlay_map" else ".dtbo")
        (slot / "overlays" / name).write_bytes(compiled(source.read_text(), "-@"))
    for name in ("overlays/README", "cmdline.txt", "initramfs"):
        (slot / name).write_text("there\n")
    (slot / "vmlinuz").write_bytes(KERNEL)
    (tmp_path / "config.txt").write_text(CONFIG)
    for name in rules.all_start_files(CONFIG):
        (tmp_path / name).write_bytes(MADE % b"Feb 11 2026")
    return tmp_path


def test_the_card_has_all_that_is_asked_for(card: Path) -> None:
    assert rules.faults(card) == []


@pytest.mark.parametrize(("name", "boards"), [
    ("start4a.elf", {"Pi 4B", "Pi 400", "CM4"}), ("fixup4a.dat", {"Pi 4B", "Pi 400", "CM4"}),
    ("a/vmlinuz", {board.name for board in HERE}), ("a/initramfs", {board.name for board in HERE}),
    ("a/cmdline.txt", {board.name for board in HERE}), ("a/overlays/README", {board.name for board in HERE}),
    ("a/bcm2711-rpi-4-b.dtb", {"Pi 4B"}), ("a/bcm2711-rpi-400.dtb", {"Pi 400"}), ("a/bcm2711-rpi-cm4.dtb", {"CM4"}),
    ("a/bcm2712-rpi-5-b.dtb", {"Pi 5 C1", "Pi 5 D0"}), ("a/overlays/bcm2712d0.dtbo", {"Pi 5 D0"}),
    ("a/overlays/linetap.dtbo", {"Pi 4B", "Pi 400", "CM4"}), ("a/overlays/linetap-pi5.dtbo", {"Pi 5 C1", "Pi 5 D0"}),
])  # fmt: skip
def test_each_file_that_is_missing_is_reported_with_its_boards(card: Path, name: str, boards: set[str]) -> None:
    (card / name).unlink()
    told = rules.faults(card)
    assert {fault.partition(":")[0] for fault in told} == boards
    assert all(Path(name).name in fault for fault in told)


@pytest.mark.parametrize(("made", "told"), [
    (b"Apr 17 2024", "is of 2024-04-17"),  # Debian 13's
    (b"Nov 26 2024", "is of 2024-11-26"),  # rpi-eeprom#668: stops with seven flashes
    (b"Jan 16 2025", ""),  # rpi-eeprom#668: starts
    (b"Mar  5 2025", ""), (b"Feb 11 2026", ""), (b"17:27:09", "has no day of its build"),
])  # fmt: skip
def test_a_firmware_that_new_boot_loaders_do_not_start_from_a_gpt_is_reported(
    card: Path, made: bytes, told: str
) -> None:
    (card / "start4a.elf").write_bytes(MADE % made)
    faults = rules.faults(card)
    assert len(faults) == (3 if told else 0)  # of each board with this firmware
    assert all(f": start4a.elf {told}" in fault for fault in faults)


@pytest.mark.parametrize(("lines", "files"), [
    ("", ["fixup4.dat", "start4.elf"]),
    ("gpu_mem=16", ["fixup4cd.dat", "start4cd.elf"]),  # the very first card had this line, and start4.elf
    ("gpu_mem=64", ["fixup4.dat", "start4.elf"]),
    ("start_x=1", ["fixup4x.dat", "start4x.elf"]),
    ("start_debug=1", ["fixup4db.dat", "start4db.elf"]),
    ("start_file=other.elf\nfixup_file=other.dat", ["other.dat", "other.elf"]),
    ("[pi5]\ngpu_mem=16", ["fixup4.dat", "start4.elf"]),
    ("[pi4]\ngpu_mem=16", ["fixup4cd.dat", "start4cd.elf"]),
    ("[none]\ngpu_mem=16\n[all]\n# gpu_mem=16", ["fixup4.dat", "start4.elf"]),
])  # fmt: skip
def test_which_of_the_firmwares_files_config_txt_asks_for(lines: str, files: list[str]) -> None:
    assert rules.all_start_files(lines) == files


@pytest.mark.parametrize(("old", "new", "told"), [
    ("os_prefix=a/", "os_prefix=c/", "no c/vmlinuz"), ("kernel=vmlinuz", "", "no a/kernel8.img"),
    ("initramfs initramfs", "initramfs other", "no a/other"),
    ("dtoverlay=linetap", "dtoverlay=elsewhere", "no a/overlays/elsewhere.dtbo"),
    ("arm_64bit=1", "dtparam=" + "x" * 99, "a line of more than 98 characters"),
])  # fmt: skip
def test_what_config_txt_names_and_the_card_has_not_is_reported(card: Path, old: str, new: str, told: str) -> None:
    (card / "config.txt").write_text(CONFIG.replace(old, new))
    assert any(told in fault for fault in rules.faults(card)), rules.faults(card)


def test_the_kernel_looks_at_the_second_partition_table() -> None:
    """By one word (block/partitions/efi.c, find_valid_gpt); tests/hil/test_healing.py tests the effect."""
    lines = (ROOT / "image/boot/cmdline.txt").read_text().splitlines()
    assert "gpt" in " ".join(line.partition("#")[0] for line in lines).split()


def test_a_kernel_without_what_the_image_wants_of_it_is_reported() -> None:
    whole = "".join(f"CONFIG_{name}=m\n" for name in options.NEEDED)
    assert options.faults(f"# a comment\n{whole}") == []
    assert options.faults(whole.replace("CONFIG_DM_VERITY=m", "# CONFIG_DM_VERITY is not set")) == [
        "the kernel is built without CONFIG_DM_VERITY: the root is checked block by block"
    ]


@pytest.mark.parametrize(("file", "text", "option"), [
    ("etc/nftables.conf", "table inet", "NF_TABLES_INET"), ("etc/nftables.conf", "ct state", "NFT_CT"),
    ("etc/nftables.conf", "limit rate", "NFT_LIMIT"), ("etc/rauc/system.conf", "bundle-formats=plain", "BLK_DEV_LOOP"),
    ("usr/lib/linetap/kept/systemd/network/20-linetap-vlan.netdev", "Kind=vlan", "VLAN_8021Q"),
    ("etc/systemd/system/lockdown-linetap.service", "IPAddressDeny=any", "CGROUP_BPF"),
])  # fmt: skip
def test_a_setting_of_the_image_has_the_kernels_part_of_it(file: str, text: str, option: str) -> None:
    """One option less, and the firewall is not loaded, or a service reaches every address (systemd's README, "Required
    for IPAddressDeny=", from memory).
    """
    assert text in (ROOT / "image/root" / file).read_text()
    whole = "".join(f"CONFIG_{name}=y\n" for name in options.NEEDED)
    (fault,) = options.faults(whole.replace(f"CONFIG_{option}=y\n", ""))
    assert fault.startswith(f"the kernel is built without CONFIG_{option}: ")


def test_a_packed_kernel_other_than_by_gzip_does_not_start(card: Path) -> None:
    (card / "a/vmlinuz").write_bytes(b"MZ\0\0zimg" + bytes(100))
    assert "Pi 4B: vmlinuz is no image of a 64-bit kernel" in rules.faults(card)


def test_on_the_second_stepping_the_firmware_makes_the_kernels_own_tree(card: Path) -> None:
    """Devices and properties are those of bcm2712-d-rpi-5-b.dtb; labels and phandles may have other numbers."""
    slot = card / "a"
    made = with_overlays(slot / "bcm2712-rpi-5-b.dtb", [slot / "overlays/bcm2712d0.dtbo"])
    kernels = read_tree((slot / "bcm2712-d-rpi-5-b.dtb").read_bytes())
    assert {path: node.properties for path, node in made.by_path.items()} == {
        path: node.properties for path, node in kernels.by_path.items()
    }


def test_both_steppings_take_the_second_ones_overlay(card: Path) -> None:
    """A firmware that requests the second stepping's own tree may apply the overlay to it as well."""
    slot = card / "a"
    made = with_overlays(slot / "bcm2712-d-rpi-5-b.dtb", [slot / "overlays/bcm2712d0.dtbo"])
    assert made.by_path.keys() == read_tree((slot / "bcm2712-d-rpi-5-b.dtb").read_bytes()).by_path.keys()


@pytest.mark.parametrize("board", HERE, ids=lambda board: board.name)
def test_the_overlay_that_the_cards_eeprom_names_applies_to_each_board(card: Path, board: Board) -> None:
    """Its EEPROM has one name (hardware/eeprom.txt), and the firmware applies it before those of config.txt."""
    name = next(
        line.split('"')[1]
        for line in (ROOT / "hardware/eeprom.txt").read_text().splitlines()
        if line.startswith("dt_blob")
    )
    slot = card / "a"
    file = rules.mapped(slot / "overlays", name, board)
    assert file == ("linetap" if board.chip == "bcm2711" else "linetap-pi5")
    twice = [slot / "overlays" / f"{file}.dtbo"] * 2  # the EEPROM's, and config.txt's
    tree = with_overlays(slot / board.asked[0], twice)
    clocks = [node for node in tree.devices() if node.compatible == ["microcrystal,rv3028"]]
    assert [node.name for node in clocks] == ["rtc@52"]


def test_no_other_clock_can_come_before_the_cards(card: Path, tmp_path: Path) -> None:
    """The kernel takes its time from rtc0 and sets that one alone (CONFIG_RTC_HCTOSYS_DEVICE, _SYSTOHC_DEVICE). The
    first one has that number, also if the other has an alias for it (rtc_device_get_id in drivers/rtc/class.c).
    Mainline's tree of a CM4 has the clock of Raspberry Pi's own carrier, with a driver that is built in.
    """
    overlays = card / "a/overlays"
    trees = {tree.name: tree.read_bytes() for tree in (card / "a").glob("*.dtb")}
    into = laid_by_the_build(tmp_path / "build", trees)
    for board in HERE:
        for name in board.asked:
            tree = with_overlays(into / name, [overlays / f"{rules.mapped(overlays, 'linetap', board)}.dtbo"])
            clocks = [node.compatible for node in tree.devices() if node.kind == "rtc"]
            assert clocks == [["microcrystal,rv3028"]], name


def test_without_the_map_the_eeproms_overlay_does_not_fit_a_pi_5(card: Path) -> None:
    """The fault prevented by the map."""
    (card / "a/overlays/overlay_map.dtb").unlink()
    pi5 = HERE[-1]
    assert rules.mapped(card / "a/overlays", "linetap", pi5) == "linetap"
    with pytest.raises(TreeError, match="does not apply"):
        with_overlays(card / "a" / pi5.asked[0], [card / "a/overlays/linetap.dtbo"])
