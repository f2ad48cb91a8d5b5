# SPDX-License-Identifier: Apache-2.0
"""SMDR in a replay: the lines of the events file reach the same join at their own time."""

from __future__ import annotations

from linetap.config.schema import Config
from linetap.recorder.calls.ports import Stretches, VaultPort
from linetap.recorder.pbx.join import KeepReport, SmdrJoin
from linetap.recorder.smdr.port import Assembler
from linetap.ring import NS_PER_FRAME
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.records import CallRecord


class _OrderedJoin(SmdrJoin):
    """Remembers the order in which calls were closed: some wait while others are sealed."""

    def __init__(self, config: Config, vault: VaultPort, clock: ManualClock, keep: KeepReport) -> None:
        super().__init__(config, vault, clock, keep)
        self.closed: list[str] = []

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        self.closed.append(call_id)
        super().close(call_id, end_frame, record, withheld)


class ReplayedSmdr:
    """`lines`: (seconds from the start of the audio, raw line), in order."""

    def __init__(
        self, config: Config, vault: VaultPort, keep: KeepReport, start_ns: int, lines: list[tuple[float, str]]
    ) -> None:
        self._clock = ManualClock(start_ns)
        self._start_ns = start_ns
        self._assembler = Assembler()
        self._lines = lines
        self._next = 0
        self.join = _OrderedJoin(config, vault, self._clock, keep)

    def advance_to(self, frame: int) -> None:
        """The batch that ends at this frame has been followed."""
        end_ns = frame * NS_PER_FRAME
        while self._next < len(self._lines) and self._lines[self._next][0] * NS_PER_S <= end_ns:
            t, raw = self._lines[self._next]
            self._next += 1
            self._go_to(round(t * NS_PER_S))
            for line in self._assembler.feed(raw.encode(errors="replace") + b"\n"):
                self.join.line(line, self._clock.utc_ns())
            self._count_bad()
            self.join.turn()
        self._go_to(end_ns)
        self.join.turn()

    def finish(self) -> None:
        """The audio is over, and so is every wait."""
        self.join.finish()

    def in_order(self, records: list[CallRecord]) -> list[CallRecord]:
        """The records in the order in which the calls were closed, as without SMDR."""
        place = {call_id: number for number, call_id in enumerate(self.join.closed)}
        return sorted(records, key=lambda record: place[record.call_id])

    def _go_to(self, ns: int) -> None:
        """Advances the clock, never back: an event may lie before the end of the last batch."""
        self._clock.advance(max(0, self._start_ns + ns - self._clock.utc_ns()))

    def _count_bad(self) -> None:
        self.join.ledger.day_at(self._clock.utc_ns()).bad += self._assembler.bad
        self._assembler.bad = 0
