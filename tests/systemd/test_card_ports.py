# SPDX-License-Identifier: Apache-2.0
"""The card to which udev itself assigns a codec, a meter or the PBX's port: stock `udevadm test` processes devices of a
made-up /sys by the shipped rules, in a mount namespace of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from boards.models import BOARDS, Board
from boards.tree import read_tree
from linetap.provision.applyorder import udev_rules

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("udevadm") is None, reason="only root can run udevadm over another /sys"
)
PROJECT = Path(__file__).parents[2]
RULES = PROJECT / "systemd/udev/70-linetap.rules"
SITE = "69-linetap.rules"
# SYSTEMD_DEVICE_VERIFY_SYSFS, by systemd's page of its environment: a /sys that is no sysfs is accepted.
INSIDE = """set -e
mount --bind "$1/sys" /sys
mount -t tmpfs run /run
mkdir /run/udev
mkdir -p /etc/udev/rules.d
mount --bind "$1/rules" /etc/udev/rules.d
mount --bind "$1/none" /usr/lib/udev/rules.d
exec env SYSTEMD_DEVICE_VERIFY_SYSFS=0 udevadm test --action=add "$2" 2>&1
"""
LIMIT_S = 60


@dataclass(frozen=True)
class Machine:
    folder: Path

    def says(self, rules: str) -> None:
        """The site's assignment of USB ports to cards."""
        (self.folder / "rules" / SITE).write_text(rules)

    def starts_an_image(self) -> None:
        """Replaces the file by a link, as on an image, to the checked copy that a start makes of the stored one."""
        names = {"LINETAP_STATE": "state", "LINETAP_RUN": "run", "LINETAP_LOG": "kmsg"}
        environment = os.environ | {name: str(self.folder / place) for name, place in names.items()}
        for place in ("state", "run"):
            (self.folder / place).mkdir(exist_ok=True)
        subprocess.run([PROJECT / "image/root/usr/lib/linetap/state"], env=environment, check=True, timeout=LIMIT_S)
        (self.folder / "rules" / SITE).unlink(missing_ok=True)
        (self.folder / "rules" / SITE).symlink_to(self.folder / "run/linetap-etc/udev/rules.d" / SITE)

    def keeps(self, rules: str) -> None:
        """The site's assignment on an image."""
        place = self.folder / "state/etc/udev/rules.d" / SITE
        place.parent.mkdir(parents=True)
        place.write_text(rules)
        self.starts_an_image()

    def plug(self, port: str, kind: str, name: str, vendor: str = "2752:0019") -> set[str]:
        """A device of the subsystem `kind` at a USB port such as 1-1.2; returns its links, and its name for ALSA."""
        hub, usb = self.folder / "sys/devices/platform/xhci/usb1", "sys/bus/usb"
        place = hub
        for depth in range(1, port.count(".") + 2):
            place = place / ".".join(port.split(".")[:depth])
            self._device(place, usb, "DEVTYPE=usb_device\n")
        for attribute, value in zip(("idVendor", "idProduct"), vendor.split(":"), strict=True):
            (place / attribute).write_text(f"{value}\n")
        interface = place / f"{port}:1.0"
        self._device(interface, usb, "DEVTYPE=usb_interface\n")
        device = interface / kind / name
        self._device(device, f"sys/class/{kind}", f"MAJOR=116\nMINOR=24\nDEVNAME={name}\n" if name[-1] != "1" else "")
        (device / "id").write_text("Device\n")
        return self._links(device)

    def appear(self, compatible: str) -> set[str]:
        """A chip of pins; returns its links. The kernel names its kind by the tree (drivers/of/device.c)."""
        device = self.folder / "sys/devices/platform/pins/gpiochip0"
        uevent = f"MAJOR=254\nMINOR=0\nDEVNAME=gpiochip0\nOF_COMPATIBLE_0={compatible}\nOF_COMPATIBLE_N=1\n"
        self._device(device, "sys/bus/gpio", uevent)
        return self._links(device)

    def _links(self, device: Path) -> set[str]:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", INSIDE, "sh", str(self.folder), f"/{device.relative_to(self.folder)}"],
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        named = re.findall(r'skipping writing ATTR\{\S+/id\}="(\w+)"', done.stdout)
        return {*named, *re.findall(r"/dev/linetap/(\S+)$", done.stdout.partition("symlinks:")[2], re.MULTILINE)}

    def _device(self, place: Path, subsystem: str, uevent: str) -> None:
        (self.folder / subsystem).mkdir(parents=True, exist_ok=True)
        place.mkdir(parents=True, exist_ok=True)
        (place / "uevent").write_text(uevent)
        if not (place / "subsystem").is_symlink():
            (place / "subsystem").symlink_to(f"/{subsystem}")


