# SPDX-License-Identifier: Apache-2.0
"""Computes the worst-case load of each rail, and the duration of the hold-up.

Every figure of a part is in parts.toml with its source; the nets are those of the drawing. The worst case is all of a
card at once, its eight contacts included, with a Raspberry Pi 4 at its full 3 A.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from drawing.project import Circuit
from drawing.tables import Kind
from linetap_core.errors import BadInput, Refusal

VOLTS = {
    "/supply/plug": 9.0, "/supply/fused": 9.0, "/supply/vin": 9.0,  # the lowest input: the highest current
    "/supply/v5in": 5.0, "+5V": 5.0, "COIL": 5.0, "/audio/v5usb": 5.0, "+3V3": 3.3, "VREF": 3.0,
    "/usb/v33": 3.3, "/audio/v33d": 3.3,
}  # fmt: skip
EXCLUSIVE = "relay"  # a line's notice relay is open while its contact is open
HOLD_FARAD, HOLD_OHM, HOLD_V = 12.5 * 0.8, 0.06, 4.54  # two in series at the end of life; 4.615 V less 1.5 %
BOOST = 0.8  # assumed
COIL_A = 5.0  # 5.5 A at least, less half of the ripple (LTC4041)
GIVES_MW = 12500.0  # 2.5 A of 5 V (LTC4041)
PI_A = 3.0  # a Pi 4
WIRE_OHM_A_M = 0.053  # 22 AWG: from the 4.081 ohm in 100 ft of 26 AWG (Cirris' table of wires), by their areas
# A crimped contact of 2.54 mm, at most (Harwin M20). A ribbon is rated 1 A (Mosaic Industries, current rating).
CONTACT_OHM, CONTACT_A = 0.03, 3.0
ENDS = 2
LONGEST_S, STEP_S = 60, 0.01
MOST_S = 60


@dataclass(frozen=True, slots=True)
class Rail:
    net: str
    loads_mw: float
    source: str  # the part that feeds it
    gives_ma: float
    most_ma: float
    loss_mw: float

    def holds(self) -> bool:
        return self.gives_ma <= self.most_ma


def rails(circuit: Circuit | None = None) -> list[Rail]:
    """The rails, each before the rail that feeds it. BadInput if a rail is fed twice or has no voltage."""
    circuit = circuit or Circuit()
    drawn: dict[str, float] = {}
    for _, net, mw in loads(circuit):
        drawn[net] = drawn.get(net, 0.0) + mw
    feeders = dict(_feeders(circuit))
    found: list[Rail] = []
    while feeders:
        ready = [out for out in feeders if out not in {source for source, _, _ in feeders.values()}]
        if not ready:
            raise BadInput(f"rails feed each other: {', '.join(sorted(feeders))}")
        for out in ready:
            source, reference, kind = feeders.pop(out)
            load = drawn.get(out, 0.0)
            ma = load / VOLTS[out]
            taken = load / kind.efficiency if kind.efficiency else ma * VOLTS[source]
            drawn[source] = drawn.get(source, 0.0) + taken
            found.append(Rail(out, load, reference, ma, kind.most_ma, taken - load))
    return found


def loads(circuit: Circuit) -> Iterator[tuple[str, str, float]]:
    """Reference, net and milliwatts of each part that draws from a rail."""
    for reference, kind, nets in parts(circuit):
        if kind.symbol == EXCLUSIVE:
            continue
        for pin, mw in kind.mw.items():
            if nets.get(pin) in VOLTS:
                yield reference, nets[pin], mw


def lost_to_the_pi(cable_m: float) -> float:
    """Volts lost from J1301 to the Pi's header and back through a cable of single wires, contacts included."""
    pins = Circuit().kinds["pi_header"].pin_rows()
    wire_ohm = cable_m * WIRE_OHM_A_M + ENDS * CONTACT_OHM
    there, back = (sum(pin.name.startswith(name) for pin in pins) for name in ("5V", "GND"))
    return PI_A * wire_ohm * (1 / there + 1 / back)


