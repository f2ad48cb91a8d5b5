# SPDX-License-Identifier: Apache-2.0
"""Lays out a sheet: parts in their places, wires between them, and labels where no wire fits.

The sheet's .place file positions parts; the others follow in rows below. A net is wired as far as the router finds a
way; its unconnected pieces get the net's label. A supply is a symbol at each of its pins.
"""

from __future__ import annotations

import re

from drawing.labels import Labels
from drawing.laid import Heading, Layout, Placed, Rail
from drawing.placing import load_places
from drawing.route import Spot, Wires
from drawing.symbols import OUT, shape
from drawing.tables import Part, Sheet
from linetap_core.errors import BadInput

MARGIN, TITLE_ROWS, COLUMN_GAP, ROW_GAP = 6, 18, 6, 3
LETTER = 0.48  # width of a letter, in steps
PAPERS = {"A4": (116, 82), "A3": (165, 116), "A2": (233, 165), "A1": (331, 233)}
SUPPLY = re.compile(r"GND|\+\w+|PI3V3")
MOST_WIRE = 50  # steps: a longer connection is easier to follow by its name


def lay_out(sheet: Sheet) -> Layout:
    """Lays the sheet out on the smallest paper that holds it. BadInput if none does."""
    for paper, (width, height) in PAPERS.items():
        layout = Layout(paper)
        right, bottom = _place(layout, sheet, height - TITLE_ROWS)
        if right <= width - MARGIN and bottom <= height - MARGIN:
            _wire(layout, sheet, Wires(width, height))
            return layout
    raise BadInput(f"{sheet.name}: does not fit on {paper}")


def _place(layout: Layout, sheet: Sheet, bottom: int) -> Spot:
    """Places all parts; returns their right and lower end."""
    places = load_places(sheet.path.with_suffix(".place"), sheet)
    layout.anchors = places.ports
    known = {f"{part.prefix}{part.index}": part for part in sheet.parts()}
    for name, (x, y, turn) in places.parts.items():
        if name in known:
            layout.placed.append(Placed(known[name], shape(known[name].kind), x, y, turn))
    layout.headings = [Heading(name, *spot) for name, spot in places.headings.items()]
    top = max((each.box()[3] for each in layout.placed), default=0) + MARGIN
    left, y, widest, lowest = MARGIN, top, max((each.box()[2] for each in layout.placed), default=0), top
    for block in sheet.blocks:
        rows = [[part for part in row if f"{part.prefix}{part.index}" not in places.parts] for row in block.rows]
        rows = [row for row in rows if row]
        if not rows:
            continue
        high = 2 + sum(_above(row) + _below(row) for row in rows)
        if y > top and y + high > bottom:
            left, y = widest + COLUMN_GAP, top
        layout.headings.append(Heading(block.heading, left, y))
        y += 1
        for row in rows:
            y += _above(row)
            widest = max(widest, _row(layout, sheet, row, left, y))
            y += _below(row)
        lowest = max(lowest, y)
        y += 1
    return widest, lowest


def _above(row: list[Part]) -> int:
    forms = [shape(part.kind) for part in row]
    return max(each.top + (ROW_GAP if any(pin.pin.side == "top" for pin in each.pins) else 2) for each in forms)


def _below(row: list[Part]) -> int:
    forms = [shape(part.kind) for part in row]
    return max(each.bottom + (ROW_GAP if any(pin.pin.side == "bottom" for pin in each.pins) else 2) for each in forms)


def _row(layout: Layout, sheet: Sheet, row: list[Part], x: int, y: int) -> int:
    """Places a row of parts; returns its end."""
    for part in row:
        form = shape(part.kind)
        x += form.left + _room(part, "left", sheet)
        layout.placed.append(Placed(part, form, x, y, "right"))
        x += form.right + _room(part, "right", sheet) + 1
    return x


def _room(part: Part, side: str, sheet: Sheet) -> int:
    """Steps needed on this side for the longest label and its stub."""
    outer = {*sheet.rails, *sheet.ports}
    nets = [part.nets.get(pin.pin.name, "") for pin in shape(part.kind).pins if pin.pin.side == side]
    return 1 + max((round(len(net) * LETTER + (2 if net in outer else 0.5)) for net in nets), default=0)


def _wire(layout: Layout, sheet: Sheet, wires: Wires) -> None:
    labels = Labels(layout, wires, {*sheet.rails, *sheet.ports})
    nets: dict[str, list[Spot]] = {}
    for each in layout.placed:
        for pin, spot, _ in each.ends():
            if net := each.part.nets.get(pin.name):
                wires.pins[spot] = net
                nets.setdefault(net, []).append(spot)
            else:
                wires.blocked.add(spot)
                layout.open_pins.append(spot)
                labels.take_open(spot)
    wired = {net for net, *_ in layout.anchors}  # a rail whose label has a given place is wired to it
    apart = {net for net in sheet.rails if net not in wired}
    for each in layout.placed:
        for pin, spot, side in each.ends():
            net = each.part.nets.get(pin.name, "")
            if net in apart and not _supplied(layout, wires, labels, each, net, spot, side):
                labels.at_pin(net, spot, side)
    for net, x, y, side in layout.anchors:
        if net in nets:
            wires.pins[x, y] = net
            nets[net].append((x, y))
            labels.at_end(net, (x, y), side)
    for net in sheet.ports:
        if net in nets and net not in wired:
            labels.at_a_pin(net, set(nets[net]))
    ways = {net: spots for net, spots in nets.items() if net not in apart}
    islands = {}
    for net, spots in sorted(ways.items(), key=lambda item: _span(item[1])):
        islands[net] = wires.join(net, spots, MOST_WIRE)
    for net, parted in islands.items():
        labels.name(net, parted)
    layout.segments = [segment for _, segment in wires.segments()]
    layout.junctions = wires.junctions()


def _span(spots: list[Spot]) -> int:
    across, down = [x for x, _ in spots], [y for _, y in spots]
    return max(across) - min(across) + max(down) - min(down)


def _supplied(layout: Layout, wires: Wires, labels: Labels, each: Placed, net: str, spot: Spot, side: str) -> bool:
    """Places the supply symbol at its pin, or a step beside it. False if there is no room."""
    if not SUPPLY.fullmatch(net) or each.part.kind.symbol == "box":
        return False
    up = net != "GND"
    beside = side != ("top" if up else "bottom")
    x, y = (spot[0] + OUT[side][0], spot[1] + OUT[side][1]) if beside else spot
    room = [(x + dx, y - 1) for dx in (-1, 0, 1)] if up else [(x, y + 1)]
    if side == ("bottom" if up else "top") or not wires.free([(x, y)] * beside + room):
        return False
    if beside:
        wires.draw(net, [spot, (x, y)])
        wires.pins[x, y] = net
    wires.blocked.update(room)
    layout.rails.append(Rail(net, x, y))
    labels.take_rail(layout.rails[-1])
    return True
