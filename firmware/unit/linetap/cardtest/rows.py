# SPDX-License-Identifier: Apache-2.0
"""Every row of the test with its limits, which are the simulation's extremes widened by the instruments' errors; and
the report: each row printed when it is measured, and a file of all rows.

The extremes are in `limits`, which tools/hardware_numbers.py writes; this module has only the additions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import TextIO

import msgspec

from linetap.board.frontend import Figure
from linetap.board.meter.protocol import CONTACT_MOST_MS, MOST_CHANNELS, SAMPLE_US, VERSION
from linetap.cardtest import limits
from linetap_core.errors import BadInput

READ_V = 0.5  # four of the converter's steps of 0.12 V
FEED_OHM, PHONE_OHM = 600.0, 600.0  # the fixture's loop: both wires' resistors, and the telephone's
FIXTURE_SHARE = 0.002  # the fixture's resistors, 0.1 % each
LEVEL_DB = 0.5  # the transformers' leakage and winding; their tolerances are not in the model
FRAME_MS = 5  # of the meter, which reports a commanded contact at the frame's end
RELAY_MS = 12  # the relay's operating time: about 1 ms in the model, 10 ms by its data sheet
METER_CLOSES_MS = CONTACT_MOST_MS - 100  # the meter must still command the contact when the card closes it
MOVES_V = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """A row. `low` and `high` are within the limits; `says` describes what is done and read; `of_card`: measured once,
    not on each line."""

    says: str
    unit: str
    low: float
    high: float
    of_card: bool = False

    def limit(self) -> str:
        if self.low == -inf:
            return f"<= {self.high:.4g}"
        if self.high == inf:
            return f">= {self.low:.4g}"
        return f"{self.low:.4g}" if self.low == self.high else f"{self.low:.4g} to {self.high:.4g}"


def rows(volts: float) -> dict[str, Row]:
    """All rows. `volts`: the fixture's battery, measured by a multimeter. BadInput for an impossible voltage."""
    if not 40 <= volts <= 56:
        raise BadInput(f"{volts:g} V: the fixture's battery is 40 to 56 V")
    loop = volts * PHONE_OHM / (FEED_OHM + PHONE_OHM)
    far = FIXTURE_SHARE * loop
    return {
        "version": Row("the meter speaks protocol version", "", VERSION, VERSION, of_card=True),
        "channels": Row("channels of the meter", "", MOST_CHANNELS, MOST_CHANNELS, of_card=True),
        "sample_us": Row("the meter's time between samples", "us", SAMPLE_US, SAMPLE_US, of_card=True),
        "flags": Row("the meter's flags of supply (2) and converters (4, 8)", "", 0, 0, of_card=True),
        "frames_lost": Row("frames of the meter that were lost in all of the test", "", 0, 0, of_card=True),
        "absent_v": Row("nothing on the line: reads", "V", *_wider(limits.ABSENT_V, READ_V)),
        "fed_v": Row("battery, minus on ring: reads", "V", *_about(volts)),
        "reversed_v": Row("battery, minus on tip: reads", "V", *_about(-volts)),
        "loop_v": Row("battery and telephone: reads", "V", *_about(loop, far)),
        "playing_v": Row("the same, the notice's relay closed: reads", "V", *_about(loop, far)),
        "echo_db": Row("1 kHz played: captured, against as it is played", "dB", *_wider(limits.ECHO_DB, LEVEL_DB)),
        "echo_100_db": Row("100 Hz, against 1 kHz", "dB", *_wider(limits.ECHO_100_DB, 0.2)),
        "echo_300_db": Row("300 Hz, against 1 kHz", "dB", *_wider(limits.ECHO_300_DB, 0.2)),
        "echo_3400_db": Row("3.4 kHz, against 1 kHz", "dB", *_wider(limits.ECHO_3400_DB, 0.2)),
        "echo_15000_db": Row("15 kHz, against 1 kHz", "dB", *_wider(limits.ECHO_15000_DB, LEVEL_DB)),
        "neighbour_db": Row("the same in the loudest other line, below its own", "dB", limits.NEIGHBOUR_DB.least, inf),
        "meter_db": Row("1.1 kHz in the meter's reading, in dB of a volt", "dB", *_wider(limits.METER_TONE_DB, 2.0)),
        "silent_db": Row("3.4 kHz played, the relay open: captured", "dB", -inf, limits.SILENT_DB.most),
        "opens_ms": Row(
            "contact: open after the meter's command", "ms",
            limits.OPENS_MS.low - FRAME_MS, limits.OPENS_MS.high + RELAY_MS,
        ),
        "open_v": Row("contact open: reads", "V", *_about(volts)),
        "open_s": Row("contact: closed by the card, commanded without end, after", "s", *_wider(limits.OPEN_S, 0.02)),
        "held_ms": Row("contact: the meter still held it open then, for", "ms", METER_CLOSES_MS, inf),
        "others_v": Row("contact: another line moved meanwhile by", "V", 0, MOVES_V),
        "unarmed_db": Row("no edges on ARM, relay commanded, 3.4 kHz: captured", "dB", -inf, limits.SILENT_DB.most),
        "unarmed_v": Row("no edges on ARM, contact commanded: moved by", "V", 0, MOVES_V),
        "lid": Row("the lid's loop open: the meter says so", "", 1, 1, of_card=True),
        "lid_shut": Row("the lid's loop closed: the meter says it is open", "", 0, 0, of_card=True),
        "spark_exchange_v": Row("thyristor at the exchange's side, 1 mA, contact open", "V", *_range(limits.SPARK_V)),
        "spark_telephone_v": Row("thyristor at the telephone's side, 1 mA, contact open", "V", *_range(limits.SPARK_V)),
        "pair_mohm": Row("tip to ring, 100 V", "Mohm", *_range(limits.PAIR_MOHM)),
        "earth_mohm": Row("the pair to GND, 100 V", "Mohm", *_range(limits.EARTH_MOHM)),
    }  # fmt: skip


