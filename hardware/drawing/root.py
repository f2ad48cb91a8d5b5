# SPDX-License-Identifier: Apache-2.0
"""Draws the first sheet: a box for each other sheet, and the signal path between them, from the lines to the Pi.

Pairs enter on the left and pass through eight lines. Their audio leaves above, the meter's signals below.
"""

from __future__ import annotations

from dataclasses import dataclass

from drawing.route import Spot, Wires
from drawing.schematic import PROJECT, document, drawn
from drawing.sexpr import at, effects, identity, mm, prop, quoted, uid
from drawing.tables import Sheet

LINES = 8
WIDE, PITCH, TOP, MOST_WIRE, MOST_RUN = 16, 10, 10, 250, 8
PAPER = ("A2", 233, 165)
X = {"connectors": 8, "line": 44, "audio": 104, "meter": 104, "panel": 44, "supply": 44, "usb": 144, "references": 144}
TRACKS = X["line"] + WIDE + 8  # position of the vertical wires between lines and meter
METER_Y = TOP + LINES * PITCH + 6
TO_METER = ("VM", "RELAY", "CONTACT")
OTHER_TRACKS = {"LAMP_CLOCK": 65, "LAMP_DATA": 66, "LAMP_LATCH": 67, "PFAIL": 68, "CODEC_SCL": 128, "CODEC_SDA": 127}


@dataclass(frozen=True, slots=True)
class Instance:
    """A sheet's box on the root; `nets` by port."""

    sheet: Sheet
    name: str
    nets: dict[str, str]


@dataclass(frozen=True, slots=True)
class Pin:
    port: str
    net: str
    at: Spot
    side: str


def _line(number: int) -> int:
    return TOP + (number - 1) * PITCH


def _pins() -> dict[str, dict[str, tuple[str, int]]]:
    """Sheet -> port -> side and y. Ports without an entry follow on the right, with a label."""
    by_line = [(port, number) for number in range(1, LINES + 1) for port in TO_METER]
    rows = {
        f"{port}{i}": ("right", _line(i) + j) for i in range(1, 9) for j, port in enumerate(("TIP", "RING", "TIP_TEL"))
    }
    panel = {name: METER_Y + i for i, name in enumerate(("LED_RUN", "LED_CALL", "LED_FAULT", "BUTTON"))}
    low = METER_Y + len(by_line) + 1
    lamps = {name: ("left", low + i) for i, name in enumerate(("LAMP_CLOCK", "LAMP_DATA", "LAMP_LATCH"))}
    usb = {name: i for i, name in enumerate(("USB_DP", "USB_DM"))}
    meter_usb = {name: i for i, name in enumerate(("METER_DP", "METER_DM"))}
    return {
        "line": {name: ("left", i) for i, name in enumerate(("TIP", "RING", "TIP_TEL"))}
        | {name: ("right", i) for i, name in enumerate(("RX", "TX", *TO_METER))},
        "connectors": rows
        | {name: ("right", y) for name, y in panel.items()}
        | {"ARM_IN": ("right", METER_Y + 14), "TAMPER": ("right", low + 4)},
        "panel": {name: ("left", y) for name, y in panel.items()}
        | {name: ("right", METER_Y + i) for i, name in enumerate(lamps)},
        "supply": {"ARM_IN": ("left", METER_Y + 14), "PFAIL": ("right", METER_Y + 14)},
        "audio": {f"{port}{i}": ("left", _line(i) + j) for i in range(1, 9) for j, port in enumerate(("RX", "TX"))}
        | {name: ("right", METER_Y - 12 + i) for name, i in usb.items()}
        | {name: ("right", METER_Y - 7 + i) for i, name in enumerate(("CODEC_SCL", "CODEC_SDA"))},
        "meter": {f"{port}{number}": ("left", METER_Y + i) for i, (port, number) in enumerate(by_line)}
        | lamps
        | {"PFAIL": ("left", low + 3), "TAMPER": ("left", low + 4)}
        | {name: ("right", METER_Y + i) for i, name in enumerate(("CODEC_SCL", "CODEC_SDA"))}
        | {name: ("right", METER_Y + 4 + i) for name, i in meter_usb.items()},
        "usb": {name: ("left", METER_Y - 12 + i) for name, i in usb.items()}
        | {name: ("left", METER_Y - 9 + i) for name, i in meter_usb.items()},
        "references": {},
    }


def root(instances: list[Instance]) -> str:
    _, width, height = PAPER
    wires, table = Wires(width, height), _pins()
    body: list[str] = []
    ends: dict[str, list[Pin]] = {}
    for page, each in enumerate(instances, 2):
        pins, top, bottom = _placed(each, table[each.sheet.name])
        body += _box(each, pins, top, bottom, page)
        x = X[each.sheet.name]
        wires.blocked.update((x + dx, y) for dx in range(WIDE + 1) for y in range(top - 1, bottom + 2))
        wires.blocked.difference_update(pin.at for pin in pins)
        for pin in pins:
            wires.pins[pin.at] = pin.net
            ends.setdefault(pin.net, []).append(pin)
    _tracks(wires, ends)
    ways = sorted(ends.values(), key=lambda pins: _far([pin.at for pin in pins]))
    named = [pin for pins in ways for pin in _parted(wires, pins[0].net, pins)]
    body += [_label(pin.net, _spot(wires, pin), pin.side) for pin in named]
    body += drawn("root", [segment for _, segment in wires.segments()], wires.junctions())
    return document(PROJECT, PAPER[0], "a card of eight lines", [*body, '(sheet_instances (path "/" (page "1")))'])


