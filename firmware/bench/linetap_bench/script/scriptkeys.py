# SPDX-License-Identifier: Apache-2.0
"""The top-level keys of calls.toml: lines, calls, SMDR lines, and the expected call records of a scenario.

Times are seconds from the script's start, or where noted from a call's answer; lengths in seconds or `_ms`, levels in
dBm0, lines from 1. script.py finds contradictions.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from linetap_bench.script.callkeys import Call, Level, LineNumber, Seconds
from linetap_bench.script.timing import times_of
from linetap_core.records import AnsweredBy, Caller, CallRecord, Direction, Disposition, EndedBy, InternalBy


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The expected fields of a record; an omitted field may have any value. An empty text is a field without a value,
    which TOML cannot express.
    """

    line: int | None = None
    direction: Direction | None = None
    disposition: Disposition | None = None
    why: str | None = None
    answered_by: AnsweredBy | Literal[""] | None = None
    ended_by: EndedBy | Literal[""] | None = None
    dialled: str | None = None
    caller: Caller | None = None  # all its fields
    no_caller: bool | None = None
    internal: bool | None = None
    internal_by: InternalBy | None = None
    smdr: str | None = None
    retention: str | None = None  # retention class
    marks: list[str] | None = None  # kinds of marks
    proofs: list[str] | None = None  # of each notice
    gaps: list[str] | None = None  # causes of the gaps
    duration_s: tuple[float, float] | None = None  # from, to
    recorded_s: tuple[float, float] | None = None  # length of the audio: from, to


def differences(expected: Expect, record: CallRecord) -> list[str]:
    """One line for each field that differs."""
    lines = []
    for name in expected.__struct_fields__:
        wanted = getattr(expected, name)
        if wanted is None:
            continue
        found = _found(record, name)
        fits = wanted[0] <= (found or 0) <= wanted[1] if name.endswith("_s") else found == wanted
        if not fits:
            lines.append(f"{name}: {found!r} and not {wanted!r}")
    return lines


def _found(record: CallRecord, name: str) -> Any:
    audio = record.audio
    match name:
        case "no_caller":
            return record.caller is None
        case "retention":
            return record.retention.class_ if record.retention else ""
        case "marks":
            return [mark.kind for mark in record.marks]
        case "proofs":
            return [notice.proof for notice in record.notices]
        case "gaps":
            return [gap.cause for gap in audio.gaps] if audio else []
        case "recorded_s":
            return audio.samples / audio.rate if audio else 0.0
        case "caller" | "line" | "internal" | "duration_s":
            return getattr(record, name)
        case _:
            return getattr(record, name) or ""


TAIL_MS = 3000  # after the last on-hook: longer than a flash, so that the on-hook is recognised


class LineSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The wire pair and its levels. `deaf`: a played notice does not return, as with an unwired relay.

    The card's gains default to those of its drawing: `captured_db` is the captured level relative to the line's,
    `echo_db` that of a returned notice relative to the played one.
    """

    number: LineNumber
    noise_dbm0: Level = -68.0
    hum_dbm0: Level | None = -62.0  # mains and harmonics together
    on_hook_v: Annotated[float, Meta(ge=20, le=60)] = 48.0
    off_hook_v: Annotated[float, Meta(ge=3, le=40)] = 8.0
    reversed: bool = False  # tip and ring swapped
    captured_db: Annotated[float, Meta(ge=-20, le=6)] | None = None
    echo_db: Annotated[float, Meta(ge=-60, le=6)] | None = None
    deaf: bool = False
    kind: Literal["station", "trunk"] = "station"  # a telephone's line at a PBX, or an exchange's trunk
    # An opening of the loop for this time ends the call at the exchange. A shorter one is a flash at a station.
    releases_after_ms: Annotated[int, Meta(ge=0, le=10_000)] = 1000
    guard_s: Annotated[float, Meta(ge=0, le=300)] = 90.0  # the same for an incoming call on a trunk
    # The card's series contact: welded, or stuck open after its first opening.
    contact: Literal["sound", "stuck_closed", "stuck_open"] = "sound"


class SmdrLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line of SMDR and its time."""

    at_s: Seconds
    text: Annotated[str, Meta(pattern=r"^[^\r\n]+\Z", max_length=200)]


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole script. `lines` is the number of channels of a rendered WAV.

    `unit`: differences of the unit's configuration from `config init`; `expect`: the expected records in the order of
    the calls' beginnings. The exchange itself reads neither.
    """

    lines: LineNumber = 8
    seed: Annotated[int, Meta(ge=0)] = 1
    language: Literal["ko", "en"] = "ko"
    duration_s: Seconds | None = None
    line: list[LineSetup] = []
    call: list[Call] = []
    smdr: list[SmdrLine] = []
    unit: dict[str, Any] = {}
    expect: list[Expect] = []

    def setup(self, number: int) -> LineSetup:
        return next((line for line in self.line if line.number == number), LineSetup(number=number))

    @property
    def deaf_lines(self) -> set[int]:
        return {line.number for line in self.line if line.deaf}

    @property
    def duration_ms(self) -> int:
        if self.duration_s is not None:
            return round(self.duration_s * 1000)
        return max((times_of(call).end for call in self.call), default=0) + TAIL_MS
