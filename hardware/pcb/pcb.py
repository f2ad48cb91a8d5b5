# SPDX-License-Identifier: Apache-2.0
"""Writes the board as the text of a KiCad 9 .kicad_pcb file. KiCad itself fills its planes (filling.py)."""

from __future__ import annotations

from drawing.schematic import GENERATOR
from drawing.sexpr import quoted, uid
from pcb import footprints, printed, stackup
from pcb.board import Board
from pcb.places import Box, NetClass, Places, Plane
from pcb.routing import BOTH, FRONT, Track

BRIDGE = 0.5  # width of the copper between a pin and its plane
MOVED = 20.0  # offset of the board's corner from the sheet's
WARNING = ("NOT REVIEWED, NOT APPROVED", "NEVER BUILT. LINES CARRY 270 V")
LAYERS = (  # KiCad 9's numbers
    (0, "F.Cu", "signal"), (4, "In1.Cu", "power"), (6, "In2.Cu", "power"), (2, "B.Cu", "signal"),
    (13, "F.Paste", "user"), (15, "B.Paste", "user"), (5, "F.SilkS", "user"), (7, "B.SilkS", "user"),
    (1, "F.Mask", "user"), (3, "B.Mask", "user"), (25, "Edge.Cuts", "user"), (31, "F.CrtYd", "user"),
    (29, "B.CrtYd", "user"), (35, "F.Fab", "user"), (33, "B.Fab", "user"),
)  # fmt: skip


def text(board: Board, places: Places, tracks: list[Track]) -> str:
    numbers = {net: i for i, net in enumerate(board.nets, 1)}
    paper = "A4" if places.height < 180 else "A1"
    net_of: dict[str, dict[str, str]] = {reference: {} for reference in board.parts}
    for net, nodes in board.nets.items():
        for reference, pad in nodes:
            net_of[reference][pad] = f"(net {numbers[net]} {quoted(net)})"
    layers = " ".join(f'({number} "{name}" {kind})' for number, name, kind in LAYERS)
    lines = [
        f'(kicad_pcb (version 20241229) {GENERATOR} (general (thickness {stackup.THICK_MM:g})) (paper "{paper}")',
        f'(title_block (title "linetap: {board.title}") (comment 1 "{WARNING[0]}")',
        '(comment 2 "SPDX-License-Identifier: Apache-2.0"))',
        f"(layers {layers}) (setup {stackup.written()} (pad_to_mask_clearance 0))",
        '(net 0 "")',
        *(f"(net {number} {quoted(net)})" for net, number in numbers.items()),
    ]
    for reference in board.parts:
        lines += _placed(board, places, reference, net_of[reference])
    for i, spot in enumerate(places.fiducials, 1):
        lines += _fiducial(board, f"FID{i}", *spot)
    for i, each in enumerate(tracks):
        kind = places.classes[places.class_of(board.plain(each.net))]
        lines.append(_track(each, kind, numbers[each.net], uid(board.name, "track", str(i))))
    right, bottom = MOVED + places.width, MOVED + places.height
    edge = '(stroke (width 0.1) (type solid)) (fill no) (layer "Edge.Cuts")'
    lines.append(f"(gr_rect (start {MOVED:g} {MOVED:g}) (end {right:g} {bottom:g}) {edge} {uid(board.name, 'edge')})")
    for i, (x, y, wide) in enumerate(places.holes):
        round_ = f"(center {MOVED + x:g} {MOVED + y:g}) (end {MOVED + x + wide / 2:g} {MOVED + y:g})"
        lines.append(f"(gr_circle {round_} {edge} {uid(board.name, 'hole', str(i))})")
    for i, words in enumerate(WARNING):
        style = "(effects (font (size 1.2 1.2) (thickness 0.2)))"
        where = f'(at {right - 22:g} {bottom - 4.2 + 2 * i:g} 0) (layer "F.SilkS")'
        lines.append(f"(gr_text {quoted(words)} {where} {uid(board.name, 'warning', str(i))} {style})")
    if places.printed:
        lines += [_printed(board, each) for each in printed.prints(board, places, [warned(places)])]
    lines += [_plane(each, numbers[each.net], uid(board.name, "plane", each.net)) for each in places.planes]
    for i, pour in enumerate(places.pours):
        lines.append(_plane(pour.plane(), numbers[pour.net], uid(board.name, "pour", str(i))))
    return "\n".join([*lines, ")"]) + "\n"


