# SPDX-License-Identifier: Apache-2.0
"""An emulated Pi 4B starts from its SD card with the shipped image; its kernel's own links between devices are compared
with the derived closure (image/boards).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hil_table import NOTES
from machine import IMAGE, PROJECT
from pi import EEPROM, LOADER_S, REVISION, WAITING, Pi
from rig import BOOT, CONFIG, SERVICES, UNIT, Office

from boards.suppliers import device_of, suppliers
from boards.tree import Tree, read_tree

pytestmark = pytest.mark.hil
ROOT_S, SERVICES_S = 480, 300
# Every link of the kernel between two devices of the tree, and every device that still waits.
LATE = r"""
READ="from pathlib import Path; from linetap.update.eepromboard import read_board; b = read_board(Path('/'))
print(b.loader.chip, b.loader.built_s, b.config.hex(), b.kept_config == b.config, b.setting('BOOT_ORDER'))"
of() { path=$(readlink -f "$1/of_node"); echo "${path#*/devicetree/base}"; }
for link in /sys/class/devlink/*; do
  echo "<1>hil: link $(of $link/consumer) $(of $link/supplier)" >/dev/kmsg
done
mount -t debugfs debug /sys/kernel/debug
while read -r name why; do
  for device in /sys/bus/*/devices/$name; do echo "<1>hil: waits $(of $device)" >/dev/kmsg; done
done </sys/kernel/debug/devices_deferred
umount /sys/kernel/debug
insmod /new/usr/lib/modules/*/updates/linetap_throttled.ko
insmod /new/usr/lib/modules/*/kernel/drivers/nvmem/nvmem-rmem.ko
for dir in proc sys; do mount -o bind /$dir /new/$dir; done
# Python asks for random numbers, of which this machine, without a generator, has none yet.
echo "<1>hil: eeprom $(PYTHONHASHSEED=0 chroot /new /usr/bin/python3 -s -c "$READ" 2>&1 | tail -n 1)" >/dev/kmsg
umount /new/proc /new/sys
echo "<1>hil: throttled $(cat /sys/bus/platform/devices/firmware:rpi-firmware/get_throttled)" >/dev/kmsg
echo "<1>hil: model $(tr -d '\000' </proc/device-tree/model)" >/dev/kmsg
echo "<1>hil: slot $(grep -l linetap-a /sys/class/block/*/uevent)" >/dev/kmsg
echo "<1>hil: the root is mounted" >/dev/kmsg
"""


@dataclass(frozen=True, slots=True)
class Started:
    """The tree passed to it, its console's output until the root was mounted, and the running machine."""

    tree: Tree
    said: str
    pi: Pi


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("pi")
    with Pi(folder, LATE) as pi:
        pi.put("linetap.toml", Office.new(folder / "office").card(lines=2))
        pi.start()
        said = pi.says("hil: the root is mounted", ROOT_S)
        yield Started(read_tree(pi.tree.read_bytes()), said, pi)


def told(said: str, word: str) -> set[tuple[str, ...]]:
    return {tuple(match.split()) for match in re.findall(rf"hil: {word} (.*)", said)}


@pytest.mark.quick
def test_a_pi_4_comes_to_its_root_from_its_card(started: Started) -> None:
    """an emulated Pi 4B: from power on to the root on its SD card, image, kernel, initramfs and tree as shipped"""
    said = started.said
    assert "hil: the root is mounted" in said, said[-3000:]
    assert told(said, "model") == {("Raspberry", "Pi", "4", "Model", "B")}
    ((slot,),) = told(said, "slot")
    assert slot.startswith("/sys/class/block/mmcblk")


@pytest.mark.quick
def test_nothing_waits_but_for_what_the_emulated_pi_lacks(started: Started) -> None:
    """an emulated Pi 4B: no device waits for a driver, but those on pins that QEMU's firmware has not"""
    waits = {path for (path,) in told(started.said, "waits")}
    assert waits, "the kernel's list is not read: QEMU's Pi has always one"
    assert waits <= WAITING


@pytest.mark.quick
def test_every_link_of_the_kernels_is_in_the_closure(started: Started) -> None:
    """an emulated Pi 4B: what its kernel makes one device wait for (fw_devlink), image/boards has derived"""
    nodes = started.tree.by_path
    pairs = [pair for pair in told(started.said, "link") if set(pair) <= nodes.keys()]  # a dummy supply has no node
    links = {(nodes[consumer], nodes[supplier]) for consumer, supplier in pairs}
    assert len(links) >= 20, started.said[-3000:]
    missing = []
    for consumer, supplier in links:
        above = device_of(consumer)
        known = {found for one in consumer.lineage() for _, found in suppliers(started.tree, one)}
        if above is not None and supplier not in known:
            missing.append(f"{consumer.path} waits for {supplier.path}")
    assert missing == []


@pytest.mark.quick
def test_the_table_of_boards_is_that_of_the_image() -> None:
    """docs/boards.md has the table of what each board needs as the image's build derived it"""
    assert (IMAGE.parent / "boards.md").read_text() in (PROJECT / "docs/boards.md").read_text()


@pytest.mark.quick
def test_the_eeproms_configuration_is_read(started: Started) -> None:
    """an emulated Pi 4B: the EEPROM's configuration and date, by the kernel and the unit itself"""
    assert told(started.said, "eeprom") == {("bcm2711", str(LOADER_S), EEPROM.hex(), "True", "0xf1")}


@pytest.mark.quick
def test_the_firmware_says_whether_it_throttles(started: Started) -> None:
    """an emulated Pi 4B: get_throttled has what its firmware answers, by the image's own module"""
    assert told(started.said, "throttled") == {("0",)}


@pytest.mark.quick
def test_its_services_come_up(started: Started) -> None:
    """an emulated Pi 4B: the order is taken from its card, and every service runs"""
    pi = started.pi
    pi.wait(SERVICES_S)
    pi.until(lambda: UNIT in pi.run("cat", f"{BOOT}/linetap-done.txt"), "the order is taken", SERVICES_S)
    for service in SERVICES:
        pi.until(lambda: pi.run("systemctl", "is-active", service, check=False) == "active", service, SERVICES_S)  # noqa: B023
    # A request that found chronyd busy is repeated in a minute (linetap-clock.timer).
    pi.until(lambda: pi.run("systemctl", "--failed", "--no-legend", "--plain") == "", "nothing has failed", SERVICES_S)


def test_it_measures_itself(started: Started, tmp_path: Path) -> None:
    """an emulated Pi 4B: `linetap bringup` measures it, and the desk takes the report, signed by its key"""
    pi = started.pi
    shown = pi.run(
        "linetap", "bringup", "--config", CONFIG, "--minutes", "1", "-o", "/run", check=False, limit_s=SERVICES_S
    )
    NOTES.append(shown)
    path = shown.splitlines()[-1]
    for name in (path, f"{path}.sig"):
        (tmp_path / Path(name).name).write_bytes(pi.read(name))
    assert re.search(rf"Raspberry Pi 4 Model B .*\b{REVISION}\b", shown)
    listed, report = tmp_path / "allowed_signers", tmp_path / Path(path).name
    listed.write_bytes(pi.read("/etc/linetap/allowed_signers"))
    words = [sys.executable, "-m", "linetap", "desk", "bringup", str(report), "--signers", str(listed)]
    taken = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (taken.returncode, taken.stderr) == (1, ""), "figures that need a person, a network and calls are missing"
    assert f"{UNIT} " in taken.stdout
