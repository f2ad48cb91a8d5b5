# SPDX-License-Identifier: Apache-2.0
"""The change from the network of the adoption to that of the order, without a restart: Debian's systemd-networkd with
the image's files, a cable (veth) and a switch. test_adoption_units.py tests the other units of an adoption.

VLANs need CONFIG_VLAN_8021Q in this machine's kernel, as in the image's. Without it the test observes networkd's
attempt. There is no radio either: the start of wpa_supplicant is observed, on a cable named wlan0.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import Guest, guest, skip_reason, until

from linetap.provision.applyorder import files_of
from linetap_core.enrolment.order import Network, Wifi

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))
IMAGE = Path(__file__).resolve().parents[2] / "image/root"
KEPT = IMAGE / "usr/lib/linetap/kept"
SESSION, ORDER = "/var/lib/linetap/adoption/session.json", "/run/linetap-order.json"
RELOAD_ORDER = "/usr/lib/linetap/reloadorder"
HERE, SWITCH, VLAN = "10.9.0.5", "10.9.0.1", 120
EXCHANGE = "linetap_adopt.service"
ENDS = "[Unit]\nConditionPathExists=\n[Service]\nExecStart=\nExecStart=/bin/true\n"  # the adoption is complete
RADIO = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n"


@pytest.fixture
def unit() -> Iterator[Guest]:
    """A new unit on its cable; at the other end a switch, with an untagged network and, if possible, a VLAN."""
    with guest() as made:
        shutil.copytree(IMAGE / "usr/lib/linetap", made.root / "usr/lib/linetap")
        shutil.copytree(IMAGE / "usr/lib/systemd/network", made.root / "usr/lib/systemd/network", dirs_exist_ok=True)
        for path in (each.relative_to(KEPT) for each in KEPT.rglob("*") if each.is_file()):
            link = made.root / "etc" / path
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(f"/run/linetap-etc/{path}")
        made.write("/etc/systemd/system/wpa_supplicant@.service", RADIO)
        for name in ("wpa_supplicant@.service.d", f"{EXCHANGE}.d"):
            shutil.copytree(IMAGE / "etc/systemd/system" / name, made.root / "etc/systemd/system" / name)
        made.write(f"/etc/systemd/system/{EXCHANGE}.d/99-test.conf", ENDS)
        made.boot()
        made.run("mkdir", "/state")
        made.run("/usr/lib/linetap/state")
        made.run("mount", "-o", "remount,ro,bind", "/sys")  # networkd then waits for no udev
        made.run("sh", "-c", "ip netns add switch && ip link add end0 type veth peer name port netns switch")
        on_switch(made, f"ip addr add {SWITCH}/24 dev port && ip link set port up")
        made.run("systemctl", "start", "systemd-networkd")
        until(lambda: network_of(made, "end0") == "80-linetap-new", "a new unit's network is in force")
        yield made


def on_switch(made: Guest, line: str) -> None:
    made.run("ip", "netns", "exec", "switch", "sh", "-c", line)


def network_of(made: Guest, name: str) -> str:
    """The file that networkd has applied to the interface."""
    said = made.run("networkctl", "--no-pager", "status", name, check=False)
    found = [line.partition(":")[2].strip() for line in said.splitlines() if "Network File:" in line]
    return Path(found[0]).stem if found else ""


def take(made: Guest, network: Network) -> None:
    """Does the work of linetap_adopted.service for an order of this network, without the unit's own files."""
    for path, text in files_of(network).items():
        if text is not None and (KEPT / path).exists():
            write(made, f"/state/etc/{path}", text)
    write(made, ORDER, "{}")
    write(made, SESSION, "{}")
    write(made, "/etc/linetap/unit.key", "")
    made.run("/usr/lib/linetap/state", "copy")
    assert made.run("cat", "/run/linetap-left") == "", "nothing of an order is set aside"
    made.run(RELOAD_ORDER, "running")


def write(made: Guest, path: str, text: str) -> None:
    words = [*made.entered(), "sh", "-c", f"mkdir -p {Path(path).parent} && cat >{path}"]
    subprocess.run(words, input=text, text=True, timeout=60, check=True)


def reaches(made: Guest, address: str) -> bool:
    """Whether it answers, even with a refusal."""
    line = f"timeout 2 bash -c ': </dev/tcp/{address}/9' 2>&1"
    return "refused" in made.run("sh", "-c", line, check=False)


def test_a_fixed_address_after_the_exchange_and_not_before(unit: Guest) -> None:
    take(unit, Network(address=f"{HERE}/24", gateway=SWITCH))
    write(unit, "/etc/linetap/tls.pem", "")
    unit.run(RELOAD_ORDER, "running")  # after the certificate: the desk is not informed yet
    assert "linetap_reloadorder.timer" in unit.run("systemctl", "list-timers", "--no-pager"), "the latest moment"
    unit.run(RELOAD_ORDER, "over")  # somebody ended the exchange during it
    assert network_of(unit, "end0") == "80-linetap-new"
    assert not reaches(unit, SWITCH)
    unit.run("rm", SESSION)
    unit.run("systemctl", "start", EXCHANGE)  # which ends, and reports it
    until(lambda: network_of(unit, "end0") == "10-linetap", "networkd has taken the order's")
    until(lambda: reaches(unit, SWITCH), "the address is in force")
    assert HERE in unit.run("ip", "-br", "addr", "show", "end0")


def test_a_desk_that_answers_no_more(unit: Guest) -> None:
    """Five minutes after the certificate, by the timer; here at once."""
    take(unit, Network(address=f"{HERE}/24", gateway=SWITCH))
    unit.run(RELOAD_ORDER, "late")
    until(lambda: reaches(unit, SWITCH), "the address is in force")


def test_a_vlan_whose_file_was_empty_when_networkd_began(unit: Guest) -> None:
    take(unit, Network(address=f"{HERE}/24", gateway=SWITCH, vlan=VLAN))
    has_vlans = unit.run("sh", "-c", "ip link add link lo name probe type vlan id 5 && echo yes", check=False) == "yes"
    if has_vlans:
        on_switch(unit, f"ip link add link port name tagged type vlan id {VLAN} && ip link set tagged up"
                  f" && ip addr flush dev port && ip addr add {SWITCH}/24 dev tagged")  # fmt: skip
    unit.run("rm", SESSION)
    unit.run(RELOAD_ORDER, "over")
    until(lambda: network_of(unit, "end0") == "10-linetap", "networkd has taken the order's")
    if has_vlans:
        until(lambda: reaches(unit, SWITCH), "the VLAN is in force")
    else:
        journal = ("journalctl", "--no-pager", "-u", "systemd-networkd")
        until(lambda: f"vlan{VLAN}: Failed to create netdev" in unit.run(*journal), "networkd makes the VLAN")


def test_wi_fi_begins_without_a_start(unit: Guest) -> None:
    unit.run("ip", "link", "add", "wlan0", "type", "veth", "peer", "name", "radio")
    service = "wpa_supplicant@wlan0.service"
    unit.run(RELOAD_ORDER, "late")
    unit.run("systemctl", "start", service)
    assert unit.property(service, "ConditionResult") == "no", "a unit by cable has no Wi-Fi"
    take(unit, Network(wifi=Wifi(ssid="city", passphrase="twelve chars")))
    unit.run("rm", SESSION)
    unit.run(RELOAD_ORDER, "over")
    until(lambda: unit.property(service, "ActiveState") == "active", "it is started")
    until(lambda: network_of(unit, "wlan0") == "10-linetap", "the order's network is the radio's")
    assert network_of(unit, "end0") == "80-linetap-new", "the cable serves as long as it is there"
