# SPDX-License-Identifier: Apache-2.0
"""The modem of caller ID: 1200 bit/s FSK, asynchronous 8N1, from one stretch of audio to octets.

Two correlators of one bit's length compare mark with space at any phase. For tolerance of twist, each correlator is
compared with its own level in the carrier; a frequency discriminator, which also tolerates twist, was rejected because
it clicks in noise. All edges of a stretch are judged at once; only the step from octet to octet is a loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import FSK, FskNumbers
from linetap_core.codecs.codec import RATE_HZ
from linetap_core.codecs.g711 import power_of

Modem = Literal["bell202", "v23"]
Floats = NDArray[np.floating[Any]]

# Mark and space: GR-30, EN 300 659.
TONES_HZ: dict[Modem, tuple[int, int]] = {"bell202": (1200, 2200), "v23": (1300, 2100)}
BIT = RATE_HZ / 1200  # samples; 1200 bit/s in both standards
OCTET_BITS = 10  # start, eight of data, stop

_WINDOW = np.array([BIT / 2 - 2.5, 1, 1, 1, 1, 1, BIT / 2 - 2.5])  # one bit, its ends cut between samples
# Samples by which noise may move an edge from its zero crossing.
_NUDGES = np.arange(-1.5, 1.6, 0.5)
_REST_BITS = 10  # more consecutive marks than an octet has
_TURN = 16  # samples in which the correlator's rotation is unique within +-250 Hz and large against its ripple


class Octet(NamedTuple):
    """An octet. `at`: middle of the edge that began the start bit, a sample; `mark_bits`: length of the mark before."""

    value: int
    framed: bool  # its stop bit was a mark
    at: float
    mark_bits: float


class Carrier(NamedTuple):
    """One unbroken carrier: its first and end sample, the measured mark frequency, and its octets."""

    start: int
    end: int
    mark_hz: float
    octets: list[Octet]


def demodulate(audio: NDArray[np.int16], modems: Sequence[Modem], numbers: FskNumbers = FSK) -> list[list[Carrier]]:
    """Returns for each modem every carrier with octets in `audio` (samples,) at 8 kHz, framing errors marked. Never
    raises on content. Half of the work is common to all modems.
    """
    if len(audio) < len(_HIGH_PASS) or not modems:
        return [[] for _ in modems]
    signal: Floats = np.convolve(audio.astype(np.float64), _HIGH_PASS, "same").astype(np.float32)
    around, power = _around(signal), _average(signal**2, _settling(numbers))
    return [_carriers_of(around, power, modem, numbers) for modem in modems]


def _carriers_of(around: Floats, power: Floats, modem: Modem, numbers: FskNumbers) -> list[Carrier]:
    parts = _waves(TONES_HZ[modem]).astype(around.dtype) @ around
    powers = parts[0] ** 2 + parts[1] ** 2
    carriers = []
    for start, end in _carriers(power, powers.max(axis=0), numbers):
        levels = np.sqrt(powers[:, start:end])
        soft = _balance(levels[0], levels[1], numbers)
        if octets := [o._replace(at=o.at + start) for o in _octets(soft)]:
            mark = parts[0, 0, start:end] + 1j * parts[1, 0, start:end]
            carriers.append(Carrier(start, end, _frequency(mark, soft, TONES_HZ[modem][0]), octets))
    return carriers


def _high_pass(from_hz: float, taps: int) -> Floats:
    """The taps of a high-pass that removes hum, remains of ringing, and DC from the carrier's power. `taps` is odd."""
    n = np.arange(taps) - taps // 2
    low = 2 * from_hz / RATE_HZ * np.sinc(2 * from_hz / RATE_HZ * n) * np.hamming(taps)
    kernel: Floats = (n == 0) - low / low.sum()
    return kernel


_HIGH_PASS = _high_pass(350.0, 61)


def _around(signal: Floats) -> Floats:
    """(2, taps, samples): sums and differences of the samples equally far before and after each sample, zero outside.

    A tone's real part is even around its sample, the imaginary part odd: all tones are computed from these sums.
    """
    reach, n = len(_WINDOW) // 2, len(signal)
    padded = np.pad(signal, reach)
    behind = [padded[reach + k : reach + k + n] for k in range(reach + 1)]
    before = [padded[reach - k : reach - k + n] for k in range(reach + 1)]
    even = np.stack([a + b for a, b in zip(behind, before, strict=True)])
    odd = np.stack([a - b for a, b in zip(behind, before, strict=True)])
    return np.stack([even, odd])


def _waves(tones_hz: tuple[int, int]) -> Floats:
    """The weights (2, tones, taps) that turn `_around` into each tone's real and imaginary part in the bit around
    each sample.
    """
    reach = len(_WINDOW) // 2
    angle = 2 * np.pi / RATE_HZ * np.outer(tones_hz, np.arange(reach + 1))
    weights = _WINDOW[reach:] * np.array([0.5] + [1.0] * reach)  # the sample itself is in `even` twice
    return np.stack([weights * np.cos(angle), -weights * np.sin(angle)])


