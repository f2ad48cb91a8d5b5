# SPDX-License-Identifier: Apache-2.0
"""Finds the known tone that fills 40 ms of audio, by the share of the energy in the tone's space.

A tone that may be slightly off frequency is, for 40 ms, a vector in a small space (the few leading singular vectors of
all sines in its band); a pair of tones spans the sum of two spaces. Noise has a twentieth of its energy in the space, a
tone nearly all. Goertzel filters at fixed frequencies were rejected: they would lose a tone 1.5 % off at 620 Hz, and
could not separate 440+480 from 450.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from linetap.config.numbers import BankNumbers
from linetap.ring import RATE_HZ
from linetap_core.codecs.g711 import power_of

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
U8 = NDArray[np.uint8]
Hz = tuple[float, ...]  # one frequency, or two

HOP = 160  # 20 ms: an edge is found within 10 ms, half of the tolerance of +-10 % of the shortest element
WINDOW = 2 * HOP  # 40 ms: a whole beat of 440 and 480 Hz
_LOST = 0.01  # the largest share of a tone's energy outside its space
_TINY = np.float32(1e-3)


def energy_of(dbm0: float, samples: int = WINDOW) -> float:
    """The sum of squares of a sine at this level over `samples` int16 samples."""
    return power_of(dbm0) * samples


class _Pair(NamedTuple):
    code: int
    one: int  # places of its frequencies
    other: int
    columns: NDArray[np.intp]
    white: F32
    least: np.float32  # share of both singles together that is implied by a pair of sufficient purity


class Bank:
    """The classifier of tones. A window's code is 0 for no known tone, else 1 + its place in `tones`. Stateless."""

    def __init__(
        self, tones: Sequence[Hz], numbers: BankNumbers, quiet_dbm0: float, wide: Mapping[float, float] | None = None
    ) -> None:
        """Windows below `quiet_dbm0` are not classified. `wide`: frequencies with a tolerance of their own."""
        own = wide or {}
        self._numbers = numbers
        self._floor = np.float32(energy_of(numbers.tone_min_dbm0))
        self._quiet = np.float32(energy_of(min(quiet_dbm0, numbers.tone_min_dbm0)))
        singles = sorted({hz for tone in tones for hz in tone})
        spaces = {hz: _space(hz, own.get(hz, numbers.tolerance)) for hz in singles}
        hum = [np.full((WINDOW, 1), WINDOW**-0.5)]
        hum += [_space(k * numbers.mains_hz, 0.0) for k in range(1, numbers.mains_harmonics + 1)]
        groups = [np.linalg.qr(np.hstack(hum))[0], *(spaces[hz] for hz in singles)]
        basis = np.hstack(groups)
        ends = np.cumsum([group.shape[1] for group in groups])
        place = {hz: slice(int(ends[i]), int(ends[i + 1])) for i, hz in enumerate(singles)}
        # A window's X is the product of its first half with the upper rows plus that of its second half with the lower.
        self._basis: F32 = np.ascontiguousarray(np.hstack([basis[:HOP], basis[HOP:]]).T, np.float32)
        self._width = basis.shape[1]
        # Sums the squares of the hum's components, and of each single's.
        self._groups: F32 = np.repeat(np.eye(len(groups)), [group.shape[1] for group in groups], axis=1).astype(
            np.float32
        )
        # A pair's two spaces are not orthogonal: whitening their Gram matrix makes one orthonormal base of both.
        self._pairs = [
            _Pair(
                1 + i,
                1 + singles.index(tone[0]),
                1 + singles.index(tone[1]),
                *_whitener(basis, place, tone, numbers.purity),
            )
            for i, tone in enumerate(tones)
            if len(tone) == 2
        ]
        self._lone = [(1 + i, 1 + singles.index(tone[0])) for i, tone in enumerate(tones) if len(tone) == 1]

    def classify(self, hops: F32) -> tuple[U8, F32]:
        """The codes and the energies without hum, both (w, lines), of audio `hops` (w + 1, lines, HOP)."""
        power = np.einsum("hls,hls->hl", hops, hops)
        energy: F32 = np.maximum(power[:-1] + power[1:], _TINY)
        codes: U8 = np.zeros(energy.shape, dtype=np.uint8)
        # Most lines are silent most of the time.
        lines = np.flatnonzero(energy.max(axis=0) >= self._quiet)
        if not len(lines):
            return codes, energy
        if len(lines) == energy.shape[1]:
            codes, clean = self._classify(hops, energy)
            return codes, np.where(energy >= self._quiet, clean, energy)
        loud = energy[:, lines]
        codes[:, lines], clean = self._classify(hops[:, lines], loud)
        # By window, so that the result does not depend on the windows that are classified together.
        energy[:, lines] = np.where(loud >= self._quiet, clean, loud)
        return codes, energy

    def _classify(self, hops: F32, raw: F32) -> tuple[U8, F32]:
        lines, width = hops.shape[1], self._width
        # einsum uses the processor's vector unit; Debian's BLAS does not, and takes three times as long.
        product = np.einsum("ks,hs->kh", self._basis, hops.reshape(-1, HOP))
        x: F32 = product[:width, :-lines] + product[width:, lines:]  # (width, w x lines)
        parts = self._groups @ (x * x)
        energy: F32 = np.maximum(raw.reshape(-1) - parts[0], _TINY)
        codes = self._name(x, parts, energy)
        return codes.reshape(raw.shape), energy.reshape(raw.shape)

    def _name(self, x: F32, parts: F32, energy: F32) -> U8:
        """The codes (k,) from `x` (width, k), hum and singles `parts` (1 + singles, k), and energy (k,)."""
        numbers = self._numbers
        codes: U8 = np.zeros(energy.shape, dtype=np.uint8)
        loud = energy >= self._floor
        least = energy * np.float32(numbers.twist_share)
        shape = parts >= least
        shape &= loud & (parts[1:].max(axis=0) < energy * np.float32(numbers.lone_share))
        best: F32 = np.full(energy.shape, numbers.purity, dtype=np.float32)
        for pair in self._pairs:
            enough = parts[pair.one] + parts[pair.other] >= energy * pair.least
            both = np.flatnonzero(enough & shape[pair.one] & shape[pair.other])
            if len(both):
                y = pair.white @ x[pair.columns[:, None], both]
                share = np.einsum("dk,dk->k", y, y) / energy[both]
                better = share > best[both]
                best[both[better]], codes[both[better]] = share[better], pair.code
        pure = energy * np.float32(numbers.purity)
        for code, single in reversed(self._lone):  # one frequency suffices: no pair
            codes[loud & (parts[single] >= pure)] = code
        return codes


