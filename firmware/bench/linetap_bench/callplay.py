# SPDX-License-Identifier: Apache-2.0
"""What one scripted call does to its line: the exchange's signals, the staff member's hand, and what is said."""

from __future__ import annotations

import numpy as np

from linetap_bench import exchangetones, fsk, synth, timing
from linetap_bench.callkeys import Call, Keys
from linetap_bench.dialogue import add_talk
from linetap_bench.linesounds import add_sounds
from linetap_bench.linetimeline import LineTimeline
from linetap_bench.timing import PER_MS
from linetap_bench.voices import Language, Voices
from linetap_core.evidence.calls import g711

SEIZED_AFTER_MS = 250  # of the last digit
RING_TRIP_MS = 60  # the exchange takes so long to see the loop close and stop ringing
FAR_KEY_DBM0 = -20.0  # of each tone: a telephone behind two lines and an exchange


def play(call: Call, line: LineTimeline, language: Language, voices: Voices) -> None:
    times = timing.times_of(call)
    if call.direction == "in":
        _ring(call, line, times)
    else:
        _dial(call, line, times)
    if times.answer is not None:
        if call.polarity:
            line.reverse(times.answer, not call.seizure)
        if call.dense_dbm0 is not None:
            line.dense(times.answer, times.talk_to, call.dense_dbm0)
        add_talk(call, times, language, voices, line.add)
        _converse(call, line, times.answer)
        _fax(call, line, times.answer, times.talk_to)
    add_sounds(call, times, line, voices)
    if times.far_gone is not None:
        _far_gone(call, line, times.far_gone, times.end)
    if times.off_hook is not None:
        line.on_hook(times.end, call.bounce_ms)


def _ring(call: Call, line: LineTimeline, times: timing.Times) -> None:
    for i, digit in enumerate(timing.caller_digits(call)):
        at = times.start + i * (timing.DTMF_ON_MS + timing.DTMF_OFF_MS)
        line.add(at, synth.dtmf(digit, timing.DTMF_ON_MS * PER_MS, call.caller_id.dbm0))
    for i in range(call.rings):
        at = times.ring + i * timing.RING_PERIOD_MS
        end = at + timing.RING_ON_MS
        if times.off_hook is not None:
            end = min(end, times.off_hook + RING_TRIP_MS)
        line.burst(at, end, call.shake)
    if call.caller_id.kind in ("bell202", "v23"):
        told = fsk.sound(call.caller_id)
        at = times.ring + timing.RING_ON_MS + timing.CALLER_ID_AFTER_MS
        if times.off_hook is not None:  # whoever picks up that early cuts it off
            told.cut(max(0, (times.off_hook - at) * PER_MS))
        line.add(at, told)
    if times.off_hook is not None:
        line.hook.clear(times.off_hook, times.off_hook + RING_TRIP_MS)
        line.off_hook(times.off_hook, call.bounce_ms)


def _dial(call: Call, line: LineTimeline, times: timing.Times) -> None:
    line.off_hook(times.start, call.bounce_ms)
    spans = timing.digit_spans(call)
    tone_from = times.start + timing.DIAL_TONE_AFTER_MS
    tone_to = times.start + spans[0][0] if spans else times.end
    if tone_to > tone_from and call.dial_tone and (spans or call.progress_s is None):
        _tone(line, "dial", tone_from, tone_to)
    if call.second_dial and 0 < call.pause_after < len(spans):
        before, after = spans[call.pause_after - 1][1], spans[call.pause_after][0]
        _tone(line, "dial", times.start + min(before + timing.DIAL_TONE_AFTER_MS, after), times.start + after)
    for first, end, digit in spans:
        if call.dialling == "dtmf":
            line.add(times.start + first, synth.dtmf(digit, (end - first) * PER_MS))
            continue
        for i in range(timing.pulses(digit)):
            line.pulse(times.start + first + i * (timing.PULSE_BREAK_MS + timing.PULSE_MAKE_MS))
    if times.dialled is None:
        return
    if call.seizure:
        line.reverse(times.dialled + SEIZED_AFTER_MS, True)
    first, end = timing.ringback_from(call, times.dialled), times.answer or times.end
    if call.ringback and call.digits and call.outcome in ("answered", "unanswered") and first < end:
        _tone(line, "ringback", first, end)


def _converse(call: Call, line: LineTimeline, answer: int) -> None:
    """What happens in the middle of a call."""
    for flash in call.flash_at_s:
        at = answer + round(flash * 1000)
        line.on_hook(at, call.bounce_ms, call.polarity != call.seizure)
        line.off_hook(at + call.flash_ms, call.bounce_ms, call.polarity != call.seizure)
    for keys in call.keys:
        _press(keys, line, timing.keys_span(keys, answer)[0])
    for tone in call.tone:
        at = answer + round(tone.at_s * 1000)
        _tone(line, tone.tone, at, at + round(tone.for_s * 1000))


def _press(keys: Keys, line: LineTimeline, ms: int) -> None:
    """The staff's telephone is the one that dials. What a far end presses has been through G.711 at least: mobile
    networks and trunks over IP carry the key as a message, and the last exchange plays it."""
    length = timing.KEY_ON_MS * PER_MS
    for i, digit in enumerate(keys.digits):
        at = ms + i * (timing.KEY_ON_MS + timing.KEY_OFF_MS)
        if keys.by == "staff":
            line.add(at, synth.dtmf(digit, length, keys.dbm0))
        else:
            dbm0 = FAR_KEY_DBM0 if keys.dbm0 is None else keys.dbm0
            heard = np.rint(synth.dtmf(digit, length, dbm0).render(0, length)).clip(-32768, 32767).astype(np.int16)
            line.add(at, synth.Wave(g711.decode(g711.encode(heard)), 1.0, length))


def _fax(call: Call, line: LineTimeline, answer: int, end: int) -> None:
    if call.fax == "calling":
        line.add(answer, exchangetones.fax_calling((end - answer) * PER_MS))
    elif call.fax != "none":
        length = min(timing.FAX_ANSWER_MS, end - answer - timing.FAX_ANSWERS_AFTER_MS) * PER_MS
        sound = exchangetones.fax_answer(max(0, length), call.fax == "answer_reversed")
        line.add(answer + timing.FAX_ANSWERS_AFTER_MS, sound)


def _far_gone(call: Call, line: LineTimeline, ms: int, end_ms: int) -> None:
    """The exchange tells by a tone that nobody is there, where it likes with a break of the loop before it."""
    if call.polarity or call.seizure:
        line.reverse(ms, False)
    if call.loop_break_ms:
        line.break_loop(ms, call.loop_break_ms)
    name = "busy" if call.outcome == "answered" else call.outcome
    _tone(line, name, ms + call.loop_break_ms, end_ms)


def _tone(line: LineTimeline, name: str, ms: int, end_ms: int) -> None:
    line.add(ms, exchangetones.exchange_tone(name, (end_ms - ms) * PER_MS))
