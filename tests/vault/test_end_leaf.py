# SPDX-License-Identifier: Apache-2.0
"""A call that was ended has its own leaf: once, before its close, after any repetition or interruption."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from linetap.recorder.vault.log.log import UnitLog
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.records import CallRecord, EndRecord, NoticeRecord
from sealing_rig import CALL_ID, NOW, UNIT, Rig, noise, record

OTHER = "20261125T010000.000Z-L03"
RELEASED = EndRecord(
    situation="abuse", by="code", code_at="2026-11-24T22:56:30.000Z", released_at="2026-11-24T22:56:42.000Z",
    seen_by="dial_tone", notice=NoticeRecord(id="end-abuse", started_at="2026-11-24T22:56:30.300Z", proof="full"),
)  # fmt: skip


def ended(call_id: str = CALL_ID, end: EndRecord = RELEASED, **more: Any) -> CallRecord:
    told = {"ended_at": "2026-11-24T22:56:42.000Z", "ended_by": "released", **more}
    return msgspec.structs.replace(record(1000, call_id), end=end, **told)


def unit_log(rig: Rig) -> UnitLog:
    return UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339(NOW)))


def seal(rig: Rig, call: CallRecord) -> None:
    folder = rig.create(call.call_id)
    folder.write(noise(1000))
    folder.seal(call, rig.sign)


def leaves(rig: Rig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (rig.vault / "log" / LEAVES).read_bytes().splitlines()]


def test_it_says_why_when_and_how_the_call_was_ended(rig: Rig) -> None:
    seal(rig, ended())
    unit_log(rig).close_call(CALL_ID)
    assert [leaf["kind"] for leaf in leaves(rig)] == ["end", "close"]
    assert leaves(rig)[0] == {
        "kind": "end", "at": NOW, "call_id": CALL_ID, "line": 3, "situation": "abuse", "by": "code",
        "code_at": "2026-11-24T22:56:30.000Z", "released_at": "2026-11-24T22:56:42.000Z", "seen_by": "dial_tone",
        "ended_at": "2026-11-24T22:56:42.000Z", "ended_by": "released",
    }  # fmt: skip


def test_where_staff_hung_up_no_release_is_claimed(rig: Rig) -> None:
    by_staff = msgspec.structs.replace(RELEASED, released_at=None, seen_by="staff")
    seal(rig, ended(end=by_staff, ended_by="staff_after_notice"))
    unit_log(rig).close_call(CALL_ID)
    said = leaves(rig)[0]
    assert (said["ended_by"], said["seen_by"], said["released_at"]) == ("staff_after_notice", "staff", None)


def test_any_other_call_has_none(rig: Rig) -> None:
    seal(rig, record(1000))
    unit_log(rig).close_call(CALL_ID)
    assert [leaf["kind"] for leaf in leaves(rig)] == ["close"]


def test_it_is_there_once_over_a_restart_too(rig: Rig) -> None:
    seal(rig, ended())
    for _ in range(2):
        log = unit_log(rig)
        for _ in range(2):
            log.close_call(CALL_ID)
        log.publish()
        log.close()
    assert [leaf["kind"] for leaf in leaves(rig)] == ["end", "close"]


def test_a_power_cut_between_seal_and_log_loses_neither(rig: Rig) -> None:
    """The call is sealed and the leaves are missing or torn in the middle."""
    log = unit_log(rig)
    log.append("open", call_id=CALL_ID, line=3)
    log.publish()
    seal(rig, ended())
    seal(rig, ended(OTHER))
    log.close_call(OTHER)
    log.close()
    path = rig.vault / "log" / LEAVES
    path.write_bytes(path.read_bytes()[:-40])
    (rig.vault / "log" / TREE).unlink()  # its hashes are synced after the leaves
    fresh = unit_log(rig)
    fresh.publish()
    said = [(leaf["kind"], leaf["call_id"]) for leaf in leaves(rig) if leaf["kind"] != "open"]
    assert sorted(said) == [("close", CALL_ID), ("close", OTHER), ("end", CALL_ID), ("end", OTHER)]
    assert all(said.index(("end", id_)) < said.index(("close", id_)) for id_ in (CALL_ID, OTHER))
    assert unitlog.decode_head((rig.vault / "log" / "head.json").read_bytes()).size == 5
