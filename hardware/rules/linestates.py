# SPDX-License-Identifier: Apache-2.0
"""Simulates a line with ngspice while nets that it shares with the rest of the card are wrong.

A line is connected to the rest only by the nets of cardfaults.SHARED, so each fault outside it leads to one of STATES.
Faults of the references are simulated directly (listed by faults.py); faulttable.py names the state of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from drawing.tables import load_kinds
from rules.alerted import LONG_S, Case, alerts, learned
from rules.card import Card
from rules.faults import INTO_UA, REFERENCES, SEIZES_MA, faults, figures, tied
from simulation.converters import meter_reads
from simulation.netlist import Netlist
from simulation.oneshot import PROBE, driver
from simulation.production import FEED, PHONE, REVERSED
from simulation.spice import Deck, Supply, each, run

LINE = "Line1"
OVER_V = 6.2  # overvoltage limit of such a converter: TRACO's sheet of the TEN 30WI; that of U1001 was not found
DIODE_V = 0.7
HEARD_DB = -60.0  # a tone in RX below this is not heard


@dataclass(frozen=True, slots=True)
class State:
    """A state. `nets` are the wrong ones; `more` are elements on them.

    `meter`: whether it still reads; `pin_v`: the voltage on its pin, if that is not VM.
    """

    nets: frozenset[str]
    supply: Supply = field(default_factory=Supply)
    more: tuple[str, ...] = ()
    meter: bool = True
    pin_v: float | None = None


def _state(*nets: str, more: Sequence[str] = (), meter: bool = True, **rails: float) -> State:
    return State(frozenset(nets), replace(Supply(), **rails), tuple(more), meter)  # type: ignore[arg-type]


STATES: dict[str, State] = {
    "nothing": _state(),
    "no power": _state("+5V", "+3V3", "COIL", "VMID", "V2V5", "REFC", v3=0, v5=0, vref=0, coil=0, meter=False),
    "18 V everywhere": _state("+5V", "+3V3", "COIL", "VMID", "REFC", v3=18, v5=18, vref=18, coil=18, meter=False),
    "5 V at 6.2 V": _state("+5V", "COIL", v5=OVER_V, coil=OVER_V),
    "5 V at 4.3 V": _state("+5V", "COIL", v5=5 - DIODE_V, coil=5 - DIODE_V),
    "no 3.3 V": _state("+3V3", "VMID", "REFC", v3=0, vref=0, meter=False),
    "3.3 V at 5 V": _state("+3V3", v3=5.25, meter=False),
    "no reference": _state("VMID", "REFC", vref=0),
    "reference at 3.4 V": _state("VMID", "REFC", vref=3.37),
    "no coil current": _state("COIL", coil=0),
    "coil current for good": _state("COIL"),
    "relay pin high": _state("/RELAY1", relay=3.3),
    "relay pin low": _state("/RELAY1"),
    "contact pin high": State(frozenset({"/CONTACT1"}), Supply(contact="3.3")),
    "contact pin low": _state("/CONTACT1"),
    "TX high": _state("/TX1", more=["Vheld held 0 5", "Rheld held /TX1 100"]),
    "TX low": _state("/TX1", more=["Vheld held 0 0", "Rheld held /TX1 100"]),
    "RX held": _state("/RX1", more=["Vheld held 0 1.65", "Rheld held /RX1 10k"]),
    "VM at the pin": _state("/VM1", more=["Cheld /VM1 0 10n"]),
    "meter's input at 0 V": State(frozenset({"/VM1"}), more=("Rheld /VM1 0 1k",), pin_v=0.0),
    "pair shorted": _state("/TIP1", "/RING1", more=["Rheld /TIP1 /RING1 1m"]),
    "telephone shorted": _state("/TIP_TEL1", "/RING1", more=["Rheld /TIP_TEL1 /RING1 1m"]),
    "joined to a neighbour": _state("/TIP1", "/TIP_TEL1", "/RING1", more=["Rnext /RING1 0 400"]),  # opposite polarity
}
SEIZES = {"pair shorted", "telephone shorted", "joined to a neighbour"}  # the lines' own wires, in their plugs


@dataclass(frozen=True, slots=True)
class Found:
    """The result for a state. `behind_v`: voltage behind the closed contact, of 1 V applied. `alerts`: those raised
    with either polarity, learned or not, without the alert for a dead meter; `untold`: number of the four cases without
    an alert.
    """

    what: str
    drawn_ma: float
    playing_ma: float
    into_ua: float
    behind_v: float
    alerts: dict[str, float]
    untold: int

    @property
    def harmless(self) -> bool:
        return max(self.drawn_ma, self.playing_ma) <= SEIZES_MA and self.into_ua <= INTO_UA and self.behind_v >= 0.99


def meets(card: Card) -> set[str]:
    """The nets that connect parts of line 1 with parts outside all lines."""
    return {
        net
        for net, ends in card.nets.items()
        if any(part.sheet == LINE for part, _ in ends) and any(not part.sheet.startswith("Line") for part, _ in ends)
    }


def states(netlist: Netlist) -> list[Found]:
    return _found((name, netlist, state) for name, state in STATES.items())


def references(netlist: Netlist) -> list[Found]:
    """The results with each part of the references open and shorted."""
    sound = STATES["nothing"]
    return _found((name, faulty, sound) for name, faulty in faults(netlist, REFERENCES))


def edges_must_reach(netlist: Netlist) -> dict[str, float]:
    """REFC in volts with each part of the references open or shorted, and without VREF."""
    lost = [("VREF lost", netlist, Supply(vref=0)), *((*fault, Supply()) for fault in faults(netlist, REFERENCES))]

    def reaches(fault: tuple[str, Netlist, Supply]) -> float:
        lines = [*tied(fault[1]), ".tran 10m 1"]
        return run(Deck(fault[1], lines, [".meas tran v find v(REFC) at=0.9"], fault[2]))["v"]

    return dict(zip([name for name, _, _ in lost], each(reaches, lost), strict=True))


def opening_s(netlist: Netlist, to_v: float = 0.0, lost_s: float = 0.05) -> list[float]:
    """Opening times of a contact when REFC falls to `to_v`, at both limits of the comparator's offset."""
    part, found = driver(netlist).renamed("REFC", "lost"), []
    lines = [*PROBE, f"Vlost lost 0 pwl(0 1.3 {lost_s} 1.3 {lost_s + 1e-4} {to_v})", ".tran 2m 6 0 2m"]
    measures = [
        ".meas tran opens when v(/TIP_TEL1)=0.5 fall=1",
        f".meas tran closes when v(/TIP_TEL1)=0.5 rise=last td={lost_s}",
    ]
    offset_v = load_kinds()["comparator"].offset_mv / 1000
    for off in (-offset_v, offset_v):
        at = run(Deck(part.given({"U110": f"off={off:.4g}"}), lines, measures))
        found.append(at["closes"] - at["opens"] if at["opens"] == at["opens"] else 0.0)
    return found


