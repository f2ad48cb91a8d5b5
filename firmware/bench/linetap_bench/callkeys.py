# SPDX-License-Identifier: Apache-2.0
"""The keys of one [[call]] in calls.toml: who calls whom, what is dialled, said and heard, and how it ends.

Times are seconds from the script's start, or where it says so from the call's answer; lengths in seconds or `_ms`,
levels in dBm0.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from linetap_bench.callsounds import CallSound, Level, Network, Party, Seconds

LineNumber = Annotated[int, Meta(ge=1, le=32)]
ToneName = Literal["dial", "ringback", "busy", "congestion", "unobtainable", "call_waiting"]


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
