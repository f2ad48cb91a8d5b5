# SPDX-License-Identifier: Apache-2.0
"""The index's form: the content of an entry, the names of folders and segments, and equal numbers."""

from __future__ import annotations

from datetime import date

import pytest

from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.index import BadIndex, Entry
from linetap_core.records import Caller, CallRecord

CALL_ID = "20261124T225600.123Z-L03"


def record(**more: object) -> CallRecord:
    return CallRecord(call_id=CALL_ID, unit="floor-03", line=3, **more)  # type: ignore[arg-type]


def test_an_entry_is_the_other_partys_number_and_name_and_nobody_elses() -> None:
    caller = Caller(number="01012345678", name="홍길동")
    came = Entry.of(record(direction="in", caller=caller, dialled="2301"))
    assert (came.number, came.at) == ("01012345678", "2026-11-24T22:56:00.123Z")
    assert Entry.of(record(direction="out", caller=caller, dialled="0212345678")).number == "0212345678"
    assert Entry.of(record(direction="unknown", caller=caller)).number == "01012345678"
    assert Entry.of(record(direction="in", dialled="2301")).number == ""
    assert Entry.of(record(direction="in", dialled="2301"), "2301", "0311234567").number == "0311234567"
    assert came.name == "홍길동", "as it was displayed (decision 0163)"
    assert Entry.of(record(direction="out", caller=caller, dialled="0212345678")).name == ""


def test_entries_are_lines_of_json_and_come_back() -> None:
    entries = [Entry.of(record(direction="out", dialled=f"0101234{n:04d}"), f"23{n:02d}") for n in range(3)]
    data = index.encode(entries)
    assert data.count(b"\n") == 3
    assert index.decode(data) == entries
    assert index.decode(data.replace(b"{", b'{"later":1,')) == entries


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\n",
        b"{}\n",
        b"[1]\n",
        index.encode([Entry.of(record())]) * (index.MOST_ENTRIES + 1),
    ],
)
def test_what_is_no_index_is_refused(data: bytes) -> None:
    with pytest.raises(BadIndex):
        index.decode(data)


def test_a_call_that_is_none_leads_nowhere() -> None:
    (entry,) = index.decode(b'{"call_id":"../../etc","unit":"u","line":1,"at":"x"}\n')
    with pytest.raises(BadIndex):
        index.began_ns(entry)


@pytest.mark.parametrize(
    ("name", "epoch", "last_day"),
    [
        ("2027-01-24", "2027-01-24", date(2027, 1, 24)),
        ("overflow-2", "overflow-2", None),
        ("overflow-2.2027-01-24", "overflow-2", date(2027, 1, 24)),
    ],
)
def test_a_folder_names_key_and_end(name: str, epoch: str, last_day: date | None) -> None:
    assert index.parse_folder(name) == (epoch, last_day)
    assert index.folder_name(epoch, last_day) == name


@pytest.mark.parametrize(
    "name", ["", "overflow-", "overflow-2.", "overflow-22027-01-24", ".2027-01-24", "2027-02-30", "9999-12-31", "x"]
)
def test_other_names_are_no_epochs_folder(name: str) -> None:
    assert index.parse_folder(name) is None


def test_segments_are_numbered_and_not_three_digits_long_for_ever() -> None:
    assert index.segment_name("2026-11-24", 7) == "2026-11-24-007.age"
    for number in (1, 999, 1000):
        assert index.parse_segment(index.segment_name("2026-11-24", number)) == (date(2026, 11, 24), number)
    for name in (".2026-11-24-001.age.tmp", "2026-13-24-001.age", "001.age", "2026-11-24-001.age.old"):
        assert index.parse_segment(name) is None


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("010-1234-5678", "01012345678"),
        ("+82 10 1234 5678", "01012345678"),
        ("+82 (0)10-1234-5678", "01012345678"),
        ("0082 10 1234 5678", "01012345678"),
        ("+82-2-123-4567", "021234567"),
        ("82101234", "82101234"),
        ("+1 212 555 0100", "12125550100"),
        ("**9", "9"),
        ("٣٤٥٦", ""),
    ],
)
def test_one_number_however_it_is_written(text: str, digits: str) -> None:
    assert index.digits_of(text) == digits


def test_a_number_is_found_by_its_ending_and_behind_a_trunk_prefix() -> None:
    dialled = Entry.of(record(direction="out", dialled="901012345678"))
    for asked in ("+82 10-1234-5678", "5678", "12345678"):
        assert index.is_number(dialled, index.digits_of(asked))
    for asked in ("01012345679", "1234", "7901012345678"):
        assert not index.is_number(dialled, index.digits_of(asked))
    assert not index.is_number(Entry.of(record()), "5678")
