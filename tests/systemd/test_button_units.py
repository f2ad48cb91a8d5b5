# SPDX-License-Identifier: Apache-2.0
"""The button under systemd: the unprivileged panel starts a walk test and has the disk unmounted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import pytest
from guest import Guest, guest, skip_reason, until
from systemd_rig import SERVICES, lay_cable, make_unit, state_of

from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, PanelState, RecorderState

DISK, KEPT = "/var/lib/linetap", "/run/kept"
SCRIPT = (
    'lines = 2\nduration_s = 900.0\n[[call]]\nline = 1\nstart_s = 1.0\ndirection = "in"\nrings = 1\ntalk_s = 800.0\n'
)

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    """A guest whose disk is a separate file system; `KEPT` shows the files left on it."""
    with guest() as made:
        make_unit(made, SCRIPT)
        made.boot()
        for command in (
            "mkdir -p /run/disk /run/kept && mount -t tmpfs -o mode=755 tmpfs /run/disk",
            f"cp -a {DISK}/. /run/disk && mount --bind /run/disk {DISK} && mount --bind /run/disk {KEPT}",
            "umount -l /run/disk",
        ):
            made.run("sh", "-c", command)
        lay_cable(made)
        units = [f"{name}.service" for name in SERVICES]
        made.run("systemctl", "enable", *units, "linetap_removal.path")
        made.run("systemctl", "start", "mosquitto.service", "linetap.target", "linetap_removal.path", *units)
        yield made


def button(unit: Guest, pressed: bool) -> None:
    said = (
        f"printf '\\{int(pressed)}' | dd of=/run/linetap/panel/panel.leds bs=1 seek=3 conv=notrunc,nocreat status=none"
    )
    unit.run("sh", "-c", said)


def panel(unit: Guest) -> PanelState:
    return state_of(unit, "panel", PanelState)


def press(unit: Guest, *lit: set[int]) -> None:
    """Presses until these numbers of LEDs have been lit at once, in this order; then releases."""
    button(unit, True)
    for numbers in lit:
        if numbers == LAMP_TEST:
            holds(LampTest(unit).lasts, "all LEDs are lit")
        else:
            holds(partial(_are_lit, unit, numbers), f"{numbers} LEDs are lit")
    button(unit, False)


def _are_lit(unit: Guest, numbers: set[int]) -> bool:
    return sum(panel(unit).leds.values()) in numbers


class LampTest:
    """Detects the lamp test: all LEDs are lit for longer than a blinking one ever is, counted in the panel's ticks of a
    tenth of a second.
    """

    def __init__(self, unit: Guest) -> None:
        self._unit, self._since = unit, -1

    def lasts(self) -> bool:
        state = panel(self._unit)
        if sum(state.leds.values()) not in LAMP_TEST:
            self._since = -1
        elif self._since < 0:
            self._since = state.progress
        return self._since >= 0 and state.progress - self._since >= LONGER_TICKS


LONGER_TICKS = 12
LAMP_TEST, OVER, ALL_DARK = {3}, {0, 1, 2}, {0}  # RUN is lit when nothing is pressed: all dark is the tenth second


def recorder(unit: Guest) -> RecorderState:
    return state_of(unit, "recorder", RecorderState)


def holds(condition: Callable[[], bool], what: str) -> None:
    """Polls; a state file that is just being replaced is read again."""

    def look() -> bool:
        try:
            return condition()
        except (AssertionError, OSError, msgspec.DecodeError):
            return False

    until(look, what)


def test_three_seconds_begin_a_walk_test(unit: Guest) -> None:
    """The recorder accepts it from the panel's user, through both sandboxes."""
    holds(lambda: any(line.state == "recording" for line in recorder(unit).lines), "a call is recorded")
    press(unit, LAMP_TEST, OVER)
    holds(lambda: recorder(unit).walk is not None, "the walk test goes on")
    walk = recorder(unit).walk
    assert walk is not None
    assert (walk.by, walk.line, walk.step) == ("button", 1, "free")
    holds(lambda: panel(unit).patterns["call"] == "wink", "CALL says that it waits")
    said = unit.run("sh", "-c", "linetap walk --stop --config /etc/linetap/unit.toml || true")
    assert "RED" in said


def test_a_disk_that_is_in_use_stays_and_calls_are_recorded_again(unit: Guest) -> None:
    before = recorder(unit).pid
    unit.run("systemd-run", "--quiet", "--unit=busy", f"--working-directory={DISK}", "sleep", "600")
    press(unit, LAMP_TEST, ALL_DARK)
    holds(lambda: panel(unit).unit_state == "removal_failed", "it is said")
    holds(lambda: recorder(unit).pid != before and recorder(unit).recording_refused is None, "it records again")
    holds(lambda: {unit.property(name, "SubState") for name in SERVICES} == {"running"}, "all run again")
    unit.run("systemctl", "stop", "busy.service")
    calls = unit.run("find", f"{DISK}/vault", "-name", sealed.RECORD).splitlines()
    records = [msgspec.json.decode(unit.run("cat", call), type=CallRecord) for call in calls]
    assert [(record.disposition, record.why) for record in records] == [("recorded", "removal")]


def test_ten_seconds_make_the_disk_ready_to_be_pulled(unit: Guest) -> None:
    press(unit, LAMP_TEST, ALL_DARK)
    holds(lambda: panel(unit).unit_state == "pull", "the LEDs say pull")
    assert unit.run("sh", "-c", f"mountpoint -q {DISK} && echo mounted || echo gone") == "gone"
    assert "Read-only" in unit.run("sh", "-c", f"touch {KEPT}/vault/x 2>&1", check=False)
    stopped = {unit.property(name, "SubState") for name in SERVICES if name != "linetap-panel"}
    assert stopped == {"dead"}
    assert unit.property("linetap-panel", "SubState") == "running"


def test_nobody_but_the_panel_can_ask_for_it(unit: Guest) -> None:
    assert unit.run("stat", "-c", "%U %a", "/run/linetap/panel") == "linetap-panel 750"
    assert unit.run("stat", "-c", "%U %a", "/run/linetap/root") == "root 755"
    as_reporter = ("setpriv", "--reuid=linetap-reporter", "--regid=linetap", "--clear-groups")
    assert unit.run(*as_reporter, "id", "-un") == "linetap-reporter"
    unit.run(*as_reporter, "touch", "/run/linetap/panel/removal", check=False)
    assert (
        unit.run("sh", "-c", "ls /run/linetap/root /run/linetap/panel/removal 2>&1", check=False).count("removal") == 2
    )
