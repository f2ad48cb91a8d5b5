# SPDX-License-Identifier: Apache-2.0
"""Answered outgoing calls, by kinds that occur in Korea."""

from __future__ import annotations

from typing import Any

import msgspec

from linetap_bench.day.draw import GREETINGS, OFFICE_TALK, PLEASE_HOLD, TALKS, Draw, Expected, Sketch
from linetap_bench.script.callkeys import Call, Keys, Party


def out(expected: Expected, why: str = "", **keys: Any) -> Sketch:
    return Sketch(call=Call(line=1, start_s=0, direction="out", **keys), expected=expected, why=why)


def plain(draw: Draw) -> Sketch:
    """Ringback of the exchange, and an answer in its pause or within a burst."""
    keys: dict[str, Any] = {"digits": draw.outside(), "ringback_after_s": draw.between(0.6, 3.0)}
    keys["progress_s"] = keys["ringback_after_s"] + draw.between(1.2, 15)
    return out("recorded", **draw.called(**keys))


def polarity(draw: Draw) -> Sketch:
    return out("recorded", **draw.called(digits=draw.outside(), progress_s=draw.between(3, 14), polarity=True))


def seizure(draw: Draw) -> Sketch:
    """The exchange reverses the loop after the last digit, which is no answer. The real answer may have a signal."""
    reverses = draw.chance(0.5)
    keys = draw.called(digits=draw.outside(), progress_s=draw.between(5, 14), seizure=True, polarity=reverses)
    return out("recorded", **keys)


def colour_ring(draw: Draw) -> Sketch:
    """Music in the place of ringback."""
    return _instead_of_ringback(draw, "music")


def pop_song(draw: Draw) -> Sketch:
    return _instead_of_ringback(draw, "song")


def jingle(draw: Draw) -> Sketch:
    """A few notes, then ringback."""
    after = draw.between(1.8, 3.5)
    sounds = [draw.sound("jingle", draw.between(0.4, 1.2), dbm0=draw.between(-24, -12))]
    keys = draw.called(digits=draw.outside(), ringback_after_s=after, progress_s=after + draw.between(2, 12),
                       sound=sounds, early=draw.early())  # fmt: skip
    return out("recorded", **keys)


def please_hold(draw: Draw) -> Sketch:
    """An announcement, then ringback."""
    sound = draw.sound("announcement", draw.between(0.5, 1.5), text=draw.pick(PLEASE_HOLD), dbm0=draw.between(-24, -14))
    keys = draw.called(digits=draw.outside(), ringback_after_s=8.0, progress_s=8 + draw.between(2, 9), sound=[sound],
                       early=draw.early())  # fmt: skip
    return out("recorded", **keys)


def please_hold_english(draw: Draw) -> Sketch:
    """A prompt of another network, then ringback."""
    name = draw.pick(["pls-hold-while-try", "one-moment-please"])
    sound = draw.sound("announcement", draw.between(0.5, 1.5), prompt=name, dbm0=draw.between(-24, -14))
    keys = draw.called(digits=draw.outside(), ringback_after_s=6.0, progress_s=6 + draw.between(2, 9), sound=[sound],
                       early=draw.early())  # fmt: skip
    return out("recorded", **keys)


def long_silence(draw: Draw) -> Sketch:
    """10 to 22 s of silence in the network, and then the answer."""
    keys = draw.called(digits=draw.outside(), ringback=False, progress_s=draw.between(10, 22), early=draw.early())
    return out("recorded", **keys)


def silence_then_ringback(draw: Draw) -> Sketch:
    after = draw.between(10, 22)
    keys = draw.called(digits=draw.outside(), ringback_after_s=after, progress_s=after + draw.between(2, 8))
    return out("recorded", **keys)


