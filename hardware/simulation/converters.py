# SPDX-License-Identifier: Apache-2.0
"""The drawing's converters: their full scale on the card, and the meter's conversion of a voltage."""

from __future__ import annotations

import re
from functools import cache
from math import floor, log10

from drawing.project import Circuit
from drawing.tables import Kind, load_kinds
from linetap_core.codecs.g711 import FULL_SCALE_DBM0
from simulation.netlist import HARDWARE
from simulation.spice import Supply

REFERENCE_V = 0.7746  # rms, 0 dBu: 1 mW in 600 ohm, 2 mW (3 dBm) in 300 ohm
_KINDS = load_kinds()
_ADC, _DAC = _KINDS["adc4"], _KINDS["dac8"]

DAC_FULL_V = _DAC.full_v
CODES = 65536  # 12 bit, sum of sixteen samples
METER_PART, REFERENCE_PIN = "meter", "vref"


def decibels(ratio: float) -> float:
    return 20 * log10(ratio)


def off_db(kind: Kind) -> float:
    return decibels(1 + kind.off / 100)


def captured_db(kind: Kind = _ADC) -> float:
    """The reading in dBm0 of a line level in dBu, if all of its voltage reaches RX."""
    return decibels(REFERENCE_V) - full_db(kind) + FULL_SCALE_DBM0


def full_db(kind: Kind = _ADC) -> float:
    """RX at full scale, in dB of a volt (rms)."""
    return decibels(kind.full_v) - kind.gain_db


def of_adc(values_db: list[float]) -> list[float]:
    """Each value with the converter at both limits of its gain."""
    return [value + sign * off_db(_ADC) for value in values_db for sign in (-1, 1)]


def of_dac(values_db: list[float]) -> list[float]:
    return [value + sign * off_db(_DAC) for value in values_db for sign in (-1, 1)]


def dac_most_v() -> float:
    return DAC_FULL_V * (1 + _DAC.off / 100)


def reference_net(circuit: Circuit) -> str:
    """The net on the reference pin of the meter's converter."""
    (meter,) = (part for part in circuit.sheets["meter"].parts() if part.kind_name == METER_PART)
    return meter.nets[REFERENCE_PIN]


@cache
def drawn_reference() -> str:
    return reference_net(Circuit())


def share_of(vm: float, supply: Supply, net: str) -> float:
    """A voltage on the converter's pin as a share of its reference; 1 without a reference."""
    of_v = {"VREF": supply.vref, "+3V3": supply.v3}[net]
    return vm / of_v if of_v else 1.0


def code_of(vm: float, supply: Supply, net: str) -> int:
    """The converter's code for a voltage on its pin."""
    return min(CODES - 1, max(0, floor(share_of(vm, supply, net) * CODES + 0.5)))


@cache
def _scale() -> tuple[int, int]:
    """The code of 0 V, and the hundredths of a volt of all codes: the constants of the meter's program."""
    text = (HARDWARE / "meter" / "scale.h").read_text()
    zero, span = (re.search(rf"#define SCALE_{name} (\d+)", text) for name in ("ZERO", "SPAN"))
    assert zero
    assert span
    return int(zero[1]), int(span[1])


def volts_of(code: int) -> float:
    """The line's voltage, as the meter reports it."""
    zero, span = _scale()
    return (code - zero) * span / CODES / 100


def meter_reads(vm: float, supply: Supply, net: str | None = None) -> float:
    """The reading for a voltage on the pin; nan for a missing voltage."""
    return volts_of(code_of(vm, supply, net or drawn_reference())) if vm == vm else vm
