# SPDX-License-Identifier: Apache-2.0
"""Lines with and without a notice, for the proof's error curves: trials drawn at random by kind.

Levels of a returned notice are relative to the played notice. People are recorded prompts (Debian's
asterisk-core-sounds-en-wav) if installed, otherwise espeak-ng.
"""

from __future__ import annotations

import wave
from pathlib import Path

import msgspec
import numpy as np

from linetap.notices.level import level_of
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import BUSY_HZ, BUSY_MS, F64, RINGBACK_HZ, Hum, Sound, Tones, pair, rms_of
from linetap_bench.sounds.voices import MADE_DBM0 as SPOKEN_DBM0
from linetap_bench.sounds.voices import Voices
from linetap_core.codecs import g711

PROMPTS = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
TAIL = RATE_HZ * 2 // 5
FOREIGN = ("이 통화는 업무 품질 향상을 위하여 녹음되고 있습니다.", "상담사와 연결 중입니다. 잠시만 기다려 주십시오.",
           "지금은 통화량이 많아 연결이 늦어지고 있습니다. 죄송합니다.")  # fmt: skip
TALK = ("여보세요, 거기 시청 민원실이지요? 어제 신청한 서류 때문에 전화했어요.", "아니 도대체 몇 번을 전화해야 합니까?",
        "Hello? Can you hear me? I have been waiting for half an hour now.")  # fmt: skip
HEARD = (
    "clean",
    "speech",
    "speech+6",
    "hum",
    "noise",
    "clipped",
    "mu-law",
    "hybrid",
    "drift",
    "drift+speech",
    "own+stranger",
)
DEAF = (
    "speech",
    "leak",
    "leak+speech",
    "other",
    "other+leak",
    "other+speech",
    "silence",
    "noise",
    "tones",
    "stuck",
    "stranger",
    "stranger+speech",
)
FAINTEST_DB = -20.0
LATEST = 395 * 8  # frames
DRIFT_PPM = 200.0
STRANGER_MS = (20.0, 120.0)  # difference from the line's own delay, either way
STRANGER_DB = (-20.0, 0.0)


class Material(msgspec.Struct, frozen=True):
    """`people`, `foreign`: int16 pieces whose active level is SPOKEN_DBM0."""

    people: list[I16]
    foreign: list[I16]
    recorded: bool  # the people are recorded


class Trial(msgspec.Struct, frozen=True):
    kind: str
    captured: I16
    gain_db: float  # of the notice, relative to the played one
    echo_delay_ms: float | None = None  # of the line itself, if known


def material(voices: Path, notices: list[I16]) -> Material:
    """Makes the speech of the trials. Foreign notices are the unit's other notices and sentences by a similar voice."""
    speech = Voices(voices)
    foreign = [speech.say(text, "ko", "staff") for text in FOREIGN] + notices
    people = [samples for path in sorted(PROMPTS.glob("*.wav")) if len(samples := _prompt(path)) > RATE_HZ]
    spoken = people or [speech.say(text, "en" if text.isascii() else "ko", "caller") for text in TALK]
    return Material(spoken, foreign, bool(people))


def audible(kind: str, notice: I16, made: Material, rng: np.random.Generator, share: float = 1.0) -> Trial:
    """A line that returns the first or last `share` of the notice, 0 to 20 dB lower, with a delay of up to 395 ms."""
    gain_db, delay = float(rng.uniform(FAINTEST_DB, 0)), int(rng.integers(0, LATEST))
    ppm = float(rng.uniform(-DRIFT_PPM, DRIFT_PPM)) if "drift" in kind else 0.0
    echo = _delayed(_part(notice, share, rng), delay, ppm)
    if kind == "hybrid":
        echo = _through_a_hybrid(echo, rng)
    line = echo * 10 ** (gain_db / 20) + _noise(rng.uniform(-70, -58), len(echo), rng)
    echo_dbm0 = level_of(notice, RATE_HZ) + gain_db
    if "stranger" in kind:
        line += _stranger(notice, delay, rng) * 10 ** (max(gain_db, FAINTEST_DB / 2) / 20)
    if kind in ("speech", "speech+6", "mu-law", "clipped", "drift+speech"):
        above = 6.0 if kind == "speech+6" else float(rng.uniform(-15, 6))
        line += _talk(made.people, len(line), echo_dbm0 + above, rng)
    if kind == "hum":
        line += Hum(echo_dbm0 + float(rng.uniform(-10, 6)), len(line) + 400).render(int(rng.integers(400)), len(line))
    if kind == "noise":
        line += _noise(echo_dbm0 - float(rng.uniform(6, 20)), len(line), rng)
    if kind == "clipped":
        top = np.abs(line).max() * float(rng.uniform(0.25, 0.7))
        line = np.clip(line, -top, top)
    captured = _int16(line)
    captured = g711.decode(g711.encode(captured)) if kind == "mu-law" else captured
    return Trial(kind, captured, gain_db, delay / 8 if "stranger" in kind else None)


