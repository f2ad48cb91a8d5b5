# SPDX-License-Identifier: Apache-2.0
"""Seals the calls that a power cut left open, from their whole chunks and the journal. Needs no secret.

An interrupted recovery is repeated from the start: the journal is unchanged until all calls are sealed, and a call
counts as sealed once its record.json exists.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Iterator

import msgspec
import numpy as np

from linetap.config.retention import retention_of
from linetap.config.schema import Config
from linetap.recorder.vault.callfolder.encoding import append_gap, gap_of, gaps_within
from linetap.recorder.vault.callfolder.folder import CallFolder, Sign, seal_without_audio
from linetap.recorder.vault.callfolder.jobs import OpenCall
from linetap.recorder.vault.journal import store
from linetap.recorder.vault.journal.missingaudio import (
    POWER,
    Missing,
    Start,
    chunk_ms,
    gap_behind,
    missing_behind,
    missing_since,
)
from linetap.recorder.vault.journal.opencalls import FoundCall, ended_of
from linetap.recorder.vault.recordings.entries import MOST_TICK_SAMPLES, Entry, Tick
from linetap.recorder.vault.recordings.index import Index
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.ring import NS_PER_FRAME, RATE_HZ
from linetap_core import jsontext, plainfile
from linetap_core.clock import NS_PER_MS, NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.codecs.codec import Codec
from linetap_core.codecs.registry import codec_named
from linetap_core.durable import broken, files, folders
from linetap_core.durable.files import replace_durably
from linetap_core.durable.unreadable import is_missing, reading
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.sealing import age
from linetap_core.records import ABUSE, Audio, CallRecord, CountedMoment, Gap, Retention, UnitKeyRecord
from linetap_core.system import is_out_of_reach

KEY_LOST = "key_lost"  # the reason why a call cannot be opened
_MOST_KEPT_BYTES = 1 << 19  # of ticks; those behind the last whole chunk are 8.2 s, and 64 KiB
_ROUNDED_MS = 1000.0  # an end up to this long before the last sample counts as that sample

Dated = Callable[[CallRecord], CallRecord]

log = logging.getLogger("linetap.recorder.journal")


class Recovery:
    """The recovery of one call, in two steps, so that all calls share one sync. Refusal if its folder is damaged."""

    def __init__(
        self, config: Config, found: FoundCall, epochs: Epochs, index: Index, dated: Dated, start: Start
    ) -> None:
        self._epochs, self._index, self._dated, self._start = epochs, index, dated, start
        self._config, self._found, self._state = config, found, found.state
        self._codec = codec_named(found.state.codec or config.recording.codec)
        self._vault = config.vault_path
        self._path = self._vault / sealed.call_path(found.state.call_id)
        self._folder: CallFolder | None = None
        self._gaps: list[Gap] = []

    @property
    def call_id(self) -> str:
        return self._state.call_id

    @property
    def is_sealed(self) -> bool:
        return not is_missing(self._path / sealed.RECORD)

    def lay(self) -> None:
        """Writes the index entry, the parts and meta.age, without a sync."""
        state = self._state
        if self.is_sealed:
            if (self._path / sealed.META).exists():
                self._lay_entry()
            return
        folder = CallFolder.recover(self._vault, state.call_id, state.recipient or "", self._codec)
        if not is_missing(self._path / sealed.KEY):
            self._gaps = gaps_within(state.gaps, folder.samples)
            self._add_ticks(folder, state.recipient)
            if folder.samples:
                if state.meta:
                    folder.put_meta(state.meta)
                self._lay_entry()
                self._folder = folder
        if self._folder is None:
            if folder.samples:
                self._move_unopenable(folder)
            for name in (sealed.META, sealed.KEY, sealed.OPEN):
                (self._path / name).unlink(missing_ok=True)

    def _move_unopenable(self, folder: CallFolder) -> None:
        """Moves away audio that nobody can open, since its key.age is lost; the record names it as missing. The audio
        is kept for the period of the call, in case the key is found."""
        broken.report(self._path / sealed.KEY, "it is gone, and no one can open the audio beside it")
        place = self._vault / sealed.UNOPENABLE / self.call_id
        folders.make(self._vault, place)
        for part in folder.parts:
            (self._path / part.file).rename(place / part.file)
        files.sync_directory(place)
        files.sync_directory(self._path)

    def _key_lost(self, record: CallRecord) -> CallRecord:
        """The record with the length of the lost audio, by the size of the unopenable files; the same after a second
        power cut."""
        kept = self._vault / sealed.UNOPENABLE / self.call_id
        parts = sorted(kept.iterdir()) if kept.is_dir() else []
        if not parts:
            return record
        ms = sum(path.stat().st_size for path in parts) * chunk_ms(self._codec) / age.CHUNK_BYTES
        missing = self._missing_at_most(0)
        gap = gap_behind(0, Missing(round(max(ms, missing.ms), 3), missing.unbounded))
        return msgspec.structs.replace(record, disposition="discarded", why=KEY_LOST, audio=Audio(gaps=[gap]))

    def _lay_entry(self) -> None:
        if self._state.index is not None:
            self._index.lay(self._state.index, self._state.call_id)

    def keep(self) -> None:
        """Stores the newest ticks beside the call: the journal begins anew, and a later start may seal it."""
        entries: list[Entry] = [self._state]
        if self._found.beat is not None:
            entries.append(self._found.beat)
        ticks, room = list[Tick](), _MOST_KEPT_BYTES
        for tick in reversed(self._found.ticks):
            room -= len(tick.sealed)
            if room < 0:
                break
            ticks.append(tick)
        if ticks and not is_missing(self._path):
            replace_durably(self._path / sealed.OPEN, bytes(store.encode(0, 0, [*entries, *reversed(ticks)])))

    def seal(self, sign: Sign) -> CallRecord:
        """Seals the call, once the files of `lay` are synced. Returns the sealed record."""
        if self._folder is not None:
            return self._folder.seal_recovered(self._with_key(self._record(self._folder.samples)), sign)
        if self.is_sealed:
            with reading(self._path / sealed.RECORD):
                data = plainfile.read(self._path / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
            record = jsontext.decode(data, type=CallRecord)
        else:
            record = self._with_key(self._key_lost(self._record_without_audio()))
        seal_without_audio(self._vault, record, sign)  # or the signature that is still missing
        return record

    def _with_key(self, record: CallRecord) -> CallRecord:
        return msgspec.structs.replace(record, unit_key=UnitKeyRecord(self._config.keys.unit_key))

    def _add_ticks(self, folder: CallFolder, recipient: str | None) -> None:
        """Adds the ticks that follow the whole chunks, no sample twice, with silence for missing audio between them.
        Without K's public half no silence can be sealed."""
        for tick in following(self._found.ticks, folder.samples):
            if recipient is None and tick.first > folder.samples:
                return
            pieces = _silence(self._codec, folder.samples, tick.first, recipient or "")
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
        self._gaps = append_gap(self._gaps, gap)

    def _record(self, samples: int) -> CallRecord:
        record = self._ended_record()
        if record is None:
            record = self._cut_off(self._sample_ns(samples), round(samples / RATE_HZ, 3))
            record = _counted_later(record, self._sample_ns(samples) - self._state.utc_ns)
        if (missing := self._missing(samples, record)) is not None:
            self._gap(gap_behind(samples, missing))
        state, undated = self._state, record.retention
        record = self._dated(record)
        retention = state.begun
        if not state.epoch:  # not recorded: its key's recipient follows from the call's beginning
            retention = self._epochs.resolve(self._retention(sealed.call_ns(self.call_id)))[0]
        begun = OpenCall(self.call_id, record.line, 0, "", b"", epoch=state.epoch, retention=retention)
        wanted = record.retention if state.epoch or record.retention != undated else None
        return msgspec.structs.replace(
            record, disposition="recorded", audio=Audio(gaps=self._gaps), recovered=True,
            retention=self._epochs.settle(begun, wanted)[0],
        )  # fmt: skip

    def _ended_record(self) -> CallRecord | None:
        """The record of a call that was over but not sealed, with its reported end, if there is one."""
        record, event = self._state.record, self._found.ended
        if event is None:
            return record if record.ended_at is not None else None
        ended = ended_of(event, record)
        if record.ended_at is None:
            ended = _counted_later(ended, parse_rfc3339(event.at) - self._state.utc_ns)
        if ended.retention is None:
            ended = msgspec.structs.replace(ended, retention=self._retention(parse_rfc3339(event.at)))
        return ended

    def _sample_ns(self, samples: int) -> int:
        """The UTC of a sample; if the beginning of the call is unknown, an upper bound."""
        state = self._state
        if state.first_frame is None:
            return self._begun_ns() + samples * NS_PER_FRAME
        return state.utc_ns + (state.first_frame + samples - state.frame) * NS_PER_FRAME

    def _begun_ns(self) -> int:
        """The UTC of the answer, or of the first event of an unanswered call."""
        answered_at = self._state.record.answered_at
        return parse_rfc3339(answered_at) if answered_at else self._state.utc_ns

    def _missing(self, samples: int, record: CallRecord) -> Missing | None:
        """The missing audio after the last sample; None if the last sample was the call's end."""
        state = self._state
        if record.ended_by != POWER and state.first_frame is not None and state.end_frame is not None:
            missing = state.end_frame - state.first_frame - samples
            return Missing(round(missing * 1000 / RATE_HZ, 3), False) if missing > 0 else None
        at_most = self._missing_at_most(samples)
        if record.ended_by != POWER and record.ended_at is not None:  # reported, at an unknown place in the ring
            ms = (parse_rfc3339(record.ended_at) - self._sample_ns(samples)) / NS_PER_MS
            if -_ROUNDED_MS < ms <= 0:
                return None
            if ms > 0 and (at_most.unbounded or ms < at_most.ms):  # else the clock was set meanwhile
                return Missing(round(ms + 1, 3), False)
        return at_most

    def _missing_at_most(self, samples: int) -> Missing:
        state, beat = self._state, self._found.beat
        if state.first_frame is None or beat is None:
            return missing_since(state.utc_ns, samples * 1000 / RATE_HZ, self._start, self._codec)
        line, end_frame = state.record.line, state.first_frame + samples
        if line not in beat.heads:  # without a ring: the latest possible end by the time of day
            frame = state.frame + (beat.utc_ns - state.utc_ns) // NS_PER_FRAME
            beat = msgspec.structs.replace(beat, heads={line: (max(frame, end_frame), beat.mono_ns)})
        found = missing_behind(line, end_frame, beat, self._start)
        return Missing(found.ms + chunk_ms(self._codec), True) if found.unbounded and self._found.is_bare else found

    def _record_without_audio(self) -> CallRecord:
        ended = self._ended_record()
        record = ended or self._cut_off(self._begun_ns() if self._state.first_frame is None else self._state.utc_ns)
        record = self._dated(record)
        if record.retention is not None:
            record = msgspec.structs.replace(record, retention=self._epochs.resolve(record.retention)[0])
        if ended is not None and (self._found.ended is not None or ended.disposition != "recorded"):
            if record.disposition != "recorded":
                return msgspec.structs.replace(record, recovered=True)
            return msgspec.structs.replace(record, audio=self._all_missing(record), recovered=True)
        if record.answered_at is not None or record.disposition == "recorded":
            record = msgspec.structs.replace(record, disposition="discarded")
        return msgspec.structs.replace(record, why=POWER, recovered=True)

    def _all_missing(self, record: CallRecord) -> Audio:
        """The missing audio of a call that was reported as recorded but has no audio."""
        begun_ns = sealed.call_ns(self.call_id)
        ms = (parse_rfc3339(record.ended_at) - begun_ns) / NS_PER_MS if record.ended_at else 0.0
        return Audio(gaps=[gap_behind(0, Missing(round(max(0.0, ms), 3), False))])

    def _cut_off(self, ended_ns: int, kept_s: float = 0.0) -> CallRecord:
        """The record of a call that the power cut ended. The clock may have been set during the call, so its length is
        that of the kept audio, and its end follows all its known moments."""
        record = self._state.record
        ended_ns = max(ended_ns, *_moments(record))
        answered_ns = parse_rfc3339(record.answered_at) if record.answered_at else None
        return msgspec.structs.replace(
            record,
            unit=self._config.unit,
            ended_at=rfc3339(ended_ns),
            ended_by=POWER,
            duration_s=None if answered_ns is None else max(kept_s, round((ended_ns - answered_ns) / NS_PER_S, 3)),
            retention=self._retention(ended_ns),
        )

    def _retention(self, ended_ns: int) -> Retention:
        record = self._state.record
        marks = {mark.kind for mark in record.marks}
        situations = {each.name for each in self._config.situation if each.name in marks}
        if record.end:
            situations.add(record.end.situation)
        return retention_of(self._config, ended_ns, record.line, "recorded", ABUSE in marks, situations)


