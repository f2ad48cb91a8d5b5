# SPDX-License-Identifier: Apache-2.0
"""Each column of the day's table, by a record made by hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from linetap_bench.day.draw import DayCall, Truth
from linetap_bench.day.judge import FAULTS, Table, judge, records_of
from linetap_bench.script.callkeys import Call
from linetap_core.clock import NS_PER_MS, rfc3339
from linetap_core.records import CallRecord, Mark, NoticeRecord

START_NS = 1_795_824_000_000_000_000
ANSWER_MS = 20_000


def at(ms: int) -> str:
    return rfc3339(START_NS + ms * NS_PER_MS)


def day(**truth: Any) -> DayCall:
    base: dict[str, Any] = {"kind": "out: ringback", "expected": "recorded", "why": "", "answer_ms": ANSWER_MS}
    return DayCall(
        number=1,
        hour=0,
        call=Call(line=3, start_s=5.0, direction="out", digits="12"),
        truth=Truth(began_ms=5000, ended_ms=60_000, **base | truth),
    )


def record(*notices: int, proof: Any = "full", stopped: bool = False, **more: Any) -> CallRecord:
    base: dict[str, Any] = {"off_hook_at": at(5000), "ended_at": at(60_000), "disposition": "recorded"}
    required: dict[str, Any] = {"call_id": "a", "unit": "u", "line": 3, "direction": "out"}
    wanted = {field.name for field in msgspec.structs.fields(CallRecord) if field.required}
    filled: dict[str, Any] = {**dict.fromkeys(wanted), **required}
    played = [
        NoticeRecord(id="ko", started_at=at(ms), ended_at=None if stopped else at(ms + 4400), proof=proof)
        for ms in notices
    ]
    return CallRecord(**filled | base | {"notices": played} | more)


@pytest.mark.parametrize(
    ("truth", "records", "faults"),
    [
        ({}, [record(ANSWER_MS + 700)], []),
        ({}, [record(ANSWER_MS + 3000)], []),
        ({}, [record(ANSWER_MS + 3001)], ["announced late"]),
        ({"late_ms": 6500}, [record(ANSWER_MS + 6500)], []),
        ({}, [record(ANSWER_MS + 700, ANSWER_MS + 15_000)], ["repeated"]),
        ({"once": False}, [record(ANSWER_MS + 700, ANSWER_MS + 15_000)], []),
        ({"late_ms": 6500}, [record(ANSWER_MS + 6501)], ["announced late"]),
        ({}, [record(ANSWER_MS - 1)], ["full_wrongly", "announced before"]),
        ({}, [record(ANSWER_MS - 1, proof="early")], ["announced before"]),
        ({}, [record(ANSWER_MS - 5000, ANSWER_MS + 900)], ["full_wrongly", "announced before"]),
        ({}, [record()], ["announced never"]),
        ({}, [record(disposition="discarded")], ["unrecorded", "announced never"]),
        ({}, [], ["lost"]),
        ({"answer_ms": None, "expected": "not"}, [record(9000, proof="early")], ["unanswered", "announced before"]),
        ({"answer_ms": None, "expected": "not"}, [record(9000)], ["full_wrongly", "unanswered", "announced before"]),
        ({"answer_ms": None, "expected": "not"}, [record(disposition="unanswered")], []),
        ({"expected": "not", "why": "fax"}, [record(disposition="fax")], []),
        ({"expected": "not", "why": "fax"}, [record(ANSWER_MS + 500, disposition="fax")], ["against_policy"]),
        ({"expected": "not", "why": "modem"}, [record(ANSWER_MS + 500, disposition="fax", stopped=True)], []),
        (
            {"expected": "not", "why": "emergency"},
            [record(ANSWER_MS + 500, disposition="skipped", stopped=True)],
            ["against_policy"],
        ),
        ({"expected": "not", "why": "internal"}, [record(ANSWER_MS + 500)], ["against_policy"]),
        ({"expected": "either"}, [record(disposition="discarded")], []),
        ({"expected": "either"}, [record(ANSWER_MS + 500)], []),
        ({}, [record(ANSWER_MS + 700, marks=[Mark(1.0, "abuse")])], ["mark"]),
        ({"marked": True}, [record(ANSWER_MS + 700, marks=[Mark(1.0, "abuse")])], []),
        ({"marked": True}, [record(ANSWER_MS + 700, marks=[Mark(1.0, "mark_far")])], ["mark"]),
        ({"once": False, "parties_ms": [30_000]}, [record(ANSWER_MS + 700, 32_000)], []),
        ({"once": False, "parties_ms": [30_000]}, [record(ANSWER_MS + 700, 34_000)], ["party late"]),
        ({"once": False, "parties_ms": [30_000], "keys_ms": [33_000]}, [record(ANSWER_MS + 700, 34_500)], []),
        ({"once": False, "parties_ms": [30_000]}, [record(ANSWER_MS + 700)], ["party never"]),
        ({"once": False, "parties_ms": [30_000]}, [record(ANSWER_MS + 700, 29_000)], ["party before"]),
    ],
)
def test_what_a_record_comes_to(truth: dict[str, Any], records: list[CallRecord], faults: list[str]) -> None:
    verdict = judge(day(**truth), records, START_NS)
    assert verdict.faults == faults
    table = Table()
    table.add(1, day(**truth), verdict)
    assert [failure.faults for failure in table.failures] == ([faults] if faults else [])
    assert {name for name in FAULTS if table.total(name)} == set(faults) & set(FAULTS)


def test_the_rows_are_shares_of_what_they_name() -> None:
    table = Table()
    for records in ([record(ANSWER_MS + 700)], [record(ANSWER_MS - 700)], [record(ANSWER_MS + 9000)], []):
        table.add(1, day(), judge(day(), records, START_NS))
    unanswered = day(answer_ms=None, expected="not", kind="none: busy")
    table.add(1, unanswered, judge(unanswered, [record(9000)], START_NS))
    wrong, full, recorded, lost = (row.figure for row in table.rows())
    assert wrong == pytest.approx(100 * 3 / 5)  # before, late, and a notice without an answer
    assert full == 2
    assert recorded == pytest.approx(100 / 5)
    assert lost == 1


def test_a_record_belongs_to_the_call_of_its_line_that_had_begun() -> None:
    first, second = day(), msgspec.structs.replace(day(), number=2)
    second = msgspec.structs.replace(
        second, truth=msgspec.structs.replace(second.truth, began_ms=70_000, ended_ms=90_000)
    )
    late = record(off_hook_at=at(70_010), ended_at=at(80_000))
    elsewhere = record(line=4)
    after = record(off_hook_at=at(59_000))
    found = records_of([first, second], [record(), late, elsewhere, after], START_NS)
    assert found == {1: [record(), after], 2: [late]}
