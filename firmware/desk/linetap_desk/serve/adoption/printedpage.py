# SPDX-License-Identifier: Apache-2.0
"""The data of a new unit's printed page: LEDs drawn from the legend's table, and a QR code (ISO/IEC 18004) as one SVG
path. All markup is generated here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlsplit

from linetap_core.enrolment.order import UNIT
from linetap_core.wire.hosts import is_own_host
from linetap_core.wire.legend import (
    CONDITIONS,
    NUMBER_DARK,
    PATTERN_NAMES_KO,
    PATTERNS,
    STEP_MS,
    WALK,
    lit,
    number_pattern,
)
from linetap_desk.web.text import Language

# The LEDs of each step, in the order in which a person sees them.
AT_STEP = {
    "power": ("adopt_seek",),
    "digits": ("adopt_code",),
    "button": ("adopt_confirmed",),
    "green": ("ok",),
    "walk": ("walk_lift", "walk_green", "walk_yellow", "walk_red"),
    # On the back, at the same steps:
    "starting": ("starting",),
    "also_green": ("broker_unreachable", "line_fault"),
    "more_walk": ("walk_dial", "walk_wait", "walk_down"),  # a person at the line does not need them
}
# Other conditions of a newly installed unit, by the state of RUN; the worst first, as in the legend.
ELSE = (
    "panel_dead", "config_wrong", "nothing_runs", "capture_dead", "recorder_dead", "codec_stalled", "not_recording",
    "state_unwritten", "data_lost", "reporter_dead", "unit_opened", "meter_absent", "unit_check",
    "line_check", "desk_check",
)  # fmt: skip
EXAMPLE = "307"
DRAWN_MS = 3000


@dataclass(frozen=True, slots=True)
class PatternBar:
    """The time bar of a pattern. `spans`: begin and length of each lit stretch, in hundredths of the bar."""

    name: str
    spans: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class BlinkedNumber:
    """A blinked number. `spans`: begin and length of each lit stretch; `places`: each digit with its middle; all in
    `steps`."""

    digits: str
    steps: int
    spans: tuple[tuple[int, int], ...]
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class ConditionRow:
    """A row of the table. `bars`: LED -> its pattern: RUN and FAULT of a condition, CALL of a walk test."""

    code: str
    says: str
    bars: dict[str, PatternBar]


def unit_page_address(desk: str | None, unit: str) -> str | None:
    """The address of the unit's page at the desk, which requires a login. None if the desk's own address is unknown: it
    listens on all addresses, or on the loopback."""
    host = urlsplit(desk or "").hostname or ""
    return None if is_own_host(host) else f"{desk}/fleet/unit/{unit}"


def bar(pattern: str, language: Language) -> PatternBar:
    """The bar of a pattern. Counted blinks are drawn once, so that counting them on the sheet gives their number."""
    steps = "".join("#" if lit(pattern, at) else "." for at in range(0, DRAWN_MS, STEP_MS))
    if pattern.startswith("blink "):
        steps = PATTERNS[pattern].rstrip(".").ljust(len(steps), ".")
    spans = ((100 * at / len(steps), 100 * long / len(steps)) for at, long in _runs(steps))
    return PatternBar(PATTERN_NAMES_KO[pattern] if language == "ko" else pattern, tuple(spans))


def number() -> BlinkedNumber:
    """EXAMPLE as blinked by CALL, with the dark periods before and after it."""
    steps = number_pattern(EXAMPLE)
    groups = re.finditer(f"(?<={re.escape(NUMBER_DARK)})#.*?(?={re.escape(NUMBER_DARK)})", steps)
    places = zip(EXAMPLE, ((one.start() + one.end()) // 2 for one in groups), strict=True)
    return BlinkedNumber(EXAMPLE, len(steps), tuple(_runs(steps)), tuple(places))


def _runs(steps: str) -> Iterator[tuple[int, int]]:
    """Begin and length of each lit stretch, in steps."""
    return ((one.start(), len(one[0])) for one in re.finditer("#+", steps))


def rows(codes: Iterable[str], language: Language) -> list[ConditionRow]:
    assert set(PATTERN_NAMES_KO) == set(PATTERNS)
    return [_walk(code, language) if code in WALK else _condition(code, language) for code in codes]


def others(language: Language) -> list[tuple[PatternBar, list[ConditionRow]]]:
    """RUN's bar, and the rows of ELSE with that state of RUN."""
    groups = groupby(rows(ELSE, language), lambda row: row.bars["run"])
    return [(run, list(group)) for run, group in groups]


def _condition(code: str, language: Language) -> ConditionRow:
    one = CONDITIONS[code]
    return ConditionRow(
        code, getattr(one, language), {"run": bar(one.run, language), "fault": bar(one.fault, language)}
    )


def _walk(code: str, language: Language) -> ConditionRow:
    """The row of a walk test's step, without the common first words of all rows."""
    says = getattr(WALK[code], language).partition(": ")[2]
    return ConditionRow(code, says, {"call": bar(WALK[code].call, language)})


@dataclass(frozen=True, slots=True)
class LabelledLine:
    """A line. `name`: its extension, or its trunk's name."""

    number: int
    name: str


def lines_of(order: bytes | None) -> list[LabelledLine]:
    """The order's lines by number, in the walk test's order."""
    files = _toml((order or b"").decode(errors="replace")).get("files", {})
    unit = files.get(UNIT) if isinstance(files, dict) else None
    found = _toml(unit).get("line", []) if isinstance(unit, str) else []
    rows = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    lines = [
        LabelledLine(number, str(one.get("extension", one.get("trunk", ""))))
        for one in rows
        if isinstance(number := one.get("number"), int)
    ]
    return sorted(lines, key=lambda line: line.number)


def _toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return {}


QUIET = 4  # quiet zone in modules, ISO/IEC 18004 clause 9.1


@dataclass(frozen=True, slots=True)
class QrCode:
    """A QR code. `size`: its side in modules with the quiet zone; `path`: the dark modules, a rectangle for each run of
    a row."""

    size: int
    path: str


def code_of(text: str) -> QrCode:
    """A QR code of level M, readable with 15 % of it damaged."""
    import segno  # only this page needs it

    rows = segno.make_qr(text, error="m", boost_error=False).matrix
    parts = []
    for y, row in enumerate(rows, QUIET):
        x = QUIET
        for is_dark, run in groupby(row):
            length = len(list(run))
            if is_dark:
                parts.append(f"M{x} {y}h{length}v1h-{length}z")
            x += length
    return QrCode(len(rows) + 2 * QUIET, "".join(parts))