def _wider(figure: Figure, by: float) -> tuple[float, float]:
    return figure.low - by, figure.high + by


def _range(figure: Figure) -> tuple[float, float]:
    return figure.least, figure.most


def _about(volts: float, more: float = 0.0) -> tuple[float, float]:
    return volts + limits.METER_ERROR_V.low - READ_V - more, volts + limits.METER_ERROR_V.high + READ_V + more


SUFFIX = ".card.json"


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A measured row. `line` 0: a row of the card. `value` None: not measured, which is no pass."""

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
    """The report. `serial`: from the label; `meter_serial`: the part's, by USB; `stopped`: why the test ended early."""

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
    """The sheet: judges and prints the walk's values."""

    def __init__(self, rows: dict[str, Row], out: TextIO) -> None:
        self._rows, self._out = rows, out
        self.measured: list[Measured] = []

    def tell(self, name: str, line: int, value: float | None) -> None:
        row = self._rows[name]
        # nan: no measurement was possible; inf: beyond an instrument's range
        number = float(value) if value is not None and isfinite(value) else None
        held = number is not None and bool(row.low <= number <= row.high)
        shown = None if number is None else round(number, 4)
        found = Measured(row=name, line=line, says=row.says, unit=row.unit, limit=row.limit(), value=shown, holds=held)
        self.measured.append(found)
        self._out.write(found.text() + "\n")
        self._out.flush()

    def complete(self, lines: Sequence[int]) -> bool:
        """Whether every row was measured, once on each of the lines or once for the card, and is within its limits."""
        measured = sorted((each.row, each.line) for each in self.measured)
        required = [(name, line) for name, row in self._rows.items() for line in ([0] if row.of_card else lines)]
        return measured == sorted(required) and all(each.holds for each in self.measured)


def encode(report: CardReport) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"
