# SPDX-License-Identifier: Apache-2.0
"""The moment at which the hold-up takes over: the lowest +5V, by ngspice with an averaged booster.

The input sinks slowly under full load: at the manager's threshold it is disconnected while R6 and Q2 carry the load's
current and the cells are being charged, so the coil's current has to reverse (LTC4041, "Choosing the VSYS Capacitor").
"""

from __future__ import annotations

from drawing.project import Circuit
from simulation.budget import HOLD_OHM, HOLD_V, measured
from simulation.netlist import UNITS, VALUE

LOAD_A, CHARGE_A = 2.5, 1.0
PFI_V = (1.16, 1.19, 1.22)  # least, typical, most
PASS_OHM = 0.004 + 0.009  # Q2, and the same as both for the copper
AT_5V = 0.4  # remaining share of a nominal 6.3 V ceramic capacitor
SLOW_S = 1e-6  # delay of the comparator and the transistor's gate
MOST_DUTY, MOST_COIL_A, OUT_V = 0.88, 5.5, 4.93
SHARE_MORE = 1.25  # the coil a quarter above nominal, which exceeds its 20 %


def sinks_to(circuit: Circuit, pfi_v: float) -> float:
    """The lowest +5V, in volts."""
    above, below = (_value(circuit, name) for name in ("r36k_precise", "r12k_precise"))
    ohm = _value(circuit, "r5m") + PASS_OHM
    farad = AT_5V * _value(circuit, "c100u") * _count(circuit, "c100u")
    coil = _value(circuit, "l2u2") * SHARE_MORE
    begins = pfi_v * (1 + above / below) - LOAD_A * ohm
    duty = f"(V(sys) < {OUT_V} && I(Vl) < {MOST_COIL_A}) ? {MOST_DUTY} : max(0, 1 - V(b) / V(sys))"
    return measured(
        f"""* hand-over
Ccells a 0 10 ic={HOLD_V}
Rcells a b {HOLD_OHM}
Vl b l 0
Lcoil l sw {coil} ic={-CHARGE_A}
Bduty d 0 V = {duty}
Bsw sw 0 V = time < {SLOW_S} ? V(sys) : (1 - V(d)) * V(sys)
Bout 0 sys I = time < {SLOW_S} ? 0 : (1 - V(d)) * I(Vl)
Csys sys 0 {farad} ic={begins}
Iload sys 0 {LOAD_A}
.tran 20n 100u 0 20n uic
.meas tran least min v(sys)
.end
""",
        "least",
    )


def _value(circuit: Circuit, name: str) -> float:
    matched = VALUE.fullmatch(circuit.kinds[name].value)
    assert matched
    return float(matched[1]) * UNITS[matched[2]]


def _count(circuit: Circuit, name: str) -> int:
    return sum(part.kind_name == name for part in circuit.sheets["supply"].parts())
