# SPDX-License-Identifier: Apache-2.0
"""The board as the text of a .kicad_pcb file of KiCad 9. Its planes are filled by KiCad itself (filling.py)."""

from __future__ import annotations

from drawing.schematic import GENERATOR
from drawing.sexpr import identity, quoted, uid
from pcb import footprints
from pcb.lineboard import NAME, LineBoard
from pcb.places import Places
from pcb.routing import BOTH, FRONT, Track

MOVED = 20.0  # from the sheet's corner to the board's
WARNING = ("NOT REVIEWED, NOT APPROVED", "NEVER BUILT. LINES CARRY 270 V")
PLANES = {"GND": "In1.Cu", "+3V3": "In2.Cu"}
LAYERS = (  # KiCad 9's numbers
    (0, "F.Cu", "signal"), (4, "In1.Cu", "power"), (6, "In2.Cu", "power"), (2, "B.Cu", "signal"),
    (13, "F.Paste", "user"), (15, "B.Paste", "user"), (5, "F.SilkS", "user"), (7, "B.SilkS", "user"),
    (1, "F.Mask", "user"), (3, "B.Mask", "user"), (25, "Edge.Cuts", "user"), (31, "F.CrtYd", "user"),
    (29, "B.CrtYd", "user"), (35, "F.Fab", "user"), (33, "B.Fab", "user"),
)  # fmt: skip


def text(board: LineBoard, places: Places, tracks: list[Track]) -> str:
    numbers = {net: i for i, net in enumerate(board.nets, 1)}
    layers = " ".join(f'({number} "{name}" {kind})' for number, name, kind in LAYERS)
    lines = [
        f'(kicad_pcb (version 20241229) {GENERATOR} (general (thickness 1.6)) (paper "A4")',
        f'(title_block (title "linetap: {board.sheet.title}") (comment 1 "{WARNING[0]}")',
        '(comment 2 "SPDX-License-Identifier: Apache-2.0"))',
        f"(layers {layers}) (setup (pad_to_mask_clearance 0))",
        '(net 0 "")',
        *(f"(net {number} {quoted(net)})" for net, number in numbers.items()),
    ]
    for reference in board.parts:
        lines += _placed(board, places, reference, numbers)
    lines += [_track(each, places, numbers[each.net], i) for i, each in enumerate(tracks)]
    right, bottom = MOVED + places.width, MOVED + places.height
    edge = '(stroke (width 0.1) (type solid)) (fill no) (layer "Edge.Cuts")'
    lines.append(f"(gr_rect (start {MOVED:g} {MOVED:g}) (end {right:g} {bottom:g}) {edge} {uid(NAME, 'edge')})")
    for i, words in enumerate(WARNING):
        style = "(effects (font (size 1.2 1.2) (thickness 0.2)))"
        where = f'(at {right - 22:g} {bottom - 4.2 + 2 * i:g} 0) (layer "F.SilkS")'
        lines.append(f"(gr_text {quoted(words)} {where} {uid(NAME, 'warning', str(i))} {style})")
    lines += [_plane(net, layer, places, numbers[net]) for net, layer in PLANES.items()]
    return "\n".join([*lines, ")"]) + "\n"


def _placed(board: LineBoard, places: Places, reference: str, numbers: dict[str, int]) -> list[str]:
    part, (x, y, turned) = board.parts[reference], places.place[reference]
    name = board.footprint_of[part.kind_name]
    nets = {pad: f"(net {numbers[net]} {quoted(net)})" for pad, net in board.net_of(reference).items()}
    inside = footprints.body(name, board.footprints[name], reference, part.kind.value, turned, nets)
    path = "/" + identity(board.sheet.name, f"{part.prefix}{part.index}")
    head = f"(footprint {quoted(f'{footprints.LIBRARY}:{name}')} {uid(NAME, reference)} {inside[0]}"
    return [f"{head} (at {MOVED + x:g} {MOVED + y:g} {turned:g}) (path {quoted(path)})", *inside[1:], ")"]


def _track(each: Track, places: Places, number: int, count: int) -> str:
    kind, who = places.classes[places.class_of(each.net)], uid(NAME, "track", str(count))
    begin = f"{MOVED + each.x1:.4f} {MOVED + each.y1:.4f}"
    if each.layers == BOTH:
        size = f"(size {kind.via}) (drill {kind.drill})"
        return f'(via (at {begin}) {size} (layers "F.Cu" "B.Cu") (net {number}) {who})'
    layer = "F.Cu" if each.layers == FRONT else "B.Cu"
    end = f"{MOVED + each.x2:.4f} {MOVED + each.y2:.4f}"
    return f'(segment (start {begin}) (end {end}) (width {kind.width}) (layer "{layer}") (net {number}) {who})'


def _plane(net: str, layer: str, places: Places, number: int) -> str:
    left, top, right, bottom = (MOVED + each for each in places.plane)
    corners = " ".join(f"(xy {x:g} {y:g})" for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)))
    how = "(hatch edge 0.5) (connect_pads yes (clearance 0.25)) (min_thickness 0.2)"
    fill = f"(fill yes (thermal_gap 0.3) (thermal_bridge_width 0.3)) (polygon (pts {corners}))"
    return f'(zone (net {number}) (net_name {quoted(net)}) (layer "{layer}") {uid(NAME, "plane", net)} {how} {fill})'
