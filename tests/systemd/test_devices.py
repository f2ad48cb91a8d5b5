# SPDX-License-Identifier: Apache-2.0
"""Capture can only open the devices that udev has named as its own card's: the kernel refuses before it calls a driver,
so nodes without a driver suffice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from guest import Guest, guest, skip_reason, until

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))

SYSTEMD = Path(__file__).parents[2] / "systemd"
REFUSED, NO_DRIVER = "Operation not permitted", "No such device"
MAJOR = 116  # of sound; the minors are so high that no machine has them
OPENED = "20-opened.conf"
KINDS = ("control", "capture", "playback", "meter")
# Permissions do not depend on the program: an idle one replaces capture.
WAITING = (
    "[Service]\nType=exec\nExecStart=\nExecStart=/usr/bin/sleep infinity\n"
    "ExecStopPost=\nWatchdogSec=0\nLoadCredential=\n"
)


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    """Two cards' devices, and their captures."""
    with guest() as made:
        for service in ("linetap-capture@", "linetap-recorder"):
            made.write(f"/etc/systemd/system/{service}.service.d/90-waiting.conf", WAITING)
        made.boot()
        for card in (1, 2):
            plug(made, card, first=100 * card)
        node(made, "gpio", 250)
        node(made, "smdr", 260)
        node(made, "tpm", 270)
        made.run("systemctl", "start", "linetap-capture@1", "linetap-capture@2", "linetap-recorder")
        yield made


def plug(unit: Guest, card: int, first: int) -> None:
    """Plugs a card like the kernel and udev: nodes of these minors, and links to them."""
    for minor, kind in enumerate(KINDS, first):
        node(unit, f"card{card}/{kind}", minor)


def node(unit: Guest, name: str, minor: int) -> None:
    path = f"/dev/kernel-{minor}"
    unit.run("mkdir", "-p", str(Path(f"/dev/linetap/{name}").parent))
    unit.run("mknod", path, "c", str(MAJOR), str(minor))
    unit.run("ln", "-sfn", path, f"/dev/linetap/{name}")


def opened(unit: Guest, by: int | str, path: str) -> str:
    """The kernel's answer to root, in the control group of that card's capture, or of a service."""
    group = unit.property(f"linetap-capture@{by}" if isinstance(by, int) else by, "ControlGroup")
    opening = f"exec 2>&1; echo $$ >/sys/fs/cgroup{group}/cgroup.procs && exec 3<>{path}"
    return unit.run("sh", "-c", opening, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_card_is_open_to_its_own_capture_alone(unit: Guest, kind: str) -> None:
    for card, other in ((1, 2), (2, 1)):
        assert NO_DRIVER in opened(unit, card, f"/dev/linetap/card{card}/{kind}")
        assert REFUSED in opened(unit, card, f"/dev/linetap/card{other}/{kind}")


def test_the_header_is_every_cards(unit: Guest) -> None:
    """Each uses one pin of it, its arm line."""
    for card in (1, 2):
        assert NO_DRIVER in opened(unit, card, "/dev/linetap/gpio")


def test_what_nobody_has_named_is_open_to_none(unit: Guest) -> None:
    node(unit, "stray", 252)
    for card in (1, 2):
        assert REFUSED in opened(unit, card, "/dev/linetap/stray")


def test_a_codec_that_comes_back_under_another_number_is_open_to_the_next_capture(unit: Guest) -> None:
    was = unit.run("readlink", "/dev/linetap/card2/capture")
    plug(unit, 2, first=210)
    assert REFUSED in opened(unit, 2, "/dev/linetap/card2/capture"), "it is looked up at the start"
    unit.run("kill", "-KILL", unit.property("linetap-capture@2", "MainPID"))
    until(lambda: unit.property("linetap-capture@2", "NRestarts") == "1", "it is started again")
    until(lambda: unit.property("linetap-capture@2", "SubState") == "running", "it runs again")
    assert NO_DRIVER in opened(unit, 2, "/dev/linetap/card2/capture")
    assert REFUSED in opened(unit, 2, was)


def test_the_tpm_is_the_recorders_alone(unit: Guest) -> None:
    assert NO_DRIVER in opened(unit, "linetap-recorder", "/dev/linetap/tpm")
    for card in (1, 2):
        assert REFUSED in opened(unit, card, "/dev/linetap/tpm")


def test_the_pbxs_port_is_the_recorders_alone(unit: Guest) -> None:
    assert NO_DRIVER in opened(unit, "linetap-recorder", "/dev/linetap/smdr")
    for card in (1, 2):
        assert REFUSED in opened(unit, card, "/dev/linetap/smdr")
        for kind in KINDS:
            assert REFUSED in opened(unit, "linetap-recorder", f"/dev/linetap/card{card}/{kind}")


def test_a_pbxs_cable_that_comes_back_under_another_number_is_open_to_the_next_recorder(unit: Guest) -> None:
    node(unit, "smdr", 261)
    assert REFUSED in opened(unit, "linetap-recorder", "/dev/linetap/smdr")
    was = unit.property("linetap-recorder", "MainPID")
    unit.run("systemctl", "start", "linetap_smdr.service")  # as started by udev
    until(lambda: unit.property("linetap-recorder", "MainPID") not in (was, "0"), "there is another recorder")
    assert NO_DRIVER in opened(unit, "linetap-recorder", "/dev/linetap/smdr")


def test_a_loose_cable_does_not_keep_the_recorder_from_its_work(unit: Guest) -> None:
    """It comes back again and again: the recorder is restarted once, and once more after a pause."""
    unit.run("systemctl", "stop", "linetap_smdr.service")
    unit.run("mkdir", "-p", "/run/systemd/system/linetap_smdr.service.d")
    unit.run(
        "sh", "-c", "printf '[Service]\\nEnvironment=PAUSE_S=15\\n' >/run/systemd/system/linetap_smdr.service.d/9.conf"
    )
    unit.run("systemctl", "daemon-reload")
    restarted: list[str] = []

    def pid() -> str:
        until(lambda: unit.property("linetap-recorder", "MainPID") != "0", "the recorder runs")
        return unit.property("linetap-recorder", "MainPID")

    first = pid()
    for minor in range(280, 284):
        node(unit, "smdr", minor)
        unit.run("systemctl", "start", "linetap_smdr.service")
        until(lambda: pid() != first, "there is another recorder")
        restarted.append(pid())
    assert len(set(restarted)) == 1, "it was not restarted for each"
    until(lambda: pid() != restarted[0], "the last cable's number is open to it in the end")
    assert NO_DRIVER in opened(unit, "linetap-recorder", "/dev/linetap/smdr")
    unit.run("systemctl", "stop", "linetap_smdr.service")


def test_udev_gives_the_names_that_the_unit_allows() -> None:
    rules = (SYSTEMD / "udev" / "70-linetap.rules").read_text()
    given = {name.replace("$env{LINETAP_CARD}", "%i") for name in re.findall(r'SYMLINK\+="(\S+)"', rules)}
    units = [SYSTEMD / f"linetap-{service}.service.d" / OPENED for service in ("capture@", "recorder")]
    allowed = {name for path in units for name in re.findall(r"^DeviceAllow=/dev/(\S+) rw$", path.read_text(), re.M)}
    assert given == allowed
    assert "char-" not in "".join(path.read_text() for path in units)
