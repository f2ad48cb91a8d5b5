# SPDX-License-Identifier: Apache-2.0
"""Outgoing calls that are unanswered, excluded by policy, or answered by a machine."""

from __future__ import annotations

from typing import Any

from linetap_bench.day.draw import NO_NUMBER, OFF_HOOK, OFFICE_TALK, SWITCHED_OFF, Draw, Sketch
from linetap_bench.day.outgoing import PBX_RINGBACKS, out


def no_answer(draw: Draw) -> Sketch:
    """Ringback until the staff member hangs up, with occasional talk of colleagues."""
    sounds = []
    if draw.chance(0.3):
        sounds = [draw.sound("speech", draw.between(2, 9), by="near", speaker="colleague", text=draw.pick(OFFICE_TALK),
                             dbm0=draw.between(-42, -33))]  # fmt: skip
    return out("not", outcome="unanswered", digits=draw.outside(), progress_s=draw.between(8, 30), sound=sounds)


def no_answer_other_pbx(draw: Draw) -> Sketch:
    hz, cadence = draw.pick(PBX_RINGBACKS)
    tone = draw.sound("tone", draw.between(0.6, 2), hz=hz, cadence_ms=cadence, dbm0=draw.between(-26, -14))
    return out("not", outcome="unanswered", digits=draw.outside(), ringback=False, progress_s=draw.between(8, 26),
               sound=[tone])  # fmt: skip


def colour_ring_unanswered(draw: Draw) -> Sketch:
    first = draw.between(0.5, 2.5)
    play: Any = draw.pick(["music", "song"])
    sound = draw.sound(play, first, dbm0=draw.between(-24, -10))
    return out("not", outcome="unanswered", digits=draw.outside(), ringback=False, sound=[sound], early=draw.early(),
               progress_s=first + draw.between(8, 45))  # fmt: skip


def busy(draw: Draw) -> Sketch:
    return out("not", outcome="busy", digits=draw.outside(), progress_s=draw.between(1, 4), busy_s=draw.between(3, 12))


def congestion(draw: Draw) -> Sketch:
    return out("not", outcome="congestion", digits=draw.outside(), progress_s=draw.between(1, 4),
               busy_s=draw.between(3, 10))  # fmt: skip


def busy_other_pbx(draw: Draw) -> Sketch:
    hz, cadence = draw.pick([
        ([425.0], [500, 500]), ([400.0], [375, 375]), ([450.0], [350, 350]), ([480.0, 620.0], [250, 250]),
        ([425.0], [200, 200]), ([400.0], [500, 500]), ([440.0], [300, 300]),
    ])  # fmt: skip
    tone = draw.sound("tone", draw.between(0.6, 2), hz=hz, cadence_ms=cadence, dbm0=draw.between(-26, -14))
    return out("not", outcome="unanswered", digits=draw.outside(), ringback=False, progress_s=draw.between(6, 18),
               sound=[tone])  # fmt: skip


def no_such_number(draw: Draw) -> Sketch:
    """The special information tone, an announcement, and busy."""
    first = draw.between(0.6, 2.5)
    sounds = [draw.sound("sit", first, dbm0=draw.between(-22, -14)), _announcement(draw, first + 1.2, NO_NUMBER)]
    return _then_busy(draw, sounds, first + 9)


def no_such_number_without_tone(draw: Draw) -> Sketch:
    first = draw.between(0.6, 2.5)
    return _then_busy(draw, [_announcement(draw, first, NO_NUMBER)], first + 8)


def no_such_number_english(draw: Draw) -> Sketch:
    first = draw.between(0.6, 2.5)
    prompt = draw.pick(
        ["all-circuits-busy-now", "ss-noservice", "cannot-complete-as-dialed", "check-number-dial-again"]
    )
    sounds = [draw.sound("announcement", first, prompt=prompt, dbm0=draw.between(-24, -14))]
    if draw.chance(0.5):
        sounds = [draw.sound("sit", first, dbm0=-18.0), draw.sound("announcement", first + 1.2, prompt=prompt)]
    return _then_busy(draw, sounds, first + 9)


def switched_off(draw: Draw) -> Sketch:
    """The network announces that the subscriber is unavailable, and the staff member hangs up."""
    first = draw.between(0.8, 3)
    return out("not", outcome="unanswered", digits=draw.outside(), ringback=False, early=draw.early(),
               sound=[_announcement(draw, first, SWITCHED_OFF)], progress_s=first + draw.between(4, 9))  # fmt: skip


