# SPDX-License-Identifier: Apache-2.0
"""A recording in progress: its written part, its permitted part, and its gaps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from linetap import restartstate
from linetap.config.retention import retention_of
from linetap.config.schema import Config
from linetap.recorder.calls.ports import AudioSource, Stretches
from linetap.recorder.vault.callfolder.encoding import Fetch, LineEncoder, SampleGap, append_gap, gap_of, gaps_within
from linetap.recorder.vault.callfolder.folder import CallFolder, Sign
from linetap.recorder.vault.callfolder.jobs import Open, OpenCall
from linetap.recorder.vault.recordings.entries import chunk_samples, next_seam
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.ring import RATE_HZ, Stretch
from linetap_core import rundir
from linetap_core.codecs.registry import codec_named
from linetap_core.durable import broken
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.records import Audio, CallRecord

NOT_ANNOUNCED = "not_announced"  # cause of a gap
MOST_FRAMES_AT_ONCE = 30 * RATE_HZ  # so that a backlog of one call does not delay the others
MOST_FETCHED = 1 << 16  # from the ring at once: 8 s, so that little is in memory after a stalled disk
FETCH_FRAMES = RATE_HZ  # the least that is fetched from the ring
HANDED_CHUNKS = 2  # chunks of audio from the journal, in pieces of at least 250 ms; discarded pieces are encoded again
HANDED_FRAMES = RATE_HZ // 4


_FILE = SmallFile("open_call", OpenCall)


class Recording:
    """A call's folder and its state on tmpfs (`calls/<call_id>.json`), with which a restarted recorder continues."""

    def __init__(self, state: OpenCall, folder: CallFolder, path: Path) -> None:
        self.state = state
        self.folder = folder
        self.permitted = state.first_frame
        self.withheld: Stretches = ()
        self.disk_was_full = False
        self._path, self._is_kept = path, True
        self._encoder: LineEncoder | None = None
        self._handed: deque[tuple[int, int, bytes]] = deque(
            maxlen=HANDED_CHUNKS * chunk_samples(folder.codec) // HANDED_FRAMES
        )
        self._not_due_at = state.first_frame  # the permission at the last check with too little to write
        self._handed_from = self._handed_end = -1  # the newest contiguous pieces, in samples

    @classmethod
    def begin(cls, config: Config, job: Open, epochs: Epochs) -> Self:
        """Creates the folder: key.age is on disk, and K's public half on tmpfs, before the first sample is written.

        The key is sealed to the epoch of a call that ends today without a mark.
        """
        begun_ns = sealed.call_ns(job.call_id)
        retention, epoch = epochs.resolve(retention_of(config, begun_ns, job.line, "recorded", marked=False))
        codec = codec_named(config.recording.codec)
        folder = CallFolder.create(config.vault_path, OfCall(config.unit, job.call_id), epoch, epochs.custodians, codec)
        state = OpenCall(
            job.call_id, job.line, job.first_frame, folder.recipient, folder.inner,
            epoch=epoch, retention=retention, codec=codec.name,
        )  # fmt: skip
        recording = cls(state, folder, path_of(config, job.call_id))
        recording._remember()
        return recording

    @classmethod
    def resume(cls, config: Config, path: Path) -> Self:
        """Continues a recording of a killed recorder: the next part begins after the kept frames.

        Refusal if its folder or its state is damaged.
        """
        try:
            state = _FILE.read(path)
        except Broken as error:
            broken.set_aside(path, error)
            raise Refusal(f"{path}: {error}; its call is sealed with the files in its folder") from None
        codec = codec_named(state.codec)
        folder = CallFolder.resume(config.vault_path, state.call_id, state.recipient, state.inner, codec)
        recording = cls(state, folder, path)
        recording.forget_gaps_not_kept()
        return recording

    @property
    def position(self) -> int:
        """The frame up to which audio is written, or waits in the encoder for the rest of its unit."""
        encoder, samples = self._encoder, self.folder.samples
        return self.state.first_frame + (encoder.taken if encoder and encoder.position == samples else samples)

    def is_due(self) -> bool:
        """Whether there is enough audio to write: a whole chunk, since less never reaches the disk.

        Without audio from the journal's thread one second is enough: it may contain a gap.
        """
        if self.permitted - self._not_due_at < FETCH_FRAMES:  # called four times a second for every line
            return False
        permitted, samples = self.permitted - self.state.first_frame, self.folder.samples
        codec = self.folder.codec
        if self._handed_from <= samples and permitted - self._handed_end < FETCH_FRAMES + codec.unit - 1:
            due = self._handed_end > next_seam(samples, codec)
        else:
            due = permitted - samples >= FETCH_FRAMES
        if not due:
            self._not_due_at = self.permitted
        return due

    def write_up_to(self, end: int, source: AudioSource, gaps_found: Callable[[], None]) -> tuple[int, float]:
        """Fetches and writes the next audio, at most MOST_FRAMES_AT_ONCE; returns (bytes written, ms of gaps in them).

        `gaps_found` is called if there are gaps, before the silence in their place can be on disk.
        """
        position = self.position
        end = min(end, position + MOST_FRAMES_AT_ONCE)
        if end <= position:
            return 0, 0.0
        if not self._is_kept:
            self._remember()
        if units := self._handed_over(self.folder.samples, end - self.state.first_frame):
            self.folder.write(units)
            self.disk_was_full = False
            return len(units), 0.0
        encoder = self._encoder_at(self.folder.samples)
        taken = encoder.taken
        units = encoder.encode_piece(min(end - self.state.first_frame, taken + MOST_FETCHED), self.fetching(source))
        gaps = encoder.take_gaps()
        self._note_gaps(gaps)
        if gaps:
            self._remember()
            gaps_found()
        self.folder.write(units)
        self.disk_was_full &= bool(gaps)  # the loss continues in the next piece
        return len(units), sum(samples for _, samples, _ in gaps) * 1000 / RATE_HZ

    def _encoder_at(self, position: int) -> LineEncoder:
        """Returns our encoder if it is at `position`, else a new one: the journal's thread encoded the last written
        audio, or our output was not written."""
        if self._encoder is None or self._encoder.position != position:
            self._encoder = LineEncoder(self.folder.codec, position)
        return self._encoder

    def hand_over(self, first: int, end: int, units: bytes) -> None:
        """Accepts samples `first` to `end`, without a gap, encoded by the journal's thread. Encoding Opus twice would
        cost 8 % of a core for 32 lines (decision 0133)."""
        if first != self._handed_end:
            self._handed_from = first
        self._handed.append((first, end, units))
        self._handed_end = end

    def _handed_over(self, first: int, end: int) -> bytes:
        """Returns the handed-over audio from sample `first` on, up to `end` or to the first missing sample."""
        found, offset = [], self.folder.codec.offset
        while self._handed and self._handed[0][0] <= first:
            begin, upto, units = self._handed.popleft()
            if first < upto <= end:
                found.append(units[offset(first) - offset(begin) :])
                first = upto
        return b"".join(found)

    def fetching(self, source: AudioSource) -> Fetch:
        """Returns a function that fetches audio by the recording's samples instead of the ring's frames."""
        start = self.state.first_frame

        def fetch(first: int, end: int) -> Stretch:
            stretch = self.fetch(start + first, start + end, source)
            return Stretch(stretch.samples, [(frame - start, frames, cause) for frame, frames, cause in stretch.gaps])

        return fetch

    def fetch(self, position: int, end: int, source: AudioSource) -> Stretch:
        """Returns the line's audio from frame `position` up to `end`, or to the next edge of a withheld stretch."""
        if not self.withheld:  # as nearly always
            return source.stretch(self.state.line, position, end)
        end, withheld = self._next_piece(position, end)
        return _silence(position, end) if withheld else source.stretch(self.state.line, position, end)

    def _next_piece(self, position: int, end: int) -> tuple[int, bool]:
        """Returns the end of the piece that begins at `position`, at most `end`, and whether the piece is withheld."""
        for first, last in self.withheld:
            if first <= position < last:
                return min(end, last), True
            if position < first:
                return min(end, first), False
        return end, False

    def seal(self, record: CallRecord, sign: Sign, epoch: str | None) -> CallRecord:
        """Finishes the audio and seals. `epoch`: another recipient to wrap the key for, or None. Returns the record."""
        encoder, tail, end = self._encoder, b"", 0
        if encoder is not None and encoder.position == self.folder.samples:
            tail, end = encoder.finish(), encoder.taken
            self._note_gaps(encoder.take_gaps())
        record = msgspec.structs.replace(record, audio=Audio(gaps=self.state.gaps))
        return self.folder.seal(record, sign, epoch, tail, end)

    def disk_failed(self) -> None:
        """Prepares another attempt: audio that did not reach the disk is fetched again, with its gaps. Audio no longer
        in the ring becomes a gap with the cause `disk_full`."""
        self.disk_was_full = True
        self._encoder = None  # it may contain samples with a gap that is discarded below
        self.forget_gaps_not_kept()

    def forget_gaps_not_kept(self) -> None:
        self.state.gaps = gaps_within(self.state.gaps, self.folder.samples)

    def _note_gaps(self, gaps: list[SampleGap]) -> None:
        for sample, samples, cause in gaps:
            named = "disk_full" if cause == "ring_overtaken" and self.disk_was_full else cause
            self.state.gaps = append_gap(self.state.gaps, gap_of(sample, samples, named))

    def _remember(self) -> None:
        self._is_kept = restartstate.keep(self._path, _FILE.encode(self.state))

    def forget(self) -> None:
        restartstate.forget(self._path)


def _silence(first: int, end: int) -> Stretch:
    """Returns silence in place of an unannounced party's audio."""
    return Stretch(np.zeros(end - first, np.int16), [(first, end - first, NOT_ANNOUNCED)])


def open_calls(config: Config) -> Path:
    """The folder on tmpfs with the state of every recording in progress."""
    return config.run_path / rundir.CALLS


def path_of(config: Config, call_id: str) -> Path:
    return open_calls(config) / f"{call_id}.json"
