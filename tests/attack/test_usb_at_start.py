# SPDX-License-Identifier: Apache-2.0
"""A USB device present at power-on: until udev runs only disks have a driver, then the image's rule decides.

No driver binds to an unauthorized interface (kernel, Documentation/usb/authorization.rst). The test interprets the rule
after udev(7): lines in their order, GOTO forward to a label. Class numbers: usb.org, "Defined Class Codes".
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest

from documents import ROOT
from linetap.meterprogram.image import LOADER, VENDOR

sys.path.insert(0, str(ROOT / "image"))
from boards.roles import ROLES

RULE = ROOT / "image/root/etc/udev/rules.d/60-usb-linetap.rules"
TERM = re.compile(r'(\w+(?:\{\w+\})?)(==|!=|\+=|=)"([^"]*)"')
DISK = "08"


def test_until_udev_runs_only_a_disk_has_a_driver() -> None:
    """Debian's kernel authorizes each device (CONFIG_USB_DEFAULT_AUTHORIZATION_MODE=1). The initramfs loads only listed
    modules, not those requested by devices; the table is the build's own, which tests/hil compares.
    """
    usb = [alias for role in ROLES if role.is_early for alias in role.found if alias.startswith("usb:")]
    assert [re.findall(r"ic(..)", alias) for alias in usb] == [[DISK]]
    rows = re.findall(r"^\| USB stick \| (.+) \|$", (ROOT / "docs/boards.md").read_text(), re.MULTILINE)
    assert {cell for row in rows for cell in row.split(" | ")} == {"sd_mod, uas, usb_storage"}
    listed = [line.split("#")[0].split() for line in (ROOT / "image/initramfs/modules.txt").read_text().splitlines()]
    assert not [words for words in listed if words and re.search("usb|hid|snd|cdc", words[0])]
    scripts = "".join(path.read_text() for path in (ROOT / "image/initramfs").iterdir())
    assert not re.search(r"\b(mdev|uevent_helper)\b", scripts), "what the kernel tells of a new device"


@pytest.mark.parametrize(("interface", "vendor", "works"), [
    pytest.param("01", "0d8c", True, id="sound"), pytest.param("02", "1209", True, id="meter"),
    pytest.param("0a", "1209", True, id="its data"), pytest.param("08", "0781", True, id="memory"),
    pytest.param("09", "2109", True, id="hub"), pytest.param("ff", "0403", True, id="serial adapter"),
    pytest.param("03", "046d", False, id="keyboard"), pytest.param("e0", "0a12", False, id="radio"),
    pytest.param("0e", "046d", False, id="camera"), pytest.param("ff", "0bda", False, id="network of a vendor's"),
    pytest.param("07", "03f0", False, id="printer"), pytest.param("fe", "0483", False, id="loader"),
])  # fmt: skip
@pytest.mark.parametrize("before", ["0", "1"], ids=["plugged in later", "plugged in before udev"])
def test_the_rule_leaves_a_unit_what_it_uses(interface: str, vendor: str, works: bool, before: str) -> None:
    """Whatever the kernel decided: a device from before udev is authorized, and loses that when udev processes it."""
    device = {"ACTION": "add", "SUBSYSTEM": "usb", "KERNEL": "1-1:1.0", "ENV{DEVTYPE}": "usb_interface",
              "ATTR{bInterfaceClass}": interface, "ATTRS{idVendor}": vendor, "ATTR{authorized}": before}  # fmt: skip
    assert _after(device)["ATTR{authorized}"] == ("1" if works else "0")


@pytest.mark.parametrize(("product", "works"), [("0002", True), ("0001", False), ("000a", False)])
def test_a_meter_in_its_loader_can_be_claimed_and_no_other_device_of_its_class(product: str, works: bool) -> None:
    """Class fe, DFU (hardware/meter/loader/usbdfu.c). "reject claim if interface is not authorized" (kernel,
    drivers/usb/core/driver.c, usb_driver_claim_interface): `linetap meter update` claims it by usbfs.
    """
    source = (ROOT / "hardware/meter/loader/usbdfu.c").read_text()
    assert "9, INTERFACE, 0, 0, 0, 0xfe /* application specific */, 1 /* DFU */" in source
    device = {"ACTION": "add", "SUBSYSTEM": "usb", "KERNEL": "1-1.2:1.0", "ENV{DEVTYPE}": "usb_interface",
              "ATTR{bInterfaceClass}": "fe", "ATTRS{idVendor}": f"{VENDOR:04x}", "ATTRS{idProduct}": product,
              "ATTR{authorized}": "0"}  # fmt: skip
    assert f"{LOADER:04x}" == "0002"
    assert _after(device)["ATTR{authorized}"] == ("1" if works else "0")


def test_each_controllers_next_interface_is_not_authorized() -> None:
    root_hub = {"ACTION": "add", "SUBSYSTEM": "usb", "KERNEL": "usb1", "ENV{DEVTYPE}": "usb_device"}
    assert _after(root_hub)["ATTR{interface_authorized_default}"] == "0"


def test_udev_itself_takes_the_rule() -> None:
    if shutil.which("udevadm") is None:
        pytest.skip("no udevadm here, which verifies rules")
    done = subprocess.run(["udevadm", "verify", RULE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _after(device: dict[str, str]) -> dict[str, str]:
    """The device after the rule."""
    left, label = dict(device), ""
    for line in RULE.read_text().splitlines():
        terms = TERM.findall(line.partition("#")[0] if line.startswith("#") else line)
        if label:
            label = "" if ("LABEL", "=", label) in terms else label
            continue
        if all(_holds(left, key, sign, value) for key, sign, value in terms if sign in ("==", "!=")):
            left |= {key: value for key, sign, value in terms if sign == "=" and key.startswith("ATTR{")}
            label = next((value for key, _, value in terms if key == "GOTO"), "")
    assert not label, f"no label {label}"
    return left


def _holds(device: dict[str, str], key: str, sign: str, patterns: str) -> bool:
    matches = any(_matches(device.get(key, ""), pattern) for pattern in patterns.split("|"))
    return matches == (sign == "==")


def _matches(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern)
