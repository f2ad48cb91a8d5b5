# SPDX-License-Identifier: Apache-2.0
"""What stands beside a board in its KiCad project: settings, and the barrier as rules."""

from __future__ import annotations

import json

from pcb.places import Places

PAIR = (("/TIP", ""), ("/RING", ""), ("/TIP_TEL", ""), ("/Line", "/*"))  # how the nets of a pair begin and end


def settings(name: str, places: Places, patterns: dict[str, list[str]]) -> str:
    """`patterns` are the nets of each class; an asterisk stands for anything."""
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
    """The barrier, as KiCad checks it: creepage, clearance, or both where none is named.

    A pad without a net is a relay's other contact: the pair's as well. On a board without slots the way along a layer
    is never shorter than that in air, which is ruled too. Between pairs the rule is one for each of the `lines`.
    """
    card = "A.NetClass != 'LINE' && A.NetClass != 'MIDDLE' && A.NetName != ''"
    contact = "B.Type == 'Pad' && B.NetName == '' && B.memberOfFootprint('K*')"
    barrier = places.barrier
    entry = f"{card} && A.NetClass != 'ENTRY' && B.NetClass == 'ENTRY'"
    fine = "A.memberOfFootprint('J15*') && B.memberOfFootprint('J15*')"
    rows = [  # of two that apply KiCad takes the later
        ("within the USB plug", "clearance", fine, 0.15),
        ("pair to card", "creepage", f"{card} && B.NetClass == 'LINE'", barrier.line_to_card),
        ("pair to card, in air", "clearance", f"{card} && B.NetClass == 'LINE'", barrier.line_to_card),
        ("open contact to card", "clearance", f"{card} && {contact}", barrier.line_to_card),
        ("middle to card", "clearance", f"{card} && B.NetClass == 'MIDDLE'", barrier.middle_to_card),
        ("12 V to card", "clearance", entry, barrier.entry_to_card),
        ("middle to pair", "clearance", "A.NetClass == 'MIDDLE' && B.NetClass == 'LINE'", barrier.line_to_middle),
    ]
    rows += [(f"line {n} to another", "clearance", _others(n), barrier.line_to_line) for n in range(1, lines + 1)]
    text = ["(version 1)"]
    for name, kind, condition, least in [row for row in rows if not kinds or row[1] in kinds]:
        text.append(f'(rule "{name}"\n  (condition "{condition}")\n  (constraint {kind} (min {least:g}mm)))')
    return "\n".join(text) + "\n"


def _others(line: int) -> str:
    """What a line's pair keeps away from: the pairs of all others, and the contacts of their relays that are open."""

    def of(side: str) -> str:
        return "(" + " || ".join(f"{side}.NetName == '{net}{line}{rest}'" for net, rest in PAIR) + ")"

    pair = f"B.NetClass == 'LINE' && !{of('B')}"
    contact = f"B.Type == 'Pad' && B.NetName == '' && B.memberOfFootprint('K*') && !B.memberOfFootprint('K{line}*')"
    return f"A.NetClass == 'LINE' && {of('A')} && (({pair}) || ({contact}))"
