# SPDX-License-Identifier: Apache-2.0
"""The bench's measure of the notice's intelligibility; and STOI compared with values from pystoi."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap_bench.measure.noticeheard import greeting_rows, stoi, words_rows
from linetap_bench.sounds.voices import default_folder


def speechlike(rate_hz: int, snr_db: float) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Three seconds of voiced syllables, and the same under noise."""
    rng, n = np.random.default_rng(11), 3 * rate_hz
    t = np.arange(n) / rate_hz
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * t + 0.4) + 0.6 * np.sin(2 * np.pi * 1.3 * t), 0, None)
    voice = sum((np.sin(2 * np.pi * 120 * k * t + k) / k for k in range(1, 30)), np.zeros(n))
    clean = syllables * (voice + 0.3 * rng.standard_normal(n))
    noise = rng.standard_normal(n) * np.sqrt(np.mean(clean**2) * 10 ** (-snr_db / 10))
    return clean, clean + noise


@pytest.mark.parametrize(
    ("rate_hz", "snr_db", "pystoi"),
    [
        (10_000, 30, 0.999754), (10_000, 15, 0.99166), (10_000, 5, 0.915383), (10_000, 0, 0.781818),
        (10_000, -5, 0.588443), (8000, 30, 0.999734), (8000, 5, 0.900543), (8000, 0, 0.742161),
    ],
)  # fmt: skip
def test_stoi_is_what_pystoi_has(rate_hz: int, snr_db: float, pystoi: float) -> None:
    """pystoi 0.4; at 8 kHz its resampling filter differs from scipy's."""
    clean, heard = speechlike(rate_hz, snr_db)
    assert stoi(clean, heard, rate_hz) == pytest.approx(pystoi, abs=2e-6 if rate_hz == 10_000 else 1e-3)


def test_too_little_speech_has_no_measure() -> None:
    clean, heard = speechlike(10_000, 10)
    with pytest.raises(ValueError, match="at least 30"):
        stoi(clean[:3000], heard[:3000], 10_000)


def test_the_notice_no_longer_lies_over_the_greeting() -> None:
    (row,) = greeting_rows(default_folder())
    assert row.meets_target
    assert row.beside["before"] > 5 * row.figure


def test_the_words_of_both_default_notices_are_understood_over_12_db_of_line(tmp_path: Path) -> None:
    for row in words_rows(make_default_notices(tmp_path, ANNOUNCEMENTS)):
        assert row.meets_target
        assert row.figure > row.beside["before"] + 0.03
