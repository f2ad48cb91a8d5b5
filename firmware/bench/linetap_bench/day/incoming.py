# SPDX-License-Identifier: Apache-2.0
"""Incoming calls: from citizens, from colleagues who transfer a call, from machines, from a door phone."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from linetap_bench.day.draw import NOTICE_KEY, Draw, Expected, Sketch
from linetap_bench.script.callkeys import Call, CallerId, ExchangeTone, Keys, Network, Party

CALLER_IDS: tuple[Literal["none", "bell202", "v23", "dtmf"], ...] = ("none", "bell202", "v23", "dtmf")
MARK_CODE = "**9"  # the default
OFFICE = Network(noise_dbm0=-70.0)


def answered(draw: Draw) -> Sketch:
    return _in(draw, "recorded", **draw.talk())


def long_call(draw: Draw) -> Sketch:
    """A call of about a minute."""
    return _in(draw, "recorded", **draw.talk(talk_s=draw.between(45, 70)))


def answered_in_burst(draw: Draw) -> Sketch:
    """The call is answered during a burst of ringing."""
    return _in(draw, "recorded", **draw.talk(answer_in_burst_ms=draw.whole(100, 900), shake=draw.chance(0.3)))


def far_hangs_up(draw: Draw) -> Sketch:
    """The far end hangs up: busy tone, then staff hang up."""
    return _in(draw, "recorded", **draw.talk(ends="far", busy_s=draw.between(1, 8)))


def far_hangs_up_dial_tone(draw: Draw) -> Sketch:
    """The far end hangs up: dial tone, from a PBX that sends no busy tone."""
    keys = draw.talk()
    gone = float(keys["talk_s"])
    keys["talk_s"] = gone + 6
    return _in(draw, "recorded", tone=[ExchangeTone(at_s=gone, tone="dial", for_s=5.5)], **keys)


def quick_hang_up(draw: Draw) -> Sketch:
    """The caller hears the notice and hangs up, or has the wrong number."""
    return _in(draw, "either", **draw.talk(talk_after_s=0.4, talk_s=draw.between(0.8, 3.2),
                                           ends=draw.pick(["staff", "far"])))  # fmt: skip


def missed(draw: Draw) -> Sketch:
    return _in(draw, "not", outcome="unanswered")


def call_waiting(draw: Draw) -> Sketch:
    """One beep; the staff member continues to talk."""
    beep = draw.sound("tone", draw.between(6, 9), after="answer", hz=[350.0, 440.0], for_s=0.25, dbm0=-18.0)
    return _in(draw, "recorded", **draw.talk(sound=[beep]))


def call_waiting_taken(draw: Draw) -> Sketch:
    """One beep, a flash, and another caller is on the line."""
    at = draw.between(8, 10)
    beep = draw.sound("tone", at - 2, after="answer", hz=[350.0, 440.0], for_s=0.25, dbm0=-18.0)
    party = Party(at_s=at + 0.8, network=draw.network(), dbm0=draw.between(-28, -18))
    return _in(draw, "recorded", **draw.talk(sound=[beep], flash_at_s=[at], party=[party], talk_s=22.0))


def transferred_in(draw: Draw) -> Sketch:
    """A colleague calls, announces the caller, and hangs up, which connects the citizen. The staff member then presses
    the key that plays the notice, or forgets it.
    """
    at = draw.between(6, 9)
    keys = draw.talk(talk_s=24.0, network=OFFICE)
    hold = draw.sound("music", at - 1.5, after="answer", for_s=1.5, alone=True, dbm0=draw.between(-30, -20))
    party = Party(at_s=at, network=draw.network(), dbm0=draw.between(-30, -18))
    pressed = [Keys(at_s=at + draw.between(0.8, 2.0), digits=NOTICE_KEY)] if draw.chance(0.5) else []
    caller = CallerId(kind="bell202", number=draw.internal())
    return _in(draw, "recorded", **keys | {"rings": 2, "caller_id": caller, "party": [party], "keys": pressed,
                                           "sound": [hold] if draw.chance(0.6) else []})  # fmt: skip


def internal(draw: Draw) -> Sketch:
    caller = CallerId(kind="bell202", number=draw.internal())  # sent after the first burst of ringing
    return _in(draw, "not", "internal", **draw.talk(network=OFFICE, talk_s=8.0, rings=2, caller_id=caller))


def fax_calls(draw: Draw) -> Sketch:
    """A fax machine calls: 1100 Hz every 3.5 s, also during our own notice."""
    return _in(draw, "not", "fax", fax="calling", talk_s=14.0)


def door_phone(draw: Draw) -> Sketch:
    """Short rings without a number; the visitor is far from the microphone."""
    keys = draw.talk(talk_s=draw.between(9, 12))
    door = Network(noise_dbm0=draw.between(-56, -46))
    opened = [Keys(at_s=keys["talk_s"] - 1.5, digits="5")]
    more = {"caller_dbm0": draw.between(-34, -26), "network": door, "keys": opened}
    return _in(draw, "recorded", **keys | more | {"caller_id": CallerId()})


def passed_on(draw: Draw) -> Sketch:
    """The staff member flashes, dials a colleague, announces the caller, and hangs up."""
    at = draw.between(8, 10)
    dialled = Keys(at_s=at + 2.2, digits=draw.internal())
    tones = [
        ExchangeTone(at_s=at + 0.9, tone="dial", for_s=1.2),
        ExchangeTone(at_s=at + 4.0, tone="ringback", for_s=draw.between(2.5, 6)),
    ]
    party = Party(at_s=tones[1].at_s + tones[1].for_s, network=OFFICE, dbm0=draw.between(-24, -16))
    keys = draw.talk(flash_at_s=[at], keys=[dialled], tone=tones, party=[party], talk_s=party.at_s + 5)
    return msgspec.structs.replace(_in(draw, "recorded", **keys), notice_certain=False)


def second_party(draw: Draw) -> Sketch:
    """The staff member flashes and calls an outside number, which answers while the citizen waits."""
    at = draw.between(8, 10)
    number = "02" + draw.digits(7)
    dialled = Keys(at_s=at + 2.2, digits=number)
    rings_at = at + 2.2 + len(number) * 0.3 + 1.5
    tones = [
        ExchangeTone(at_s=at + 0.9, tone="dial", for_s=1.2),
        ExchangeTone(at_s=rings_at, tone="ringback", for_s=draw.between(3.5, 9)),
    ]
    party = Party(at_s=rings_at + tones[1].for_s, network=draw.network(), dbm0=draw.between(-28, -18))
    keys = draw.talk(flash_at_s=[at], keys=[dialled], tone=tones, party=[party], talk_s=party.at_s + 10)
    return _in(draw, "recorded", **keys)


def short_calling_tone(draw: Draw) -> Sketch:
    """1100 Hz for 0.6 s, then speech: a caller who dialled on a fax machine and then lifted its handset."""
    tone = draw.sound("tone", 0.3, after="answer", hz=[1100.0], for_s=0.6, alone=True, dbm0=draw.between(-24, -14))
    return _in(draw, "recorded", **draw.talk(sound=[tone]))


def silent_caller(draw: Draw) -> Sketch:
    return _in(draw, "recorded", **draw.talk(caller_dbm0=-90.0))


def marked(draw: Draw) -> Sketch:
    """The staff member dials the mark code."""
    keys = draw.talk(keys=[Keys(at_s=draw.between(8, 9), digits=MARK_CODE)])
    return msgspec.structs.replace(_in(draw, "recorded", **keys), marked=True)


def marked_by_caller(draw: Draw) -> Sketch:
    """The caller dials the mark code, at the highest level of a line: that must not mark the call."""
    pressed = Keys(at_s=draw.between(8, 9), digits=MARK_CODE, by="caller", dbm0=draw.between(-26, -6))
    return _in(draw, "recorded", **draw.talk(keys=[pressed]))


def _in(draw: Draw, expected: Expected, why: str = "", **keys: Any) -> Sketch:
    kind = draw.pick(CALLER_IDS)
    caller = CallerId() if kind == "none" else CallerId(kind=kind, number="010" + draw.digits(8))
    base: dict[str, Any] = {"rings": draw.whole(1, 4), "caller_id": caller}
    return Sketch(call=Call(line=1, start_s=0, direction="in", **base | keys), expected=expected, why=why, greeted=True)
