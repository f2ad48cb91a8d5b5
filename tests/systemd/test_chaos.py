# SPDX-License-Identifier: Apache-2.0
"""Every service is killed, stopped, starved and restarted at random during calls; then all results are counted."""

from __future__ import annotations

import os
import random
from collections import Counter
from datetime import datetime

import msgspec
import pytest
from guest import Guest, guest, skip_reason, until
from systemd_rig import SERVICES, all_reported, lay_cable, make_unit, relays, start, start_unit, state_of

from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, RecorderState

CALL_EVERY_S, FIRST_S, LINES = 12.0, 1.0, (1, 2)
OF_CAPTURE = {"capture_restart", "overrun", "not_announced"}  # the last after a gap of 5 s or more
MINUTES = int(os.environ.get("LINETAP_SOAK_MINUTES", "1"))
ACTIONS = ("kill", "stand still", "restart", "starve")

pytestmark = pytest.mark.skipif(skip_reason() is not None, reason=str(skip_reason()))


def script(seconds: float) -> str:
    """Line 2 is called six seconds after line 1, so that there is always a call."""
    calls = [
        f'[[call]]\nline = {line}\nstart_s = {FIRST_S + 6.0 * (line - 1) + CALL_EVERY_S * n}\ndirection = "in"\n'
        f"rings = 1\ntalk_s = 4.0\n"
        for line in LINES
        for n in range(round(seconds / CALL_EVERY_S))
    ]
    return f"lines = {len(LINES)}\nduration_s = {seconds + 15:.1f}\n" + "".join(calls)


@pytest.mark.soak
@pytest.mark.timeout(60 * MINUTES + 600)  # plus the boot, the script's end, and the final reading
def test_chaos_for_as_long_as_asked() -> None:
    seed = SYSTEM.utc_ns()
    print(f"seed {seed}")
    _chaos(60.0 * MINUTES, random.Random(seed))


def _chaos(seconds: float, chance: random.Random) -> None:
    with guest() as unit:
        make_unit(unit, script(seconds))
        unit.boot()
        lay_cable(unit)
        start_unit(unit)
        done = _disturb(unit, seconds, chance)
        until(lambda: unit.property("exchange", "SubState") != "running", "the script is over", 240)
        assert unit.property("exchange", "Result") == "success", unit.run("journalctl", "-u", "exchange", "-n", "5")
        until(lambda: _at_rest(unit), "all services work again, and every call has ended")
        _count(unit, seconds, done)


def _disturb(unit: Guest, seconds: float, chance: random.Random) -> Counter[str]:
    """Causes the disturbances; returns their number for each service."""
    done: Counter[str] = Counter()
    end_ns = SYSTEM.monotonic_ns() + round(seconds * NS_PER_S)
    while SYSTEM.monotonic_ns() < end_ns:
        SYSTEM.sleep(chance.uniform(1.0, 5.0))
        service, action = chance.choice(SERVICES), chance.choice(ACTIONS)
        pid = unit.property(service, "MainPID")
        if action == "restart":
            unit.run("systemctl", "restart", "--no-block", f"{service}.service")
        elif action == "starve":
            hog = ("timeout", "3", "sh", "-c", "while :; do :; done")
            for core in range(2):
                start(unit, f"hog-{sum(done.values())}-{core}", *hog, user="root")
        elif pid != "0":
            unit.run("kill", "-KILL" if action == "kill" else "-STOP", pid, check=False)
            if action == "stand still":
                SYSTEM.sleep(chance.uniform(0.1, 3.0))
                unit.run("kill", "-CONT", pid, check=False)
        done[action if action == "starve" else f"{action} {service}"] += 1
    return done


def _at_rest(unit: Guest) -> bool:
    if {unit.property(name, "SubState") for name in SERVICES} != {"running"}:
        return False
    state = state_of(unit, "recorder", RecorderState)
    return state.progress > 0 and all(line.state == "idle" for line in state.lines) and len(state.lines) == len(LINES)


def _count(unit: Guest, seconds: float, done: Counter[str]) -> None:
    unit.run("sh", "-c", "echo floor-03 $(cat /etc/linetap/unit.key.pub) > /tmp/signers")
    until(
        lambda: "FAILED" not in unit.run("linetap", "verify", "/var/lib/linetap/vault", "--signers", "/tmp/signers"),
        "the vault verifies",
    )
    assert relays(unit) == [0] * len(LINES), "no line is in use, and none is touched"
    paths = unit.run("find", "/var/lib/linetap/vault", "-name", sealed.RECORD).split()
    records = [msgspec.json.decode(unit.run("cat", path), type=CallRecord) for path in sorted(paths)]
    expected = round(seconds / CALL_EVERY_S)
    for line in LINES:
        begun = sorted(_seconds(each) for each in records if each.line == line)
        assert len(begun) >= expected, f"line {line}: {expected} calls were made, {len(begun)} have a record"
    causes = Counter(gap.cause for each in records for gap in (each.audio.gaps if each.audio else []))
    assert set(causes) <= OF_CAPTURE
    seen = all_reported(unit)
    whole = sum(1 for each in records if each.audio is not None and not each.audio.gaps)
    lost_ms = sum(gap.ms for each in records for gap in (each.audio.gaps if each.audio else []))
    print(f"done: {', '.join(f'{count} x {what}' for what, count in sorted(done.items()))}")
    print(f"calls: {expected * len(LINES)} made, {len(records)} records, {whole} of them without a gap;")
    print(f"they are {dict(Counter(f'{each.disposition} {each.why or str()}'.strip() for each in records))};")
    print(f"gaps: {dict(causes)}, {lost_ms:.0f} ms in all; events: {len(set(seen))}, none missing, {len(seen)} arrived")


def _seconds(record: CallRecord) -> float:
    moment = record.ring_at or record.off_hook_at or record.ended_at
    assert moment is not None
    return datetime.fromisoformat(moment).timestamp()
