# SPDX-License-Identifier: Apache-2.0
"""The keys of calls.toml: what happens on the simulated lines.

Times are seconds from the script's start, or where it says so from a call's answer; lengths in seconds or `_ms`, levels
in dBm0, lines from 1. What does not fit together is found in script.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from linetap.bench.callsounds import CallSound, Level, Network, Party, Seconds
from linetap.bench.expect import Expect
from linetap.bench.timing import times_of

TAIL_MS = 3000  # after the last on-hook: longer than a flash, so that everybody knows it was one

LineNumber = Annotated[int, Meta(ge=1, le=32)]
ToneName = Literal["dial", "ringback", "busy", "congestion", "unobtainable", "call_waiting"]


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


class CallerId(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the exchange says of the caller: FSK after the first burst of ringing, DTMF before it."""

    kind: Literal["none", "bell202", "v23", "dtmf"] = "none"
    message: Literal["mdmf", "sdmf"] = "mdmf"
    number: Annotated[str, Meta(pattern=r"^[0-9]*$", max_length=20)] = ""
    name: Annotated[str, Meta(max_length=15)] = ""  # EUC-KR where it is not ASCII
    withheld: bool = False
    broken: bool = False  # a checksum that does not fit; in digits, an end that does not come
    dbm0: Level = -14.0  # of a digit: of each tone


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Digits in the middle of a call; nobody speaks meanwhile."""

    at_s: Seconds  # from the answer
    digits: Annotated[str, Meta(pattern=r"^[0-9*#A-D]+$", max_length=32)]
    by: Literal["staff", "caller"] = "staff"
    dbm0: Level | None = None  # of each tone: as it arrives from a telephone on this line, or from the far end


class ExchangeTone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tone of the exchange in the middle of a call; but for call waiting, nobody speaks meanwhile."""

    at_s: Seconds  # from the answer
    tone: ToneName
    for_s: Annotated[float, Meta(gt=0, le=600)]


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One call. `in` rings first; `out` goes off-hook at `start_s`, and without digits is an accidental off-hook."""

    line: LineNumber
    start_s: Seconds
    direction: Literal["in", "out"]
    outcome: Literal["answered", "unanswered", "busy", "congestion", "unobtainable"] = "answered"
    caller_id: CallerId = CallerId()
    rings: Annotated[int, Meta(ge=1, le=60)] = 2  # bursts: of ringing (in), of ringback (out)
    answer_in_burst_ms: Annotated[int, Meta(ge=1, le=999)] | None = None  # within the last burst; else after it
    shake: bool = False  # ringing gets through to the hook comparator
    digits: Annotated[str, Meta(pattern=r"^[0-9*#A-D]*$", max_length=32)] = ""
    dialling: Literal["dtmf", "pulse"] = "dtmf"
    dial_tone: bool = True
    pause_after: Annotated[int, Meta(ge=0, le=31)] = 0  # of the digits; then nobody dials for `pause_s`
    pause_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    second_dial: bool = False  # a dial tone in that pause
    ringback: bool = True  # the exchange's; else only what `sound` says is heard
    ringback_after_s: Annotated[float, Meta(ge=0, le=60)] = 1.2  # from the last digit
    # From the last digit to the answer, to the end of waiting or to the busy tone; else so many `rings` are. Without
    # digits it counts from the off-hook: a hotline.
    progress_s: Annotated[float, Meta(ge=0, le=600)] | None = None
    hold_s: Annotated[float, Meta(ge=0.02, le=600)] = 1.0  # an accidental off-hook lasts so long
    polarity: bool = False  # the exchange reverses the loop while the far end is connected
    seizure: bool = False  # ... and reverses it once when all is dialled, which is no answer
    network: Network = Network()  # of whoever answers or calls
    early: Network = Network()  # of what is heard from the last digit to the answer
    sound: list[CallSound] = []
    party: list[Party] = []
    fax: Literal["none", "answer", "answer_reversed", "calling"] = "none"  # the far end; its phase may turn (V.25)
    talk: list[str] = []  # said in turn, over and over until `talk_s` is up
    first_speaker: Literal["staff", "caller"] = "staff"
    talk_after_s: Seconds = 1.0  # from the answer
    talk_s: Seconds = 10.0
    pause_ms: Annotated[int, Meta(ge=-2000, le=5000)] = 350  # between one and the other; below 0 they interrupt
    staff_dbm0: Level = -14.0
    caller_dbm0: Level = -22.0
    dense_dbm0: Level | None = None  # noise all through the call, so that no sample is like another
    flash_at_s: list[Seconds] = []  # from the answer
    flash_ms: Annotated[int, Meta(ge=20, le=3000)] = 600
    keys: list[Keys] = []
    tone: list[ExchangeTone] = []
    ends: Literal["staff", "far"] = "staff"
    loop_break_ms: Annotated[int, Meta(ge=0, le=5000)] = 0  # so long the exchange opens the loop when the far end ends
    busy_s: Annotated[float, Meta(ge=0, le=60)] = 3.0  # the exchange's tone before the staff member hangs up
    bounce_ms: Annotated[int, Meta(ge=0, le=15)] = 8


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
