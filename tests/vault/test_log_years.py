# SPDX-License-Identifier: Apache-2.0
"""A log of years: no search in it keeps the vault's thread longer than its watchdog allows, and the search after a
power cut reads only the newest days.

A leaf takes 6 us of a desktop's core and four times as long on a Pi 4: 10 s, the watchdog's, are 400,000 leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.log.proof import Proof
from linetap.recorder.vault.recordings.index import IndexEnd
from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock, compact, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import index
from linetap_core.evidence.merklelog import logend, unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES, MOST_AT_ONCE, LeafLog
from linetap_core.watchdog import Steps
from sealing_rig import NOW, UNIT, Rig, noise, record

LEAVES_A_STEP = 500
CALLS = 2000  # two leaves each
EVERY_NS = 3600 * NS_PER_S


class Reading(Steps):
    """Counts the leaves that a thread has read since its last step."""

    since = total = most = 0

    def begin(self) -> None:
        super().begin()
        self.total = self.most = 0

    def step(self) -> None:
        self.since = 0
        super().step()

    def read(self) -> None:
        self.since += 1
        self.total += 1
        self.most = max(self.most, self.since)


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    found, own = Reading("vault", SYSTEM), LeafLog.leaves

    def counted(self: LeafLog, first: int = 0) -> Iterator[bytes]:
        for line in own(self, first):
            found.read()
            yield line

    monkeypatch.setattr(LeafLog, "leaves", counted)
    monkeypatch.setattr("linetap.recorder.vault.log.log.LEAVES_A_STEP", LEAVES_A_STEP)
    monkeypatch.setattr("linetap.recorder.vault.log.log.REMEMBERED", 100)
    return found


@pytest.fixture
def rig(rig: Rig) -> Rig:
    """A unit whose log has CALLS calls before NOW, under a signed head."""
    log = UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339(NOW)))
    lines = list[dict[str, object]]()
    for number in range(CALLS):
        ns = parse_rfc3339(NOW) - (CALLS - number) * EVERY_NS
        of_call = {"at": rfc3339(ns), "call_id": f"{compact(ns)}-L03"}
        lines += [{"kind": "open", **of_call}, {"kind": "close", **of_call}]
    for first in range(0, len(lines), MOST_AT_ONCE):
        log._log.append_all(lines[first : first + MOST_AT_ONCE])
    log.publish()
    log.close()
    return rig


def test_the_start_after_a_power_cut_searches_the_newest_days_alone(rig: Rig, reading: Reading) -> None:
    log = rig.log()
    left_open, sealed_only = "20261124T230000.000Z-L05", "20261124T230001.000Z-L06"
    for call_id in (left_open, sealed_only):
        log.append("open", call_id=call_id)
    folder = rig.create(sealed_only)
    folder.write(noise(1000))
    folder.seal(record(1000, sealed_only), rig.sign)
    log.close()
    log = rig.log()
    reading.begin()
    log.publish()
    assert log.is_proved
    assert reading.total < 2 * LEAVES_A_STEP
    assert [call_id in log.open_calls for call_id in (left_open, sealed_only)] == [True, False]


@pytest.mark.parametrize(
    "search",
    [
        lambda log: log.closing("20261124T220000.000Z-L09"),
        lambda log: log.has_any("walk"),
        lambda log: list(log.leaves(0)),
    ],
    ids=["of a call without a close", "of a kind", "all"],
)
def test_a_search_of_the_whole_log_is_progress(rig: Rig, reading: Reading, search: Callable[[UnitLog], object]) -> None:
    log = rig.log()
    reading.begin()
    search(log)
    assert reading.total >= 2 * CALLS
    assert reading.most <= 2 * LEAVES_A_STEP


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> int:
    """The bytes that a start reads, in place of 2 MiB; and a proof that takes several turns."""
    monkeypatch.setattr(logend, "WINDOW_BYTES", 1 << 17)
    monkeypatch.setattr(Proof.step, "__defaults__", (MOST_AT_ONCE,))
    return logend.WINDOW_BYTES


def test_recording_begins_before_the_whole_log_is_read(rig: Rig, reading: Reading, window: int) -> None:
    """The vault's thread counts and proves the earlier leaves while calls are recorded."""
    assert (rig.vault / unitlog.FOLDER / LEAVES).stat().st_size > 2 * window
    reading.begin()
    log = rig.log()
    assert reading.total < MOST_AT_ONCE + 2 * LEAVES_A_STEP, "more than it remembers and hashes again"
    assert (log.size, log.is_proved) == (2 * CALLS, False)
    proved(log)


def proved(log: UnitLog) -> None:
    """Lets the vault's thread have its turns."""
    for _ in range(2 * CALLS // MOST_AT_ONCE + 2):
        log.publish()
    assert log.is_proved


@pytest.mark.parametrize(("keep", "code"), [(0, "log_short"), (2, "log_changed")], ids=["removed", "doubled"])
@pytest.mark.usefixtures("window")
def test_a_log_that_lost_or_gained_an_early_leaf_is_set_aside(rig: Rig, keep: int, code: str) -> None:
    path = rig.vault / unitlog.FOLDER / LEAVES
    lines = path.read_bytes().splitlines(keepends=True)
    changed = b"".join([*lines[:700], *[lines[700]] * keep, *lines[701:]])
    path.write_bytes(changed)
    log = rig.log()
    assert log.size == 2 * CALLS
    log.append("heartbeat")
    proved(log)
    assert log.kept == ["log.before-1"]
    assert (rig.vault / "log.before-1" / LEAVES).read_bytes().startswith(changed)
    assert [event.why for event in log.pop_begun_events()] == [code]
    assert any(b'"heartbeat"' in line for line in log.leaves(0)), "this start's leaves are carried over"


def test_the_end_of_an_index_without_a_day_is_progress(rig: Rig, reading: Reading) -> None:
    folder = rig.vault / index.FOLDER / "overflow-1"
    folder.mkdir(parents=True)
    (folder / index.segment_name("2026-11-24", 1)).write_bytes(b"sealed")
    end = IndexEnd(rig.vault, "Asia/Seoul", rig.log())
    reading.begin()
    end.tick(parse_rfc3339(NOW))
    assert reading.total >= 2 * CALLS
    assert reading.most <= 2 * LEAVES_A_STEP
