# SPDX-License-Identifier: Apache-2.0
"""What stands for the vault: it keeps the records, and seals nothing."""

from __future__ import annotations

from linetap.recorder.calls.ports import CallNote, Stretches
from linetap_core.records import CallEvent, CallRecord


class Kept:
    """A VaultPort."""

    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def refused(self) -> str | None:
        return None

    def report(self, event: CallEvent) -> None: ...
    def note(self, call_id: str, note: CallNote) -> None: ...
    def open(self, call_id: str, line: int, first_frame: int) -> None: ...
    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None: ...
    def remember_fault(self, line: int, since_ns: int | None) -> None: ...

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:  # noqa: ARG002
        self.records.append(record)
