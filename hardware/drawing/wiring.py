# SPDX-License-Identifier: Apache-2.0
"""Draws a card's cable as a picture and a table: pairs, pins, colours, lines.

The pins are those of the drawing's connector. The colours are those of a 25-pair cable by USOC RJ21X and ANSI/ICEA
S-80-576: five tip colours, each combined with five ring colours.
"""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from drawing.tables import Kind

PICTURE, DOCUMENT = "wiring.svg", "wiring.md"
BEGIN, END = "<!-- pairs: tools/draw.py -->", "<!-- pairs end -->"
TIPS = (("white", "백색", "#fff"), ("red", "적색", "#c8102e"))
RINGS = (
    ("blue", "청색", "#0057b8"), ("orange", "등색", "#ff8200"), ("green", "녹색", "#00843d"),
    ("brown", "갈색", "#6b4423"), ("slate", "회색", "#708090"),
)  # fmt: skip
ROW, TOP, WIDTH = 34, 64, 720


class Pair(NamedTuple):
    line: int
    tip_pin: int
    ring_pin: int
    tip: tuple[str, str, str]
    ring: tuple[str, str, str]


def pairs(connector: Kind) -> list[Pair]:
    """The pairs of the connector's pins T1, R1 and so on, in the order of the lines."""
    at = {row.name: int(row.number) for row in connector.pin_rows()}
    count = sum(name.startswith("T") for name in at)
    return [
        Pair(n, at[f"T{n}"], at[f"R{n}"], TIPS[(n - 1) // len(RINGS)], RINGS[(n - 1) % len(RINGS)])
        for n in range(1, count + 1)
    ]


def table(connector: Kind) -> str:
    rows = [
        "| line / 회선 | tip: pin, colour / 핀, 색 | ring: pin, colour / 핀, 색 |",
        "|---|---|---|",
    ]
    for pair in pairs(connector):
        tip, ring = (f"{one[0]}-{two[0]} / {one[1]}-{two[1]}" for one, two in _both(pair))
        rows.append(f"| {pair.line} | {pair.tip_pin}, {tip} | {pair.ring_pin}, {ring} |")
    return "\n".join(rows) + "\n"


def document(text: str, connector: Kind) -> str:
    """`text` with the table between its marks written anew."""
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n\n{table(connector)}\n{END}{rest.split(END, 1)[1]}"


def svg(connector: Kind) -> str:
    """The exchange on the left, the telephones on the right, the card beside the pair with its contact in the tip."""
    found = pairs(connector)
    height = TOP + ROW * len(found) + 40
    body = [
        _text(20, 30, "교환기 · exchange", "head"), _text(WIDTH - 20, 30, "전화기 · telephones", "head", "end"),
        _text(WIDTH / 2, 30, "linetap", "head", "middle"), _text(20, 50, "Krone / RJ21 (J1302)", "note"),
        _text(WIDTH - 20, 50, "Krone / RJ21 (J1303)", "note", "end"),
        f'<rect x="{WIDTH / 2 - 45}" y="{TOP - 8}" width="90" height="{ROW * len(found) + 8}" class="card"/>',
    ]  # fmt: skip
    for n, pair in enumerate(found):
        body += _row(pair, TOP + 8 + n * ROW)
    body.append(
        _text(
            WIDTH / 2,
            height - 12,
            "J1302: beside the pair · 병렬 | J1303: contact in the tip · 직렬 접점",
            "note",
            "middle",
        )
    )
    style = (
        "text{font-family:sans-serif;font-size:11px;fill:#222}.head{font-size:14px;font-weight:bold}.note{fill:#555}"
    )
    style += ".card{fill:#f4f4f4;stroke:#222}.tap{stroke:#222;stroke-width:1}"
    licence = "<!-- SPDX-License-Identifier: Apache-2.0; tools/draw.py -->"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">\n{licence}\n<style>{style}</style>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _row(pair: Pair, y: float) -> list[str]:
    out = [_text(20, y + 11, f"{pair.line}", "head"), _text(WIDTH - 20, y + 11, f"{pair.line}", "head", "end")]
    for shift, pin, (first, second) in zip((0, 13), (pair.tip_pin, pair.ring_pin), _both(pair), strict=True):
        at = y + shift
        out += [
            f'<path d="M70 {at} H{WIDTH - 70}" stroke="#222" stroke-width="4.6"/>',
            f'<path d="M70 {at} H{WIDTH - 70}" stroke="{first[2]}" stroke-width="3.4"/>',
            f'<path d="M70 {at} H{WIDTH - 70}" stroke="{second[2]}" stroke-width="3.4" stroke-dasharray="5 18"/>',
            _text(62, at + 4, str(pin), "note", "end"), _text(WIDTH - 62, at + 4, str(pin), "note"),
            f'<circle cx="{WIDTH / 2 - 30 + 60 * (shift > 0)}" cy="{at}" r="2.6"/>',
        ]  # fmt: skip
    return [*out, *_contact(y)]


def _contact(y: float) -> list[str]:
    """A closed contact in the upper wire, the tip."""
    x = WIDTH / 2 + 18
    return [
        f'<rect x="{x}" y="{y - 3}" width="18" height="6" fill="#f4f4f4"/>',
        f'<path d="M{x} {y} l20 -2" class="tap"/>',
        f'<circle cx="{x}" cy="{y}" r="2" class="tap"/><circle cx="{x + 18}" cy="{y}" r="2" class="tap"/>',
    ]


def _both(pair: Pair) -> tuple[tuple[tuple[str, str, str], tuple[str, str, str]], ...]:
    """Both wires of a pair with their colours: the tip's wire has the tip colour as base, the ring's wire the ring
    colour.
    """
    return (pair.tip, pair.ring), (pair.ring, pair.tip)


def _text(x: float, y: float, text: str, style: str, anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'
