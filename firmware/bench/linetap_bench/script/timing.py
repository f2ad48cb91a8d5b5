# SPDX-License-Identifier: Apache-2.0
"""Computes the times of all events of one scripted call, in milliseconds. No other module does."""

from __future__ import annotations

from dataclasses import dataclass

from linetap_bench.script.callkeys import Call, Keys

PER_MS = 8  # samples: sample 8k is millisecond k
RING_ON_MS, RING_OFF_MS = 1000, 2000  # Korea: ringing and ringback alike (ITU-T E.180)
RING_PERIOD_MS = RING_ON_MS + RING_OFF_MS
PICKED_UP_AFTER_MS = 600  # in the pause after the last burst
DIAL_TONE_AFTER_MS = 150
FIRST_DIGIT_AFTER_MS = 1200
DTMF_ON_MS, DTMF_OFF_MS = 90, 90  # of an exchange, and of a telephone that dials automatically
KEY_ON_MS, KEY_OFF_MS = 160, 140  # of a key pressed by a person
PULSE_BREAK_MS, PULSE_MAKE_MS, PULSE_PAUSE_MS = 60, 40, 700
CALLER_ID_BEFORE_MS = 400  # of DTMF caller ID, before the first burst
CALLER_ID_AFTER_MS = 500  # of FSK, after the first burst: GR-30 has 500 to 1500
FAX_ANSWERS_AFTER_MS, FAX_ANSWER_MS = 1800, 3000  # ITU-T T.30: 1.8 to 2.5 s after the answer, for 2.6 to 4 s
CONNECTING_MS = 2000  # no speech between two sounds of the exchange closer than this

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a call. `ring`: the first burst; `off_hook`: None without a pick-up; `answer`: None if the two never
    speak; `dialled`: the end of the last digit; `talk_from` and `talk_to`: equal without talk; `far_gone`: the far end
    has hung up, or never answered; `end`: the on-hook, or the end of the last burst.
    """

    start: int
    ring: int
    off_hook: int | None
    dialled: int | None
    answer: int | None
    talk_from: int
    talk_to: int
    far_gone: int | None
    end: int


def times_of(call: Call) -> Times:
    return _incoming(call) if call.direction == "in" else _outgoing(call)


def digit_spans(call: Call) -> list[tuple[int, int, str]]:
    """(first, end, digit) of every dialled digit, from the off-hook."""
    at = FIRST_DIGIT_AFTER_MS
    spans = []
    for number, digit in enumerate(call.digits):
        if number and number == call.pause_after:
            at += round(call.pause_s * 1000)
        if call.dialling == "dtmf":
            spans.append((at, at + DTMF_ON_MS, digit))
            at += DTMF_ON_MS + DTMF_OFF_MS
        else:
            length = pulses(digit) * (PULSE_BREAK_MS + PULSE_MAKE_MS)
            spans.append((at, at + length, digit))
            at += length + PULSE_PAUSE_MS
    return spans


def ringback_from(call: Call, dialled: int) -> int:
    return dialled + round(call.ringback_after_s * 1000)


def pulses(digit: str) -> int:
    return int(digit) or 10


def caller_digits(call: Call) -> str:
    """The digits of a DTMF caller ID: start, number or reason, stop."""
    caller = call.caller_id
    if caller.kind != "dtmf":
        return ""
    return f"D{'1' if caller.withheld else caller.number}{'' if caller.broken else 'C'}"


def keys_span(keys: Keys, answer: int) -> Span:
    first = answer + round(keys.at_s * 1000)
    return first, first + len(keys.digits) * (KEY_ON_MS + KEY_OFF_MS)


def quiet_spans(call: Call, answer: int) -> list[Span]:
    """(first, end) of the exchange's sounds and key presses, in order; no speech occurs during them."""
    spans = [keys_span(keys, answer) for keys in call.keys]
    for tone in call.tone:
        if tone.tone != "call_waiting":
            first = answer + round(tone.at_s * 1000)
            spans.append((first, first + round(tone.for_s * 1000)))
    for sound in call.sound:
        if sound.after == "answer" and sound.alone and sound.for_s is not None:
            first = answer + round(sound.at_s * 1000)
            spans.append((first, first + round(sound.for_s * 1000)))
    joined: list[Span] = []
    for first, end in sorted(spans):
        if joined and first - joined[-1][1] <= CONNECTING_MS:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((first, end))
    return joined


def _incoming(call: Call) -> Times:
    start = round(call.start_s * 1000)
    digits = caller_digits(call)
    ring = start + len(digits) * (DTMF_ON_MS + DTMF_OFF_MS) + (CALLER_ID_BEFORE_MS if digits else 0)
    last_burst = ring + (call.rings - 1) * RING_PERIOD_MS
    if call.outcome != "answered":
        end = last_burst + RING_ON_MS
        return Times(start, ring, None, None, None, end, end, None, end)
    answer = last_burst + (call.answer_in_burst_ms or RING_ON_MS + PICKED_UP_AFTER_MS)
    return _connected(call, start, ring, answer, None, answer)


def _outgoing(call: Call) -> Times:
    start = round(call.start_s * 1000)
    if not call.digits and call.progress_s is None:
        end = start + round(call.hold_s * 1000)
        return Times(start, start, start, None, None, end, end, None, end)
    dialled = start + digit_spans(call)[-1][1] if call.digits else start
    if call.progress_s is not None:
        over = dialled + round(call.progress_s * 1000)
    elif call.outcome in ("answered", "unanswered"):
        over = ringback_from(call, dialled) + (call.rings - 1) * RING_PERIOD_MS + RING_ON_MS + PICKED_UP_AFTER_MS
    else:
        over = ringback_from(call, dialled)
    if call.outcome not in ("answered", "unanswered"):
        end = over + round(call.busy_s * 1000)
        return Times(start, start, start, dialled, None, end, end, over, end)
    answer = over
    if call.outcome == "unanswered":
        return Times(start, start, start, dialled, None, answer, answer, None, answer)
    return _connected(call, start, start, start, dialled, answer)


def _connected(call: Call, start: int, ring: int, off_hook: int, dialled: int | None, answer: int) -> Times:
    talk_from = answer + round(call.talk_after_s * 1000)
    talk_to = talk_from + round(call.talk_s * 1000)
    if call.ends == "staff":
        return Times(start, ring, off_hook, dialled, answer, talk_from, talk_to, None, talk_to)
    end = talk_to + call.loop_break_ms + round(call.busy_s * 1000)
    return Times(start, ring, off_hook, dialled, answer, talk_from, talk_to, talk_to, end)
