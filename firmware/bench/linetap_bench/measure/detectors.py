# SPDX-License-Identifier: Apache-2.0
"""The cost of the detectors on all lines at once (digits, tones, fax, voice, other sounds), and of the search for the
answer on lines that wait for one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np

from linetap.config.profile import KR_PSTN
from linetap.notices import load_notices
from linetap.recorder.calls.evidence.decision import Dialled, Evidence
from linetap.recorder.calls.evidence.windows import SPAN, STEP, windows_of
from linetap.recorder.signals.dtmf.detector import DtmfDetector
from linetap.recorder.signals.sound.detector import SoundDetector
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import I16, RATE_HZ
from linetap_bench.figures import Row, cpu_s
from linetap_bench.measure.proofsets import Material, material
from linetap_bench.sounds.synth import BUSY_HZ, BUSY_MS, DTMF_KEYS, Noise, Tones, dtmf, pair
from linetap_bench.sounds.voices import MADE_DBM0

F64 = np.ndarray[tuple[int], np.dtype[np.float64]]

SEED = 31
SECONDS = 60
LIVE_MS, REPLAY_MS = 40, 500
REPLAY_LINES = 8
RUNS = 3
AWAITED = 8  # of 32 lines; our estimate: 15 s until an answer, and calls of some minutes
NOISE_DBM0 = -62.0
NEAR_DBM0, FAR_DBM0 = (-20.0, -12.0), (-32.0, -20.0)
KEY_MS, KEY_EVERY_MS = 100, 250  # a user who dials for a minute without a pause
MIX = "20 of 32 in talk of two, 4 dialling 4 keys/s, 4 with dial, ringback, busy and fax tone, 4 with noise alone"


def measure(_folder: Path, voices: Path, notices: Path) -> list[Row]:
    """Measures with all data in memory, none on disk."""
    made = material(voices, [notice.samples for notice in load_notices(notices).values()])
    audio = mix(made, 64)
    live = {lines: _seconds(audio[:lines], LIVE_MS) / SECONDS * 100 for lines in (32, 64)}
    talk = np.stack([_talk(made, np.random.default_rng([SEED, 100 + n])) for n in range(REPLAY_LINES)])
    each_ms = _seconds(talk, REPLAY_MS) / (SECONDS * 1000 / REPLAY_MS) * 1000
    method = (
        f"CPU time of {SECONDS} s in batches of {LIVE_MS} ms, one after the other, the least of {RUNS}, "
        f"one BLAS thread as in the services; {MIX}"
    )
    replay = f"; in a replay {each_ms:.2f} ms a batch of {REPLAY_LINES} lines x {REPLAY_MS} ms, all in talk"
    return [
        Row(name="detectors, 32 lines live", figure=live[32], unit="%", target=2.7, method="of one core; " + method
            + replay),
        Row(name="detectors, 64 lines live to 32", figure=live[64] / live[32], unit="x", target=2.2,
            method=f"{live[64]:.2f} % of one core; twice the lines, twice the mix"),
        Row(name=f"an answer awaited on {AWAITED} of 32 lines", figure=AWAITED * _look_s() / SECONDS * 100, unit="%",
            target=1.0, method=f"of one core, besides; CPU time of {SECONDS} s of ringback, a look every 80 ms, "
            f"the least of {RUNS}, times {AWAITED}"),
    ]  # fmt: skip


def mix(made: Material, lines: int) -> I16:
    """int16 (lines, n): of every eight lines five have talk, one dials, one has a tone, one is silent."""
    kinds: list[Callable[[np.random.Generator], I16]] = [partial(_talk, made)] * 5 + [_dials, _tone, _nothing]
    return np.stack([kinds[n % len(kinds)](np.random.default_rng([SEED, n])) for n in range(lines)])


def _seconds(audio: I16, batch_ms: int) -> float:
    return min(_once(audio, batch_ms * RATE_HZ // 1000) for _ in range(RUNS))


def _once(audio: I16, batch: int) -> float:
    digits, tones, sounds = DtmfDetector(len(audio)), ToneDetector(len(audio)), SoundDetector(len(audio))
    before = cpu_s(os.getpid())
    for frame in range(0, audio.shape[1], batch):
        piece = audio[:, frame : frame + batch]
        digits.follow(piece, frame)
        tones.follow(piece, frame)
        sounds.follow(piece, frame)
    return cpu_s(os.getpid()) - before


def _look_s() -> float:
    """Seconds of one evaluation of a line with ringback and no answer."""
    ringing = _line(pair((440.0, 480.0), -18, SECONDS * RATE_HZ, (1000, 2000)).render(0, SECONDS * RATE_HZ),
                    np.random.default_rng(SEED))  # fmt: skip
    return min(_looked_at(ringing) for _ in range(RUNS))


def _looked_at(line: I16) -> float:
    evidence, numbers, dialled = Evidence(), KR_PSTN.answer, Dialled("ordinary", 0, "")
    before = cpu_s(os.getpid())
    for end in range(-(-SPAN // STEP) * STEP, len(line) + 1, STEP):
        evidence.follow(windows_of(line[end - SPAN : end], end, numbers), KR_PSTN.tone, numbers)
        assert evidence.judge(end, dialled, numbers) is None
    return cpu_s(os.getpid()) - before


def _talk(made: Material, rng: np.random.Generator) -> I16:
    """Two people who talk in turn, with pauses."""
    sound = np.zeros(SECONDS * RATE_HZ)
    at = int(rng.integers(RATE_HZ))
    for low, high in cycle((NEAR_DBM0, FAR_DBM0)):
        speech = made.people[int(rng.integers(len(made.people)))][: len(sound) - at]
        sound[at : at + len(speech)] += speech * 10 ** ((rng.uniform(low, high) - MADE_DBM0) / 20)
        at += len(speech) + int(rng.uniform(0.2, 1.5) * RATE_HZ)
        if at >= len(sound):
            return _line(sound, rng)
    raise AssertionError


def _dials(rng: np.random.Generator) -> I16:
    sound = np.zeros(SECONDS * RATE_HZ)
    key, every = KEY_MS * RATE_HZ // 1000, KEY_EVERY_MS * RATE_HZ // 1000
    for at in range(int(rng.integers(every)), len(sound) - key, every):
        sound[at : at + key] = dtmf(DTMF_KEYS[int(rng.integers(16))], key).render(0, key)
    return _line(sound, rng)


def _tone(rng: np.random.Generator) -> I16:
    """A few seconds of each tone in turn."""
    turn = 5 * RATE_HZ
    kinds = [
        pair((350.0, 440.0), -13, turn),
        pair((440.0, 480.0), -18, turn, (1000, 2000)),
        pair(BUSY_HZ, -16, turn, BUSY_MS),
        Tones([(2100.0, -14.0)], turn),
    ]
    first = int(rng.integers(len(kinds)))
    turns = [kinds[(first + n) % len(kinds)].render(0, turn) for n in range(SECONDS * RATE_HZ // turn)]
    return _line(np.concatenate(turns), rng)


def _nothing(rng: np.random.Generator) -> I16:
    return _line(np.zeros(SECONDS * RATE_HZ), rng)


def _line(sound: F64, rng: np.random.Generator) -> I16:
    noise = Noise((SEED, int(rng.integers(1 << 30))), NOISE_DBM0, len(sound)).render(0, len(sound))
    line: I16 = np.clip(np.rint(sound + noise), -32768, 32767).astype(np.int16)
    return line
