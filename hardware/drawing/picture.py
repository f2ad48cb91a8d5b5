# SPDX-License-Identifier: Apache-2.0
"""A sheet as a small SVG for a page: KiCad's own draws every letter as strokes and is forty times as long."""

from __future__ import annotations

from html import escape

from drawing.layout import Label, Layout, Placed, lay_out
from drawing.tables import Sheet

NAME = "line.svg"
SCALE = 10  # units of a step
MARGIN_STEPS = 2
STYLE = """
text { font-family: sans-serif; font-size: 7px; fill: #222 }
.value { fill: #666 } .net { fill: #067 } .rail { fill: #a30 }
.head { font-size: 13px; font-weight: bold } path { fill: none; stroke: #222; stroke-width: 1 } .wire { stroke: #067 }
"""
ANCHOR = {"left": "end", "right": "start", "top": "middle", "bottom": "middle"}
SHIFT = {"left": (-0.2, 0.2), "right": (0.2, 0.2), "top": (0, -0.3), "bottom": (0, 0.9)}  # of a label, in steps


def svg(sheet: Sheet, base: int) -> str:
    """References are those of the instance with this base."""
    layout = lay_out(sheet)
    width, height = _size(layout)
    body = [_text(x, y, text, "head") for text, x, y in layout.headings]
    body += [_path([(x1, y1), (x2, y2)], "wire") for x1, y1, x2, y2 in layout.wires]
    body += [_label(each, "rail" if each.net in sheet.rails else "net") for each in layout.labels]
    for each in layout.placed:
        body += _part(each, base)
    box = f'viewBox="0 0 {width * SCALE} {height * SCALE}"'
    licence = "<!-- SPDX-License-Identifier: Apache-2.0; tools/draw.py -->"
    paper = f'<rect width="{width * SCALE}" height="{height * SCALE}" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n{licence}\n<style>{STYLE}</style>\n{paper}'
    return "\n".join([head, f"<title>{escape(sheet.title)}</title>", *body, "</svg>"]) + "\n"


def _size(layout: Layout) -> tuple[int, int]:
    right = max(each.x + each.shape.right for each in layout.placed) + 8
    return right, max(each.y + each.shape.bottom for each in layout.placed) + 6


def _part(each: Placed, base: int) -> list[str]:
    lines = [_path([(each.x + x, each.y + y) for x, y in stroke], "part") for stroke in each.shape.strokes]
    for pin in each.shape.pins:
        x, y = each.x + pin.at[0], each.y + pin.at[1]
        step = {"left": (1, 0), "right": (-1, 0), "top": (0, 1), "bottom": (0, -1)}[pin.pin.side]
        lines.append(_path([(x, y), (x + step[0] * pin.length, y + step[1] * pin.length)], "part"))
        if each.shape.names_shown and step[0]:
            inside = x + step[0] * (pin.length + 0.3)
            lines.append(_text(inside, y + 0.2, pin.pin.name, "value", "start" if step[0] > 0 else "end"))
    aside = 2.0 if any(pin.pin.side == "top" for pin in each.shape.pins) else 0.0
    above, below = each.y - each.shape.top - 0.2, each.y + each.shape.bottom + 0.8
    lines.append(_text(each.x + aside, above, each.part.reference(base), "reference", "start" if aside else "middle"))
    lines.append(_text(each.x + aside, below, each.part.kind.value, "value", "start" if aside else "middle"))
    return lines


def _label(label: Label, style: str) -> str:
    x, y = label.x + SHIFT[label.side][0], label.y + SHIFT[label.side][1]
    if label.side == "right" and label.on_wire:
        y -= 0.5
    return _text(x, y, label.net, style, ANCHOR[label.side])


def _path(points: list[tuple[float, float]], style: str) -> str:
    places = " ".join(f"{x * SCALE:g},{y * SCALE:g}" for x, y in points)
    return f'<path class="{style}" d="M{places}"/>'


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    place = f'x="{round(x * SCALE, 1):g}" y="{round(y * SCALE, 1):g}" text-anchor="{anchor}"'
    return f'<text class="{style}" {place}>{escape(text)}</text>'
