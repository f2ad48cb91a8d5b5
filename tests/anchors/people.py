# SPDX-License-Identifier: Apache-2.0
"""Recorded speech: the prompts of Debian's asterisk-core-sounds-*-wav, one voice for each language."""

from __future__ import annotations

import wave
from functools import cache
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from anchors import not_here
from linetap.notices.level import SILENCE_DBM0, level_of
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import rms_of

PROMPTS = Path("/usr/share/asterisk/sounds")
VOICES = ("en_US_f_Allison", "fr_CA_f_June", "it_IT_m_Carlo", "ru_RU_f_IvrvoiceRU")
NO_SPEECH = ("beep", "beeperr")


def people(dbm0: float, minutes: float) -> I16:
    """Prompts one after the other, alternating voices, each at this active speech level (ITU-T P.56's margin).

    Shorter than `minutes` if too few prompts are installed.
    """
    parts: list[I16] = []
    wanted = round(minutes * 60 * RATE_HZ)
    for path in _turns():
        spoken, level_dbm0 = _prompt(path)
        if level_dbm0 > SILENCE_DBM0:
            gain = rms_of(dbm0) / rms_of(level_dbm0)
            parts.append(np.clip(np.rint(spoken * gain), -32768, 32767).astype(np.int16))
            wanted -= len(spoken)
        if wanted <= 0:
            break
    return np.concatenate(parts)[: round(minutes * 60 * RATE_HZ)]


@cache
def _turns() -> list[Path]:
    voices = [sorted((PROMPTS / voice).rglob("*.wav")) for voice in VOICES]
    paths = [path for path in chain.from_iterable(zip_longest(*voices)) if path is not None]
    if not paths:
        raise not_here("recorded speech", "asterisk-core-sounds-en-wav")
    return [path for path in paths if "silence" not in path.parts and path.stem not in NO_SPEECH]


@cache
def _prompt(path: Path) -> tuple[I16, float]:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    return samples, level_of(samples, RATE_HZ) if len(samples) else SILENCE_DBM0
