# SPDX-License-Identifier: Apache-2.0
"""The call table's interfaces to capture and the vault, in operation and in a replay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from linetap.ring import Stretch
from linetap_core.clock import parse_rfc3339
from linetap_core.records import CallEvent, CallRecord

Stretches = Sequence[tuple[int, int]]  # frames [first, end), in order


class CallSnapshot(msgspec.Struct, frozen=True):
    """The state of a call so far, for a power cut before its end.

    `frame` is a frame of the line's ring and `utc_ns` its time. `end_frame`: the end of the recording of a call that
    is over.
    """

    record: CallRecord
    frame: int
    utc_ns: int
    end_frame: int | None = None


def final_snapshot(record: CallRecord, end_frame: int | None) -> CallSnapshot:
    """The last snapshot of a call that is over."""
    utc_ns = parse_rfc3339(record.ended_at) if record.ended_at else 0
    return CallSnapshot(record, end_frame or 0, utc_ns, end_frame)


class AudioSource(Protocol):
    """A line's past audio: the ring in operation, a WAV in a replay."""

    def stretch(self, line: int, first: int, end: int) -> Stretch: ...


class CapturePort(Protocol):
    """Commands to the card's capture. A command that cannot be delivered raises DeviceFault."""

    def play(self, line: int, notice: str, at_frame: int) -> None: ...
    def stop(self, line: int) -> None: ...
    def release(self, line: int, ms: int) -> None:
        """Opens the line's series contact for `ms`."""

    def frame_now(self, line: int) -> int:
        """The approximate frame on the line now; in a replay, a frame already followed."""


class VaultPort(Protocol):
    """Jobs for the vault. No method waits for the disk."""

    def refused(self) -> str | None:
        """The reason why no new recording may begin (`disk_full`), or None."""

    def report(self, event: CallEvent) -> None: ...
    def snapshot(self, call_id: str, snapshot: CallSnapshot) -> None:
        """Keeps the state of a call that has begun or changed."""

    def open(self, call_id: str, line: int, first_frame: int) -> None: ...
    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None:
        """Permits writing the recording up to this frame; withheld stretches are written as silence."""

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        """Seals the call with its recording up to `end_frame`; None: the call has no recording."""

    def remember_fault(self, line: int, since_ns: int | None) -> None:
        """Keeps the start of the line's fault over restarts and power cuts; None: the fault is cleared."""
