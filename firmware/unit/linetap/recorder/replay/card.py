# SPDX-License-Identifier: Apache-2.0
"""The line card of a replay: lines.wav and the levels, cut into batches like those of a ring.

Fax tones are detected ahead in long pieces, but only while a notice plays: near a fax tone batches must be short.
"""

from __future__ import annotations

import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from linetap.config.profile import Profile
from linetap.config.schema import Config, Line
from linetap.notices import Notice
from linetap.notices.wavfile import WAVE_FAULTS
from linetap.recorder.calls.ports import Stretches, VaultPort
from linetap.recorder.pbx.join import KeepReport, SmdrJoin
from linetap.recorder.replay.events import Levels
from linetap.recorder.signals.tones.bank import HOP, WINDOW
from linetap.recorder.signals.tones.stretch import fax_windows
from linetap.recorder.smdr.port import Assembler
from linetap.ring import I16, NS_PER_FRAME, RATE_HZ, SLOT_FRAMES, SLOT_MS, Batch, Stretch, gap_batch
from linetap_core.clock import NS_PER_S, ManualClock, ns_of
from linetap_core.errors import BadInput
from linetap_core.records import CallRecord

BEFORE = RATE_HZ * 300 // 1000  # greatest age of a tone that the detector may still report
PIECE_HOPS = 8 * RATE_HZ // HOP  # about the length of a notice
ECHO_FRAMES = RATE_HZ * 30 // 1000  # a real line returns the notice 30 ms later, ...
ECHO_GAIN = 0.501  # ... 6 dB down
# A notice must be off the line within 300 ms of a fax tone. The detector reports the tone after 190 ms, at the end of
# one of its chunks of 8 slots; with two chunks in a batch the notice stops after 270 ms. Short batches are slow: hence
# FaxAhead.
LIVE_SLOTS = 16
PIECE_FRAMES = 1 << 19  # read at once; once a piece of this size was freed, glibc keeps memory for later pieces


