# SPDX-License-Identifier: Apache-2.0
"""Joins ended calls with their SMDR lines, between call table and vault: a call waits for its line before the seal.

Nothing is lost meanwhile: the recording is still written, and a waiting call is in the checkpoint. A line is not joined
with the first call that fits, because for some seconds a better one may end.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import msgspec

from linetap.config.schema import Config
from linetap.recorder.calls.ports import CallSnapshot, Stretches, VaultPort, final_snapshot
from linetap.recorder.pbx.ledger import DAY_FILE, MOST_DAYS, Day, Ledger, LedgerMemory, late_of
from linetap.recorder.pbx.match import Matcher, times_of
from linetap.recorder.smdr.layouts import SmdrLine, parser
from linetap.recorder.smdr.port import SmdrPort
from linetap.recorder.vault.callfolder.jobs import Close
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.records import CallEvent, CallRecord, RecorderState

SETTLE_NS = 2 * NS_PER_S  # on-hook becomes certain 1 s after the PBX prints it
LINE_LIVES_NS = 90 * NS_PER_S  # an end by tone may be withdrawn for 60 s before the call is closed
MOST_LINES = 200
REPORT_EVERY_NS = 3600 * NS_PER_S
FOLDER = "smdr"
NEVER = 1 << 62

KeepReport = Callable[[str, bytes], None]  # a report's path in the vault, its content


class WaitingCall(msgspec.Struct, frozen=True):
    """A call that waits for its line until `due_ns` (monotonic)."""

    job: Close
    due_ns: int


class UnmatchedLine(msgspec.Struct, frozen=True):
    """A line that has no call yet. `came_ns`: monotonic time of its arrival."""

    report: SmdrLine
    came_ns: int


class SmdrMemory(msgspec.Struct):
    """The state for the checkpoint. It contains raw lines: the checkpoint is in RAM only."""

    held: list[WaitingCall] = []
    pending: list[UnmatchedLine] = []
    ledger: LedgerMemory = msgspec.field(default_factory=LedgerMemory)

    def jobs(self) -> list[Close]:
        """The waiting calls, for a recorder that no longer waits for lines."""
        return [held.job for held in self.held]


class SmdrJoin:
    """A VaultPort that delays `close`. All methods are called by one thread."""

    def __init__(
        self, config: Config, vault: VaultPort, clock: Clock, keep: KeepReport, memory: SmdrMemory | None = None
    ) -> None:
        memory = memory or SmdrMemory()
        self._vault, self._clock, self._keep = vault, clock, keep
        self._parse = parser(config)
        self._matcher = Matcher(config)
        self._wait_ns = config.smdr.wait_s * NS_PER_S
        self._held = {held.job.call_id: held for held in memory.held}
        self._pending = list(memory.pending)
        self.connected: dict[int, int] = {}  # by line: UTC at which the PBX reported an answer
        self.ledger = Ledger(config, self._matcher, memory.ledger)
        self._look_ns = 0  # the next time at which the result can change
        self._report_ns = clock.monotonic_ns() + REPORT_EVERY_NS

    # --- for the call table -------------------------------------------------------------------------------------------

    def refused(self) -> str | None:
        return self._vault.refused()

    def report(self, event: CallEvent) -> None:
        self._vault.report(event)

    def snapshot(self, call_id: str, snapshot: CallSnapshot) -> None:
        self._vault.snapshot(call_id, snapshot)

    def open(self, call_id: str, line: int, first_frame: int) -> None:
        self._vault.open(call_id, line, first_frame)

    def permit(self, call_id: str, frame: int, withheld: Stretches = ()) -> None:
        self._vault.permit(call_id, frame, withheld)

    def remember_fault(self, line: int, since_ns: int | None) -> None:
        self._vault.remember_fault(line, since_ns)

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        """Delays the seal until the call's line has come. A call that continues in another record does not wait."""
        if record.ended_by == "time_limit":
            self.ledger.call_over(times_of(record))
            self._vault.close(call_id, end_frame, record, withheld)
            return
        if end_frame is not None:
            self._vault.snapshot(call_id, final_snapshot(record, end_frame))
            self._vault.permit(call_id, end_frame, withheld)  # so that the ring no longer has to keep the audio
        due_ns = self._clock.monotonic_ns() + self._wait_ns
        self._held[call_id] = WaitingCall(Close(call_id, end_frame, record, list(withheld)), due_ns)
        self._look_ns = 0

    # --- for the service ----------------------------------------------------------------------------------------------

    def line(self, raw: str, arrived_ns: int) -> None:
        """Adds a line that the PBX has printed; `arrived_ns`: UTC."""
        smdr = self._parse(raw, arrived_ns)
        day = self.ledger.day_at(arrived_ns)
        if smdr is None:
            day.bad += 1
            return
        if smdr.kind == "connected":  # the call's own line is still to come
            line = self._matcher.our_line(smdr)
            if line is not None:
                self.connected[line] = arrived_ns
            return
        day.lines += 1
        if self._matcher.may_be_ours(smdr):
            self._pending.append(UnmatchedLine(smdr, self._clock.monotonic_ns()))
            self._look_ns = 0
        if len(self._pending) > MOST_LINES:
            self.ledger.line_alone(self._pending.pop(0).report)

    def turn(self) -> bool:
        """Joins lines and calls, and gives up those that have waited too long; returns whether anything has changed."""
        now = self._clock.monotonic_ns()
        for day in self.ledger.over(self._clock.utc_ns()):
            self._report(day)
        if now >= self._report_ns:
            self.report_days()
        if now < self._look_ns:
            return False
        changed = self._pair(now)
        for held in [held for held in self._held.values() if held.due_ns <= now]:
            self._seal(held, None)
            changed = True
        for pending in [pending for pending in self._pending if pending.came_ns + LINE_LIVES_NS <= now]:
            self._pending.remove(pending)
            self.ledger.line_alone(pending.report)
            changed = True
        dues = [held.due_ns for held in self._held.values()]
        for pending in self._pending:
            settled = pending.came_ns + SETTLE_NS
            dues.append(settled if settled > now else pending.came_ns + LINE_LIVES_NS)
        self._look_ns = min(dues, default=NEVER)
        return changed

    def seal_all(self) -> None:
        """Seals all waiting calls: there may be no next recorder."""
        self._pair(NEVER)
        for held in list(self._held.values()):
            self._seal(held, None)

    def finish(self) -> None:
        """Seals all calls and enters all lines in the account, without further waiting."""
        self.seal_all()
        for pending in self._pending:
            self.ledger.line_alone(pending.report)
        self._pending.clear()
        self.report_days()

    def report_days(self) -> None:
        """Writes the days' present reports, so that a power cut loses at most an hour of the account."""
        self._report_ns = self._clock.monotonic_ns() + REPORT_EVERY_NS
        for day in self.ledger.memory.days.values():
            self._report(day)

    def _report(self, day: Day) -> None:
        self._keep(f"{FOLDER}/{day.day}.json", DAY_FILE.encode(day))

    def held_calls(self) -> set[str]:
        return set(self._held)

    def memory(self) -> SmdrMemory:
        return SmdrMemory(list(self._held.values()), list(self._pending), self.ledger.memory)

    # --- pairing ------------------------------------------------------------------------------------------------------

    def _pair(self, now: int) -> bool:
        """Joins the best pairs first. A pair that may still improve waits, and keeps its line and its call."""
        pairs = []
        for held in self._held.values():
            times = times_of(held.job.record)
            for place, pending in enumerate(self._pending):
                if (misfit := self._matcher.misfit(times, pending.report)) is not None:
                    pairs.append((misfit, held.job.call_id, place))
        used: set[int] = set()
        spoken_for: set[str] = set()
        given: set[int] = set()
        for _, call_id, place in sorted(pairs):
            if place in used or call_id in spoken_for:
                continue
            used.add(place)
            spoken_for.add(call_id)
            held, pending = self._held[call_id], self._pending[place]
            if pending.came_ns + SETTLE_NS <= now or held.due_ns <= now:
                self._seal(held, pending.report)
                given.add(place)
        self._pending = [pending for place, pending in enumerate(self._pending) if place not in given]
        return bool(given)

    def _seal(self, held: WaitingCall, smdr: SmdrLine | None) -> None:
        job, record = held.job, held.job.record
        del self._held[job.call_id]
        self.ledger.call_over(times_of(record))
        if smdr is None:
            self.ledger.call_alone(record)
        else:
            record = msgspec.structs.replace(record, smdr=smdr.raw)
            if self._matcher.is_internal(smdr) and not record.internal:
                record = msgspec.structs.replace(record, internal=True, internal_by="smdr")
            elif record.why == "internal" and not self._matcher.is_internal(smdr):
                # The PBX reports an outside call: a colleague has transferred a caller, without other evidence.
                record = msgspec.structs.replace(record, party_unknown=True)
            self.ledger.matched(smdr, late_of(record))
        self._vault.close(job.call_id, job.end_frame, record, job.withheld)


