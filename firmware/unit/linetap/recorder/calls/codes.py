# SPDX-License-Identifier: Apache-2.0
"""The codes that staff dial during a call, and the end of the line that dialled them. One code marks the call as
abusive, one plays the notice now, one for each situation ends the call or warns its caller, and one extends the call.

A tap on two wires receives both ends mixed; the telephone's own signal distinguishes them. It is learnt from digits
that only this line's telephone can have sent: the first three after the handset was lifted to dial, since the exchange
connects nobody before. Later digits are the telephone's if level, twist and pitch fit. If one of the three differs,
or a digit has a codec's noise and the telephone has none, the far end has sent the digit. On a line that is not learnt
the result is "uncertain" at any level. Dial pulses break this line's own loop.
"""

from __future__ import annotations

from statistics import median
from typing import Literal

from linetap.recorder.calls import endnotice, overlong
from linetap.recorder.calls.call import EndStep, Key
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.noticeproof import numbers_of
from linetap.recorder.signals.dtmf.press import LONGEST_MS, Signature, signature_of
from linetap.recorder.signals.events import Event
from linetap.ring import I16, RATE_HZ
from linetap_core.errors import DeviceFault
from linetap_core.records import ABUSE

Whose = Literal["near", "far", "uncertain"]

LEARNT_DIGITS = 3  # first digits of a call: emergency numbers have no more, and nothing is connected before
ABOUT_MS = 10  # accuracy of a known delay, and length of the line's own echo
KEPT = 24  # digits kept, of at least eight calls, so that a new telephone is learnt
MARKS: dict[Whose, str] = {"near": ABUSE, "far": "mark_far", "uncertain": "mark_uncertain"}
OF_AN_END: dict[Whose, str] = {"far": "end_far", "uncertain": "end_uncertain"}
DOUBTFUL = (MARKS["far"], MARKS["uncertain"], *OF_AN_END.values())
NOTICE_CODE: dict[Whose, str] = {"near": "notice_code", "far": "notice_code_far", "uncertain": "notice_code_uncertain"}
KEYS_WITHIN_S = 3  # longest time between two keys of one code
LONGEST_CODE = 8
WARNING_AFTER_MS = 200


def learn_near_end(line: LineContext, event: Event) -> None:
    """Learns the telephone from a digit that was dialled before the answer, except by pulses, which have no level."""
    memory, call = line.memory, line.call
    if not event.level_dbm0 or call.first_frame is not None or call.direction != "out" or call.continues:
        return
    if len(call.dialled) > LEARNT_DIGITS or call.taken_back or call.digits_incomplete:
        return
    memory.near_digit_dbm0 = event.level_dbm0
    found = _signature(line, Key(event.at, event.text, event.level_dbm0))
    if found is not None:
        memory.near_end = [*memory.near_end, found][-KEPT:]
        memory.near_digit_dbm0 = round(median(each.level_dbm0 for each in memory.near_end), 2)


def dialling_end(line: LineContext, keys: list[Key]) -> Whose:
    """The end that has dialled these consecutive digits."""
    pressed = [key for key in keys if key.level_dbm0]
    if not pressed:
        return "near"  # pulses
    learned = line.shared.learned.get(line.config.number)
    level = line.memory.near_digit_dbm0 or (learned.near_digit_dbm0 if learned else None)
    if level is None:
        return "far" if not all(_fits_profile(line, key) for key in pressed) else "uncertain"
    numbers = line.profile.near_end
    if any(abs(key.level_dbm0 - level) > numbers.level_db for key in pressed):
        return "far"
    known = line.memory.near_end
    found = [each for key in pressed if (each := _signature(line, key)) is not None]
    if not known:
        return "near"  # from `linetap line learn` the level alone is known
    if len(found) < len(pressed):
        return "uncertain"
    return "near" if _alike(line, found, known) else "far"


def may_be_near(line: LineContext, key: Key) -> bool:
    """Whether the digit may be this telephone's, by its level, which is known at once."""
    return not key.level_dbm0 or key.level_dbm0 >= _level(line) - line.profile.near_digit_slack_db


def _fits_profile(line: LineContext, key: Key) -> bool:
    return abs(key.level_dbm0 - line.profile.near_digit_dbm0) <= line.profile.near_digit_slack_db


def _level(line: LineContext) -> float:
    """The level of this telephone's digits: from its calls, from `linetap line learn`, or from the profile."""
    learned = line.shared.learned.get(line.config.number)
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
    # The lowest of their levels: a voice over the keys has pauses, a codec's noise has none.
    rest, own = min(each.rest_db for each in found), median(each.rest_db for each in known)
    coded = numbers.codec_rest_db[0] <= rest <= numbers.codec_rest_db[1]
    return not (coded and own < numbers.codec_rest_db[0])


def _signature(line: LineContext, key: Key) -> Signature | None:
    end = key.at + LONGEST_MS * FRAMES_PER_MS
    audio = line.shared.audio.stretch(line.config.number, key.at, end).samples
    return signature_of(audio, key.digit, _played(line, key.at, key.at + len(audio)))


