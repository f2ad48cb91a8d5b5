# SPDX-License-Identifier: Apache-2.0
"""Effects of an upgrade and of a dead capture on calls in progress, under a real systemd."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from guest import Guest, guest, skip_reason, until
from systemd_rig import (
    SERVICES,
    all_reported,
    lay_cable,
    lost,
    make_unit,
    pid_of,
    record_of,
    recorded,
    relays,
    start_unit,
)

# Long calls on line 1, during one of which all three are restarted. The first begins with the recorder; the others are
# for a machine that was too busy for the first. On line 2 short ones from the first one's end on; capture is restarted
# in a pause of both.
LONG_S, NOTICE_S = 40.0, 3.0
_CALL = '[[call]]\nline = {line}\nstart_s = {start}\ndirection = "in"\nrings = 1\ntalk_s = {talk}\nbusy_s = 0.5\n'
SCRIPT = "lines = 2\nduration_s = 1000.0\n" + "".join(
    _CALL.format(line=line, start=start, talk=talk)
    for line, start, talk in [
        *((1, 1.0 + 120 * n, LONG_S) for n in range(8)),
        *((2, 50.0 + 8 * n, 4.0) for n in range(110)),
    ]
)
NOT_AGAIN = "/run/systemd/system/linetap-capture@.service.d/99-not-again.conf"

pytestmark = [
    pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason())),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def unit() -> Iterator[Guest]:
    with guest() as made:
        make_unit(made, SCRIPT, NOTICE_S)
        made.boot()
        lay_cable(made)
        start_unit(made)
        yield made


def test_an_upgrade_in_mid_call_costs_no_sample_and_no_event(unit: Guest) -> None:
    """Capture's restart is requested too, and waits for the call's end."""
    until(lambda: recorded(unit, [1]) is not None, "a long call is recorded", 300)
    call_id, before = recorded(unit, [1]), {name: pid_of(unit, name) for name in SERVICES}
    unit.run("systemctl", "start", "--no-block", "linetap-upgrade-idle@1.service")
    for name in ("linetap-reporter", "linetap-panel", "linetap-recorder"):
        unit.run("systemctl", "try-restart", f"{name}.service")
        assert pid_of(unit, name) not in (before[name], "0")
    until(lambda: recorded(unit, [1]) == call_id, "the new recorder goes on with the call")
    assert pid_of(unit, "linetap-capture@1") == before["linetap-capture@1"], "capture waits"

    until(lambda: unit.property("linetap-upgrade-idle@1", "SubState") == "dead", "capture's turn has come")
    assert unit.property("linetap-upgrade-idle@1", "Result") == "success"
    assert pid_of(unit, "linetap-capture@1") not in (before["linetap-capture@1"], "0")
    record = record_of(unit, str(call_id))
    assert record.audio is not None
    assert (record.ended_by, lost(record)) == ("on_hook", [])
    assert record.audio.samples > LONG_S * record.audio.rate
    until(lambda: recorded(unit) not in (None, call_id), "the new capture's calls are recorded")
    all_reported(unit)


def test_leave_for_the_night_is_for_one_night(unit: Guest) -> None:
    """After half an hour the timer's restart would interrupt a line in use."""
    hasty = "/run/systemd/system/linetap-upgrade-night@.service.d/99-hasty.conf"
    wait = "-/usr/bin/linetap idle --config /etc/linetap/unit.toml --card 1 --within 0"
    again = "/usr/bin/systemctl try-restart linetap-capture@1.service"
    over = "/usr/bin/systemctl stop linetap-upgrade-night@1.timer"
    text = "[Service]\nExecStart=\n" + "".join(f"ExecStart={line}\n" for line in (wait, again, over))
    put(unit, hasty, text)
    unit.run("systemctl", "start", "linetap-upgrade-night@1.timer")
    assert "03:30:00" in unit.property("linetap-upgrade-night@1.timer", "TimersCalendar")
    until(lambda: recorded(unit) is not None, "a call is recorded")
    before = pid_of(unit, "linetap-capture@1")
    unit.run("systemctl", "start", "linetap-upgrade-night@1.service")
    assert pid_of(unit, "linetap-capture@1") not in (before, "0")
    assert unit.property("linetap-upgrade-night@1.timer", "ActiveState") == "inactive"


def killed(unit: Guest) -> None:
    unit.run("kill", "-KILL", pid_of(unit, "linetap-capture@1"))


def crashed(unit: Guest) -> None:
    unit.run("kill", "-SEGV", pid_of(unit, "linetap-capture@1"))


def stood_still(unit: Guest) -> None:
    """Waits until the watchdog resets it."""
    unit.run("kill", "-STOP", pid_of(unit, "linetap-capture@1"))


def stopped(unit: Guest) -> None:
    unit.run("systemctl", "stop", "linetap-capture@1.service")


@pytest.mark.parametrize("end", [killed, crashed, stood_still, stopped])
def test_whatever_ends_capture_in_mid_notice_opens_the_relays(unit: Guest, end: Callable[[Guest], None]) -> None:
    """Capture is not restarted here: its card's one-shot opens the relays."""
    put(unit, NOT_AGAIN, "[Service]\nRestart=no\nWatchdogSec=2\n")
    unit.run("systemctl", "restart", "linetap-capture@1.service")
    until(lambda: 1 in relays(unit), "a notice plays")
    end(unit)
    until(lambda: unit.property("linetap-capture@1", "MainPID") == "0", "capture is dead")
    until(lambda: unit.property("linetap-capture@1", "ActiveState") in ("failed", "inactive"), "all is over")
    until(lambda: relays(unit) == [0, 0], "the relays are open")
    assert unit.property("linetap-capture@1", "NRestarts") == "0"
    unit.run("rm", NOT_AGAIN)
    unit.run("systemctl", "daemon-reload")
    unit.run("systemctl", "start", "linetap-capture@1.service")


def put(unit: Guest, path: str, text: str) -> None:
    """Writes a drop-in of a booted guest."""
    unit.run("sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"', "put", path, text)
    unit.run("systemctl", "daemon-reload")