def representative(draw: Draw) -> Sketch:
    """A 1588 number: a machine answers at once; a person, or music on hold, follows."""
    number = draw.pick(["1588", "1577", "1644", "1899"]) + draw.digits(4)
    after = draw.between(0.8, 2.5)
    greeting = draw.sound("announcement", 0.3, after="answer", text=draw.pick(GREETINGS), for_s=9.0, alone=True)
    music = draw.sound("music", 9.3, after="answer", for_s=4.0, alone=True, dbm0=draw.between(-28, -18))
    pressed = [Keys(at_s=6.0, digits=draw.pick(["1", "2", "0", "3#"]))] if draw.chance(0.6) else []
    keys = draw.called(digits=number, ringback=False, progress_s=after, sound=[greeting, music], talk_s=24.0,
                       talk_after_s=0.0, keys=pressed)  # fmt: skip
    return msgspec.structs.replace(out("recorded", **keys), notice_certain=False)


def second_dial_tone(draw: Draw) -> Sketch:
    """A trunk prefix, a second dial tone, then the number."""
    keys = draw.called(digits="9" + draw.outside(), pause_after=1, pause_s=draw.between(0.8, 3), second_dial=True,
                       progress_s=draw.between(4, 13))  # fmt: skip
    return out("recorded", **keys)


def dialling_pause(draw: Draw) -> Sketch:
    """A pause while the rest of the number is looked up."""
    keys = draw.called(digits=draw.outside(), pause_after=draw.whole(3, 7), pause_s=9.5, progress_s=draw.between(4, 13))
    return out("recorded", **keys)


def other_pbx(draw: Draw) -> Sketch:
    """Ringback of a PBX that is not learnt."""
    hz, cadence = draw.pick(PBX_RINGBACKS)
    first = draw.between(0.6, 2.0)
    tone = draw.sound("tone", first, hz=hz, cadence_ms=cadence, dbm0=draw.between(-26, -14))
    period_s = sum(cadence) / 1000
    keys = draw.called(digits=draw.outside(), ringback=False, sound=[tone],
                       progress_s=first + draw.between(1.2, 3 * period_s + 2))  # fmt: skip
    return out("recorded", **keys)


def office_talk(draw: Draw) -> Sketch:
    """Colleagues talk beside the handset while it rings."""
    return _near_end(draw, [
        draw.sound("speech", draw.between(1, 5), by="near", speaker="colleague", text=draw.pick(OFFICE_TALK),
                   dbm0=draw.between(-42, -32)) for _ in range(draw.whole(1, 2))
    ])  # fmt: skip


def cough(draw: Draw) -> Sketch:
    return _near_end(draw, [draw.sound("cough", draw.between(1, 9), by="near", dbm0=draw.between(-30, -16))])


def keyboard(draw: Draw) -> Sketch:
    """Typing, sometimes from the off-hook on."""
    return _near_end(draw, [draw.sound("keyboard", 0.5, after="off_hook", by="near", dbm0=draw.between(-38, -24))])


def hotline(draw: Draw) -> Sketch:
    """A hotline connects without digits: no dial tone, with or without ringback."""
    sounds = []
    if draw.chance(0.6):
        sounds = [draw.sound("tone", 0.8, hz=[440.0, 480.0], cadence_ms=[1000, 2000], dbm0=-18.0)]
    return out("recorded", **draw.called(dial_tone=False, progress_s=draw.between(2.5, 9), sound=sounds))


def pick_up(draw: Draw) -> Sketch:
    """The pick-up code `*7` answers a call that rings at a colleague's desk; the citizen is connected at once."""
    keys = draw.talk(digits="*7" + draw.pick(["", draw.internal()]), ringback=False, progress_s=draw.between(0.4, 1.2))
    return msgspec.structs.replace(out("recorded", **keys), greeted=True)


