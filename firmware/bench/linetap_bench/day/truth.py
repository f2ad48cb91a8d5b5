# SPDX-License-Identifier: Apache-2.0
"""A call of the day, and what is true of it. Milliseconds from the start of its hour, as the script has them."""

from __future__ import annotations

from typing import Literal

import msgspec

from linetap_bench.exchange.callplay import utterances
from linetap_bench.script.callkeys import Call
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices

# What has to become of it. `either`: a party was on the line for so short a time, or is a machine, that both are right.
Wants = Literal["recorded", "not", "either"]
NOTICE_KEY = "**1"  # the default
LATE_MS = 3000  # after the answer
# Where staff greets first, the notice waits for the greeting's end, at most recording.greeting_max_ms (6000).
LATE_GREETED_MS = 6500
SHORT_MS = 4000  # whoever hangs up so soon after the answer cannot have had the whole notice


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """A call as its kind has drawn it, before it has a line and a time."""

    call: Call
    wants: Wants
    why: str = ""  # of one that is not to be recorded: internal, emergency, fax, modem
    told: bool = True  # whoever comes on the line later has to hear the notice too; else may, or may not
    marked: bool = False  # staff marks it as abusive
    greeted: bool = False  # staff speaks first


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    wants: Wants
    why: str
    began_ms: int
    ended_ms: int
    answer_ms: int | None  # when the far party answered; None: never
    parties_ms: list[int] = []  # when another party came on the line
    late_ms: int = LATE_MS  # a notice that begins later than so after the answer, or after a party has come, is late
    once: bool = True  # nobody comes on the line later: a second notice has no cause
    keys_ms: list[int] = []  # when staff asked for the notice by key
    marked: bool = False
    says: list[tuple[str, int, int]] = []  # who speaks, from when to when


class DayCall(msgspec.Struct, frozen=True, kw_only=True):
    number: int  # from 1
    hour: int  # all lines begin anew with each
    call: Call
    truth: Truth


def truth_of(kind: str, sketch: Sketch, call: Call, voices: Voices) -> Truth:
    """`call`: the sketch's, with its line and time."""
    times = times_of(call)
    wants, answer = sketch.wants, times.answer
    if wants == "recorded" and answer is not None and (times.far_gone or times.end) - answer < SHORT_MS:
        wants = "either"
    says: list[tuple[str, int, int]] = [
        (said.speaker, said.at, said.end) for said in utterances(call, times, "ko", voices)
    ]
    return Truth(
        kind=kind,
        wants=wants,
        why=sketch.why,
        began_ms=times.start,
        ended_ms=times.end,
        answer_ms=answer,
        marked=sketch.marked,
        once=sketch.told and not call.party and not call.keys,
        late_ms=LATE_GREETED_MS if sketch.greeted else LATE_MS,
        parties_ms=[]
        if answer is None or not sketch.told
        else [answer + round(party.at_s * 1000) for party in call.party],
        keys_ms=[]
        if answer is None
        else [answer + round(keys.at_s * 1000) for keys in call.keys if keys.digits == NOTICE_KEY],
        says=says,
    )
