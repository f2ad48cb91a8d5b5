# SPDX-License-Identifier: Apache-2.0
"""A call of the day, and the truth about it. Milliseconds from the start of its hour, as in the script."""

from __future__ import annotations

from typing import Literal

import msgspec

from linetap_bench.exchange.callplay import utterances
from linetap_bench.script.callkeys import Call
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices

# The right result. `either`: the party was on the line so briefly, or is a machine, that both are right.
Wants = Literal["recorded", "not", "either"]
NOTICE_KEY = "**1"  # the default
LATE_MS = 3000  # after the answer
# Where staff greets first, the notice waits for the greeting's end, at most recording.greeting_max_ms (6000).
LATE_GREETED_MS = 6500
SHORT_MS = 4000  # a party that hangs up so soon after the answer cannot have heard the whole notice


class Sketch(msgspec.Struct, frozen=True, kw_only=True):
    """A call as its kind draws it, before it has a line and a time."""

    call: Call
    wants: Wants
    why: str = ""  # why it must not be recorded: internal, emergency, fax, modem
    told: bool = True  # a later party has to hear the notice too; else it may or may not
    marked: bool = False  # the staff member marks it as abusive
    greeted: bool = False  # staff speaks first


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    wants: Wants
    why: str
    began_ms: int
    ended_ms: int
    answer_ms: int | None  # when the far party answered; None: never
    parties_ms: list[int] = []  # when another party came on the line
    late_ms: int = LATE_MS  # a notice that begins later after the answer, or after a new party, is late
    once: bool = True  # no later party: a second notice has no cause
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