def _played(line: LineContext, begin: int, end: int) -> I16 | None:
    """The samples of our notice that the line may return between `begin` and `end`, the earliest delay last.

    None: no notice was played.
    """
    playing, step = line.memory.playing, line.call.step or _stopped_notice(line)
    started = line.call.notice_from if playing is None or playing.started is None else playing.started
    started = started if step is None else step.started
    notice = line.shared.notices.get(line.notice if step is None else step.notice)
    if started is None or notice is None:
        return None
    known = numbers_of(line, notice).echo_delay_ms
    least = 0 if known is None else max(0, round(known) - ABOUT_MS) * FRAMES_PER_MS
    most = line.profile.proof.delay_max_ms if known is None else round(known) + ABOUT_MS
    first, until = begin - most * FRAMES_PER_MS, end - least
    if until <= started or first >= started + notice.frames:
        return None
    return notice.between(first - started, until - started)


def is_of_staff(line: LineContext, event: Event) -> bool:
    """Whether this telephone has sent the digit, judged by the digit alone and by the code that it completes."""
    keys = _keys_with(line, event)
    typed = "".join(each.digit for each in keys)
    code = next((each for each in _codes(line) if typed.endswith(each)), "")
    return any(dialling_end(line, keys[-count:]) == "near" for count in {1, len(code) or 1})


def _keys_with(line: LineContext, event: Event) -> list[Key]:
    """The keys of a code that is being dialled, with this event's key added."""
    keys = line.call.keys
    if keys and event.at - keys[-1].at > KEYS_WITHIN_S * RATE_HZ:
        keys = []
    return [*keys, Key(event.at, event.text, event.level_dbm0)][-LONGEST_CODE:]


def _stopped_notice(line: LineContext) -> EndStep | None:
    """The notice that staff's keys have stopped, and over which they were dialled, if none has begun since."""
    step, began = line.call.step_before, line.call.notice_from
    if line.memory.playing is not None or step is None or step.started is None:
        return None
    return step if began is None or began < step.started else None


def add_key(line: LineContext, event: Event) -> Whose | None:
    """Adds a digit of an answered call. Returns the end that has dialled the notice code; None: it is not complete."""
    call, policy = line.call, line.policy
    call.keys = _keys_with(line, event)
    typed = "".join(each.digit for each in call.keys)
    if typed.endswith(policy.mark_code):
        by = dialling_end(line, _remove_code(line, len(policy.mark_code)))
        _mark(line, event, MARKS[by])
    elif policy.notice_code and typed.endswith(policy.notice_code):
        by = dialling_end(line, _remove_code(line, len(policy.notice_code)))
        line.add_mark(event, NOTICE_CODE[by])
        return by
    elif (code := next((each for each in _codes_of_an_end(line) if typed.endswith(each)), None)) is not None:
        by = dialling_end(line, _remove_code(line, len(code)))
        if by == "near":
            _obey_end_code(line, event, code)
        else:
            line.add_mark(event, OF_AN_END[by])
    return None


def _codes_of_an_end(line: LineContext) -> list[str]:
    """The codes of the situations, and the code for more time if the configuration ends long calls."""
    config = line.shared.config
    more = [config.ending.extend_code] if config.ending.end_s else []
    return [*more, *(each.code for each in config.situation if each.code)]


def _obey_end_code(line: LineContext, event: Event, code: str) -> None:
    situation = next((each for each in line.shared.config.situation if each.code == code), None)
    if situation is None:
        overlong.extend(line, event)
    else:
        endnotice.follow_code(line, event, situation)


def begins_a_code(line: LineContext, typed: str) -> bool:
    """Whether these digits are the beginning of a code."""
    return any(code.startswith(typed) for code in _codes(line))


def _codes(line: LineContext) -> list[str]:
    policy = line.policy
    return [each for each in (policy.mark_code, policy.notice_code, *_codes_of_an_end(line)) if each]


def _remove_code(line: LineContext, count: int) -> list[Key]:
    """Removes the code's keys, so that none of them counts for another code, and returns them."""
    keys, line.call.keys = line.call.keys[-count:], []
    return keys


def _mark(line: LineContext, event: Event, kind: str) -> None:
    """Marks the call; the first mark from this end plays the mark notice."""
    first = kind == ABUSE and not line.call.is_marked
    line.add_mark(event, kind)
    if kind == ABUSE:
        line.report("marked", event.at, ABUSE)
    if first and line.policy.mark_notice and line.memory.playing is None:
        play_once(line, line.policy.mark_notice, event)


def play_once(line: LineContext, notice: str, event: Event) -> None:
    """Plays a notice that does not open the gate: the recording does not depend on its success."""
    at, known = event.known + WARNING_AFTER_MS * FRAMES_PER_MS, line.shared.notices.get(notice)
    try:
        line.shared.capture.play(line.config.number, notice, at)
    except DeviceFault:
        return
    line.call.plays_until = at + (known.frames if known is not None else 0)