def _space(hz: float, tolerance: float) -> F64:
    """The orthonormal space (WINDOW, d) that holds all but _LOST of the energy of each sine within the tolerance."""
    at = np.arange(WINDOW) - (WINDOW - 1) / 2
    phase = 2 * np.pi / RATE_HZ * np.outer(at, np.linspace(hz * (1 - tolerance), hz * (1 + tolerance), 21))
    sines = np.hstack([np.cos(phase), np.sin(phase)])
    sines /= np.linalg.norm(sines, axis=0)
    base: F64 = np.linalg.svd(sines, full_matrices=False)[0]
    for d in range(2, base.shape[1]):
        if ((base[:, :d].T @ sines) ** 2).sum(axis=0).min() >= 1 - _LOST:
            return base[:, :d]
    return base


def _whitener(
    basis: F64, place: Mapping[float, slice], tone: Hz, purity: float
) -> tuple[NDArray[np.intp], F32, np.float32]:
    columns = np.concatenate([np.arange(place[hz].start, place[hz].stop) for hz in tone])
    weights, vectors = np.linalg.eigh(basis[:, columns].T @ basis[:, columns])
    kept = weights > 0.02  # a direction common to both spaces counts once
    white: F32 = (vectors[:, kept] / np.sqrt(weights[kept])).T.astype(np.float32)
    # No direction of the pair exceeds the singles' sum by more than the inverse of its weight; 1 % for rounding.
    return columns, white, np.float32(0.99 * purity * weights[kept].min())