def _placed(board: Board, places: Places, reference: str, nets: dict[str, str]) -> list[str]:
    part, (x, y, turned) = board.parts[reference], places.place[reference]
    name = board.footprint_of[part.kind_name]
    inside = footprints.body(name, board.footprints[name], reference, part.kind.value, turned, nets, part.kind_name)
    head = f"(footprint {quoted(f'{footprints.LIBRARY}:{name}')} {uid(board.name, reference)} {inside[0]}"
    return [
        f"{head} (at {MOVED + x:g} {MOVED + y:g} {turned:g}) (path {quoted(board.path_of(reference))})",
        *inside[1:],
        ")",
    ]


def _fiducial(board: Board, reference: str, x: float, y: float) -> list[str]:
    name = footprints.FIDUCIAL
    first, *rest = footprints.body(name, board.footprints[name], reference)
    head = f"(footprint {quoted(f'{footprints.LIBRARY}:{name}')} {uid(board.name, reference)} {first}"
    return [f"{head} (at {MOVED + x:g} {MOVED + y:g})", *rest, ")"]


def warned(places: Places) -> Box:
    """The area of the printed warning."""
    return Box(places.width - 44, places.height - 6, places.width, places.height)


def _printed(board: Board, each: printed.Print) -> str:
    who = uid(board.name, "printed", each.reference, each.text)
    x, y = MOVED + each.x, MOVED + each.y
    if each.text:
        style = f"(effects (font (size {printed.LETTER:g} {printed.LETTER:g}) (thickness {printed.PEN:g})))"
        return f'(gr_text {quoted(each.text)} (at {x:g} {y:g} {each.turned}) (layer "F.SilkS") {who} {style})'
    round_ = f"(center {x:g} {y:g}) (end {x + printed.DOT - printed.PEN / 2:g} {y:g})"
    return f'(gr_circle {round_} (stroke (width {printed.PEN:g}) (type solid)) (fill yes) (layer "F.SilkS") {who})'


def _track(each: Track, kind: NetClass, number: int, who: str) -> str:
    begin = f"{MOVED + each.x1:.4f} {MOVED + each.y1:.4f}"
    if each.layers == BOTH:
        size = f"(size {kind.via}) (drill {kind.drill})"
        return f'(via (at {begin}) {size} (layers "F.Cu" "B.Cu") (net {number}) {who})'
    layer = "F.Cu" if each.layers == FRONT else "B.Cu"
    end = f"{MOVED + each.x2:.4f} {MOVED + each.y2:.4f}"
    return f'(segment (start {begin}) (end {end}) (width {kind.width}) (layer "{layer}") (net {number}) {who})'


def _plane(plane: Plane, number: int, who: str) -> str:
    """A plane, which four bridges join to each pin that is soldered in a hole; a pour joins its pads whole."""
    joined = "yes" if plane.layer == "F.Cu" else "thru_hole_only"
    corners = " ".join(f"(xy {MOVED + x:g} {MOVED + y:g})" for x, y in plane.outline)
    how = f"(hatch edge 0.5) (connect_pads {joined} (clearance 0.25)) (min_thickness 0.2)"
    fill = f"(fill yes (thermal_gap 0.3) (thermal_bridge_width {BRIDGE:g})) (polygon (pts {corners}))"
    return f'(zone (net {number}) (net_name {quoted(plane.net)}) (layer "{plane.layer}") {who} {how} {fill})'
