# SPDX-License-Identifier: Apache-2.0
"""The one printed page that goes along with a new unit: its LEDs are the legend's, drawn from the same table."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlsplit

from linetap_core.wire import loopback
from linetap_core.wire.legend import CONDITIONS, PATTERN_NAMES_KO, PATTERNS, STEP_MS, WALK, lit
from linetap_desk.web.text import Language

# What a person may see between power and the end of the walk test, in that order.
SHOWN = (
    "panel_dead", "adopt_seek", "adopt_code", "adopt_confirmed", "config_wrong", "starting", "broker_unreachable",
    "ok", "line_fault", "line_check", "unit_opened", "unit_check",
)  # fmt: skip
DRAWN_MS = 3000


@dataclass(frozen=True, slots=True)
class Bar:
    """`spans`: begin and length of each lit stretch, in hundredths of the bar. `name`: of the pattern."""

    name: str
    spans: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """`run` is None for CALL's rows, `call` for the others."""

    code: str
    says: str
    run: Bar | None
    call: Bar | None
    fault: Bar | None


def address_of(desk: str | None, unit: str) -> str | None:
    """The unit's page at the desk, for whoever may log in there. None where the desk's own address is not known: it
    listens everywhere, or for its own machine alone."""
    host = urlsplit(desk or "").hostname or ""
    try:
        is_known = not loopback.is_own(host) and not ipaddress.ip_address(host).is_unspecified
    except ValueError:
        is_known = not loopback.is_own(host)
    return f"{desk}/fleet/unit/{unit}" if is_known else None


def bar(pattern: str, language: Language) -> Bar:
    steps = DRAWN_MS // STEP_MS
    spans, at = [], 0
    for is_lit, stretch in groupby(lit(pattern, step * STEP_MS) for step in range(steps)):
        length = len(list(stretch))
        if is_lit:
            spans.append((100 * at / steps, 100 * length / steps))
        at += length
    return Bar(PATTERN_NAMES_KO[pattern] if language == "ko" else pattern, tuple(spans))


def rows(language: Language) -> list[Row]:
    assert set(PATTERN_NAMES_KO) == set(PATTERNS)
    found = [
        Row(code, getattr(CONDITIONS[code], language), bar(CONDITIONS[code].run, language), None,
            bar(CONDITIONS[code].fault, language))
        for code in SHOWN
    ]  # fmt: skip
    return found + [
        Row(code, getattr(one, language), None, bar(one.call, language), None) for code, one in WALK.items()
    ]