def recover(
    config: Config, found: list[FoundCall], sign: Sign, epochs: Epochs, index: Index, dated: Dated, start: Start
) -> Iterator[CallRecord]:
    """Yields the record of each call that it seals. OSError: the disk cannot be written; call it again.

    `dated` returns a record with the moment of its sealing.
    """
    laid = []
    for call in found:
        recovery = Recovery(config, call, epochs, index, dated, start)
        try:
            recovery.lay()
        except (Refusal, PermissionError) as refusal:
            log.error("vault_damaged: %s", refusal)
            _keep(recovery)
        else:
            laid.append(recovery)
    files.sync_file_system(config.vault_path)
    for recovery in laid:
        try:
            record = recovery.seal(sign)
            samples = record.audio.samples if record.audio else 0
            log.warning("power_cut: %s is sealed with the %.3f s that are kept", record.call_id, samples / RATE_HZ)
            yield record
        except (Refusal, PermissionError) as refusal:
            log.error("vault_damaged: %s", refusal)
            _keep(recovery)


def _keep(recovery: Recovery) -> None:
    try:
        recovery.keep()
    except OSError as error:
        if not is_out_of_reach(error):
            raise
        log.error("vault_damaged: %s: %s; its newest audio is lost", recovery.call_id, error)


def _moments(record: CallRecord) -> Iterator[int]:
    """All times in a record."""
    yield 0
    notices = [text for notice in record.notices for text in (notice.started_at, notice.ended_at)]
    for text in (record.ring_at, record.off_hook_at, record.answered_at, *notices):
        if text is not None:
            yield parse_rfc3339(text)