def long_call(draw: Draw) -> Sketch:
    """A call of a minute, with a long silence of the far end."""
    at = draw.between(20, 30)
    sounds = []
    if draw.chance(0.5):  # the handset lies on the desk: room noise
        sounds = [draw.sound("keyboard", at, after="answer", for_s=8.0, alone=True, dbm0=draw.between(-48, -36))]
    keys = draw.called(digits=draw.outside(), progress_s=draw.between(4, 14), talk_s=draw.between(45, 65), sound=sounds)
    return out("recorded", **keys)


def quick_hang_up(draw: Draw) -> Sketch:
    """The far end answers and hangs up during the notice."""
    keys = draw.called(digits=draw.outside(), progress_s=draw.between(3, 9), talk_after_s=0.3,
                       talk_s=draw.between(1.0, 3.0), ends=draw.pick(["staff", "far"]))  # fmt: skip
    return out("either", **keys)


def staff_talks(draw: Draw) -> Sketch:
    """The staff member says something to a colleague."""
    sound = draw.sound("speech", draw.between(2, 8), by="near", speaker="staff", text=draw.pick(OFFICE_TALK),
                      dbm0=draw.between(-28, -16), for_s=draw.between(1.5, 4))  # fmt: skip
    return _near_end(draw, [sound])


def silent_at_first(draw: Draw) -> Sketch:
    """The answering party is silent until the staff member speaks."""
    keys = draw.called(digits=draw.outside(), progress_s=draw.between(4, 13), talk_after_s=draw.between(1.8, 4))
    return out("recorded", **keys | {"first_speaker": "staff", "talk": list(draw.pick(TALKS))})


def pulses(draw: Draw) -> Sketch:
    return out("recorded", **draw.called(digits=draw.digits(7), dialling="pulse", progress_s=draw.between(4, 12)))


def short_answer_tone(draw: Draw) -> Sketch:
    """A short 2100 Hz disables an echo suppressor, and then people talk: no fax."""
    tone = draw.sound("tone", 0.2, after="answer", hz=[2100.0], for_s=0.6, alone=True, dbm0=draw.between(-24, -14))
    return out("recorded", **draw.called(digits=draw.outside(), progress_s=draw.between(4, 12), sound=[tone]))


def passed_on_there(draw: Draw) -> Sketch:
    """The answering party transfers the call to another person, with another voice and channel."""
    at = draw.between(8, 11)
    hold = draw.sound("music", at - 2.5, after="answer", for_s=2.5, alone=True, dbm0=draw.between(-28, -18))
    party = Party(at_s=at, network=draw.network(), dbm0=draw.between(-30, -18))
    keys = draw.called(digits=draw.outside(), progress_s=draw.between(4, 12), sound=[hold], party=[party], talk_s=24.0)
    return out("recorded", **keys)


PBX_RINGBACKS = (
    ([425.0], [1000, 4000]),  # Europe
    ([400.0, 450.0], [400, 200, 400, 2000]),  # Britain, and systems that copied it
    ([440.0, 480.0], [2000, 4000]),  # North America
    ([450.0], [1000, 4000]),  # China
    ([400.0], [1000, 2000]),  # Japan, nearly
    ([480.0, 440.0], [400, 200, 400, 2000]),  # double ring of an internal call
    ([420.0, 440.0], [1500, 3000]),
    ([375.0, 425.0], [800, 2200]),
)


def _instead_of_ringback(draw: Draw, play: Any) -> Sketch:
    first = draw.between(0.5, 2.5)
    sound = draw.sound(play, first, dbm0=draw.between(-24, -10))
    keys = draw.called(digits=draw.outside(), ringback=False, sound=[sound], early=draw.early(),
                       progress_s=first + draw.between(3, 18))  # fmt: skip
    return out("recorded", **keys)


def _near_end(draw: Draw, sounds: list[Any]) -> Sketch:
    after = draw.between(0.6, 2.5)
    keys = draw.called(digits=draw.outside(), ringback_after_s=after, progress_s=after + draw.between(6, 15),
                       sound=sounds)  # fmt: skip
    return out("recorded", **keys)