class FaxAhead:
    """The places of fax tones in the lines' audio."""

    def __init__(self, audio: I16, profiles: Sequence[Profile]) -> None:
        """`audio` (lines, n): that of the lines alone. Empty `profiles`: no fax tone is looked for."""
        self._audio, self._profiles = audio, profiles
        self._fax: NDArray[np.bool_] = np.zeros((len(audio), audio.shape[1] // HOP + 1), np.bool_)
        self._read = [0] * len(audio)  # hops

    def near(self, line: int, first: int, end: int) -> bool:
        """Whether a fax tone fills a window that touches the frames from BEFORE `first` to `end`."""
        if not self._profiles:
            return False
        begin, until = max(first - BEFORE - WINDOW, 0) // HOP, min(-(-end // HOP), self._fax.shape[1])
        while self._read[line] < until:
            self._read_on(line, max(self._read[line], begin))
        return bool(self._fax[line, begin:until].any())

    def _read_on(self, line: int, hop: int) -> None:
        piece = self._audio[line, hop * HOP : (hop + PIECE_HOPS) * HOP + HOP]
        found = fax_windows(piece, self._profiles[line])
        self._fax[line, hop : hop + len(found)] = found
        self._read[line] = hop + PIECE_HOPS


def _zeros(lines: int, frames: int) -> I16:
    return np.zeros((lines, frames), np.int16)


def read_wav(path: Path, lines: int, room: Callable[[int, int], I16] = _zeros) -> I16:
    """The samples, int16 (lines, frames), with silence up to a whole slot.

    BadInput unless the file has 8 kHz, 16 bit and one channel for each line. `room` makes an array of zeros of a shape.
    """
    try:
        with wave.open(str(path), "rb") as file:
            found = (file.getframerate(), file.getsampwidth() * 8, file.getnchannels())
            if found != (RATE_HZ, 16, lines):
                raise BadInput(
                    f"{path}: {found[0]} Hz, {found[1]} bit, {found[2]} channels; "
                    f"needs {RATE_HZ} Hz, 16 bit, {lines} channels, one a line"
                )
            # The length in the header may be wrong; the file's own length is never too small.
            most = min(file.getnframes(), path.stat().st_size // (2 * lines))
            audio, frames = room(lines, max(1, -(-most // SLOT_FRAMES)) * SLOT_FRAMES), 0
            while raw := file.readframes(PIECE_FRAMES):
                piece = np.frombuffer(raw, "<i2", len(raw) // (2 * lines) * lines).reshape(-1, lines)
                audio[:, frames : frames + len(piece)] = piece.T
                frames += len(piece)
    except BadInput:
        raise
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except WAVE_FAULTS as error:
        raise BadInput(f"{path}: not a WAV file: {str(error) or 'it is empty'}") from None
    if not frames:
        raise BadInput(f"{path}: contains no audio")
    return audio[:, : -(-frames // SLOT_FRAMES) * SLOT_FRAMES]


@dataclass
class _Playing:
    notice: Notice
    start: int
    end: int  # earlier after a stop


class ReplayCard:
    """The source of batches and audio, and the capture port, of a replay; in operation this is `Cards`."""

    def __init__(
        self,
        lines: list[Line],
        audio: I16,
        levels: Levels,
        notices: dict[str, Notice],
        start_ns: int,
        deaf: set[int],
        profiles: Sequence[Profile] = (),
        echoes: Sequence[tuple[int, float]] = (),
    ) -> None:
        """`profiles`: those of the lines; if given, batches are short where a notice may have to stop.

        `echoes`: for each line, delay in frames and gain of a notice's echo; else those of a real line.
        """
        self.notices = notices
        self._slots = levels.volts.shape[1]
        self._levels = levels
        self._fax = FaxAhead(audio, profiles)
        self._place = {line.number: index for index, line in enumerate(lines)}
        self._deaf = {self._place[number] for number in deaf if number in self._place}
        self._echoes = echoes or [(ECHO_FRAMES, ECHO_GAIN)] * len(lines)
        self._start_ns = start_ns
        self._audio = audio
        for line in lines:
            if line.exempt:
                self._audio[self._place[line.number]] = 0
        self._playing: dict[int, list[_Playing]] = {}
        self._position = 0  # slots

    def next(self, most: int) -> Batch | None:
        """The next batch: up to a slot that is a multiple of `most`, or of LIVE_SLOTS."""
        first = self._position
        most = min(most, LIVE_SLOTS) if self._fax_ahead(most) else most
        count = min(most - first % most, self._slots - first)
        if count <= 0:
            return None
        self._position += count
        frame, end = first * SLOT_FRAMES, (first + count) * SLOT_FRAMES
        tags = np.zeros((count, len(self._place)), np.uint32)
        positions = np.zeros((count, len(self._place)), np.int32)
        for index in [*self._playing]:
            self._play(index, frame, end, tags, positions)
        ms = slice(first * SLOT_MS, (first + count) * SLOT_MS)
        return Batch(
            seq=first,
            frame=frame,
            frames=end - frame,
            mono_ns=frame * NS_PER_FRAME,
            utc_ns=self._start_ns + frame * NS_PER_FRAME,
            gap=None,
            hook=self._levels.hook[:, ms],
            ring=self._levels.ring[:, ms],
            polarity=self._levels.polarity[:, ms],
            volts=self._levels.volts[:, first : first + count],
            notice=tags,
            notice_frame=positions,
            flags=np.zeros(count, np.uint32),
            audio=self._audio[:, frame:end],
        )

    def end_batch(self) -> Batch:
        """A batch without length that dates events at the end of the audio."""
        frame = self._slots * SLOT_FRAMES
        return gap_batch(
            len(self._place), self._slots, frame, 0, frame * NS_PER_FRAME, self._start_ns + frame * NS_PER_FRAME, "end"
        )

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        return Stretch(self._audio[self._place[line], first:end], [])

    def play(self, line: int, notice: str, at_frame: int) -> None:
        start = max(at_frame, self._position * SLOT_FRAMES)
        chosen = self.notices[notice]
        self._playing.setdefault(self._place[line], []).append(_Playing(chosen, start, start + chosen.frames))

    def frame_now(self, line: int) -> int:  # noqa: ARG002 - a replay does not lag
        return 0

    def release(self, line: int, ms: int) -> None:
        """Does nothing: a recording of the lines has no contact."""

    def stop(self, line: int) -> None:
        now = self._position * SLOT_FRAMES
        for playing in self._playing.get(self._place[line], []):
            playing.end = min(playing.end, now)

    def _fax_ahead(self, slots: int) -> bool:
        """Whether a line with a due or playing notice has a fax tone in the next `slots`, or had one recently."""
        first, end = self._position * SLOT_FRAMES, (self._position + slots) * SLOT_FRAMES
        return any(self._fax.near(index, first, end) for index in self._playing)

    def _play(
        self, index: int, frame: int, end: int, tags: npt.NDArray[np.uint32], positions: npt.NDArray[np.int32]
    ) -> None:
        """Adds tag, position and echo of the line's notices to this batch."""
        for playing in self._playing[index]:
            first = max((playing.start - frame) // SLOT_FRAMES, 0)  # the slot in which it begins
            last = max(-(-(playing.end - frame) // SLOT_FRAMES), first)
            tags[first:last, index] = playing.notice.tag
            at = frame + first * SLOT_FRAMES - playing.start
            ours = positions[first:last, index]
            ours[:] = np.arange(at, at + len(ours) * SLOT_FRAMES, SLOT_FRAMES)
            if index not in self._deaf:
                self._echo(index, playing, frame, end)
        left = [p for p in self._playing[index] if p.end + self._echoes[index][0] > end]
        if left:
            self._playing[index] = left
        else:
            del self._playing[index]

    def _echo(self, index: int, playing: _Playing, frame: int, end: int) -> None:
        late, gain = self._echoes[index]
        a, b = max(playing.start + late, frame), min(playing.end + late, end)
        if a < b:
            offset = playing.start + late
            played = playing.notice.samples[a - offset : b - offset] * gain
            line = self._audio[index, a:b]
            played += line
            np.minimum(np.maximum(played, -32768, out=played), 32767, out=line, casting="unsafe")


# --- SMDR in a replay: the lines of the events file are added to the same join at their own time ----------------------


class _OrderedJoin(SmdrJoin):
    """A join that remembers the order in which calls were closed: some wait while others are sealed."""

    def __init__(self, config: Config, vault: VaultPort, clock: ManualClock, keep: KeepReport) -> None:
        super().__init__(config, vault, clock, keep)
        self.closed: list[str] = []

    def close(self, call_id: str, end_frame: int | None, record: CallRecord, withheld: Stretches = ()) -> None:
        self.closed.append(call_id)
        super().close(call_id, end_frame, record, withheld)


class ReplayedSmdr:
    """SMDR in a replay. `lines`: (seconds from the start of the audio, raw line), in order."""

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
        """Adds the lines up to this frame, the end of a batch that was followed."""
        end_ns = frame * NS_PER_FRAME
        while self._next < len(self._lines) and self._lines[self._next][0] * NS_PER_S <= end_ns:
            t, raw = self._lines[self._next]
            self._next += 1
            self._advance_to(ns_of(t))
            for line in self._assembler.feed(raw.encode(errors="replace") + b"\n"):
                self.join.line(line, self._clock.utc_ns())
            self._count_bad()
            self.join.turn()
        self._advance_to(end_ns)
        self.join.turn()

    def finish(self) -> None:
        """Seals all waiting calls at the end of the audio."""
        self.join.finish()

    def in_order(self, records: list[CallRecord]) -> list[CallRecord]:
        """The records in the order in which the calls were closed, as without SMDR."""
        place = {call_id: number for number, call_id in enumerate(self.join.closed)}
        return sorted(records, key=lambda record: place[record.call_id])

    def _advance_to(self, ns: int) -> None:
        """Advances the clock, never back: an event may precede the end of the last batch."""
        self._clock.advance(max(0, self._start_ns + ns - self._clock.utc_ns()))

    def _count_bad(self) -> None:
        self.join.ledger.day_at(self._clock.utc_ns()).bad += self._assembler.bad
        self._assembler.bad = 0
