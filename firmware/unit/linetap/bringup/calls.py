# SPDX-License-Identifier: Apache-2.0
"""Figures of a bring-up from the records of calls and the report of the last walk test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import msgspec

from linetap.bringup.board import Measured
from linetap_core import jsontext, plainfile
from linetap_core.clock import NS_PER_DAY, NS_PER_MS, parse_rfc3339, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import document
from linetap_core.records import CallRecord, Colour, PublicRecord
from linetap_core.vaultformat import walkreport

MOST_CALLS = 5000
_LIMIT_BYTES = 1 << 20


def records(vault: Path, since_ns: int) -> Sequence[PublicRecord]:
    """Calls that ended since then, the newest first, without unreadable ones, which `linetap verify` reports."""
    found: list[PublicRecord] = []
    for path in islice(_newest(vault, since_ns - NS_PER_DAY), MOST_CALLS):  # no call is a day long
        try:
            with path.open("rb") as file:
                record = jsontext.decode(file.read(_LIMIT_BYTES), type=CallRecord)
            if record.ended_at is not None and parse_rfc3339(record.ended_at) >= since_ns:
                found.append(record)
        except (ValueError, OSError):
            continue
    return found


def _newest(vault: Path, since_ns: int) -> Iterator[Path]:
    """The records of calls that began at that time or later, by the day in their path: older days are not listed."""
    earliest = rfc3339(max(since_ns, 0))[:10].replace("-", "/")
    for day in sorted(vault.glob("[0-9]*/*/*"), reverse=True):
        if day.relative_to(vault).as_posix() < earliest:
            return
        yield from sorted(day.glob(f"*/{sealed.RECORD}"), reverse=True)


def measured(found: Sequence[PublicRecord]) -> dict[str, Measured]:
    recorded = [it for it in found if it.disposition == "recorded"]
    whole = [it for it in recorded if not it.recovered]
    gaps = [gap.ms for it in whole if it.audio is not None for gap in it.audio.gaps]
    losses = [gap.ms for it in recorded if it.audio is not None for gap in it.audio.gaps if gap.cause == "power"]
    drifts = _clock(recorded, lambda clock: clock.drift_ppm)
    offsets = _clock(recorded, lambda clock: clock.offset_ms if clock.synced else None)
    unproved = [it.call_id for it in recorded if it.notice is None or it.notice.proof != "full"]
    over = f"of {len(recorded)} recorded calls"
    none = Measured(None, "no recorded call; at least one expected")
    begins = _notice_begins(whole)
    change = max(drifts) - min(drifts) if len(drifts) > 1 else None
    return {
        "codec_ppm": _most(drifts, over, "no call ended after ten minutes of capture"),
        "codec_change_ppm": Measured(None, "two calls after ten minutes of capture expected")
        if change is None
        else Measured(round(change, 2), over),
        "calls_gap_ms": Measured(max(gaps, default=0.0), over) if recorded else none,
        "calls_offset_ms": _most(offsets, over, "no call ended with a clock that a time server keeps"),
        "calls_unproved": Measured(len(unproved), ", ".join(unproved)[:200] or over) if recorded else none,
        "notice_after_hook_ms": Measured(round(median(begins)), f"median of {len(begins)} incoming calls")
        if begins
        else Measured(None, "no incoming call with a notice"),
        "power_cut_lost_s": Measured(round(max(losses) / 1000, 2), f"of {len(losses)} calls that a power cut ended")
        if losses
        else Measured(None, "no call ended by a power cut; pull the power during one, start again, and repeat"),
    }


def _clock(found: Iterable[PublicRecord], value: Callable[..., float | None]) -> list[float]:
    return [it for record in found if record.clock is not None and (it := value(record.clock)) is not None]


def _most(values: list[float], over: str, none: str) -> Measured:
    """The value farthest from 0."""
    return Measured(max(values, key=abs), over) if values else Measured(None, none)


def _notice_begins(found: Iterable[PublicRecord]) -> list[float]:
    """Milliseconds from off-hook to the notice, of incoming calls; records with damaged times are left out."""
    waits = []
    for it in found:
        if it.direction == "in" and it.notice is not None and it.off_hook_at is not None:
            with contextlib.suppress(ValueError):
                waits.append((parse_rfc3339(it.notice.started_at) - parse_rfc3339(it.off_hook_at)) / NS_PER_MS)
    return waits


def last_walk(vault: Path) -> dict[str, Colour]:
    """Line -> result of the newest report; empty without one."""
    for path in sorted((vault / walkreport.WALKS_FOLDER).glob("*.json"), reverse=True)[:1]:
        try:
            report = walkreport.decode(plainfile.read(path, document.LIMIT_BYTES))
        except (BadInput, OSError, msgspec.MsgspecError):
            return {}
        return {str(line.line): line.colour for line in report.lines}
    return {}


def not_green(walked: dict[str, Colour], lines: int) -> Measured:
    if not walked:
        return Measured(None, "no walk test; `linetap walk`, or the button for three seconds, expected")
    bad = [f"line {line} {colour}" for line, colour in walked.items() if colour != "green"]
    bad += [f"{lines - len(walked)} lines not walked"] if len(walked) < lines else []
    return Measured(
        lines - sum(colour == "green" for colour in walked.values()), ", ".join(bad)[:200] or "last walk test"
    )
