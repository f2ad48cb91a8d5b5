# SPDX-License-Identifier: Apache-2.0
"""Writes the power budget as the tables of hardware/README.md."""

from __future__ import annotations

from drawing.project import Circuit
from simulation.budget import GIVES_MW, PI_A, VOLTS, hold_up_mw, hold_up_s, loads, rails
from simulation.handover import LOAD_A, PFI_V, sinks_to
from simulation.inrush import CABLES_M, HIGHEST_V, PULSED_A, PULSES, inrush
from simulation.warmth import AMBIENT_C, LEAST_MW, warm

CLOSING_MW = 8000.0  # a Pi 4 that closes its files, and the card: assumed
BUSY_MW = 7200.0  # a Pi 4 with all cores at full load, at the wall (geerlingguy/sbc-reviews, issue 4)
SUPPLY = "/supply/v5in"  # behind the converter of 12 V
MOST_SHOWN = 4


def table(circuit: Circuit) -> str:
    lines = [
        "| Rail | drawn at worst | fed by | gives | of at most | its loss | mostly for |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {rail.net} | {rail.loads_mw:.0f} mW | {rail.source} | {rail.gives_ma:.0f} mA | {rail.most_ma:.0f} mA "
        f"| {rail.loss_mw:.0f} mW | {_mostly(circuit, rail.net)} |"
        for rail in rails(circuit)
    ]
    head = f"| Part of {LEAST_MW:.0f} mW and more, the warmest of its kind | heat | to the air "
    head += f"| at {AMBIENT_C:.0f} C around "
    lines += ["", f"{head}| of at most |", "|---|---|---|---|---|"]
    for each in warm(circuit):
        way = "rated by the air around" if each.around else f"{each.k_per_w:g} K/W"
        lines.append(f"| {each.reference} | {each.mw:.0f} mW | {way} | {each.celsius:.0f} C | {each.most_c:.0f} C |")
    lines += ["", "| Hold-up, at the end of the capacitors' life | lasts |", "|---|---|"]
    beside_mw = hold_up_mw(circuit) - 1000 * PI_A * VOLTS["+5V"]
    for what, mw in (
        ("all that a card and a Pi 4 at its full 3 A ask for, relays open", hold_up_mw(circuit)),
        ("the most that it gives", GIVES_MW),
        ("a Pi 4 with all its cores busy, nothing on its USB but the card, relays open", BUSY_MW + beside_mw),
        ("a Pi 4 that closes its files", CLOSING_MW),
    ):
        lasts = f"{hold_up_s(mw):.1f} s" if mw <= GIVES_MW else "it gives less"
        lines.append(f"| {what}: {mw / 1000:.1f} W | {lasts} |")
    ends = ", ".join(f"{sinks_to(circuit, volts):.2f} V" for volts in PFI_V)
    lines += ["", f"| +5V as it takes over at {LOAD_A} A, its threshold at its least, as meant, at its most |", "|---|"]
    lines.append(f"| {ends} |")
    return "\n".join([*lines, "", *_plugged_in(circuit), ""])


def _plugged_in(circuit: Circuit) -> list[str]:
    found, share, most = inrush(circuit), f"{PULSES * 100:.0f} %", f"{PULSED_A:g} A, second hand"
    return [
        f"| Plugging {HIGHEST_V:g} V in, from a supply that gives any current | worst found | of at most |",
        "|---|---|---|",
        f"| I2t of the fuse, by {share} of what melts it | {found.i2t:.2g} A2s | {found.most_i2t:.3g} A2s |",
        f"| across the suppressor, behind the fuse | {found.volts:.1f} V | {found.most_v:.1f} V |",
        f"| current, with a cable of {CABLES_M[1]:g} m and more | {found.usual_a:.0f} A | {most} |",
        f"| current, with one of {CABLES_M[0]:g} m | {found.peak_a:.0f} A | {most} |",
    ]


def summary(circuit: Circuit) -> str:
    """One line: the verdict, the supply's output, the part nearest to its limit, the duration of the hold-up."""
    found = rails(circuit)
    parts = warm(circuit)
    over = [rail.net for rail in found if not rail.holds()] + [each.reference for each in parts if not each.holds()]
    verdict = f"over its limit: {', '.join(over)}" if over else "every rail is within its limit"
    supply = next(rail for rail in found if rail.net == SUPPLY)
    hottest = min(parts, key=lambda each: each.most_c - each.celsius)
    lasts = ", ".join(f"{hold_up_s(mw):.1f} s at {mw / 1000:.1f} W" for mw in (GIVES_MW, CLOSING_MW))
    return (
        f"{verdict}: {supply.source} gives {supply.loads_mw:.0f} of {supply.most_ma * VOLTS[SUPPLY]:.0f} mW, "
        f"nearest to its temperature {hottest.reference} with {hottest.celsius:.0f} of {hottest.most_c:.0f} C, "
        f"hold-up {lasts}"
    )


def _mostly(circuit: Circuit, net: str) -> str:
    """The largest loads, summed by kind."""
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