def _settling(numbers: FskNumbers) -> int:
    return int(numbers.settle_ms * RATE_HZ / 1000)


def _carriers(power: Floats, peak: Floats, numbers: FskNumbers) -> list[tuple[int, int]]:
    """The stretches in which two tones have most of the line's mean `power`."""
    width = _settling(numbers)
    # A sine of amplitude A has power A*A/2 and gives a correlator A/2 times its window; `peak` is that squared.
    tones = _average(2 / BIT**2 * peak, width)
    floor = power_of(numbers.floor_dbm0)
    carrier = np.concatenate(([False], (tones > floor) & (tones > numbers.purity * power), [False]))
    edges = np.flatnonzero(carrier[1:] != carrier[:-1]).tolist()
    dropout = numbers.dropout_ms * RATE_HZ / 1000
    stretches: list[tuple[int, int]] = []
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if stretches and start - stretches[-1][1] < dropout:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    rim = width // 2  # the edge of a carrier that the average loses to a louder neighbouring sound
    return [(max(a - rim, 0), min(b + rim, len(power))) for a, b in stretches if b - a > OCTET_BITS * BIT]


def _average(values: Floats, width: int) -> Floats:
    """Moving mean of `values` (samples,), zero outside."""
    total = np.cumsum(np.pad(values, (width - width // 2, width // 2)), dtype=np.float64)
    # Rounding must not make a difference of these growing sums of squares negative.
    mean: Floats = np.maximum(total[width:] - total[:-width], 0.0) / width
    return mean


def _balance(mark: Floats, space: Floats, numbers: FskNumbers) -> Floats:
    """The likelihood of mark against space: above zero for mark, and symmetric at any twist.

    The tones are closer than a bit's width can separate (V.23: a mark leaks 0.4 of its amplitude into space), so with
    twist the strong tone would be mistaken for the weak one. The likelihood is for tones of these levels and unknown
    phase in white noise.
    """
    is_mark = mark > space
    limit = 10 ** (numbers.twist_db / 20)
    mark_level = float(np.median(mark[is_mark])) if is_mark.any() else 0.0
    space_level = float(np.median(space[~is_mark])) if not is_mark.all() else 0.0
    mark_level = max(mark_level, space_level / limit, 1e-9)
    space_level = max(space_level, mark_level / limit)
    evidence = mark_level * (mark - mark_level / 2) - space_level * (space - space_level / 2)
    soft: Floats = 2 * evidence / (mark_level**2 + space_level**2)
    return soft


def _octets(soft: Floats) -> list[Octet]:
    """The octets: start bits at falling edges, each edge at its best shift, then read in sequence like a UART."""
    before = np.flatnonzero((soft[:-1] > 0) & (soft[1:] <= 0))
    edges = before + soft[before] / (soft[before] - soft[before + 1])
    edges = edges[edges + (OCTET_BITS - 0.5) * BIT + _NUDGES[-1] < len(soft) - 1]
    if not len(edges):
        return []
    centres = edges[:, None, None] + _NUDGES[:, None] + (np.arange(OCTET_BITS) + 0.5) * BIT
    whole = centres.astype(np.intp)
    bits = soft[whole] + (soft[whole + 1] - soft[whole]) * (centres - whole)  # edges x nudges x bits
    fit = bits[:, :, -1] - bits[:, :, 0] + np.abs(bits[:, :, 1:-1]).sum(axis=2)
    best = fit.argmax(axis=1)
    bits = bits[np.arange(len(edges)), best]
    starts = edges + _NUDGES[best]
    values = np.packbits(bits[:, 1:9] > 0, axis=1, bitorder="little")[:, 0]
    octets: list[Octet] = []
    idle_from = 0.0
    for at, value, framed, begun in zip(
        starts.tolist(), values.tolist(), (bits[:, 9] > 0).tolist(), (bits[:, 0] < 0).tolist(), strict=True
    ):
        if begun and at >= idle_from - 0.6 * BIT:
            octets.append(Octet(value, framed, at, max(at - idle_from, 0.0) / BIT))
            idle_from = at + OCTET_BITS * BIT
    return octets


def _frequency(mark: NDArray[np.complexfloating[Any, Any]], soft: Floats, nominal_hz: int) -> float:
    """The mark's frequency in Hz, from the correlator's rotation in long marks, where no space leaks in."""
    sums = np.concatenate(([0], np.cumsum(soft > 0)))
    margin = int(_REST_BITS * BIT) // 2
    rest = np.flatnonzero(sums[2 * margin :] - sums[: -2 * margin] == 2 * margin) + margin
    rest = rest[rest < len(mark) - _TURN]
    turning = np.vdot(mark[rest], mark[rest + _TURN]) * np.exp(-2j * np.pi * nominal_hz * _TURN / RATE_HZ)
    return nominal_hz + float(np.angle(turning)) * RATE_HZ / (2 * np.pi * _TURN)
