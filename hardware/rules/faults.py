# SPDX-License-Identifier: Apache-2.0
"""Simulates each part of a line open or shorted: the load on an idle line, the signal it injects, and how it is
detected.

Shorts across the barrier are excluded: rules/barrier.py rates them. Faults of supplies and of parts outside the line
are in cardfaults.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from drawing.tables import load_kinds
from simulation.audio import PLAYING
from simulation.converters import DAC_FULL_V, meter_reads
from simulation.dialling import EXCHANGE
from simulation.netlist import Element, Netlist
from simulation.oneshot import EDGES, HALF_MS, NETS, PROBE, asked, driver, forced, moving
from simulation.spice import Deck, Supply, each, run

SEIZES_MA = 3.0  # limit of 47 CFR 68.312 while ringing; no rule for faults was found
INTO_UA = 20.0  # into 600 ohm: the current through 5 Mohm at 100 V
COIL_MA = load_kinds()["load_switch"].most_ma  # of all lines: the switch begins to limit here
VOLTS, ECHO_DB, REST_V = 1.0, 2.0, (1.25, 1.75)  # least change of a figure that is detectable
PAIRS = {  # kind: the nodes that a failure joins, by index
    "rail_clamp": ((0, 1), (0, 2)),
    "opamp": ((2, 3), (2, 4)),
    "comparator": ((2, 3), (2, 4)),
    "transformer": ((0, 1), (2, 3)),
    "relay": ((0, 1), (2, 3), (4, 5)),
    "relay_closed": ((0, 1),),
    "nmos": ((1, 2), (0, 2), (0, 1)),
}
SUPPLIES = {"GND", "+3V3", "+5V", "COIL"}
LINE, REFERENCES = 1, 9  # sheets
COIL_LOW = "/Line1/ck"  # the junction of the contact's coil and its transistor

SEIZES = (  # pattern: faults that draw more than the requirement, and the comment on each
    (r"D10[19] shorted", "a thyristor fails by shorting its pair, as every one does: the reading, 0 V, tells at once"),
    (r"C110 shorted", "only while a notice plays, on a loop that is in use; the relay opens with the notice's end"),
)
BOUND = (
    "one of four bounds on an opening is lost; capture's, the meter's and RELAY_ARM's remain. A production test tells"
)
OVERLOADS = (  # faults that overload COIL's switch: COIL falls, +5V stays, and all relays are released
    (r"D108 shorted|K101 shorted 1-2", "while the line's notice plays"),
    (r"D110 shorted|K102 shorted 1-2", "the same while its contact opens"),
)
UNTOLD = (  # faults that change no figure of a line in service, and why that is acceptable
    (r"C10[12] open", "the filter at the other wire remains: talk is 6 dB below what moves at 20 Hz, not 20"),
    (r"C10[67] shorted", "the other one still parts the receive transformer from the line"),
    (r"C10[89] open|C11[359] open", "radio, and noise of a supply: another capacitor remains"),
    (r"C110 shorted", "told by the reading while a notice plays: it is the loop's, not the battery's"),
    (r"C111 shorted", "the transformer carries the amplifier's offset"),
    (r"C116 shorted", "a pin that stands high opens too, for as long as the driver's bound lets it"),
    (r"C118 shorted|R138 open|R139 shorted|R14[012] open|R142 shorted|U111 open", BOUND),
    (
        r"D10[19] open|D10[235678] open|D110 open|F103 open",
        "a protection is lost: nothing tells until a surge; see SEIZES",
    ),
    (r"F10[123] shorted", "a fuse that does not open: the thyristor still limits, a power cross is not ended"),
    (r"K101 shorted [35]-[46]", "one wire of the notice path: the other pole still parts it"),
    (
        r"Q101 shorted (2-3|1-2)",
        "the notice relay closes with COIL: 2 dB, and silence is played. A production test tells",
    ),
    (r"R1(28|31|35|45) shorted", "keeps two outputs from ringing: noise at the most"),
    (r"R134 open", "the meter's pin holds the gate down; without a meter RELAY_ARM has no command to carry"),
    (r"R134 shorted", "the meter's pin cannot lift the gate: no notice is heard. The simulated pin has no resistance"),
)


@dataclass(frozen=True, slots=True)
class Effect:
    """The figures of a fault. `drawn_ma` idle, `playing_ma` with the notice relay closed, `into_ua` without a battery,
    `coil_ma` from COIL with either relay energised; `told` is its detection.
    """

    fault: str
    drawn_ma: float
    playing_ma: float
    into_ua: float
    coil_ma: float
    told: tuple[str, ...]

    @property
    def harmless(self) -> bool:
        return max(self.drawn_ma, self.playing_ma) <= SEIZES_MA and self.into_ua <= INTO_UA


def said(table: tuple[tuple[str, str], ...], fault: str) -> str | None:
    return next((why for pattern, why in table if re.fullmatch(pattern, fault)), None)


def faults(netlist: Netlist, sheet: int = LINE) -> Iterator[tuple[str, Netlist]]:
    """The faults of line 1, or of the references."""
    for name, part in netlist.elements.items():
        if part.sheet == sheet:
            yield f"{name} open", netlist.without(name)
            pairs = PAIRS.get(part.what, ()) if len(part.nodes) > 2 else ((0, 1),)
            for a, b in pairs:
                joined = {part.nodes[a], part.nodes[b]}
                if len(joined) == 2 and not joined <= SUPPLIES:
                    which = f" {a + 1}-{b + 1}" if len(part.nodes) > 2 else ""
                    yield f"{name} shorted{which}", _shorted(netlist, part, a, b)


def _shorted(netlist: Netlist, part: Element, a: int, b: int) -> Netlist:
    short = Element(f"RS{part.reference}", (part.nodes[a], part.nodes[b]), "1m", subcircuit=False)
    kept = netlist if len(part.nodes) > 2 else netlist.without(part.reference)
    return Netlist(kept.elements | {short.reference: short})


def effects(netlist: Netlist) -> list[Effect]:
    """The figures of all faults; takes some minutes of one processor."""
    sound = figures(netlist)
    return each(lambda fault: _effect(*fault, netlist, sound), faults(netlist))


def _effect(fault: str, faulty: Netlist, netlist: Netlist, sound: dict[str, float]) -> Effect:
    found = figures(faulty)
    told = {
        "the meter's reading": abs(found["reads_v"] - sound["reads_v"]) >= VOLTS,
        "RX at rest": not REST_V[0] <= found["rest_v"] <= REST_V[1],
        "the notice as it is captured": not abs(found["echo_db"] - sound["echo_db"]) < ECHO_DB,
    }
    nodes = set(netlist.elements[fault.split()[0]].nodes)
    if not any(told.values()) and NETS & nodes:
        told["the contact, asked to open"] = not _opens(faulty)
    seen = tuple(figure for figure, moved in told.items() if moved)
    coil_ma = max(found["coil_ma"], _coil_ma(faulty) if COIL_LOW in nodes else 0.0)
    return Effect(fault, found["drawn_ma"], found["playing_ma"], found["into_ua"], coil_ma, seen)


def figures(netlist: Netlist, supply: Supply | None = None, more: Sequence[str] = ()) -> dict[str, float]:
    """Figures of an idle line on a battery, of a line during a notice, and of a line without a battery.

    `supply` are the card's rails, `more` further elements on the line's nets.
    """
    supply = supply or Supply()
    playing = replace(supply, relay=PLAYING.relay)
    hanging, at = [*tied(netlist), *more], "at=15m"
    around = [*EXCHANGE, *hanging]
    idle = run(Deck(netlist, [*around, ".tran 10m 20m"], [
        f".meas tran i find i(Vbattery) {at}", f".meas tran vm find v(/VM1) {at}", f".meas tran rx find v(/RX1) {at}",
    ], supply))  # fmt: skip
    plays = run(Deck(netlist, [*around, ".tran 10m 20m"], [
        f".meas tran i find i(Vbattery) {at}", f".meas tran coil find i(Vcoil) {at}",
    ], playing))  # fmt: skip
    tone = [f"Vtx /TX1 0 dc 0 ac {DAC_FULL_V}", "Rphone /TIP_TEL1 /RING1 600", ".ac lin 3 900 1100"]
    echo = run(Deck(netlist, [*around, *tone], [".meas ac rx find vdb(/RX1) at=1000"], playing))
    dry = ["Rloop /TIP1 /RING1 600", "Rearth /RING1 0 600", *hanging, ".tran 10m 20m"]
    into = run(Deck(netlist, dry, [f".meas tran t find v(/TIP1) {at}", f".meas tran r find v(/RING1) {at}"], supply))
    return {
        "drawn_ma": abs(idle["i"]) * 1e3, "playing_ma": abs(plays["i"]) * 1e3,
        "into_ua": max(abs(into["t"] - into["r"]), abs(into["r"])) / 600 * 1e6,
        "reads_v": meter_reads(idle["vm"], supply), "rest_v": idle["rx"], "echo_db": echo["rx"],
        "coil_ma": abs(plays["coil"]) * 1e3,
    }  # fmt: skip


def _opens(netlist: Netlist) -> bool:
    """Whether the contact is closed, opens while its pin toggles, and closes again."""
    part, stop = driver(netlist), 0.25
    lines = [*PROBE, *tied(part), *moving(HALF_MS), asked((0.05, stop)), ".tran 1m 0.45 0 1m"]
    measures = [f".meas tran {name} find v(/TIP_TEL1) at={at}" for name, at in _CONTACT_AT.items()]
    found = run(Deck(part, lines, measures, Supply(contact=EDGES)))
    return found["before"] > 0.9 and found["open"] < 0.1 and found["after"] > 0.9


def _coil_ma(netlist: Netlist) -> float:
    """The coil current with the contact energised."""
    part = driver(netlist)
    lines = [*PROBE, *tied(part), *forced((0.05, 9)), ".tran 2m 0.4 0 2m"]
    return abs(run(Deck(part, lines, [".meas tran i find i(Vcoil) at=0.35"]))["i"]) * 1e3


_CONTACT_AT = {"before": 0.04, "open": 0.2, "after": 0.44}


def tied(netlist: Netlist) -> list[str]:
    """1 Tohm to ground for nets that a fault leaves floating: ngspice requires a path to ground."""
    nets = sorted({node for part in netlist.elements.values() for node in part.nodes} - {"GND"})
    return [f"Rtied{i} {node} 0 1e12" for i, node in enumerate(nets)]
