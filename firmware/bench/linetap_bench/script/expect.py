# SPDX-License-Identifier: Apache-2.0
"""The expectations of a scenario for a call record: some of its fields, and short forms for its lists."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from linetap_core.records import AnsweredBy, Caller, CallRecord, Direction, Disposition, EndedBy, InternalBy


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """A field that is not named may be anything. An empty text stands for a field without a value, which TOML cannot
    express."""

    line: int | None = None
    direction: Direction | None = None
    disposition: Disposition | None = None
    why: str | None = None
    answered_by: AnsweredBy | Literal[""] | None = None
    ended_by: EndedBy | Literal[""] | None = None
    dialled: str | None = None
    caller: Caller | None = None  # all of it
    no_caller: bool | None = None
    internal: bool | None = None
    internal_by: InternalBy | None = None
    smdr: str | None = None
    retention: str | None = None  # its class
    marks: list[str] | None = None  # their kinds
    proofs: list[str] | None = None  # of each notice
    gaps: list[str] | None = None  # their causes
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
