# SPDX-License-Identifier: Apache-2.0
"""The moment at which 12 V is plugged in: the stress on fuse, transistor and suppressor by the entry's capacitors.

The supply is an ideal one of the highest voltage. The transistor limits nothing: its diode conducts to the capacitors.
A short cable gives the highest current; a long cable, or a cold capacitor with more resistance, gives the highest
voltage.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import product
from typing import NamedTuple

from drawing.project import Circuit
from drawing.tables import Kind
from simulation.budget import measures
from simulation.netlist import UNITS, VALUE

HIGHEST_V = 18.0  # of the input (hardware/README.md, Power)
PULSES = 0.22  # share of its melting I2t that a fuse survives 100 000 times (Littelfuse, fuseology, chart 2)
CABLES_M = (0.3, 1.5, 5.0)
# Two wires of 0.5 mm2, from memory: 36.4 ohm a km is less than in IEC 60228 for stranded wire (39), so the current is
# higher.
CABLE_OHM_M, CABLE_H_M = 2 * 0.0364, 0.7e-6
ESR_OHM = (0.02, 0.08, 0.5)  # of the electrolytic capacitor: hot, at 20 C, at -10 C; from memory
BIASED = (0.5, 1.0)  # of a ceramic of 50 V, at 18 V
DIODE = ".model body d(is=1e-9 rs=3m)"  # of the transistor; from memory
BREAKS_V, CLAMP_OHM = 20.0, 0.45  # SMBJ18A: from 20.0 V on, 29.2 V at 20.5 A
PULSED_A = 100.0  # of SQJ457EP, by a public project's notes (m4rkw/l0destar); its sheet was not read
ENTRY = {"plug", "fused", "vin"}


class Inrush(NamedTuple):
    """The worst of all corners; `usual_a` is that with a cable of at least 1.5 m."""

    i2t: float
    most_i2t: float
    peak_a: float
    usual_a: float
    volts: float
    most_v: float

    def holds(self) -> bool:
        return self.i2t <= self.most_i2t and self.volts <= self.most_v


@cache
def inrush(circuit: Circuit) -> Inrush:
    fuse, clamp = circuit.kinds["fuse_5A"], circuit.kinds["tvs18"]
    found = {
        corner: measures(_deck(circuit, *corner), "i2t", "peak", "volts")
        for corner in product(CABLES_M, ESR_OHM, BIASED)
    }
    i2t, peak, volts = (max(each) for each in zip(*found.values(), strict=True))
    usual = max(each[1] for (cable_m, *_), each in found.items() if cable_m > CABLES_M[0])
    return Inrush(i2t, PULSES * fuse.melts_a2s, peak, usual, volts, clamp.clamps_v)


def above_half_us(circuit: Circuit, cable_m: float) -> float:
    """The time with the current above half of its peak, in the corner with the highest: hot, and without bias."""
    deck = _deck(circuit, cable_m, ESR_OHM[0], BIASED[1])
    (peak,) = measures(deck, "peak")
    half = f"i(Vfuse) val={peak / 2}"
    (lasts_s,) = measures(deck.replace(".end", f".meas tran half trig {half} rise=1 targ {half} fall=1\n.end"), "half")
    return lasts_s * 1e6


def charging_j(parts: Iterable[Kind]) -> float:
    """The heat in all resistances together, equal to the capacitors' energy: an upper limit for each of them."""
    return sum(0.5 * _farad(kind) * HIGHEST_V**2 for kind in parts)


def _farad(kind: Kind) -> float:
    """The capacitance at its upper tolerance."""
    matched = VALUE.fullmatch(kind.value)
    assert matched
    return float(matched[1]) * UNITS[matched[2]] * (1 + kind.off / 100)


def _deck(circuit: Circuit, cable_m: float, esr: float, biased: float) -> str:
    at_entry = [
        part.kind
        for part in circuit.sheets["supply"].parts()
        if part.kind.symbol == "C" and ENTRY & set(part.nets.values())
    ]
    slow = sum(_farad(kind) for kind in at_entry if kind is circuit.kinds["c220u_35V"])
    fast = sum(_farad(kind) for kind in at_entry if kind is not circuit.kinds["c220u_35V"])
    return f"""* plugged in
.options method=gear
Vsupply s 0 pwl(0 0 1u 0 1.1u {HIGHEST_V})
Rcable s a {CABLE_OHM_M * cable_m}
Lcable a plug {CABLE_H_M * cable_m}
Rfuse plug m {circuit.kinds["fuse_5A"].ohm / 1.15}
Vfuse m fused 0
Bclamp fused 0 I = V(fused) > {BREAKS_V} ? (V(fused) - {BREAKS_V}) / {CLAMP_OHM} : 0
Dbody fused vin body
Rbody fused vin 1k
Celectrolytic vin e {slow}
Resr e 0 {esr}
Cceramic vin c {fast * biased}
Rceramic c 0 2m
{DIODE}
.tran 100n 2m 0 200n
Bsquare q 0 V = I(Vfuse) * I(Vfuse)
.meas tran i2t integ v(q) from=0 to=2m
.meas tran peak max i(Vfuse)
.meas tran volts max v(fused)
.end
"""