def forgotten(circuit: Circuit) -> list[str]:
    """Parts with a supply pin on a rail but no milliwatts in the table."""
    names = []
    for reference, kind, nets in parts(circuit):
        fed = [pin for pin in kind.pin_rows() if pin.type == "power_in" and nets.get(pin.name) in VOLTS]
        if fed and kind.fitted and not kind.mw and not kind.feeds:
            names.append(reference)
    return names


def hold_up_mw(circuit: Circuit) -> float:
    """The load of +5V without the coils, which are released when the Pi's edges end."""
    found = {rail.net: rail.loads_mw for rail in rails(circuit)}
    return found["+5V"] - found["COIL"]


def least_v(load_mw: float) -> float:
    """The least voltage at the manager's pin: below it the coil would need more current than its switch permits."""
    return load_mw / 1000 / BOOST / COIL_A


def hold_up_s(load_mw: float) -> float:
    """The hold-up by ngspice: a constant power on the two capacitors, through the booster. BadInput if the booster
    cannot supply it.
    """
    if load_mw > GIVES_MW:
        raise BadInput(f"{load_mw:.0f} mW are asked of the hold-up, which gives {GIVES_MW:.0f}")
    watts = load_mw / 1000 / BOOST
    deck = f"""* hold-up
C1 a 0 {HOLD_FARAD} ic={HOLD_V}
R1 a b {HOLD_OHM}
B1 b 0 I = {watts} / max(V(b), 1)
.tran {STEP_S} {LONGEST_S} uic
.meas tran held when v(b)={least_v(load_mw)} fall=1
.end
"""
    return measured(deck, "held")


def measured(deck: str, what: str) -> float:
    """One figure of its own deck. Refusal if ngspice has none."""
    return measures(deck, what)[0]


def measures(deck: str, *names: str) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="linetap-holdup-") as scratch:
        path = Path(scratch) / "holdup.cir"
        path.write_text(deck)
        done = subprocess.run(
            ["ngspice", "-b", str(path)], capture_output=True, text=True, timeout=MOST_S, check=False, cwd=scratch
        )
    words = (line.split() for line in done.stdout.splitlines())
    found = {row[0]: float(row[2]) for row in words if row[:1] and row[0] in names and row[1:2] == ["="]}
    if missing := [name for name in names if name not in found]:
        raise Refusal(f"ngspice did not measure {missing[0]!r}: {done.stderr[-400:]}")
    return [found[name] for name in names]


def expected_s(load_mw: float) -> float:
    """The same by formula, without the resistance: half C times the difference of the squares."""
    return 0.5 * HOLD_FARAD * (HOLD_V**2 - least_v(load_mw) ** 2) / (load_mw / 1000 / BOOST)


def _feeders(circuit: Circuit) -> Iterator[tuple[str, tuple[str, str, Kind]]]:
    seen: set[str] = set()
    for reference, kind, nets in parts(circuit):
        if kind.feeds:
            source, out = (nets[pin] for pin in kind.feeds)
            if out in seen:
                raise BadInput(f"{reference}: {out} is fed already")
            if source not in VOLTS or out not in VOLTS:
                raise BadInput(f"{reference}: from {source} to {out}: no voltage is known of one")
            seen.add(out)
            yield out, (source, reference, kind)
    if missing := {"+5V", "+3V3", "COIL"} - seen:
        raise BadInput(f"nothing feeds {', '.join(sorted(missing))}")


def parts(circuit: Circuit) -> Iterator[tuple[str, Kind, dict[str, str]]]:
    """Reference, kind, and the net of the whole card by pin."""
    names = {node: net for net, nodes in circuit.nets().items() for node in nodes}
    for sheet in circuit.sheets.values():
        for _, base in circuit.instances(sheet.name):
            for part in sheet.parts():
                reference = part.reference(base)
                pins = {pin.name: names.get((reference, pin.number), "") for pin in part.kind.pin_rows()}
                yield reference, part.kind, pins