# ----------------------------------------------------------------------------------------------------------------------
# SMDR in the recorder: the port, the join and the vault connected, with their part of the checkpoint and the state
# file.


class Smdr:
    """The SMDR of the recorder, if a port is configured."""

    def __init__(self, config: Config, clock: Clock, vault: VaultWriter, remembered: SmdrMemory | None) -> None:
        assert config.smdr.port is not None
        self._clock, self._vault = clock, vault
        self._bad = 0
        self.join = SmdrJoin(config, vault, clock, vault.keep, remembered)
        if remembered is None:
            self._restore_days(config)
        self._port = SmdrPort(config.smdr.port, config.smdr.baud, clock)
        self._port.start()

    def turn(self) -> bool:
        """Joins new lines with calls; returns whether the checkpoint should be written."""
        lines = self._port.take_lines()
        for arrived_ns, raw in lines:
            self.join.line(raw, arrived_ns)
        bad, self._bad = self._port.bad - self._bad, self._port.bad
        if bad:
            self.join.ledger.day_at(self._clock.utc_ns()).bad += bad
        recovered = self._vault.take_recovered()
        for record in recovered:
            self.join.ledger.call_recovered(record)
        return self.join.turn() or bool(lines or recovered)

    def describe(self, state: RecorderState) -> None:
        day = self.join.ledger.day_at(self._clock.utc_ns())
        state.smdr_connected = self._port.connected
        state.smdr_lines, state.smdr_bad, state.smdr_unmatched = day.lines, day.bad, day.unmatched
        state.pbx_day = self.join.ledger.last_day()

    def end(self) -> None:
        """Stops the port, seals the waiting calls, writes the days' reports."""
        self._port.stop()
        self.turn()
        self.join.seal_all()
        self.join.report_days()

    def _restore_days(self, config: Config) -> None:
        """Continues the day from its last report after a power cut; earlier days are settled by their reports."""
        ledger = self.join.ledger
        today = date.fromisoformat(ledger.name_at(self._clock.utc_ns()))
        for ago in range(MOST_DAYS):
            name = (today - timedelta(days=ago)).isoformat()
            found = DAY_FILE.load(config.vault_path / FOLDER / f"{name}.json")
            if found is not None and found.day == name:
                ledger.memory.days[name] = found


def start_smdr(config: Config, clock: Clock, vault: VaultWriter, remembered: SmdrMemory | None) -> Smdr | None:
    """Starts SMDR. None: no port is configured, and calls are sealed at once."""
    return Smdr(config, clock, vault, remembered) if config.smdr.port is not None else None
