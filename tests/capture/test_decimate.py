# SPDX-License-Identifier: Apache-2.0
"""The filter's figures, measured on the real code, period by period."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from linetap.capture.lineaudio import DELAY, FACTOR, Decimator, Upsampler

IN = 480


def through(wave: npt.NDArray[np.float64], full_scale: int = 1) -> npt.NDArray[np.float64]:
    """float64 (n,) at 48 kHz through lines 0 and 2 of three, period by period -> (n / 6,)."""
    kind = np.int16 if full_scale == 1 else np.int32
    samples = np.zeros((len(wave), 3), kind)
    samples[:, 0] = samples[:, 2] = np.rint(wave * full_scale).astype(kind)
    decimator = Decimator(3, full_scale)
    out = np.zeros((3, len(wave) // FACTOR), np.int16)
    for i in range(0, len(wave), IN):
        decimator.period(samples[i : i + IN], out[:, i // FACTOR : (i + IN) // FACTOR])
    assert (out[0] == out[2]).all()
    assert not out[1].any()
    first: npt.NDArray[np.float64] = out[0].astype(np.float64)
    return first


def tone(hz: float, amplitude: float = 16000.0) -> npt.NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(48000) / 48000)


def gain_db(hz: float) -> float:
    out = through(tone(hz))[1000:]
    return float(20 * np.log10(max(np.sqrt(2 * np.mean(out**2)), 1e-3) / 16000))


@pytest.mark.parametrize("hz", [300, 500, 1000, 2000, 3000, 3300, 3400])
def test_flat_over_the_telephone_band(hz: int) -> None:
    assert abs(gain_db(hz)) < 0.1  # the specification is +-0.5 dB


@pytest.mark.parametrize("alias_of", [300, 1000, 2000, 3400])
@pytest.mark.parametrize("multiple", [1, 2])
def test_aliases_are_below_60_db(alias_of: int, multiple: int) -> None:
    assert gain_db(8000 * multiple - alias_of) < -60
    assert gain_db(8000 * multiple + alias_of) < -60


def test_delay_is_what_it_says() -> None:
    pulse = np.zeros(IN * 4)
    pulse[IN * 2] = 20000
    assert int(np.argmax(through(pulse))) == (IN * 2 + DELAY) // FACTOR


def test_periods_join_without_a_seam() -> None:
    out = through(tone(1000))[200:]
    k = np.arange(200, 200 + len(out))
    expected = 16000 * np.sin(2 * np.pi * 1000 * (FACTOR * k - DELAY) / 48000)
    assert np.abs(out - expected).max() < 3


def test_full_scale_is_limited_and_s32_is_scaled() -> None:
    square = np.sign(tone(100)) * 32767
    assert through(square).max() == 32767
    assert np.abs(through(tone(700)) - through(tone(700), 65536)).max() <= 1


def upsampled(samples: npt.NDArray[np.int16], first: int = 0) -> npt.NDArray[np.float64]:
    """A notice from device frame `first` on, upsampled period by period as it is played."""
    upsampler, n = Upsampler(), len(samples) * FACTOR
    return np.concatenate([upsampler.piece(samples, i, min(i + IN, n)).copy() for i in range(first, n, IN)])


@pytest.mark.parametrize("first", [1, 5, 6, 477, 4796])
def test_periods_of_a_notice_join_wherever_they_begin(first: int) -> None:
    samples = np.random.default_rng(3).integers(-20000, 20000, 800).astype(np.int16)
    assert np.array_equal(upsampled(samples, first), upsampled(samples)[first:])


def test_upsampled_notice_comes_back_as_it_was() -> None:
    rng = np.random.default_rng(2)
    spectrum = np.zeros(4001, np.complex128)
    spectrum[300:3400] = np.exp(2j * np.pi * rng.random(3100))
    wave = np.fft.irfft(spectrum, 8000)
    samples = np.rint(wave * 4000 / wave.std()).astype(np.int16)
    up = upsampled(samples)
    assert len(up) == len(samples) * FACTOR
    back = through(np.concatenate([up, np.zeros(IN)]))[DELAY // FACTOR :][: len(samples)]
    inside = slice(100, -100)
    error = np.mean((back[inside] - samples[inside]) ** 2)
    assert 10 * np.log10(np.mean(samples[inside].astype(float) ** 2) / error) > 40
