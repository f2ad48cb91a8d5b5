# SPDX-License-Identifier: Apache-2.0
"""Writes a sheet as a small SVG for a page. KiCad's SVG draws each letter as strokes and is forty times as long."""

from __future__ import annotations

from html import escape

from drawing.laid import Label, Layout, Placed, Rail, Text
from drawing.layout import lay_out
from drawing.tables import Sheet

FOLDER = "pictures"
NAME = f"{FOLDER}/line.svg"
SCALE = 10  # units per step
STYLE = """
text { font-family: sans-serif; font-size: 7px; fill: #222 }
.value { fill: #666 } .net { fill: #067 } .rail { fill: #a30 }
.head { font-size: 13px; font-weight: bold } path { fill: none; stroke: #222; stroke-width: 1 } .wire { stroke: #067 }
.node { fill: #067 }
"""
ANCHOR = {"left": "end", "right": "start", "top": "middle", "bottom": "middle"}
SHIFT = {"left": (-0.2, 0.2), "right": (0.2, 0.2), "top": (0, -0.3), "bottom": (0, 0.9)}  # offset of a label, in steps


def svg(sheet: Sheet, base: int) -> str:
    """The sheet as SVG, with the references of the instance with this base."""
    layout = lay_out(sheet)
    width, height = _size(layout)
    body = [_text(each.x, each.y, each.text, "head") for each in layout.headings]
    body += [_path([(x1, y1), (x2, y2)], "wire") for x1, y1, x2, y2 in layout.segments]
    body += [f'<circle class="node" cx="{x * SCALE}" cy="{y * SCALE}" r="2"/>' for x, y in layout.junctions]
    for rail in layout.rails:
        body += _rail(rail)
    body += [_label(each, "rail" if each.net in sheet.rails else "net") for each in layout.labels]
    for each in layout.placed:
        body += _part(each, base)
    box = f'viewBox="0 0 {width * SCALE} {height * SCALE}"'
    licence = "<!-- SPDX-License-Identifier: Apache-2.0; tools/draw.py -->"
    paper = f'<rect width="{width * SCALE}" height="{height * SCALE}" fill="#fff"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {box}>\n{licence}\n<style>{STYLE}</style>\n{paper}'
    return "\n".join([head, f"<title>{escape(sheet.title)}</title>", *body, "</svg>"]) + "\n"


def _size(layout: Layout) -> tuple[int, int]:
    boxes = [each.box() for each in layout.placed]
    ends = [(label.x + 4, label.y + 2) for label in layout.labels]
    return max(x for x, _ in [*((box[2], 0) for box in boxes), *ends]) + 2, max(
        y for _, y in [*((0, box[3]) for box in boxes), *ends]
    ) + 2


def _part(each: Placed, base: int) -> list[str]:
    lines = [_path([each.turned(point) for point in stroke], "part") for stroke in each.shape.strokes]
    for pin in each.shape.pins:
        step = {"left": (1, 0), "right": (-1, 0), "top": (0, 1), "bottom": (0, -1)}[pin.pin.side]
        x, y = pin.at
        stub = [(x, y), (x + step[0] * pin.length, y + step[1] * pin.length)]
        lines.append(_path([each.turned(point) for point in stub], "part"))
        if each.shape.names_shown and step[0]:
            inside = each.turned((x + step[0] * (pin.length + 0.3), y))
            lines.append(_text(inside[0], inside[1] + 0.2, pin.pin.name, "value", "start" if step[0] > 0 else "end"))
    *first, value = each.texts()
    lines += [_middle(text, each.part.reference(base), "reference") for text in first]
    return [*lines, _middle(value, value.text, "value")]


def _middle(text: Text, words: str, style: str) -> str:
    return _text(text.x, text.y + 0.25, words, style, "middle")


def _rail(rail: Rail) -> list[str]:
    x, y = rail.x, rail.y
    if rail.net == "GND":
        bars = [
            ((x, y), (x, y + 0.5)),
            ((x - 0.5, y + 0.5), (x + 0.5, y + 0.5)),
            ((x - 0.2, y + 0.8), (x + 0.2, y + 0.8)),
        ]
        return [_path(list(bar), "part") for bar in bars]
    bars = [((x, y), (x, y - 0.6)), ((x - 0.4, y - 0.6), (x + 0.4, y - 0.6))]
    return [*(_path(list(bar), "part") for bar in bars), _text(x, y - 0.9, rail.net, "rail", "middle")]


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
