# SPDX-License-Identifier: Apache-2.0
"""What the call table needs done: by capture and the vault in life, by the replay in a test of the same code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from linetap.ring import Stretch
from linetap_core.clock import parse_rfc3339
from linetap_core.records import CallEvent, CallRecord

Stretches = Sequence[tuple[int, int]]  # frames [first, end), in order


class CallNote(msgspec.Struct, frozen=True):
    """What is known of a call now, for the case that power fails before its end.

    `frame` is a moment of the line's ring and `utc_ns` its time. `end_frame`: the call is over, and its recording
    goes up to there.
    """

    record: CallRecord
    frame: int
    utc_ns: int
    end_frame: int | None = None


def last_note(record: CallRecord, end_frame: int | None) -> CallNote:
    """Of a call that is over."""
    utc_ns = parse_rfc3339(record.ended_at) if record.ended_at else 0
    return CallNote(record, end_frame or 0, utc_ns, end_frame)


class AudioSource(Protocol):
    """A line's past: the ring in life, a WAV in a replay."""

    def stretch(self, line: int, first: int, end: int) -> Stretch: ...


class CapturePort(Protocol):
    """The way to the card. A command that cannot be given raises DeviceFault."""

    def play(self, line: int, notice: str, at_frame: int) -> None: ...
    def stop(self, line: int) -> None: ...
    def present(self, line: int) -> int:
        """About which frame is on the line now; one that has been followed where nobody is behind."""


class VaultPort(Protocol):
    """The way to the disk; nothing here waits for it."""

    def refused(self) -> str | None:
        """Why nothing new may be recorded now (`disk_full`), or None."""

    def report(self, event: CallEvent) -> None: ...
    def note(self, call_id: str, note: CallNote) -> None:
        """A call that is not over yet has begun or changed."""

    def open(self, call_id: str, line: int, first_frame: int) -> None: ...
    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None:
        """The recording may be written up to this frame, as silence where it is withheld."""

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        """Seal it with the recording up to `end_frame`; None for a call that has no recording."""

    def remember_fault(self, line: int, since_ns: int | None) -> None:
        """The line is at fault since then, over restarts and power cuts; None: it has been learnt anew."""
