# SPDX-License-Identifier: Apache-2.0
"""Parses the circuit's tables strictly: parts.toml, and a sheet file for each sheet."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_core.errors import BadInput
from linetap_core.tomlfile.source import Source

CIRCUIT = Path(__file__).resolve().parent.parent / "circuit"
MOST_BYTES = 1 << 20
REFERENCE = re.compile(r"([A-Z]+)(\d{1,2})")
RANGE = re.compile(r"([A-Z_]+)(\d+)\.\.(\d+)")

Side = Literal["left", "right", "top", "bottom"]
Milliwatts = Annotated[float, Meta(gt=0, le=50_000)]
Symbol = Literal[
    "R",
    "C",
    "D",
    "F",
    "TVS",
    "L",
    "amp",
    "clamp",
    "nmos",
    "pmos",
    "relay",
    "relay_closed",
    "transformer",
    "box",
    "flag",
    "pad",
]


class Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of parts.toml. `off` is in percent of the value; `full_v` is the rms of a sine.

    `stands_v` is the highest permitted peak voltage between two pins of one side; `insulates_v` that between its sides,
    rms, with its maker's grade as `insulation`.
    """

    symbol: Symbol
    value: str
    off: Annotated[float, Meta(ge=0, le=50)] = 0.0
    offset_mv: Annotated[float, Meta(ge=0, le=50)] = 0.0
    full_v: Annotated[float, Meta(ge=0, le=10)] = 0.0
    gain_db: Annotated[float, Meta(ge=-12, le=40)] = 0.0
    rating: str = ""
    stands_v: Annotated[float, Meta(ge=0, le=5000)] = 0.0
    clamps_v: Annotated[float, Meta(ge=0, le=1000)] = 0.0  # voltage across a suppressor at its full current
    insulates_v: Annotated[float, Meta(ge=0, le=10000)] = 0.0
    insulation: Literal["", "functional", "basic", "supplementary", "reinforced"] = ""
    maker: str = ""
    number: str = ""
    second: str = ""
    second_offset_mv: Annotated[float, Meta(ge=0, le=50)] = 0.0
    second_spice: str = ""
    lifecycle: str = "not checked"
    spice: str = ""
    mw: dict[str, Milliwatts] = msgspec.field(default_factory=dict)  # worst-case consumption by pin
    feeds: list[str] = msgspec.field(default_factory=list)  # the pin that draws the current, the pin that supplies it
    efficiency: Annotated[float, Meta(ge=0, le=1)] = 0.0  # 0: linear, input and output current are equal
    most_ma: Annotated[float, Meta(ge=0, le=20_000)] = 0.0  # the most it can supply
    ohm: Annotated[float, Meta(ge=0, le=10)] = 0.0  # hot resistance in series with the current it feeds or `passes`
    passes: str = ""  # the rail whose current flows through it
    melts_a2s: Annotated[float, Meta(ge=0, le=1000)] = 0.0  # of a fuse, cold
    heat_mw: Annotated[float, Meta(ge=0, le=50_000)] = 0.0  # own heat, if it is not the loss of the supplied power
    k_per_w: Annotated[float, Meta(ge=0, le=1000)] = 0.0  # junction above ambient
    most_c: Annotated[float, Meta(gt=0, le=200)] = 125.0  # the junction
    around_c: Annotated[float, Meta(ge=0, le=200)] = 0.0  # ambient air, if its sheet permits no more
    source: str = ""  # of these figures
    fitted: bool = True  # False: a flag or a mark of the drawing, not a purchased part
    pins: list[str] = msgspec.field(default_factory=lambda: ["1 1 passive", "2 2 passive"])

    @property
    def bought(self) -> bool:
        """Whether the part is purchased; a test pad is fitted, but only copper of the board."""
        return self.fitted and self.symbol != "pad"

    def pin_rows(self) -> list[Pin]:
        """The rows of pins. BadInput with the first invalid row."""
        return list(_pins(self.value, tuple(self.pins)))


@dataclass(frozen=True, slots=True)
class Pin:
    number: str
    name: str
    type: str
    side: str


@cache
def _pins(value: str, lines: tuple[str, ...]) -> tuple[Pin, ...]:
    rows = [row.split() for row in lines]
    for row in rows:
        if len(row) not in (3, 4):
            raise BadInput(f"parts.toml: {value}: {' '.join(row)!r} is not: number name type [side]")
    two = ("left", "right")
    return tuple(Pin(row[0], row[1], row[2], row[3] if len(row) == 4 else two[i % 2]) for i, row in enumerate(rows))


