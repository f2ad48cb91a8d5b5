# SPDX-License-Identifier: Apache-2.0
"""Writes a board's KiCad project: its settings, and the insulation barrier as design rules."""

from __future__ import annotations

import json

from pcb import printed
from pcb.places import Places

PAIR = "PAIR"  # with the number of its line, a second class of each net of a pair; it has no sizes


def settings(name: str, places: Places, patterns: dict[str, list[str]]) -> str:
    """The project's settings. `patterns` are the nets of each class; an asterisk stands for any text."""
    classes = [
        {
            "name": "Default" if kind == "CARD" else kind,
            "clearance": each.clearance,
            "track_width": each.width,
            "via_diameter": each.via,
            "via_drill": each.drill,
        }
        for kind, each in places.classes.items()
    ]
    classes += [{"name": each} for each in patterns if each not in places.classes]
    rows = [{"netclass": each, "pattern": net} for each, nets in patterns.items() for net in nets]
    least = {
        "min_clearance": 0.15,
        "min_track_width": 0.2,
        "min_via_diameter": 0.6,
        "min_through_hole_diameter": 0.3,
        "min_copper_edge_clearance": 0.5,
        "min_hole_to_hole": 0.25,
        "min_via_annular_width": 0.13,
    }
    return (
        json.dumps(
            {
                "board": {"design_settings": {"rules": least}},
                "meta": {"filename": f"{name}.kicad_pro", "version": 3},
                "net_settings": {"classes": classes, "meta": {"version": 4}, "netclass_patterns": rows},
            },
            indent=2,
        )
        + "\n"
    )


def rules(places: Places, *kinds: str, lines: int = 0) -> str:
    """The barrier as KiCad's rules: creepage, clearance, or both if no kind is named; and the least print.

    A pad without a net is a relay's unused contact and counts as the pair's. On a board without slots the path along a
    layer is never shorter than through air, for which there is a rule too. Pairs of two `lines` differ by their second
    class. KiCad evaluates each part of each condition for each pair of items: a condition with the names of a line's
    nets, for each line, took a third of its time.
    """
    card = "A.NetClass != 'LINE' && A.NetClass != 'MIDDLE' && A.NetName != ''"
    contact = "B.Type == 'Pad' && B.NetName == '' && B.memberOfFootprint('K*')"
    barrier = places.barrier
    entry = f"{card} && A.NetClass != 'ENTRY' && B.NetClass == 'ENTRY'"
    fine = "A.memberOfFootprint('J15*') && B.memberOfFootprint('J15*')"
    rows = [  # if two apply, KiCad uses the later one
        ("within the USB plug", "clearance", fine, 0.15),
        ("pair to card", "creepage", f"{card} && B.NetClass == 'LINE'", barrier.line_to_card),
        ("pair to card, in air", "clearance", f"{card} && B.NetClass == 'LINE'", barrier.line_to_card),
        ("open contact to card", "clearance", f"{card} && {contact}", barrier.line_to_card),
        ("middle to card", "clearance", f"{card} && B.NetClass == 'MIDDLE'", barrier.middle_to_card),
        ("12 V to card", "clearance", entry, barrier.entry_to_card),
        ("middle to pair", "clearance", "A.NetClass == 'MIDDLE' && B.NetClass == 'LINE'", barrier.line_to_middle),
    ]
    if lines:
        other = "A.NetClass == 'LINE' && B.NetClass == 'LINE' && A.NetClass != B.NetClass"
        rows.append(("line to another", "clearance", other, barrier.line_to_line))
    for n in range(1, lines + 1):
        unused = f"A.NetClass == '{PAIR}{n}' && {contact} && !B.memberOfFootprint('K{n}*')"
        rows.append((f"line {n} to an open contact of another", "clearance", unused, barrier.line_to_line))
    text = ["(version 1)"]
    for name, kind, condition, least in [row for row in rows if not kinds or row[1] in kinds]:
        text.append(f'(rule "{name}"\n  (condition "{condition}")\n  (constraint {kind} (min {least:g}mm)))')
    sizes = (
        f"(constraint text_height (min {printed.LETTER:g}mm))\n  (constraint text_thickness (min {printed.PEN:g}mm))"
    )
    text.append(f'(rule "print"\n  (layer "F.SilkS")\n  {sizes})')
    return "\n".join(text) + "\n"
