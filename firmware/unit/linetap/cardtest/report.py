# SPDX-License-Identifier: Apache-2.0
"""What remains of a production test: a row printed as it is measured, and a file of all of them."""

from __future__ import annotations

from collections import Counter
from math import isnan
from typing import TextIO

import msgspec

from linetap.cardtest.rows import Row

SUFFIX = ".card.json"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """`line` 0: of the card. `value` None: not measured, which is no pass."""

    row: str
    line: int
    says: str
    value: float | None
    unit: str
    limit: str
    holds: bool

    def text(self) -> str:
        where = f"line {self.line}" if self.line else "card  "
        value = "not measured" if self.value is None else f"{self.value:.4g} {self.unit}".rstrip()
        return f"{'good' if self.holds else 'FAIL'} {where}  {self.row:18} {value:>14}  of {self.limit}: {self.says}"


class CardReport(msgspec.Struct, frozen=True, kw_only=True):
    """`serial` is the label's, `meter_serial` the part's own, as USB has it; `stopped` why the test ended early."""

    serial: str
    meter_serial: str
    firmware: str
    version: str
    began_at: str
    ended_at: str
    battery_v: float
    lines: list[int]
    stopped: str
    passed: bool
    rows: list[Measured]


class Sheet:
    """Takes the walk's values, judges and prints them."""

    def __init__(self, rows: dict[str, Row], out: TextIO) -> None:
        self._rows, self._out = rows, out
        self.measured: list[Measured] = []

    def tell(self, name: str, line: int, value: float | None) -> None:
        row = self._rows[name]
        number = None if value is None or isnan(value) else float(value)  # nan: there was nothing to measure
        held = number is not None and bool(row.low <= number <= row.high)
        shown = None if number is None else round(number, 4)
        found = Measured(row=name, line=line, says=row.says, unit=row.unit, limit=row.limit(), value=shown, holds=held)
        self.measured.append(found)
        self._out.write(found.text() + "\n")
        self._out.flush()

    def complete(self, lines: int) -> bool:
        """Every row is there, once a line or once a card, and holds."""
        counts = Counter(each.row for each in self.measured)
        whole = all(counts[name] in (1, lines) for name in self._rows)
        return whole and all(each.holds for each in self.measured)


def encode(report: CardReport) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