@dataclass(frozen=True, slots=True)
class Part:
    """One row of a sheet. `nets` by pin name; a pin without a net is deliberately open."""

    prefix: str
    index: int
    kind_name: str
    kind: Kind
    nets: dict[str, str]

    def reference(self, base: int) -> str:
        return f"{self.prefix}{base * 100 + self.index}"


@dataclass(slots=True)
class Block:
    heading: str
    rows: list[list[Part]] = field(default_factory=list)


@dataclass(slots=True)
class Sheet:
    """`rails` are the same on all sheets; `ports` connect to the parent sheet. Parts `only drawn` have no models."""

    path: Path
    title: str = ""
    simulated: bool = True
    rails: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.path.stem

    def parts(self) -> list[Part]:
        return [part for block in self.blocks for row in block.rows for part in row]


def load_kinds(path: Path = CIRCUIT / "parts.toml") -> dict[str, Kind]:
    """Loads parts.toml. BadInput names the part and its fault."""
    kinds: dict[str, Kind] = {}
    for name, entry in Source(path).data.items():
        try:
            kinds[name] = msgspec.convert(entry, Kind)
        except msgspec.ValidationError as error:
            raise BadInput(f"{path}: [{name}]: {error}") from None
    return kinds


def load_sheet(path: Path, kinds: dict[str, Kind]) -> Sheet:
    """Loads a sheet. BadInput names file and line of the first invalid row."""
    text = path.read_bytes()[: MOST_BYTES + 1].decode()
    if len(text) > MOST_BYTES:
        raise BadInput(f"{path}: above {MOST_BYTES} bytes, which is no sheet")
    sheet = Sheet(path)
    seen: dict[str, int] = {}
    for number, line in enumerate(_joined(text), 1):
        try:
            _take(sheet, line, kinds, seen, number)
        except BadInput as error:
            raise BadInput(f"{path}:{number}: {error}") from None
    for block in sheet.blocks:
        block.rows = [row for row in block.rows if row]
    return sheet


def _joined(text: str) -> list[str]:
    """Joins indented lines to the line before; the line numbers stay."""
    lines: list[str] = []
    first = 0
    for line in text.splitlines():
        if line.startswith(" ") and line.strip():
            lines[first] += line
            lines.append("#")
        else:
            first = len(lines)
            lines.append(line)
    return lines


def _take(sheet: Sheet, line: str, kinds: dict[str, Kind], seen: dict[str, int], number: int) -> None:
    word, _, rest = line.partition(" ")
    if line.startswith("#"):
        return
    if not line.strip():
        if sheet.blocks:
            sheet.blocks[-1].rows.append([])
    elif line.startswith("["):
        sheet.blocks.append(Block(line.strip("[] "), [[]]))
    elif word == "title":
        sheet.title = rest
    elif line == "only drawn":
        sheet.simulated = False
    elif word in ("rail", "port"):
        (sheet.rails if word == "rail" else sheet.ports).extend(name for each in rest.split() for name in expand(each))
    else:
        if not sheet.blocks:
            raise BadInput("a part before the first [block]")
        for i, reference in enumerate(expand(word), 1):
            if reference in seen:
                raise BadInput(f"{reference} stands in line {seen[reference]} already")
            seen[reference] = number
            sheet.blocks[-1].rows[-1].append(_part(reference, rest.replace("#", str(i)).split(), kinds))


def expand(name: str) -> list[str]:
    """Expands `VM1..8` to VM1 to VM8. A part with such a name exists that many times; `#` in its nets counts from 1."""
    if matched := RANGE.fullmatch(name):
        return [f"{matched[1]}{i}" for i in range(int(matched[2]), int(matched[3]) + 1)]
    return [name]


def _part(reference: str, words: list[str], kinds: dict[str, Kind]) -> Part:
    matched = REFERENCE.fullmatch(reference)
    if not matched or not 1 <= int(matched[2]) <= 99:
        raise BadInput(f"{reference!r} is no reference such as R1 to R99")
    if not words or words[0] not in kinds:
        raise BadInput(f"{reference}: {' '.join(words[:1]) or 'no part'} is not in parts.toml")
    kind, nets = kinds[words[0]], words[1:]
    names = [pin.name for pin in kind.pin_rows()]
    if any("=" in net for net in nets):
        by_name = dict(net.split("=", 1) for net in nets)
        if unknown := sorted(by_name.keys() - set(names)):
            raise BadInput(f"{reference}: {words[0]} has no pin {unknown[0]}")
    else:
        if len(nets) != len(names):
            raise BadInput(f"{reference}: {len(nets)} nets for the {len(names)} pins of {words[0]}")
        by_name = dict(zip(names, nets, strict=True))
    return Part(matched[1], int(matched[2]), words[0], kind, by_name)