def _counted_later(record: CallRecord, since_ns: int) -> CallRecord:
    """Moves the counted moment, which is that of the state, to the call's end."""
    if not isinstance(record.counted, CountedMoment):
        return record
    ms = max(0, record.counted.ms + since_ns // NS_PER_MS)
    return msgspec.structs.replace(record, counted=msgspec.structs.replace(record.counted, ms=ms))


def following(ticks: list[Tick], at: int) -> Iterator[Tick]:
    """Yields the chain of ticks from sample `at` on that has the least missing audio.

    `ticks`: in the order of writing. A restarted recorder writes a call's ticks again from its last whole chunk on,
    with other ends; if power fails meanwhile, the journal contains the old ticks and some new ones. Among chains with
    equal losses, the one with the newest ticks is used.
    """
    ordered = sorted(enumerate(ticks), key=lambda each: each[1].first)
    firsts = [tick.first for _, tick in ordered]
    end = max((tick.first + tick.samples for tick in ticks), default=at)
    # For each place in `ordered`, the best tick at or after it, by its first sample and the missing audio after it.
    best: list[tuple[int, int, int, Tick]] = []
    for number, tick in reversed(ordered):
        upto = tick.first + tick.samples
        place = bisect_left(firsts, upto)
        missing = best[len(ordered) - 1 - place][0] - upto if place < len(ordered) else end - upto
        own = (tick.first + missing, tick.first, -number, tick)
        best.append(min(own, best[-1], key=lambda each: each[:3]) if best else own)
    while (place := bisect_left(firsts, at)) < len(ordered):
        tick = best[len(ordered) - 1 - place][3]
        yield tick
        at = tick.first + tick.samples


def _silence(codec: Codec, first: int, end: int, recipient: str) -> list[tuple[bytes, int]]:
    """Silence as (age file, samples) in place of audio that neither chunk nor journal contains. Units begin at `first`
    and at `end`."""
    if first >= end:
        return []
    series, encoder, pieces = age.AgeSeries([recipient]), codec.encoder(first), []
    while encoder.position < end:
        begin = encoder.position
        upto = min(end + codec.delay, max(encoder.taken, begin) + MOST_TICK_SAMPLES)
        units = encoder.encode(np.zeros(upto - encoder.taken, np.int16))
        if series.files == age.AgeSeries.MOST:
            series = age.AgeSeries([recipient])
        if units:
            header = b"" if begin else codec.header
            pieces.append((series.seal(header + units), encoder.position - begin))
    return pieces
