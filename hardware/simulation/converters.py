# SPDX-License-Identifier: Apache-2.0
"""The drawing's converters: what their full scale is on the card, and how far from it they may be."""

from __future__ import annotations

from math import log10

from drawing.tables import Kind, load_kinds
from linetap_core.evidence.calls.g711 import FULL_SCALE_DBM0

REFERENCE_V = 0.7746  # rms: 1 mW in 600 ohm
_KINDS = load_kinds()
_ADC, _DAC = _KINDS["adc4"], _KINDS["dac8"]

DAC_FULL_V = _DAC.full_v


def decibels(ratio: float) -> float:
    return 20 * log10(ratio)


def off_db(kind: Kind) -> float:
    return decibels(1 + kind.off / 100)


def captured_db(kind: Kind = _ADC) -> float:
    """How a line's level in dBm is read in dBm0 where all of its voltage reaches RX."""
    return decibels(REFERENCE_V) - full_db(kind) + FULL_SCALE_DBM0


def full_db(kind: Kind = _ADC) -> float:
    """RX at full scale, in dB of a volt (rms)."""
    return decibels(kind.full_v) - kind.gain_db


def of_adc(values_db: list[float]) -> list[float]:
    """Each with a converter at both ends of its gain."""
    return [value + sign * off_db(_ADC) for value in values_db for sign in (-1, 1)]


def of_dac(values_db: list[float]) -> list[float]:
    return [value + sign * off_db(_DAC) for value in values_db for sign in (-1, 1)]


def dac_most_v() -> float:
    return DAC_FULL_V * (1 + _DAC.off / 100)