def deaf(kind: str, notice: I16, made: Material, rng: np.random.Generator) -> Trial:
    """A line without the notice. With `leak` the neighbour's notice leaks into it, 40 to 60 dB lower; a `stranger`
    plays the same notice with another delay than ours.
    """
    n = len(notice) + TAIL
    line = _noise(rng.uniform(-75, -50), n, rng)
    gain_db, delay = -200.0, int(rng.integers(0, LATEST))
    if "leak" in kind:
        gain_db = -float(rng.uniform(40, 60))
        line += _delayed(notice.astype(np.float64), delay) * 10 ** (gain_db / 20)
    if "stranger" in kind:
        line += _stranger(notice, delay, rng)
    if "speech" in kind:
        line += _talk(made.people, n, float(rng.uniform(-45, -6)), rng)
    if "other" in kind:
        others = [piece for piece in made.foreign if len(piece) != len(notice) or not np.array_equal(piece, notice)]
        line += _delayed(_fitted(others, len(notice), rng), int(rng.integers(0, TAIL)))
    if kind == "silence":
        line = np.zeros(n)
    if kind == "noise":
        line = _noise(rng.uniform(-45, -3), n, rng)
    if kind == "tones":
        line += _tones(n, rng)
    if kind == "stuck":
        line = _stuck(n, rng)
    captured = _int16(line)
    captured = g711.decode(g711.encode(captured)) if rng.random() < 0.3 else captured
    return Trial(kind, captured, gain_db, delay / 8 if "stranger" in kind else None)


def _stranger(notice: I16, delay: int, rng: np.random.Generator) -> F64:
    """Our notice from another recorder, with another clock and line, as loud as the loudest echo."""
    beside = float(rng.uniform(*STRANGER_MS)) * 8 * (1 if delay < LATEST // 2 else rng.choice([-1, 1]))
    sound = _delayed(notice.astype(np.float64), int(delay + beside), float(rng.uniform(-DRIFT_PPM, DRIFT_PPM)))
    return _through_a_hybrid(sound, rng) * 10 ** (float(rng.uniform(*STRANGER_DB)) / 20)


def _stuck(n: int, rng: np.random.Generator) -> F64:
    """A codec's stuck value, or a full-scale square wave."""
    if rng.random() < 0.5:
        return np.full(n, float(rng.integers(-32768, 32768)))
    return np.where(np.sin(np.arange(n) * rng.uniform(0.01, 2)) >= 0, 32767.0, -32768.0)


def _tones(n: int, rng: np.random.Generator) -> F64:
    some: list[Sound] = [
        pair(BUSY_HZ, -13, n, BUSY_MS),
        pair(RINGBACK_HZ, -13, n),
        Hum(-15, n),
        Tones([(1004.0, 0.0)], n),
    ]
    return some[int(rng.integers(len(some)))].render(0, n)


def _prompt(path: Path) -> I16:
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    if len(samples) < RATE_HZ or not samples.any():
        return samples[:0]
    return _int16(samples.astype(np.float64) * 10 ** ((SPOKEN_DBM0 - level_of(samples, RATE_HZ)) / 20))


def _part(notice: I16, share: float, rng: np.random.Generator) -> F64:
    part = notice.astype(np.float64)
    kept = int(len(part) * share)
    if kept < len(part):
        silent = slice(kept, None) if rng.random() < 0.5 else slice(0, len(part) - kept)
        part[silent] = 0
    return part


def _delayed(samples: F64, delay: int, ppm: float = 0.0) -> F64:
    """The samples, delayed; `ppm`: how much faster the player's clock is than the capture's."""
    if ppm:
        length = 1 << len(samples).bit_length()
        fine = np.fft.irfft(np.fft.rfft(samples, length), 16 * length) * 16
        samples = np.interp(np.arange(len(samples)) * (1 + ppm * 1e-6) * 16, np.arange(len(fine)), fine, right=0.0)
    line = np.zeros(len(samples) + TAIL)
    line[delay : delay + len(samples)] = samples[: len(line) - delay]
    return line


def _through_a_hybrid(echo: F64, rng: np.random.Generator) -> F64:
    """The sound after a line's echo path: 1 ms of dispersion, half a sample of delay, unit gain, either polarity."""
    taps = rng.standard_normal(8) * 0.25 * np.exp(-np.arange(8) / 3)
    taps[:2] += 0.5, 0.5
    taps *= rng.choice([-1, 1])
    return np.convolve(echo, taps / np.sqrt((np.abs(np.fft.rfft(taps, 256)[6:110]) ** 2).mean()))[: len(echo)]


def _fitted(pieces: list[I16], n: int, rng: np.random.Generator) -> F64:
    """Pieces of speech in sequence, from a random position in the first."""
    line = np.zeros(0)
    while len(line) < n:
        piece = pieces[int(rng.integers(len(pieces)))]
        line = np.concatenate([line, piece, np.zeros(int(rng.integers(800, 3200)))])
    return line[:n]


def _talk(people: list[I16], n: int, dbm0: float, rng: np.random.Generator) -> F64:
    """A speaker, and room noise 25 to 45 dB lower."""
    return _fitted(people, n, rng) * 10 ** ((dbm0 - SPOKEN_DBM0) / 20) + _noise(dbm0 - rng.uniform(25, 45), n, rng)


def _noise(dbm0: float, n: int, rng: np.random.Generator) -> F64:
    noise: F64 = rng.standard_normal(n) * rms_of(dbm0)
    return noise


def _int16(line: F64) -> I16:
    samples: I16 = np.clip(np.rint(line), -32768, 32767).astype(np.int16)
    return samples
