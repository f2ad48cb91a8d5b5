# SPDX-License-Identifier: Apache-2.0
"""The budget as the tables of hardware/README.md."""

from __future__ import annotations

from drawing.project import Circuit
from simulation.budget import AMBIENT_C, GIVES_MW, JUNCTION_C, hold_up_mw, hold_up_s, loads, rails, warm
from simulation.handover import LOAD_A, PFI_V, sinks_to

CLOSING_MW = 8000.0  # a Pi 4 that closes its files, and the card: assumed
MOST_SHOWN = 4


def table(circuit: Circuit) -> str:
    lines = [
        "| Rail | drawn at worst | fed by | gives | of at most | its loss | warmer by | mostly for |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rail in rails(circuit):
        rise = f"{rail.rise_k:.0f} K" if rail.rise_k else "-"
        lines.append(
            f"| {rail.net} | {rail.loads_mw:.0f} mW | {rail.source} | {rail.gives_ma:.0f} mA | {rail.most_ma:.0f} mA "
            f"| {rail.loss_mw:.0f} mW | {rise} | {_mostly(circuit, rail.net)} |"
        )
    lines += ["", f"| Chip | junction at {AMBIENT_C:.0f} C around, of {JUNCTION_C:.0f} C |", "|---|---|"]
    lines += [f"| {reference} | {celsius:.0f} C |" for reference, celsius in warm(circuit)]
    lines += ["", "| Hold-up, at the end of the capacitors' life | lasts |", "|---|---|"]
    for what, mw in (
        ("all that a card and a Pi 4 ask for, relays open", hold_up_mw(circuit)),
        ("the most that it gives", GIVES_MW),
        ("a Pi 4 that closes its files", CLOSING_MW),
    ):
        lasts = f"{hold_up_s(mw):.1f} s" if mw <= GIVES_MW else "it gives less"
        lines.append(f"| {what}: {mw / 1000:.1f} W | {lasts} |")
    ends = ", ".join(f"{sinks_to(circuit, volts):.2f} V" for volts in PFI_V)
    lines += ["", f"| +5V as it takes over at {LOAD_A} A, its threshold at its least, as meant, at its most |", "|---|"]
    lines.append(f"| {ends} |")
    return "\n".join([*lines, ""])


def _mostly(circuit: Circuit, net: str) -> str:
    """The parts that draw most, each kind's together."""
    values = {
        part.reference(base): part.kind.value
        for sheet in circuit.sheets.values()
        for _, base in circuit.instances(sheet.name)
        for part in sheet.parts()
    }
    sums: dict[str, float] = {}
    for reference, at, mw in loads(circuit):
        if at == net:
            sums[values[reference]] = sums.get(values[reference], 0.0) + mw
    most = sorted(sums.items(), key=lambda item: -item[1])[:MOST_SHOWN]
    return ", ".join(f"{value} {mw:.0f}" for value, mw in most) or "what it feeds"
