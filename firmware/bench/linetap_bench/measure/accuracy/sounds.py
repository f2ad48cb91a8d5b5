# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the classifier of sounds: speech, music, noise and unlearnt tones, through G.711 and GSM, with noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from anchors.music import melody, on_hold, through_gsm
from anchors.people import people
from linetap.notices.level import level_of
from linetap.recorder.signals.events import SoundEvent, SoundHeard
from linetap.recorder.signals.sound.detector import CHUNK, SoundDetector
from linetap.ring import I16, RATE_HZ
from linetap_bench.figures import Row
from linetap_bench.sounds.synth import F64, Tones, rms_of
from linetap_bench.sounds.voices import Voices
from linetap_core.codecs import g711

SEED, LINES = 37, 60
SECONDS = 80 * CHUNK / RATE_HZ  # 20 s
SETTLED = 6  # chunks, 1.5 s: the longest time for a classification
SAID = ("네, 민원실입니다. 무엇을 도와드릴까요?", "여보세요, 어제 신청한 서류 때문에 전화했어요.",
        "지금 거신 번호는 없는 번호입니다. 다시 확인하시고 걸어 주시기 바랍니다.")  # fmt: skip
LEVELS_DBM0 = (-34.0, -10.0)
NOISE_DBM0 = (-68.0, -58.0)
SIT_HZ = ((950.0, 1400.0, 1800.0), (913.8, 1370.6, 1776.7), (985.2, 1428.5, 1776.7))
SIT_MS = (274, 330, 380)
RINGBACKS = (((425.0,), (1.0, 4.0)), ((440.0, 480.0), (2.0, 4.0)), ((400.0, 450.0), (0.4, 0.2, 0.4, 2.0)),
             ((480.0, 620.0), (0.8, 2.4)), ((450.0,), (1.0, 2.0)))  # fmt: skip
Kinds = dict[str, Callable[[np.random.Generator], F64]]


def rows(voices: Path, lines: int) -> list[Row]:
    rng = np.random.default_rng(SEED)
    return [*_classes(voices, lines, rng), _special(lines, rng), _ringback(lines, rng)]


def _classes(voices: Path, lines: int, rng: np.random.Generator) -> list[Row]:
    n = round(SECONDS * RATE_HZ)
    prompts, speaker, music = people(-16.0, 30.0), Voices(voices), list(on_hold().values())
    korean = np.concatenate([np.pad(speaker.say(text, "ko", "caller"), (0, RATE_HZ // 2)) for text in SAID * 3])
    kinds: Kinds = {
        "people": lambda rng: _cut(prompts, n, rng),
        "espeak-ng": lambda rng: _cut(np.tile(korean, 3), n, rng),
        "music": lambda rng: _cut(music[int(rng.integers(len(music)))], n, rng),
        "melody": lambda rng: melody(SECONDS, int(rng.integers(1 << 30)))[:n].astype(np.float64),
        "noise": lambda rng: rng.normal(0, 1000, n),
    }
    right = {"people": "speech", "espeak-ng": "speech", "music": "music", "melody": "music", "noise": "noise"}
    found = []
    for kind, made in kinds.items():
        called: Counter[str] = Counter()
        for events in _detected([_line(made(rng), rng) for _ in range(lines)]):
            called.update(_names(events, n // CHUNK)[SETTLED:])
        all_of = sum(called.values())
        others = ", ".join(f"{name} {100 * count / all_of:.1f} %" for name, count in called.most_common())
        method = f"of the time, from 1.5 s on; {lines} lines of {SECONDS:.0f} s, a third by GSM 06.10; called: {others}"
        share = 100 * called[right[kind]] / all_of
        found.append(Row(name=f"sounds: {kind}", figure=share, unit="%", target=95, at_most=False, method=method))
    return found


def _special(lines: int, rng: np.random.Generator) -> Row:
    found = 0
    for _ in range(lines):
        hz, gap = SIT_HZ[int(rng.integers(len(SIT_HZ)))], np.zeros(int(rng.integers(0, 240)))
        tones = [part for each in hz for part in (_tone((each,), rng.choice(SIT_MS) / 1000), gap)]
        [events] = _detected(
            [_line(np.concatenate([np.zeros(int(rng.integers(4000, 8000))), *tones, np.zeros(12_000)]), rng)]
        )
        found += any(isinstance(event, SoundHeard) and event.sound == "sit" for event in events)
    method = f"of {lines}: ITU-T E.180's and North America's pitches, 274 to 380 ms, up to 30 ms apart"
    return Row(name="sounds: special information tone", figure=100 * found / lines, unit="%", target=99, at_most=False,
               method=method)  # fmt: skip


def _ringback(lines: int, rng: np.random.Generator) -> Row:
    found = 0
    for trial in range(lines):
        hz, cadence = RINGBACKS[trial % len(RINGBACKS)]
        period = [np.zeros(round(s * RATE_HZ)) if n % 2 else _tone(hz, s) for n, s in enumerate(cadence)]
        lead, tail = np.zeros(int(rng.integers(4000, 8000))), np.zeros(round((sum(cadence) + 2) * RATE_HZ))
        [events] = _detected([_line(np.concatenate([lead, *period * 3, tail]), rng)])
        due = len(lead) + 3 * sum(cadence) * RATE_HZ
        over = [event for event in events if isinstance(event, SoundHeard) and event.sound == "cadence_over"]
        found += len(over) == 1 and due <= over[0].known <= due + RATE_HZ
    method = f"of {lines}: five cadences that no profile has, three periods; found within 1 s after the burst was due"
    return Row(name="sounds: the missing burst of an unknown ringback", figure=100 * found / lines, unit="%", target=95,
               at_most=False, method=method)  # fmt: skip


def _tone(hz: tuple[float, ...], seconds: float) -> F64:
    return Tones([(each, -16.0) for each in hz], round(seconds * RATE_HZ)).render(0, round(seconds * RATE_HZ))


def _cut(samples: I16, n: int, rng: np.random.Generator) -> F64:
    first = int(rng.integers(max(1, len(samples) - n)))
    piece = samples[first : first + n].astype(np.float64)
    return np.pad(piece, (0, n - len(piece)))


def _line(sound: F64, rng: np.random.Generator) -> I16:
    """The sound at a random level with the line's noise, through G.711; a third of them first through GSM."""
    clipped = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
    level = level_of(clipped, RATE_HZ)
    loud = sound * rms_of(float(rng.uniform(*LEVELS_DBM0))) / rms_of(level)
    noisy = loud + rng.normal(0, rms_of(float(rng.uniform(*NOISE_DBM0))), len(sound))
    noisy = np.pad(noisy, (0, -len(noisy) % CHUNK))
    line = np.clip(np.rint(noisy), -32768, 32767).astype(np.int16)
    return g711.decode(g711.encode(through_gsm(line) if rng.random() < 1 / 3 else line))


def _detected(lines: list[I16]) -> list[list[SoundEvent]]:
    events: list[list[SoundEvent]] = [[] for _ in lines]
    for event in SoundDetector(len(lines)).follow(np.stack(lines), 0):
        events[event.line].append(event)
    return events


def _names(events: list[SoundEvent], chunks: int) -> list[str]:
    """The class of each chunk; an announcement counts as speech."""
    names = ["silence"] * chunks
    for event in events:
        if isinstance(event, SoundHeard) and event.sound not in ("cadence", "cadence_over", "sit"):
            first = event.known // CHUNK - 1
            name = "speech" if event.sound == "announcement" else event.sound
            names[first:] = [name] * (chunks - first)
    return names
