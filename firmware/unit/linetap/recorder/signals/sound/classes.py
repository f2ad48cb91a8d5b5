# SPDX-License-Identifier: Apache-2.0
"""Classification of a line's sound, chunk by chunk, as silence, noise, tone, music or speech, and its changes.

Speech is separated from music by weights that were fitted to recorded people and music through telephone codecs
(`SoundNumbers.speech_weights`); a class is accepted after two chunks, or after one certain chunk.
`spectrum_steadiness` separates music from a voice even through a codec: it measures how long notes are kept.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import SoundNumbers
from linetap.recorder.signals.events import SoundHeard, SoundName
from linetap.recorder.signals.sound.runs import RunLine
from linetap.recorder.signals.sound.windows import CHUNK_WINDOWS, F32, SIZE, Recent, speech_score
from linetap.ring import I16, RATE_HZ

WINDOW, STEP = RATE_HZ * 64 // 1000, RATE_HZ * 32 // 1000
LATER = 3  # steps: 96 ms, shorter than a note, longer than the steady pitch of a vowel
LOW, HIGH = 200 * WINDOW // RATE_HZ, 3400 * WINDOW // RATE_HZ
FAINTEST = 3e-3  # share of the loudest window's power; a window with less is a pause
FEWEST = 8  # windows
Bools = NDArray[np.bool_]
CHUNK = CHUNK_WINDOWS * SIZE


def spectrum_steadiness(audio: I16) -> float | None:
    """The similarity of spectra 96 ms apart, 0 to 1: the median over windows with sound. None: too little sound."""
    windows = (len(audio) - WINDOW) // STEP + 1
    if windows < FEWEST + LATER:
        return None
    pieces = np.lib.stride_tricks.sliding_window_view(audio.astype(np.float64), WINDOW)[::STEP]
    spectra = np.abs(np.fft.rfft(pieces * np.hanning(WINDOW)))[:, LOW:HIGH]
    power = (spectra**2).sum(axis=1)
    sound = power > power.max() * FAINTEST
    both = sound[LATER:] & sound[:-LATER]
    if power.max() <= 0 or both.sum() < FEWEST:
        return None
    spectra /= np.sqrt(power)[:, None] + 1e-9
    return float(np.median((spectra[LATER:] * spectra[:-LATER]).sum(axis=1)[both]))


class _Line(msgspec.Struct):
    """The class of a line's sound. Times are frames."""

    sound: SoundName = "silence"
    at: int = 0  # start of this sound
    candidate: SoundName = "silence"
    seen: int = 0  # consecutive chunks with the candidate
    since: int = 0  # start of the sound after the last pause
    last_loud: int = -(1 << 40)  # the end of the last window with sound
    scores: float = 0.0  # speech against music, decaying with age
    speech_at: int = 0
    long: bool = False  # the speech was reported as an announcement


