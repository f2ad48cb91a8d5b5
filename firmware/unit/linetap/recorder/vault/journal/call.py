# SPDX-License-Identifier: Apache-2.0
"""An open call in the journal: its newest state, and the position up to which its audio is in the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from linetap.recorder.calls.ports import AudioSource, CallSnapshot
from linetap.recorder.vault.callfolder.encoding import LineEncoder, append_gap, gap_of
from linetap.recorder.vault.recordings.entries import MOST_TICK_SAMPLES, State, Tick, next_seam
from linetap.recorder.vault.recordings.recording import Recording
from linetap_core.clock import NS_PER_S
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.index import CallSegment
from linetap_core.evidence.keys.publickeys import decode_recipient
from linetap_core.evidence.sealing import age
from linetap_core.records import CallRecord, Gap, Retention

STATE_EVERY_NS = NS_PER_S  # the shortest interval, for a call that changes constantly
MOST_TICKS = 40  # ticks of one header: a chunk is full after 33

SealEntry = Callable[[CallRecord, Retention], CallSegment]  # makes the entry of the index, for the case of a power cut


class Unwritten(NamedTuple):
    """Audio of a call for the next tick: `units` of its codec from sample `first` of the recording up to `end`."""

    call: JournalCall
    first: int
    end: int
    units: bytes
    gaps: list[Gap]


class JournalCall:
    """A call in the journal. `over`: sealed, but not yet so in the journal. The main thread sets `snapshot`."""

    def __init__(self, call_id: str, known: State | None = None) -> None:
        """`known`: its state in the journal of the previous recorder."""
        self.call_id = call_id
        self.over = False
        self.snapshot: CallSnapshot | None = None
        self.state: State | None = known  # the newest state
        self._recording: Recording | None = None
        self._written: CallSnapshot | None = None  # of that state
        self._made_of: CallSnapshot | None = None  # of the state being written
        self._made_ns = -STATE_EVERY_NS
        self._written_once: State | None = None
        self._position = 0  # samples of the recording that are in the journal
        self._encoder: LineEncoder | None = None
        self._seam = 0
        self._recipient = b""
        self._series: age.AgeSeries | None = None
        self._seal_entry: SealEntry | None = None

    def opened(self, recording: Recording, seal_entry: SealEntry) -> None:
        """Adds the recording of a call that has passed its gate. Audio in whole chunks is not written again."""
        self._position = recording.folder.durable_samples
        self._recipient = decode_recipient(recording.state.recipient)
        self._seal_entry = seal_entry
        self._recording = recording

    @property
    def line(self) -> int | None:
        """The line of the call's recording, if there is one."""
        return self._recording.state.line if self._recording is not None else None

    def present_state(self) -> State:
        """Returns the present state, written or not."""
        return self._make(self.snapshot, self.state, self._recording)

    def new_state(self, now_ns: int) -> State | None:
        """Returns the state to write, or None: a new state if it is due, else a state that was written only once. Each
        state is written into two frames, so that one bad sector loses none."""
        if (new := self._changed_state(now_ns)) is not None:
            return new
        self._made_of = self._written
        return self._written_once

    def _changed_state(self, now_ns: int) -> State | None:
        snapshot, recording, written = self.snapshot, self._recording, self.state
        if snapshot is None and recording is None:
            return None
        is_urgent = _is_urgent(written, recording)
        if not is_urgent and not self._has_changed(snapshot):
            return None
        is_over = snapshot is not None and snapshot.record.ended_at is not None
        if not is_over and not is_urgent and now_ns - self._made_ns < STATE_EVERY_NS:
            return None
        self._made_ns, self._made_of = now_ns, snapshot
        return self._make(snapshot, written, recording)

    def _has_changed(self, snapshot: CallSnapshot | None) -> bool:
        if snapshot is None or snapshot is self._written:
            return False
        last = self._written
        return (
            last is None or last.end_frame != snapshot.end_frame or _timeless(last.record) != _timeless(snapshot.record)
        )

    def _make(self, snapshot: CallSnapshot | None, written: State | None, recording: Recording | None) -> State:
        if snapshot is not None:
            whole, frame, utc_ns = snapshot.record, snapshot.frame, snapshot.utc_ns
        elif written is not None:
            whole, frame, utc_ns = written.record, written.frame, written.utc_ns
        else:  # there is no snapshot of the main thread yet
            assert recording is not None
            whole, utc_ns = _unknown(recording), sealed.call_ns(self.call_id)
            frame = recording.state.first_frame
        state = State(self.call_id, _public(whole), frame, utc_ns, snapshot.end_frame if snapshot else None)
        if recording is None:
            return state
        known = recording.state
        same = written if snapshot is None or snapshot is self._written else None
        return msgspec.structs.replace(
            state, first_frame=known.first_frame, recipient=known.recipient, gaps=list(known.gaps),
            epoch=known.epoch, begun=known.retention, codec=known.codec,
            meta=(same.meta if same else b"") or age.encrypt(sealed.whole_json(whole), [self._recipient]),
            index=(same.index if same else None) or self._entry(whole, known.retention),
        )  # fmt: skip

    def _entry(self, whole: CallRecord, retention: Retention | None) -> CallSegment | None:
        return self._seal_entry(whole, retention) if self._seal_entry is not None and retention is not None else None

    def unwritten(self, source: AudioSource, most: int) -> list[Unwritten]:
        """Returns permitted audio that is not in the journal yet, at most `most` samples."""
        recording = self._recording
        if recording is None:
            return []  # the call has not passed its gate
        codec, start = recording.folder.codec, recording.state.first_frame
        if self._encoder is None or self._encoder.position != self._position:  # its output was not written
            self._encoder = LineEncoder(codec, self._position)
        encoder, found = self._encoder, []
        end = min(recording.permitted - start, encoder.taken + most)
        while encoder.taken < end:
            first = encoder.position
            upto = min(end, next_seam(first, codec) + codec.delay, encoder.taken + MOST_TICK_SAMPLES)
            units = encoder.encode_up_to(upto, recording.fetching(source))
            if units:
                gaps: list[Gap] = []
                for sample, samples, cause in encoder.take_gaps():
                    gaps = append_gap(gaps, gap_of(sample, samples, cause))
                found.append(Unwritten(self, first, encoder.position, units, gaps))
        return found

    def state_written(self, state: State) -> None:
        """Records that the state is on disk."""
        self._written_once = None if state is self._written_once else state
        self.state, self._written = state, self._made_of

    def audio_written(self, audio: Unwritten) -> None:
        """Records that the tick is on disk."""
        self._position = audio.end

    def seal(self, audio: Unwritten) -> Tick:
        """Returns the tick of `audio`; hands the units to the recording, which need not encode them again."""
        assert self._recording is not None
        first, end, codec = audio.first, audio.end, self._recording.folder.codec
        if not audio.gaps:
            self._recording.hand_over(first, end, audio.units)
        plain = audio.units if first else codec.header + audio.units
        return Tick(self.call_id, first, end - first, self._series_at(next_seam(first, codec)).seal(plain), audio.gaps)

    def _series_at(self, seam: int) -> age.AgeSeries:
        if self._series is None or seam != self._seam or self._series.files >= MOST_TICKS:
            self._series, self._seam = age.AgeSeries([self._recipient]), seam
        return self._series


def _is_urgent(written: State | None, recording: Recording | None) -> bool:
    """Whether the call is not in the journal yet, has passed its gate, or has a new gap; the gap's silence may be on
    disk soon."""
    if written is None or recording is None:
        return written is None
    return written.recipient is None or written.gaps != recording.state.gaps


def _public(record: CallRecord) -> CallRecord:
    return msgspec.structs.replace(record, dialled=None, caller=None, smdr=None)


def _timeless(record: CallRecord) -> CallRecord:
    """Returns the record without the fields that time alone changes: the clock's correction and the counted moment."""
    return msgspec.structs.replace(record, clock=None, counted=msgspec.UNSET)


def _unknown(recording: Recording) -> CallRecord:
    return CallRecord(call_id=recording.state.call_id, unit="", line=recording.state.line)
