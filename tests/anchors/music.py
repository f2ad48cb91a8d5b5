# SPDX-License-Identifier: Apache-2.0
"""Music as on a telephone: Debian's asterisk-moh-opsound-gsm, and melodies synthesised by sox."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from anchors import not_here
from linetap.ring import I16, RATE_HZ

ON_HOLD = Path("/usr/share/asterisk/moh")
TIMEOUT_S = 120
_RAW = ("-t", "raw", "-r", str(RATE_HZ), "-c", "1", "-e", "signed", "-b", "16")


@cache
def on_hold() -> dict[str, I16]:
    """Music on hold by name, int16 at 8 kHz, 300 to 3400 Hz."""
    found = {path.stem: _sox("-t", "gsm", str(path), *_RAW, "-", "sinc", "300-3400") for path in ON_HOLD.glob("*.gsm")}
    if not found:
        raise not_here("music on hold", "asterisk-moh-opsound-gsm")
    return dict(sorted(found.items()))


def melody(seconds: float, seed: int) -> I16:
    """Plucked strings, a note every quarter of a second, as a telephone plays them."""
    rng = np.random.default_rng(seed)
    notes = [f"{440 * 2 ** (step / 12):.1f}" for step in rng.choice([0, 2, 4, 5, 7, 9, 11, 12], round(seconds / 0.25))]
    played = [_plucked(note) for note in notes]
    return np.concatenate(played)


def through_gsm(audio: I16) -> I16:
    """Audio after GSM 06.10 coding and decoding: the lowest-quality codec that a call is likely to have passed."""
    coded = _run("sox", *_RAW, "-", "-t", "gsm", "-", given=audio.tobytes())
    decoded = np.frombuffer(_run("sox", "-t", "gsm", "-", *_RAW, "-", given=coded), np.int16)
    return np.pad(decoded, (0, max(0, len(audio) - len(decoded))))[: len(audio)]


@cache
def _plucked(hz: str) -> I16:
    return _sox("-n", *_RAW, "-", "synth", "0.25", "pluck", hz, "gain", "-n", "-12")


def _sox(*words: str) -> I16:
    return np.frombuffer(_run("sox", *words), np.int16)


def _run(*words: str, given: bytes = b"") -> bytes:
    return subprocess.run(words, input=given, capture_output=True, timeout=TIMEOUT_S, check=True).stdout
