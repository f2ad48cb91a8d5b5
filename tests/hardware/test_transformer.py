# SPDX-License-Identifier: Apache-2.0
"""The transformers' models, measured as their makers measured the parts, and cards with them in production."""

from __future__ import annotations

from cmath import rect
from math import inf, log10, pi

import pytest
from hardware_rig import front_end
from test_second_source import KINDS, OF_ITSELF, references

from linetap.cardtest.rows import rows
from simulation import playing, production
from simulation.netlist import Element, Netlist
from simulation.spice import Deck, run

Ends = tuple[float, float]
# Lowest and highest: ohm of both windings, henry of leakage, shunt henry and shunt ohm.
ETALDOC_100_17 = (118, 146), (15e-3, 19e-3), (4.5, 15), (14e3, 40e3)  # P2001; the shunt at 200 Hz
BOURNS_05_17 = (195.5, 264.5), (5.8e-3, 6.2e-3), (3.8, inf), (7500, inf)  # SM-LP-5001; leakage typical
SLOW_HZ, SHUNT_HZ, LEAKAGE_HZ = 0.001, 200, 1000
LEAST_LOSS_DB = 0.9  # the windings' ohm alone
PRODUCED = {
    "echo_db": "Notice in what is captured, against as it is played",
    **{f"echo_{hz}_db": f"Production: echo at {hz} Hz, against 1 kHz" for hz in (100, 300, 3400, 15_000)},
    "meter_db": "Production: 1.1 kHz in the meter's reading, in dB of a volt",
    "silent_db": "Production: echo at 3400 Hz, the relay open",
}


def drawn(parameters: str = "") -> Netlist:
    return Netlist({"T101": Element("T101", ("a", "0", "b", "c"), "transformer", True, parameters)})


def winding(parameters: str, other: list[str], hz: float) -> complex:
    """The impedance of one winding at a frequency, with the other one open or shorted."""
    lines = ["I1 0 a ac 1", "Rtie c 0 1", *other, f".ac dec 40 {SLOW_HZ} 2000"]
    measures = [f".meas ac ohm find vm(a) at={hz}", f".meas ac angle find vp(a) at={hz}"]
    found = run(Deck(drawn(parameters), lines, measures))
    return rect(found["ohm"], found["angle"])


def within(value: float, ends: Ends) -> bool:
    return 0.99 * ends[0] <= value <= 1.01 * ends[1]


@pytest.mark.parametrize(
    ("parameters", "sheet"),
    [*((each, ETALDOC_100_17) for each in ("", *OF_ITSELF)), (KINDS["transformer"].second_spice, BOURNS_05_17)],
)
def test_a_model_measures_as_its_maker_measured_the_part(parameters: str, sheet: tuple[Ends, Ends, Ends, Ends]) -> None:
    ohms, leakage, henries, losses = sheet
    one = winding(parameters, [], SLOW_HZ).real
    shunt = 1 / (winding(parameters, [], SHUNT_HZ) - one)
    shorted = winding(parameters, ["Rshort b c 1m"], LEAKAGE_HZ)
    assert within(2 * one, ohms)
    assert within(shorted.imag / (2 * pi * LEAKAGE_HZ), leakage)
    assert within(-1 / (2 * pi * SHUNT_HZ * shunt.imag), henries)
    assert within(1 / shunt.real, losses)


def test_the_drawn_one_loses_what_its_maker_measured() -> None:
    """At 2 kHz, from 600 into 560 ohm: 1.5 dB at most."""
    lines = ["V1 y 0 ac 1", "R1 y a 600", "R2 b c 560", "Rtie c 0 1", "Eload load 0 b c 1", ".ac dec 10 200 2000"]
    through = run(Deck(drawn(), lines, [".meas ac out find vm(load) at=2000"]))["out"]
    assert LEAST_LOSS_DB <= 20 * log10(560 / 1160 / through) <= 1.5


@pytest.mark.parametrize("parameters", OF_ITSELF)
def test_a_card_with_transformers_at_the_end_of_their_sheet_passes_in_production(parameters: str) -> None:
    netlist = front_end().given(dict.fromkeys(references("transformer"), parameters))
    found = {each.what: each for each in [*playing.notice(netlist), *production.rows(netlist)]}
    limits = rows(production.FED_V)
    assert [
        name
        for name, what in PRODUCED.items()
        if not limits[name].low <= found[what].low <= found[what].high <= limits[name].high
    ] == []