class Classes:
    """The sound classes of all lines."""

    def __init__(self, lines: int, numbers: SoundNumbers) -> None:
        self._numbers = numbers
        self._lines = [_Line() for _ in range(lines)]
        self._idle: Bools = np.ones(lines, dtype=np.bool_)  # silent, and reported as silent
        self._pause = round(numbers.pause_ms * RATE_HZ / 1000)
        self._silence = round(numbers.silence_ms * RATE_HZ / 1000)
        self._tone, self._held, self._melody = (
            round(ms * RATE_HZ / 1000) for ms in (numbers.tone_ms, numbers.music_tone_ms, numbers.melody_ms)
        )
        self._announcement = round(numbers.announcement_ms * RATE_HZ / 1000)

    def forget(self, row: int) -> None:
        self._lines[row] = _Line()
        self._idle[row] = True

    def chunk(self, recent: Recent, loud: Bools, flat: F32, runs: list[RunLine], frame: int) -> list[SoundHeard]:
        """The changes of class in a chunk. `loud`, `flat`: (windows, lines) of the chunk that begins at `frame`."""
        some = loud.any(axis=0)
        rows = np.flatnonzero(some | ~self._idle)
        if not len(rows):
            return []
        numbers = self._numbers
        enough = recent.active >= numbers.decide_windows
        scores = np.zeros(len(some), dtype=np.float32)
        if (enough & some).any():
            scores = speech_score(recent.features(), numbers.speech_weights, numbers.speech_bias)
        dense = flat.mean(axis=0) > np.float32(numbers.noise_flat_min)
        even = dense & recent.even(numbers.noise_range_db, 1)
        noise = even & recent.even(numbers.noise_range_db, numbers.noise_chunks)
        levels = recent.sound_dbm0(numbers.sound_min_dbm0)
        events = []
        for row in rows.tolist():
            line = self._lines[row]
            self._follow(line, loud[:, row], frame)
            if noise[row] and some[row]:
                sound: SoundName | None = "noise"
            else:
                undecided = even[row] or not enough[row]
                scored = None if undecided else float(scores[row])
                sound = self._sound(line, runs[row], bool(some[row]), scored, frame + CHUNK)
            at = self._changed_since(line, sound, frame)
            if at is not None:
                tone = runs[row].tone if line.sound == "tone" else None
                level = float(levels[row]) if tone is None else tone.level_dbm0
                events.append(SoundHeard(row, frame + CHUNK, at, line.sound, _level(line.sound, level)))
            elif self._is_long(line, frame + CHUNK):
                line.long = True
                events.append(
                    SoundHeard(row, frame + CHUNK, line.speech_at, "announcement", round(float(levels[row]), 1))
                )
            self._idle[row] = line.sound == "silence" and not some[row]
        return events

    def _follow(self, line: _Line, loud: Bools, frame: int) -> None:
        """Updates the start of the present sound."""
        for n in np.flatnonzero(loud).tolist():
            at = frame + n * SIZE
            if at - line.last_loud > self._pause:
                line.since, line.scores = at, 0.0
                if line.sound == "silence" or at - line.last_loud > self._silence:
                    line.speech_at = at
            line.last_loud = at + SIZE

    def _sound(self, line: _Line, runs: RunLine, loud: bool, scored: float | None, known: int) -> SoundName | None:
        """The class of this chunk; None: undecided."""
        if not loud:
            return "silence" if known - line.last_loud >= self._silence else None
        if runs.tone is not None:
            if runs.melody(known - self._melody):
                return "music"
            return "tone" if runs.tone.frames >= (self._held if line.sound == "music" else self._tone) else None
        if scored is None or runs.melody(known - self._melody):  # changing pitches: digits, or notes with rests
            return None
        line.scores = self._numbers.score_keeps * line.scores + min(max(scored, -4.0), 4.0)
        if abs(line.scores) < self._numbers.score_min:
            return None
        return "speech" if line.scores > 0 else "music"

    def _changed_since(self, line: _Line, sound: SoundName | None, frame: int) -> int | None:
        """The frame since which the line has carried another sound; None: the sound is unchanged."""
        if sound is None or sound == line.sound:
            line.candidate, line.seen = line.sound, 0
            return None
        line.seen = line.seen + 1 if sound == line.candidate else 1
        line.candidate = sound
        if line.seen < self._needed_chunks(line, sound):
            return None
        before, line.sound, line.long = line.sound, sound, False
        if sound == "silence":
            line.at = line.last_loud
        else:
            line.at = line.since if before == "silence" else max(line.since, frame - (line.seen - 1) * CHUNK)
            line.speech_at = line.at
        return line.at

    def _needed_chunks(self, line: _Line, sound: SoundName) -> int:
        """The number of consecutive chunks needed. Until a pause, a voice in music is most often a singer's."""
        numbers = self._numbers
        if sound in ("silence", "tone", "noise"):
            return 1
        if sound == "speech" and line.sound == "music" and line.since <= line.at:
            return numbers.voice_in_music_chunks
        return 1 if abs(line.scores) >= numbers.score_sure else 2

    def _is_long(self, line: _Line, known: int) -> bool:
        return line.sound == "speech" and not line.long and known - line.speech_at >= self._announcement


def _level(sound: SoundName, dbm0: float) -> float:
    return 0.0 if sound == "silence" else round(dbm0, 1)
