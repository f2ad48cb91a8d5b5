# SPDX-License-Identifier: Apache-2.0
"""Jobs of the recorder's main thread for the vault's thread: plain data.

Unfinished ones are in the checkpoint, and each may be done twice without harm.
"""

from __future__ import annotations

import msgspec

from linetap_core.codecs.registry import MULAW
from linetap_core.evidence.merklelog.unitlog import Kind
from linetap_core.records import CallEvent, CallRecord, Gap, Retention
from linetap_core.vaultformat.walkreport import WalkReport


class Report(msgspec.Struct, frozen=True, tag="report"):
    event: CallEvent


class Open(msgspec.Struct, frozen=True, tag="open"):
    """A call has passed its gate: its audio is written from `first_frame` of its line's ring."""

    call_id: str
    line: int
    first_frame: int


class Close(msgspec.Struct, frozen=True, tag="close"):
    """A call is over. `end_frame` None: it has no recording."""

    call_id: str
    end_frame: int | None
    record: CallRecord
    withheld: list[tuple[int, int]] = []


class LineFault(msgspec.Struct, frozen=True, tag="line_fault"):
    """A line is at fault since this time (UTC), or no longer."""

    line: int
    since_ns: int | None


class Keep(msgspec.Struct, frozen=True, tag="keep"):
    """A small report beside the calls in the vault, replaced as a whole."""

    place: str
    content: bytes


class LogLeaf(msgspec.Struct, frozen=True, tag="log_leaf"):
    """A leaf of the unit's log that is not about writing a call. `at` and `kind` identify it."""

    kind: Kind
    at: str
    fields: dict[str, str | int | float | list[str] | None] = {}


class Walked(msgspec.Struct, frozen=True, tag="walked"):
    """A walk test is over; the jobs before this one have sealed its test calls."""

    report: WalkReport


Job = Report | Open | Close | LineFault | Keep | LogLeaf | Walked


class OpenCall(msgspec.Struct):
    """The state on tmpfs of a recording being written, from which a recorder continues after a kill.

    `recipient` and `inner` are K's public half and the blob only the custodians can open; K's private half is
    nowhere. `gaps` are those of the audio written so far. `epoch` is the recipient of key.age, and `retention` its
    name. `codec`: a call keeps its first codec if the configuration changes.
    """

    call_id: str
    line: int
    first_frame: int
    recipient: str
    inner: bytes
    gaps: list[Gap] = []
    epoch: str = ""
    retention: Retention | None = None
    codec: str = MULAW.name