METER = "1209:0001"
HEADERS = {"brcm,bcm2711-gpio", "raspberrypi,rp1-gpio"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for name in ("sys", "rules", "none"):
        (tmp_path / name).mkdir()
    shutil.copy(RULES, tmp_path / "rules")
    return Machine(tmp_path)


def two_cards() -> str:
    return udev_rules({"1-1.1": 1, "1-1.3": 2})[f"udev/rules.d/{SITE}"] or ""


@pytest.mark.parametrize("is_image", [False, True])
def test_with_one_card_each_port_is_its(machine: Machine, is_image: bool) -> None:
    """On an image the file existed and was empty, so no codec was any card's."""
    if is_image:
        machine.starts_an_image()
    assert machine.plug("1-1.2", "sound", "pcmC1D0c") == {"card1/capture"}
    assert machine.plug("1-1.2", "sound", "card1") == {"linetap1"}
    assert machine.plug("1-1.4", "tty", "ttyACM0", METER) == {"card1/meter"}
    assert machine.plug("1-1.3", "tty", "ttyUSB0", "0403:6001") == {"smdr"}


@pytest.mark.parametrize(("port", "card"), [("1-1.1", 1), ("1-1.3", 2)])
def test_of_several_cards_the_port_says_which(machine: Machine, port: str, card: int) -> None:
    """Codec and meter are behind the card's own hub."""
    machine.says(two_cards())
    assert machine.plug(f"{port}.2", "sound", "pcmC1D0p") == {f"card{card}/playback"}
    assert machine.plug(f"{port}.2", "sound", "card1") == {f"linetap{card}"}
    assert machine.plug(f"{port}.1", "tty", "ttyACM0", METER) == {f"card{card}/meter"}


@pytest.mark.parametrize(("said", "links"), [(two_cards(), {"card2/capture"}), ("ATTR{x}=1\n" + two_cards(), set())])
def test_of_an_image_with_several_cards_only_a_valid_file_says_which(
    machine: Machine, said: str, links: set[str]
) -> None:
    """A file with a foreign line is not used: any codec may then be any card's, and none is card 1's."""
    machine.keeps(said)
    assert machine.plug("1-1.3.2", "sound", "pcmC1D0c") == links


def test_a_card_at_a_port_that_nobody_assigned_is_no_card(machine: Machine) -> None:
    """It was card 1: its lines were recorded as those of card 1 if that was unplugged, or was found later."""
    machine.says(two_cards())
    assert machine.plug("1-1.2.2", "sound", "pcmC1D0c") == set()
    assert machine.plug("1-1.2.2", "sound", "card1") == set()
    assert machine.plug("1-1.2.1", "tty", "ttyACM0", METER) == set(), "nor is its meter the PBX's port"
    assert machine.plug("1-1.4", "tty", "ttyUSB0", "0403:6001") == {"smdr"}


@pytest.mark.parametrize("board", [board for board in BOARDS if not board.is_vendors], ids=lambda board: board.name)
def test_the_header_of_each_board_is_named_by_its_tree(machine: Machine, board: Board) -> None:
    """The emulated units' own rule names theirs. Of a board's chips of pins only the header's is named."""
    blob = PROJECT / "build/trees" / board.tree
    if not blob.exists():
        pytest.skip("build/trees has no tree of the kernel: tools/kernel_trees.py fetches it")
    tree = read_tree(blob.read_bytes())
    nodes = [node for node in tree.by_path.values() if "gpio-controller" in node.properties]
    found = [node.properties["compatible"] for node in nodes if "compatible" in node.properties]
    kinds = {names.split(b"\0")[0].decode() for names in found}
    named = {kind for kind in kinds if "gpio" in machine.appear(kind)}
    assert named == kinds & HEADERS
    assert len(named) == 1


def test_the_header_under_raspberry_pis_kernel_has_the_same_name(machine: Machine) -> None:
    assert machine.appear("raspberrypi,bcm2711-gpio") == {"gpio"}
