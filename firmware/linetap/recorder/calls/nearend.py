# SPDX-License-Identifier: Apache-2.0
"""Whose fingers they were. A tap on two wires hears both ends in one; what tells them apart is the telephone itself.

Learnt is what nobody but this line's telephone can have sent: the first three digits after the handset was lifted to
dial, since the exchange connects nobody before. A digit of a call is the telephone's if level, twist and pitch fit; a
far end is found by any of them, or by a codec's noise where the telephone has none. Where nothing was learnt of the
line yet, it stays uncertain, whatever the level. Dial pulses break this line's own loop.
"""

from __future__ import annotations

from statistics import median
from typing import Literal

from linetap.recorder.calls.call import Key
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.signals.dtmf.signature import LONGEST_MS, Signature, signature_of
from linetap.recorder.signals.event import Event

Whose = Literal["near", "far", "uncertain"]

LEARNT_DIGITS = 3  # of a call: emergency numbers have no more, and nobody is connected before
KEPT = 24  # digits, of eight calls and more: a telephone that was exchanged is learnt anew


def learn_near_end(line: LineContext, event: Event) -> None:
    """What is dialled before anybody has answered. Pulses have no level."""
    memory, call = line.memory, line.call
    if not event.level_dbm0 or call.first_frame is not None or call.direction != "out" or call.continues:
        return
    if len(call.dialled) > LEARNT_DIGITS or call.taken_back or call.unheard:
        return
    memory.near_digit_dbm0 = event.level_dbm0
    found = _signature(line, Key(event.at, event.text, event.level_dbm0))
    if found is not None:
        memory.near_end = [*memory.near_end, found][-KEPT:]
        memory.near_digit_dbm0 = round(median(each.level_dbm0 for each in memory.near_end), 2)


def whose(line: LineContext, keys: list[Key]) -> Whose:
    """Of digits that were pressed one after the other."""
    pressed = [key for key in keys if key.level_dbm0]
    if not pressed:
        return "near"  # pulses
    learned = line.around.learned.get(line.config.number)
    level = line.memory.near_digit_dbm0 or (learned.near_digit_dbm0 if learned else None)
    if level is None:
        return "far" if not all(_fits_profile(line, key) for key in pressed) else "uncertain"
    numbers = line.profile.near_end
    if any(abs(key.level_dbm0 - level) > numbers.level_db for key in pressed):
        return "far"
    known = line.memory.near_end
    found = [each for key in pressed if (each := _signature(line, key)) is not None]
    if not known:
        return "near"  # somebody has had the line learnt: its level is all there is
    if len(found) < len(pressed):
        return "uncertain"
    return "near" if _alike(line, found, known) else "far"


def may_be_near(line: LineContext, key: Key) -> bool:
    """By its level alone, which is known at once."""
    return not key.level_dbm0 or key.level_dbm0 >= _level(line) - line.profile.near_digit_slack_db


def _fits_profile(line: LineContext, key: Key) -> bool:
    return abs(key.level_dbm0 - line.profile.near_digit_dbm0) <= line.profile.near_digit_slack_db


def _level(line: LineContext) -> float:
    learned = line.around.learned.get(line.config.number)
    levels = (line.memory.near_digit_dbm0, learned.near_digit_dbm0 if learned else None, line.profile.near_digit_dbm0)
    return next(level for level in levels if level is not None)


def _alike(line: LineContext, found: list[Signature], known: list[Signature]) -> bool:
    numbers = line.profile.near_end
    twist = median(each.twist_db for each in found) - median(each.twist_db for each in known)
    if abs(twist) > numbers.twist_db:
        return False
    for of in (lambda each: each.row_percent), (lambda each: each.column_percent):
        if abs(median(map(of, found)) - median(map(of, known))) > numbers.pitch_percent:
            return False
    rest, own = median(each.rest_db for each in found), median(each.rest_db for each in known)
    coded = numbers.codec_rest_db[0] <= rest <= numbers.codec_rest_db[1]
    return not (coded and own < numbers.codec_rest_db[0])


def _signature(line: LineContext, key: Key) -> Signature | None:
    end = key.at + LONGEST_MS * FRAMES_PER_MS
    return signature_of(line.around.audio.stretch(line.config.number, key.at, end).samples, key.digit)
