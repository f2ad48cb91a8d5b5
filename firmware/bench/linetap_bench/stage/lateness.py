# SPDX-License-Identifier: Apache-2.0
"""Reports of stand-ins (exchange, cable, far end, simple unit) that a busy machine ran later than their buffers allow.

A stand-in measures its own lateness and appends it to the file that LINETAP_LATENESS names, one JSON object a line.
Tests read the file to tell a failure of the stand-in from one of the product: see tests/held_up.py. Without the
variable nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap_core.clock import SYSTEM

VARIABLE = "LINETAP_LATENESS"
# Of stand-ins that cannot report by themselves (jackd, a guest's) and are still up: called when a test has failed.
WATCHED: list[Callable[[], None]] = []


class Late(msgspec.Struct, frozen=True):
    who: str  # "the exchange"
    late_ms: float  # beyond what its buffer allows
    mono_ns: int  # CLOCK_MONOTONIC of the report, which all processes of a machine share

    def __str__(self) -> str:
        return f"{self.who} was {self.late_ms:.0f} ms late"


def report_late(who: str, late_ms: float) -> None:
    """Called where a buffer ran dry or over. `late_ms` of 0 or less is no report: the cause was elsewhere."""
    path = os.environ.get(VARIABLE)
    if path is None or late_ms <= 0:
        return
    line = msgspec.json.encode(Late(who, round(late_ms, 1), SYSTEM.monotonic_ns())) + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND)  # one write: several processes report at once
    try:
        os.write(file, line)
    finally:
        os.close(file)


def reports(path: Path) -> list[Late]:
    """All reports so far, in the order in which they came."""
    return [msgspec.json.decode(line, type=Late) for line in path.read_bytes().splitlines()]