def ringing_load(netlist: Netlist) -> tuple[float, float]:
    """(mA of DC, ohm) of a line that rings with 75 V at 20 Hz while its notice relay is closed."""
    lines = ["Vb x 0 -56", f"Vac y x sin(0 {75 * sqrt(2)} 20)", "Rr y /RING1 1u", "Rt 0 /TIP1 1u", *tied(netlist)]
    window = "from=0.5 to=1.0"
    measures = [f".meas tran dc avg i(Vb) {window}", f".meas tran rms rms i(Vb) {window}"]
    found = run(Deck(netlist, [*lines, ".tran 0.2m 1.0 0 0.2m"], measures, STATES["relay pin high"].supply))
    return abs(found["dc"]) * 1e3, 75 / found["rms"]


def _found(wrong: Iterable[tuple[str, Netlist, State]]) -> list[Found]:
    """Simulates each, then has a unit read all of them at once."""
    measured = each(lambda it: _measured(*it), wrong)
    raised = alerts([case for _, cases in measured for case in cases])
    raised |= alerts([case for case, codes in raised.items() if not codes], LONG_S)
    for found, cases in measured:
        for codes in (raised[case] for case in cases):
            for code, second in codes.items():
                found.alerts[code] = max(second, found.alerts.get(code, 0.0))
    return [replace(found, untold=sum(not raised[case] for case in cases)) for found, cases in measured]


def _measured(what: str, netlist: Netlist, state: State) -> tuple[Found, list[Case]]:
    """A state without its alerts, and the four cases that decide them; none if the meter is dead."""
    at = figures(netlist, state.supply, state.more)
    part = driver(netlist)
    closed = run(
        Deck(part, [*PROBE, *tied(part), ".tran 10m 0.1"], [".meas tran v find v(/TIP_TEL1) at=90m"], state.supply)
    )
    cases = list[Case]()
    for polarity, feed in ((1, FEED), (-1, REVERSED)) if state.meter else ():
        idle, lifted = (_reads(netlist, state, [*feed, *phone]) for phone in ([], PHONE))
        cases += [Case(idle, lifted, known, at["echo_db"] > HEARD_DB) for known in (None, learned(polarity))]
    return Found(what, at["drawn_ma"], at["playing_ma"], at["into_ua"], closed["v"], {}, 0), cases


def _reads(netlist: Netlist, state: State, around: Sequence[str]) -> float:
    lines = [*around, *tied(netlist), *state.more, ".tran 10m 40m"]
    found = run(Deck(netlist, lines, [".meas tran vm find v(/VM1) at=35m"], state.supply))
    return meter_reads(found["vm"] if state.pin_v is None else state.pin_v, state.supply)
