# SPDX-License-Identifier: Apache-2.0
"""A hostile desk or unit sends an invalid index: it is named, its size is limited, and the rest is searched."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap_bench.measure import searchcentral
from linetap_bench.measure.search import FIRST
from linetap_core.clock import NS_PER_MS, NS_PER_S, compact, parse_rfc3339
from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import signers
from linetap_desk.custody.search import unitindex
from linetap_desk.custody.search.memory import SearchQuery, UnitCalls
from linetap_desk.custody.search.unitindex import Days, UnitReport
from linetap_desk.searching.indexsearch import IndexKeys

UNIT = "unit-000"
DAYS = Days(FIRST, FIRST + timedelta(days=400), FIRST)
ALWAYS = (0, parse_rfc3339("2150-01-01T00:00:00Z"))
GOOD = Entry(call_id="20260102T030000.000Z-L03", unit=UNIT, line=3, at="2026-01-02T03:00:00.000Z", number="0212345678")


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., tuple[UnitCalls, UnitReport]]:
    """Searches one good day, and another with this plaintext, in a possibly changed archive."""
    sealed_to, key = searchcentral.day_keys(tmp_path), keys.new_unit_key()
    named = signers.parse(f"{UNIT} {keys.public_line(key.public_key())}\n")

    def of(plain: bytes, change: Callable[[bytes], bytes] = lambda archive: archive) -> tuple[UnitCalls, UnitReport]:
        days = {date(2026, 1, 2): index.encode([GOOD]), date(2026, 1, 3): plain}
        archive = change(searchcentral.archive_of(UNIT, key, days, sealed_to))
        return unitindex.open_index(io.BytesIO(archive), UNIT, named, IndexKeys([tmp_path]), DAYS)

    return of


def finds(calls: UnitCalls, digits: str = "0212345678") -> int:
    return sum(1 for _ in calls.search(SearchQuery("number", *ALWAYS, digits=digits)))


def changed(**more: object) -> bytes:
    return index.encode([msgspec.structs.replace(GOOD, **more)])


@pytest.mark.parametrize(
    "plain",
    [b"[" * 400_000, b'{"a":' * 100_000, b"\xff" * 1000, index.encode([GOOD] * 513), changed(unit="unit-001"),
     changed(call_id="20261399T030000.000Z-L03"), changed(call_id="../../etc/passwd"), changed(call_id="x" * 24),
     index.encode([GOOD]).replace(b'"line":3', b'"line":1e300')],
)  # fmt: skip
def test_what_is_sealed_and_no_index_is_named_and_the_rest_is_searched(
    opened: Callable[..., tuple[UnitCalls, UnitReport]], plain: bytes
) -> None:
    calls, report = opened(plain)
    assert report.gaps == {unitindex.DAMAGED: {"2026-01-03"}}
    assert finds(calls) == 1


@pytest.mark.parametrize("line", [-1, 0, 100, 10**12])
def test_a_line_that_no_unit_has_ends_nothing(opened: Callable[..., tuple[UnitCalls, UnitReport]], line: int) -> None:
    assert finds(opened(changed(line=line, number="0299998888"))[0], "0299998888") == 1


def _size(archive: bytes, size: int) -> bytes:
    """Changes the size in the header of the last segment, with a valid checksum."""
    place = archive.rindex(b"2026-01-03-001.age") // 512 * 512
    head = bytearray(archive[place : place + 512])
    head[124:136] = b"%011o\0" % size
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return archive[:place] + bytes(head) + archive[place + 512 :]


@pytest.mark.parametrize(
    "change",
    [
        lambda archive: archive[: len(archive) // 2],
        lambda archive: _size(archive, 8 << 30),
        lambda archive: _size(archive, 1 << 20),
        lambda archive: archive.replace(b"/2026-01-03-001.age", b"/../../01-03-01.age"),
        lambda _: b"",
        lambda _: b"\x1f\x8b" + bytes(100_000),
    ],
)
def test_an_archive_that_is_none_ends_in_one_line(
    opened: Callable[..., tuple[UnitCalls, UnitReport]], change: Callable[[bytes], bytes]
) -> None:
    _, report = opened(index.encode([GOOD]), change)
    assert report.gaps


def test_more_calls_than_a_unit_can_have(
    opened: Callable[..., tuple[UnitCalls, UnitReport]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unitindex, "MOST_CALLS", 1)
    assert opened(index.encode([GOOD]))[1].gaps == {unitindex.TOO_MANY: {"2026-01-03"}}


def test_more_names_than_the_columns_hold() -> None:
    """A unit's callers of years; the columns have 16 bits for the number of a text."""
    calls, count = UnitCalls(UNIT), 66_000
    for first in range(0, count, index.MOST_ENTRIES):
        calls.add([
            msgspec.structs.replace(
                GOOD, call_id=f"{compact((10**9 + number) * NS_PER_S)}-L03", name=f"caller {number:05d}"
            )
            for number in range(first, min(first + index.MOST_ENTRIES, count))
        ])  # fmt: skip
    calls.seal()
    assert calls.count == count
    for number in (0, count - 1):
        (found,) = calls.search(SearchQuery("name", *ALWAYS, text=f"caller {number:05d}"))
        assert found.name == f"caller {number:05d}"


ENTRIES = st.builds(
    lambda ms, line, suffix, **more: Entry(
        call_id=f"{compact(ms * NS_PER_MS)}-L{line:02d}{suffix}", unit=UNIT, line=line, at="", **more
    ),
    ms=st.integers(0, 4_000_000_000_000), line=st.integers(1, 130), suffix=st.sampled_from(["", "", "-b"]),
    number=st.text("0123456789+-#* ", max_size=22) | st.sampled_from(["+82 10-1234-5678", "01012345678", "5678"]),
    extension=st.sampled_from(["", "2301", "abc"]), name=st.sampled_from(["", "김", "Kim Sora"]),
    direction=st.sampled_from(["in", "out", "unknown"]), internal=st.booleans(),
)  # fmt: skip
WANTED = st.one_of(
    st.text("0123456789", min_size=4, max_size=20).map(lambda digits: SearchQuery("number", *ALWAYS, digits=digits)),
    st.sampled_from(["01012345678", "5678"]).map(lambda digits: SearchQuery("number", *ALWAYS, digits=digits)),
    st.sampled_from(["2301", "230"]).map(lambda text: SearchQuery("extension", *ALWAYS, text=text)),
    st.sampled_from(["kim", "김", "x"]).map(lambda text: SearchQuery("name", *ALWAYS, text=text)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(ENTRIES, max_size=30, unique_by=lambda entry: entry.call_id), WANTED)
def test_columns_find_what_the_entries_themselves_say(entries: list[Entry], wanted: SearchQuery) -> None:
    """Compares the columns with `linetap find`'s comparison, one entry at a time."""
    calls = UnitCalls(UNIT)
    calls.add(entries)
    calls.seal()
    assert calls.count == len(entries)
    found = {entry.call_id: entry for entry in calls.search(wanted)}
    assert found.keys() == {entry.call_id for entry in entries if wanted.matches(entry)}
    for entry in entries:
        if entry.call_id in found:
            other = found[entry.call_id]
            assert (other.line, other.extension, other.name, other.direction, other.internal) == (
                entry.line, entry.extension, entry.name, entry.direction, entry.internal,
            )  # fmt: skip
            assert index.digits_of(other.number) == index.digits_of(entry.number)
