# SPDX-License-Identifier: Apache-2.0
"""Digits with direct current and mains hum, and as faint as -32 dBm0, compared with libspandsp and multimon-ng."""

from __future__ import annotations

import numpy as np
import pytest

from anchors import spandsp
from anchors.people import PROMPTS, people
from dtmf_rig import Case, correct, heard, random_keys, samples, string
from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import F64, rms_of

COUNT = 48
ABOVE_DB = 3.0  # the power of the hum over that of both tones together, which is 3 dB above one of them
with_people = pytest.mark.skipif(not PROMPTS.is_dir(), reason="no recorded prompts (asterisk-core-sounds-en-wav)")
WAVES = {
    "direct": {0: 1.0},
    "plain": {1: 1.0},
    "rectified": {2: 1.0, 4: 0.4, 6: 0.2},
    "saturated": {1: 1.0, 3: 0.6, 5: 0.4, 7: 0.2},
    "third": {3: 1.0},
    "fifth": {5: 1.0},
    "buzz": {k: 1 / k for k in range(1, 11)},
}


def hum(length: int, dbm0: float, hz: float, wave: dict[int, float], rng: np.random.Generator) -> F64:
    phase = 2 * np.pi * hz / RATE_HZ * np.arange(length)
    turn = rng.uniform(0, 6)
    sound: F64 = np.sum([share * np.cos(k * (phase + turn)) for k, share in wave.items()], axis=0)
    sound *= rms_of(dbm0) / np.sqrt((sound**2).mean())
    return sound


@pytest.mark.parametrize("name", WAVES)
@pytest.mark.parametrize("dbm0", [-10.0, -26.0, -32.0])
@pytest.mark.parametrize("hz", [50.0, 60.0, 59.8])
def test_detects_every_digit_under_louder_hum(name: str, dbm0: float, hz: float) -> None:
    rng = np.random.default_rng([int(hz * 10), *name.encode()])
    keys = random_keys(rng, COUNT)
    digits = string(rng, keys, row=dbm0, column=dbm0)
    level = dbm0 + 3 + ABOVE_DB
    assert heard(samples(digits + hum(len(digits), level, hz, WAVES[name], rng))) == keys


@pytest.mark.skipif(not spandsp.installed(), reason="libspandsp is not installed (libspandsp2t64)")
def test_libspandsp_detects_none_of_them() -> None:
    rng = np.random.default_rng(3)
    keys = random_keys(rng, COUNT)
    digits = string(rng, keys)
    audio = samples(digits + hum(len(digits), -10 + 3 + ABOVE_DB, 60.0, WAVES["saturated"], rng))
    assert (correct(keys, heard(audio)), correct(keys, spandsp.dtmf_heard(audio))) == (COUNT, 0)


@pytest.mark.parametrize("snr_db", [None, 15.0])
@pytest.mark.parametrize(("row", "column"), [(-32.0, -32.0), (-32.0, -28.0), (-24.5, -32.0)])
def test_detects_every_digit_at_32_below(snr_db: float | None, row: float, column: float) -> None:
    """Row and column equal, and with Q.24's greatest difference in both directions."""
    rng = np.random.default_rng(4)
    keys = random_keys(rng, COUNT)
    assert heard(Case(row, column, snr_db=snr_db).audio(rng, keys)) == keys


@pytest.mark.parametrize(("off_percent", "on_ms"), [(3.5, 41.0), (-3.5, 41.0), (0.0, 23.0)])
def test_hum_makes_no_digit_of_what_is_none(off_percent: float, on_ms: float) -> None:
    rng = np.random.default_rng(5)
    digits = string(rng, random_keys(rng, COUNT), on_ms, 60.0, off_percent=off_percent)
    assert heard(samples(digits + hum(len(digits), -4.0, 60.0, WAVES["saturated"], rng))) == ""


@with_people
@pytest.mark.parametrize("dbm0", [-3.0, -27.0])
def test_no_digit_in_speech_under_hum(dbm0: float) -> None:
    """Loud, and as faint as the faintest digits."""
    rng = np.random.default_rng(6)
    speech = people(dbm0, 8).astype(np.float64)
    assert heard(samples(speech)) == ""
    assert heard(samples(speech + hum(len(speech), dbm0 + ABOVE_DB, 60.0, WAVES["saturated"], rng))) == ""
