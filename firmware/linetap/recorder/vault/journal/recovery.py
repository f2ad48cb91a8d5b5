# SPDX-License-Identifier: Apache-2.0
"""After a power cut: every call that was open is sealed from its whole chunks and the journal. Needs no secret.

It may itself be cut off anywhere, and is done again from the start: the journal stays as it is until all is sealed,
and a call counts as sealed from the moment that its record.json exists.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from linetap.clock import NS_PER_MS, NS_PER_S, parse_rfc3339, rfc3339
from linetap.config.schema import Config
from linetap.durable import files
from linetap.errors import Refusal
from linetap.evidence import age, au, g711, sealed
from linetap.recorder.calls.call import ABUSE
from linetap.recorder.calls.retention import retention_of
from linetap.recorder.vault.epochs import Epochs
from linetap.recorder.vault.folder import CallFolder, Sign, seal_without_audio
from linetap.recorder.vault.gaps import gap_of, joined, within
from linetap.recorder.vault.index import Index
from linetap.recorder.vault.jobs import OpenCall
from linetap.recorder.vault.journal.entries import MOST_TICK_SAMPLES, Over, Snapshot, State, Tick
from linetap.recorder.vault.journal.frames import Run
from linetap.records import Audio, CallRecord, CountedMoment, Gap, UnitKeyRecord
from linetap.ring import NS_PER_FRAME, RATE_HZ

POWER = "power"  # `ended_by`, `why`, and the cause of a gap
LAST_MS = 1000.0  # what may be missing at the end of a call that was cut off

Dated = Callable[[CallRecord], CallRecord]

log = logging.getLogger("linetap.recorder.journal")


@dataclass(slots=True)
class FoundCall:
    """A call that the journal holds to be open; `ticks` by their first sample, the last one written of each."""

    state: State
    ticks: dict[int, Tick] = field(default_factory=dict)


def found_calls(runs: list[Run]) -> list[FoundCall]:
    """`runs`: the oldest first. The newest snapshot and what follows it say which calls are open."""
    states, ticks = dict[str, State](), dict[str, dict[int, Tick]]()
    for entry in (entry for run in runs for frame in run.frames for entry in frame):
        match entry:
            case Snapshot():
                states.clear()
            case State():
                states[entry.call_id] = entry
            case Over():
                states.pop(entry.call_id, None)
            case Tick():
                ticks.setdefault(entry.call_id, {})[entry.first] = entry
    return [FoundCall(state, ticks.get(call_id, {})) for call_id, state in states.items()]


class Recovery:
    """Of one call, in two steps, so that all calls share one sync between them. Refusal: somebody damaged it."""

    def __init__(self, config: Config, found: FoundCall, epochs: Epochs, index: Index, dated: Dated) -> None:
        self._epochs, self._index, self._dated = epochs, index, dated
        self._config, self._found, self._state = config, found, found.state
        self._vault = config.vault_path
        self._path = self._vault / sealed.call_path(found.state.call_id)
        self._folder: CallFolder | None = None
        self._gaps: list[Gap] = []

    @property
    def call_id(self) -> str:
        return self._state.call_id

    @property
    def is_sealed(self) -> bool:
        return (self._path / sealed.RECORD).exists()

    def lay(self) -> None:
        """Its entry in the index; the parts and meta.age, not synced yet."""
        state = self._state
        if self.is_sealed:
            if (self._path / sealed.META).exists():
                self._lay_entry()
            return
        folder = CallFolder.recover(self._vault, state.call_id, state.recipient or "")
        if state.recipient is not None and (self._path / sealed.KEY).exists():
            self._gaps = within(state.gaps, folder.samples)
            self._add_ticks(folder, state.recipient)
            if folder.samples:
                folder.put_meta(state.meta)
                self._lay_entry()
                self._folder = folder
        if self._folder is None:
            if folder.samples:
                raise Refusal(f"{self._path}: there is audio in it, and neither {sealed.KEY} nor a word of it")
            for name in (sealed.META, sealed.KEY):
                (self._path / name).unlink(missing_ok=True)

    def _lay_entry(self) -> None:
        if self._state.index is not None:
            self._index.lay(self._state.index, self._state.call_id)

    def seal(self, sign: Sign) -> CallRecord:
        """When what was laid is on disk. The record as it is sealed, now or before."""
        if self._folder is not None:
            return self._folder.seal_recovered(self._with_key(self._record(self._folder.samples)), sign)
        if self.is_sealed:
            record = msgspec.json.decode((self._path / sealed.RECORD).read_bytes(), type=CallRecord)
        else:
            record = self._with_key(self._record_without_audio())
        seal_without_audio(self._vault, record, sign)  # or the signature that is still missing
        return record

    def _with_key(self, record: CallRecord) -> CallRecord:
        return msgspec.structs.replace(record, unit_key=UnitKeyRecord(self._config.keys.unit_key))

    def _add_ticks(self, folder: CallFolder, recipient: str) -> None:
        """Those that follow the whole chunks, without doubling a sample. What is missing between two is silence."""
        for tick in following(self._found.ticks, folder.samples):
            pieces = _silence(folder.samples, tick.first, recipient)
            if len(folder.parts) + len(pieces) >= sealed.MOST_PARTS:
                log.error("%s: more parts than a call can have; the rest is left out", self.call_id)
                return
            if pieces:
                self._gap(gap_of(folder.samples, tick.first - folder.samples, POWER))
            for sealed_silence, samples in pieces:
                folder.add(sealed_silence, samples)
            folder.add(tick.sealed, tick.samples)
            for gap in tick.gaps:
                self._gap(gap)

    def _gap(self, gap: Gap) -> None:
        self._gaps = joined(self._gaps, gap)

    def _record(self, samples: int) -> CallRecord:
        state = self._state
        assert state.first_frame is not None
        record = state.record
        if record.ended_at is not None:  # it was over, and only its sealing was not
            missing = (state.end_frame or 0) - state.first_frame - samples
            if missing > 0:
                self._gap(gap_of(samples, missing, POWER))
        else:
            since_ns = (state.first_frame + samples - state.frame) * NS_PER_FRAME
            record = self._cut_off(state.utc_ns + since_ns)
            if isinstance(record.counted, CountedMoment):  # of when that state was made, as its time is
                ms = max(0, record.counted.ms + since_ns // NS_PER_MS)
                record = msgspec.structs.replace(record, counted=msgspec.structs.replace(record.counted, ms=ms))
            self._gap(Gap(round(samples / RATE_HZ, 6), LAST_MS, POWER))
        record = self._dated(record)
        begun = OpenCall(self.call_id, record.line, 0, "", b"", epoch=state.epoch, retention=state.begun)
        return msgspec.structs.replace(
            record, disposition="recorded", audio=Audio(gaps=self._gaps), recovered=True,
            retention=self._epochs.settle(begun, record.retention)[0],
        )  # fmt: skip

    def _record_without_audio(self) -> CallRecord:
        record = self._state.record
        if record.ended_at is None:
            record = self._cut_off(self._state.utc_ns)
        record = self._dated(record)
        if record.retention is not None:
            record = msgspec.structs.replace(record, retention=self._epochs.resolve(record.retention)[0])
        if self._state.record.ended_at is not None and record.disposition != "recorded":
            return msgspec.structs.replace(record, recovered=True)
        if record.answered_at is not None or record.disposition == "recorded":
            record = msgspec.structs.replace(record, disposition="discarded")
        return msgspec.structs.replace(record, why=POWER, recovered=True)

    def _cut_off(self, ended_ns: int) -> CallRecord:
        record = self._state.record
        answered_ns = parse_rfc3339(record.answered_at) if record.answered_at else None
        return msgspec.structs.replace(
            record,
            unit=self._config.unit,
            ended_at=rfc3339(ended_ns),
            ended_by=POWER,
            duration_s=round(max(0, ended_ns - answered_ns) / NS_PER_S, 3) if answered_ns is not None else None,
            retention=retention_of(
                self._config, ended_ns, record.line, "recorded", any(mark.kind == ABUSE for mark in record.marks)
            ),
        )


def recover(
    config: Config, found: list[FoundCall], sign: Sign, epochs: Epochs, index: Index, dated: Dated
) -> Iterator[CallRecord]:
    """The record of each call, when it is sealed. OSError: the disk takes nothing, and it can be done again.

    `dated`: the record with the moment at which it is sealed.
    """
    laid = []
    for call in found:
        recovery = Recovery(config, call, epochs, index, dated)
        try:
            recovery.lay()
        except Refusal as refusal:
            log.error("vault_damaged: %s", refusal)
        else:
            laid.append(recovery)
    files.sync_file_system(config.vault_path)
    for recovery in laid:
        try:
            record = recovery.seal(sign)
            samples = record.audio.samples if record.audio else 0
            log.warning("power_cut: %s is sealed with the %.3f s that are kept", record.call_id, samples / RATE_HZ)
            yield record
        except Refusal as refusal:
            log.error("vault_damaged: %s", refusal)


def following(ticks: dict[int, Tick], at: int) -> Iterator[Tick]:
    """One behind the other from sample `at` on; where none begins there, the next one that begins later."""
    later = sorted(ticks)
    for first in later:
        if first >= at:
            yield ticks[first]
            at = first + ticks[first].samples


def _silence(first: int, end: int, recipient: str) -> list[tuple[bytes, int]]:
    """(age file, samples) in the place of what neither chunk nor journal holds."""
    series, pieces = age.AgeSeries([recipient]) if end > first else None, []
    while series is not None and first < end:
        samples = min(end - first, MOST_TICK_SAMPLES)
        header = au.HEADER if first == 0 else b""
        pieces.append((series.seal(header + bytes([g711.SILENCE]) * samples), samples))
        first += samples
    return pieces
