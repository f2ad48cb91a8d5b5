# SPDX-License-Identifier: Apache-2.0
"""The report of a bring-up: a real unit's hardware, and its figures against the limits of docs/raspberry-pi.md.

A unit makes and signs it (`linetap bringup`, namespace linetap-bringup); a desk imports it (`linetap desk bringup`). A
figure that could not be measured has the reason instead: an empty cell never counts as good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from linetap_core.clock import compact, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import document
from linetap_core.evidence.signing.unitnames import UnitId
from linetap_core.records.states import Colour

SUFFIX = ".bringup.json"
By = Literal["unit", "person", "nobody"]  # the measuring party


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits of a figure, both included. `by_hand`: a person's equipment; empty: the unit measures it."""

    title: str
    unit: str
    low: float
    high: float
    by_hand: str = ""

    @property
    def bound_text(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.low == self.high:
            return f"{self.low:g}{unit}"
        if self.low == -self.high:
            return f"\\|x\\| ≤ {self.high:g}{unit}"
        if self.low == 0:
            return f"≤ {self.high:g}{unit}"
        return f"{self.low:g} to {self.high:g}{unit}"


LIMITS = {
    "power_to_run_s": Limit("power on to RUN lit", "s", 0, 30, by_hand="a stopwatch"),
    "services_ready_s": Limit("the four services ready, after the kernel's start", "s", 0, 10),
    "failed_services": Limit("failed services", "", 0, 0),
    "open_ports": Limit("ports open to the network", "", 0, 0),
    "slowed": Limit("processor slowed, or its supply too low", "", 0, 0),
    "temperature_c": Limit("processor, at 35 °C in the closet", "°C", 0, 75),
    "watchdog_s": Limit("watchdog", "s", 1, 15),
    "cpu_percent": Limit("the four services, of one core", "%", 0, 30),
    "memory_mb": Limit("memory of the four (PSS)", "MB", 0, 220),
    "written_mb_hour": Limit("written to the card an hour", "MB", 0, 400),
    "overruns": Limit("overruns of capture", "", 0, 0),
    "codec_ppm": Limit("codec against the clock", "ppm", -100, 100),
    "codec_change_ppm": Limit("change of the codec's drift between calls", "ppm", 0, 5),
    "calls_gap_ms": Limit("longest gap in a recording", "ms", 0, 0),
    "calls_offset_ms": Limit("clock against its time server at a call's end", "ms", -100, 100),
    "calls_unproved": Limit("recorded calls without a full proof of their notice", "", 0, 0),
    "notice_after_hook_ms": Limit("notice begins after lifting, incoming calls", "ms", 435, 635),
    "power_cut_lost_s": Limit("audio lost at the end of a call by a power cut", "s", 0, 1),
    "lines_not_green": Limit("lines that the walk test did not find good", "", 0, 0),
    "hook_to_state_ms": Limit("hook edge to off_hook", "ms", 0, 70, by_hand="a scope on the pair"),
    "gpio_edge_ms": Limit(
        "edge reported by the gpiochip, slowest of 1,000", "ms", 0, 10, by_hand="a function generator"
    ),
    "notice_dbm": Limit("notice at the far end", "dBm", -19, -13, by_hand="a level meter at the far end"),
    "hung_kernel_s": Limit("hung kernel to the first call", "s", 0, 60, by_hand="a stopwatch"),
}


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `name`: from LIMITS; `value` None: not measured, `note` is the reason; else `note` is the method."""

    name: str
    value: float | None
    by: By
    note: str

    @property
    def holds(self) -> bool | None:
        limit = LIMITS[self.name]
        return None if self.value is None else limit.low <= self.value <= limit.high


class BoardFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The board as the kernel describes it. Empty: the kernel has no value."""

    model: str = ""
    revision: str = ""  # Raspberry Pi's code of the board's revision, in hex
    kernel: str = ""
    firmware: str = ""  # build time of the bootloader in the EEPROM
    clock_chip: str = ""
    codecs: list[str] = []  # one line each: name, rates, channels
    tpm: bool = False


class BringupReport(msgspec.Struct, frozen=True, kw_only=True):
    unit: UnitId
    version: str  # of linetap
    config_sha256: str
    board: BoardFacts
    began_at: str
    ended_at: str
    calls: int  # recorded calls behind the figures of calls
    figures: list[Figure]  # one for each limit, in the order of LIMITS
    standing: list[str] = []  # checks that stand at the end
    walked: dict[str, Colour] = {}  # line -> result of the last walk test


def file_name(report: BringupReport) -> str:
    """The file name by the report's content, independent of the received name."""
    return f"{report.unit}-{compact(parse_rfc3339(report.ended_at))}{SUFFIX}"


def encode(report: BringupReport) -> bytes:
    """The bytes to sign."""
    return document.encode(report)


def decode(data: bytes) -> BringupReport:
    """The report in `data`, without a check of its signature. BadInput for other data."""
    report = document.decode(data, BringupReport)
    if [figure.name for figure in report.figures] != list(LIMITS):
        raise BadInput("its figures are not those of this version of linetap; the unit's own version expected")
    return report


# --- The table --------------------------------------------------------------------------------------------------------

_MOST_SHOWN = 300
_VERDICTS = {True: "holds", False: "DOES NOT HOLD", None: "not measured"}


def table(reports: list[BringupReport]) -> str:
    """A Markdown table with a column for each report."""
    boards = [_text(f"{it.board.model or 'unknown board'} {it.board.revision}".strip()) for it in reports]
    head = ["", *boards, "holds when"]
    rows = [head, ["---"] * len(head)]
    rows.append(["unit, version, date", *(_text(f"{it.unit} {it.version} {it.ended_at[:10]}") for it in reports), ""])
    for place, (_, limit) in enumerate(LIMITS.items()):
        cells = [_cell(it.figures[place]) for it in reports]
        rows.append([limit.title, *cells, limit.bound_text])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(figure: Figure) -> str:
    if figure.value is None:
        return f"{_VERDICTS[None]}: {_text(figure.note)}"
    return f"{figure.value:g}" if figure.holds else f"**{figure.value:g}** {_VERDICTS[False]}"


def _text(text: str) -> str:
    """One cell of the table. A unit's text can begin no row and no tag, and contains no terminal control."""
    plain = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text[:_MOST_SHOWN])
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def verdict(report: BringupReport) -> str:
    """One line: the number of figures within their limits, and the names of the others."""
    counts = {verdict: [it.name for it in report.figures if it.holds is verdict] for verdict in _VERDICTS}
    parts = [f"{len(counts[True])} of {len(report.figures)} figures hold"]
    parts += [f"{_VERDICTS[each].lower()}: {', '.join(counts[each])}" for each in (False, None) if counts[each]]
    return "; ".join(parts)