def off_hook(draw: Draw) -> Sketch:
    """A handset lies off its cradle: dial tone, an announcement, the howler."""
    dial_s = draw.between(6, 12)
    sounds = [
        draw.sound("tone", 0.2, after="off_hook", hz=[350.0, 440.0], for_s=dial_s, dbm0=-13.0),
        draw.sound("announcement", dial_s + 0.5, after="off_hook", text=OFF_HOOK, dbm0=draw.between(-22, -12)),
        draw.sound("howler", dial_s + 7, after="off_hook", for_s=12.0, dbm0=draw.between(-12, -4)),
    ]
    return out("not", outcome="unanswered", dial_tone=False, progress_s=dial_s + 20, sound=sounds)


def given_up(draw: Draw) -> Sketch:
    """The staff member dials an incomplete number and hangs up."""
    return out("not", outcome="unanswered", digits=draw.outside()[: draw.whole(1, 6)], ringback=False,
               progress_s=draw.between(0.4, 5))  # fmt: skip


def voice_mail(draw: Draw) -> Sketch:
    """Ringback, the network's announcement, then a machine that takes a message after its beep."""
    after = draw.between(9, 18)
    announcement = draw.sound("announcement", after, text=SWITCHED_OFF[1], dbm0=draw.between(-24, -14))
    beep = draw.sound("tone", 0.2, after="answer", hz=[1000.0], for_s=0.6, dbm0=-16.0)
    rings = draw.sound("tone", 1.2, hz=[440.0, 480.0], cadence_ms=[1000, 2000], for_s=after - 1.6, dbm0=-18.0)
    keys = draw.talk(digits=draw.outside(), ringback=False, sound=[rings, announcement, beep], progress_s=after + 6.5,
                     talk=["안녕하세요. 시청 민원실입니다. 메시지 들으시면 전화 주십시오."],
                     talk_after_s=1.2, talk_s=7.0, caller_dbm0=-90.0)  # fmt: skip
    return out("either", **keys)


def internal(draw: Draw) -> Sketch:
    """A colleague's extension."""
    keys = draw.called(digits=draw.internal(), progress_s=draw.between(3, 9), talk_s=draw.between(6, 10))
    return out("not", "internal", **keys)


def emergency(draw: Draw) -> Sketch:
    number = draw.pick(["", "9"]) + draw.pick(["112", "119"])
    return out("not", "emergency", **draw.called(digits=number, progress_s=draw.between(2, 6), talk_s=8.0))


def fax_answers(draw: Draw) -> Sketch:
    """A fax is sent from this line: 2100 Hz answers our 1100 Hz."""
    sounds = [draw.sound("fax_calling", 0.5, by="near", dbm0=-12.0)]
    return out("not", "fax", digits=draw.outside(), progress_s=draw.between(3, 9), sound=sounds,
               fax=draw.pick(["answer", "answer_reversed"]), talk_s=12.0)  # fmt: skip


def card_terminal(draw: Draw) -> Sketch:
    """A card payment: a modem answers at once with 2225 Hz or V.22."""
    answer = draw.sound("modem_2225", draw.between(0.2, 1.0), after="answer", for_s=draw.between(2, 4), alone=True,
                        dbm0=draw.between(-22, -14))  # fmt: skip
    data = draw.sound("v22", answer.at_s + (answer.for_s or 0), after="answer", for_s=5.0, dbm0=answer.dbm0)
    sounds = [answer, data] if draw.chance(0.5) else [draw.sound("v22", answer.at_s, after="answer", dbm0=answer.dbm0)]
    return out("not", "modem", digits=draw.pick(["1600", "1577"]) + draw.digits(4), progress_s=draw.between(1.5, 6),
               sound=sounds, talk_s=10.0)  # fmt: skip


def _announcement(draw: Draw, at_s: float, among: tuple[str, ...]) -> Any:
    return draw.sound("announcement", at_s, text=draw.pick(among), dbm0=draw.between(-24, -12))


def _then_busy(draw: Draw, sounds: list[Any], at_s: float) -> Sketch:
    return out("not", outcome="busy", digits=draw.outside(), sound=sounds, early=draw.early(), progress_s=at_s,
               busy_s=draw.between(2, 9))  # fmt: skip