def _parted(wires: Wires, net: str, pins: list[Pin]) -> list[Pin]:
    """One pin of each island, for the island's label."""
    islands = wires.join(net, [pin.at for pin in pins], MOST_WIRE)
    runs = sorted(pins, key=lambda pin: (-min(_run(wires, net, pin), MOST_RUN), pin.side != "right"))
    named = [next(pin for pin in runs if pin.at in each) for each in islands]
    for pin in named:
        if pin.at not in wires.at:
            wires.draw(net, [pin.at, _beside(pin)])
    return named


def _beside(pin: Pin) -> Spot:
    return pin.at[0] + (1 if pin.side == "right" else -1), pin.at[1]


def _spot(wires: Wires, pin: Pin) -> Spot:
    """A step along the wire, unless the wire bends or is crossed there: the label would then touch two wires."""
    leaves = wires.at[_beside(pin)]
    alone = len(leaves) == 1 and leaves.get(pin.net) in ({0, 2}, {0}, {2})
    return _beside(pin) if alone else pin.at


def _run(wires: Wires, net: str, pin: Pin) -> int:
    """Length of the wire's straight part, which is the room for its label."""
    (x, y), out, long = pin.at, 1 if pin.side == "right" else -1, 0
    ahead = 0 if out == 1 else 2
    while ahead in wires.at.get((x, y), {}).get(net, set()):
        x, long = x + out, long + 1
    return long


def _tracks(wires: Wires, ends: dict[str, list[Pin]]) -> None:
    """Draws the wires with fixed tracks. The higher a line's wire starts, the further right it runs down, so that none
    cross.
    """
    bundle = [f"{port}{number}" for number in range(1, LINES + 1) for port in TO_METER]
    tracks = {net: TRACKS + len(bundle) - i for i, net in enumerate(bundle)} | OTHER_TRACKS
    for net, track in tracks.items():
        if len(ends.get(net, [])) == 2:
            (x1, y1), (x2, y2) = sorted((pin.at for pin in ends[net]), key=lambda at: at[1])
            down = [(track, y) for y in range(y1, y2)]
            wires.draw(net, [*_level(x1, track, y1), *down, *_level(track, x2, y2), (x2, y2)])


def _level(start: int, end: int, y: int) -> list[Spot]:
    """The spots of a horizontal wire, without its end."""
    return [(x, y) for x in range(start, end, 1 if end > start else -1)]


def _placed(each: Instance, table: dict[str, tuple[str, int]]) -> tuple[list[Pin], int, int]:
    """The pins of an instance, and the box's top and bottom."""
    name = each.sheet.name
    y = _line(int(each.name[-1])) if name == "line" else 0
    start = {"references": METER_Y + 14, "usb": METER_Y - 14}.get(name, TOP)
    pins: list[Pin] = []
    for port in each.sheet.ports:
        side, row = table.get(port, ("right", -1))
        if row >= 0:
            pins.append(Pin(port, each.nets[port], (X[name] + (WIDE if side == "right" else 0), y + row), side))
    low = max((pin.at[1] for pin in pins), default=start)
    for i, port in enumerate((port for port in each.sheet.ports if port not in table), 1):
        pins.append(Pin(port, each.nets[port], (X[name] + WIDE, low + i), "right"))
    rows = [pin.at[1] for pin in pins] or [start]
    return pins, min(rows) - 1, max(rows) + 1


def _box(each: Instance, pins: list[Pin], top: int, bottom: int, page: int) -> list[str]:
    x, name = X[each.sheet.name], each.name
    place = f"(at {mm(x)} {mm(top)}) (size {mm(WIDE)} {mm(bottom - top)})"
    lines = [
        f"(sheet {place} (stroke (width 0.15) (type solid)) (fill (color 0 0 0 0)) {uid('sheet', name)}",
        prop("Sheetname", name, x, top - 0.3, shown=True, justify="left bottom"),
        prop("Sheetfile", f"{each.sheet.name}.kicad_sch", x, bottom + 0.3, shown=True, justify="left top"),
    ]
    for pin in pins:
        inner = effects(f"(justify {pin.side})")
        angle = 0 if pin.side == "right" else 180
        lines.append(f"(pin {quoted(pin.port)} passive {at(*pin.at, angle)} {uid('pin', name, pin.port)} {inner})")
    path = f"(path {quoted('/' + identity(PROJECT))} (page {quoted(str(page))}))"
    return [*lines, f"(instances (project {quoted(PROJECT)} {path})))"]


def _label(net: str, spot: Spot, side: str) -> str:
    turn, justify = (0, "left") if side == "right" else (180, "right")
    style = effects(f"(justify {justify} bottom)")
    return f"(label {quoted(net)} {at(*spot, turn)} {style} {uid('outside', net, *map(str, spot))})"


def _far(spots: list[Spot]) -> int:
    across, down = [x for x, _ in spots], [y for _, y in spots]
    return max(across) - min(across) + max(down) - min(down)
