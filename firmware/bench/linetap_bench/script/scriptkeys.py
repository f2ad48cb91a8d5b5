# SPDX-License-Identifier: Apache-2.0
"""The keys of calls.toml: what happens on the simulated lines.

Times are seconds from the script's start, or where it says so from a call's answer; lengths in seconds or `_ms`, levels
in dBm0, lines from 1. What does not fit together is found in script.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from linetap_bench.script.callkeys import Call, Level, LineNumber, Seconds
from linetap_bench.script.expect import Expect
from linetap_bench.script.timing import times_of

TAIL_MS = 3000  # after the last on-hook: longer than a flash, so that everybody knows it was one


class LineSetup(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The wire pair itself, with levels as they are on it. `deaf`: a played notice does not come back, as on a line
    whose relay is not wired.

    What the card makes of it is the drawing's where it is not given: `captured_db` is what is captured against what is
    on the line, `echo_db` what is captured of a notice against the notice as played.
    """

    number: LineNumber
    noise_dbm0: Level = -68.0
    hum_dbm0: Level | None = -62.0  # of the mains and its harmonics together
    on_hook_v: Annotated[float, Meta(ge=20, le=60)] = 48.0
    off_hook_v: Annotated[float, Meta(ge=3, le=40)] = 8.0
    reversed: bool = False  # tip and ring swapped
    captured_db: Annotated[float, Meta(ge=-20, le=6)] | None = None
    echo_db: Annotated[float, Meta(ge=-60, le=6)] | None = None
    deaf: bool = False


class SmdrLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the PBX prints, and when."""

    at_s: Seconds
    text: Annotated[str, Meta(pattern=r"^[^\r\n]+$", max_length=200)]


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole script. `lines` counts the channels of a rendered WAV.

    `unit` is what the configuration of the unit on these lines says otherwise than `config init`, and `expect` the
    records that it must come to, in the order in which the calls began: the exchange itself reads neither.
    """

    lines: LineNumber = 8
    seed: Annotated[int, Meta(ge=0)] = 1
    language: Literal["ko", "en"] = "ko"
    duration_s: Seconds | None = None
    line: list[LineSetup] = []
    call: list[Call] = []
    smdr: list[SmdrLine] = []
    unit: dict[str, Any] = {}
    expect: list[Expect] = []

    def setup(self, number: int) -> LineSetup:
        return next((line for line in self.line if line.number == number), LineSetup(number=number))

    @property
    def deaf_lines(self) -> set[int]:
        return {line.number for line in self.line if line.deaf}

    @property
    def duration_ms(self) -> int:
        if self.duration_s is not None:
            return round(self.duration_s * 1000)
        return max((times_of(call).end for call in self.call), default=0) + TAIL_MS
