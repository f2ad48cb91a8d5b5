# SPDX-License-Identifier: Apache-2.0
"""A search from the centre: the opened index of a year of 150 units, searched by number, ending, name and extension;
and the cost of opening it, once a session. Ten units are opened from archives in memory, and each is kept 15 times; the
network's cost is the size of the archives.
"""

from __future__ import annotations

import copy
import io
import resource
import tarfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from linetap_bench.figures import Row
from linetap_bench.measure.search import CALLS_A_DAY, DAYS, FIRST, KEPT_DAYS, LINES, NUMBER, year_of
from linetap_core.clock import NS_PER_S, SYSTEM, parse_rfc3339, rfc3339
from linetap_core.evidence.calls import index, indexhead
from linetap_core.evidence.calls.indexhead import IndexList, ListedSegment, ListHead
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_desk.custody.search.memory import SearchQuery, UnitCalls
from linetap_desk.custody.search.unitindex import Days, open_index
from linetap_desk.searching.indexsearch import IndexKeys

UNITS, OPENED, RUNS = 150, 10, 5


def measure(folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    medium = folder / "medium"
    medium.mkdir()
    sealed_to = day_keys(medium)
    plain = {day: index.encode(entries) for day, entries in year_of("unit-000")}
    found, opened_s, sent = list[UnitCalls](), 0.0, 0
    index_keys = IndexKeys([medium])
    last = FIRST + timedelta(days=DAYS)
    before_mb = _peak_mb()
    for number in range(OPENED):
        unit, key = f"unit-{number:03d}", keys.new_unit_key()
        archive = archive_of(unit, key, plain, sealed_to)
        sent += len(archive)
        named = signers.parse(f"{unit} {keys.public_line(key.public_key())}\n")
        before_s = time.process_time()
        calls, report = open_index(io.BytesIO(archive), unit, named, index_keys, Days(FIRST, last, FIRST))
        opened_s += time.process_time() - before_s
        assert not report.gaps, report
        found += [calls, *(copy.deepcopy(calls) for _ in range(UNITS // OPENED - 1))]
    count = sum(calls.count for calls in found)
    slowest = max(max(_took_s(found, wanted, most) for _ in range(RUNS)) for wanted, most in _searches())
    method = (
        f"{UNITS} units of {LINES} lines, {CALLS_A_DAY} calls a line and day, {DAYS} days, {count} calls; wall"
        f" time, the slowest of {RUNS} runs each by number, ending, name and extension, without the log entries"
    )
    first = (
        f"CPU time of {OPENED} units times {UNITS // OPENED}: archives of {(sent * UNITS // OPENED) >> 20} MiB in all,"
        " verified, decrypted with pyrage, in one process"
    )
    return [
        Row(name="search: a year of all units", figure=slowest, unit="s", target=5, method=method),
        Row(name="search: opening that year, once a session", figure=opened_s * UNITS / OPENED, unit="s", target=300,
            method=first),
        Row(name="search: memory of that year", figure=_peak_mb() - before_mb, unit="MB", target=2000,
            method="the growth of the process's peak"),
    ]  # fmt: skip


def _searches() -> list[tuple[SearchQuery, int]]:
    """The searches, each with its expected number of calls."""
    first_ns = parse_rfc3339(f"{FIRST}T00:00:00+09:00")
    last_ns = first_ns + (DAYS + 1) * 24 * 3600 * NS_PER_S
    every = UNITS * DAYS * CALLS_A_DAY
    return [
        (SearchQuery("number", first_ns, last_ns, digits=NUMBER), UNITS),
        (SearchQuery("number", first_ns, last_ns, digits="5432"), UNITS),
        (SearchQuery("name", first_ns, last_ns, text="nobody"), 0),
        (SearchQuery("extension", first_ns, last_ns, text="2303"), every),
    ]


def _took_s(found: list[UnitCalls], wanted: SearchQuery, most: int, shown: int = 1001) -> float:
    """Seconds of a session's search, which stops at the number of calls that it shows."""
    began_ns, count = SYSTEM.monotonic_ns(), 0
    for calls in found:
        for _ in calls.search(wanted):
            count += 1
            if count == shown:
                break
        if count == shown:
            break
    assert count == min(most, shown), (wanted, count)
    return (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S


def day_keys(medium: Path) -> Callable[[date], str]:
    recipients: dict[str, str] = {}
    for number in range(DAYS):
        epoch, identity = _epoch(FIRST + timedelta(days=number)), keys.new_identity()
        recipients[epoch] = identity.recipient
        (medium / f"{epoch}.index.txt").write_text(keys.identity_file(identity, "2026-01-01T00:00:00.000Z"))
    return lambda day: recipients[_epoch(day)]


def _epoch(day: date) -> str:
    return (day + timedelta(days=KEPT_DAYS)).isoformat()


def archive_of(unit: str, key: SigningKey, plain: dict[date, bytes], sealed_to: Callable[[date], str]) -> bytes:
    """A unit's archive as the desk sends it."""
    segments = {
        f"{_epoch(day)}/{index.segment_name(day.isoformat(), 1)}": age.encrypt(
            data.replace(b"unit-000", unit.encode()), [sealed_to(day)]
        )
        for day, data in plain.items()
    }
    listed = [
        ListedSegment(file=name, size=len(data), sha256=indexhead.digest(data))
        for name, data in sorted(segments.items())
    ]
    data = indexhead.encode(IndexList(segments=listed))
    head = indexhead.encode(ListHead(
        unit=unit, log="", leaves=1, at=rfc3339(SYSTEM.utc_ns()), sha256=indexhead.digest(data), size=len(data)
    ))  # fmt: skip
    signature = sshsig.sign(head, key, namespaces.HEAD).encode("ascii")
    small = {indexhead.list_file(""): data, indexhead.head_file(""): head}
    small[indexhead.head_file("") + namespaces.SUFFIX] = signature
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as file:
        for name, content in (small | segments).items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
