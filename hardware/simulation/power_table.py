# SPDX-License-Identifier: Apache-2.0
"""The budget as the tables of hardware/README.md."""

from __future__ import annotations

from drawing.project import Circuit
from simulation.budget import AMBIENT_C, GIVES_MW, JUNCTION_C, VOLTS, hold_up_mw, hold_up_s, loads, rails, warm
from simulation.handover import LOAD_A, PFI_V, sinks_to

CLOSING_MW = 8000.0  # a Pi 4 that closes its files, and the card: assumed
SUPPLY = "/supply/v5in"  # behind the converter of 12 V
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


def summary(circuit: Circuit) -> str:
    """In a line: the verdict, what the supply gives, the hottest chip, how long the hold-up lasts."""
    found = rails(circuit)
    over = [rail.net for rail in found if not rail.holds()]
    verdict = f"over its limit: {', '.join(over)}" if over else "every rail is within its limit"
    supply = next(rail for rail in found if rail.net == SUPPLY)
    chips = [*warm(circuit), *((rail.source, AMBIENT_C + rail.rise_k) for rail in found)]
    hottest, celsius = max(chips, key=lambda chip: chip[1])
    lasts = ", ".join(f"{hold_up_s(mw):.1f} s at {mw / 1000:.1f} W" for mw in (GIVES_MW, CLOSING_MW))
    return (
        f"{verdict}: {supply.source} gives {supply.loads_mw:.0f} of {supply.most_ma * VOLTS[SUPPLY]:.0f} mW, "
        f"the hottest junction {celsius:.0f} of {JUNCTION_C:.0f} C ({hottest}), hold-up {lasts}"
    )


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
