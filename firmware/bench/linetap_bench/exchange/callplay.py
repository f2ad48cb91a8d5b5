# SPDX-License-Identifier: Apache-2.0
"""The signals of one scripted call: the exchange's signals, the staff member's actions, and the speech.

Caller ID is sent between the first burst of ringing and the second: GR-30, EN 300 659. The utterances of a call
alternate between two people until the end of the talk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import NamedTuple

import numpy as np

from linetap.ring import RATE_HZ
from linetap_bench.exchange.linesounds import add_sounds, through
from linetap_bench.exchange.linetimeline import LineTimeline
from linetap_bench.script import timing
from linetap_bench.script.callkeys import Call, CallerId, Keys, Network
from linetap_bench.script.timing import PER_MS, Times, quiet_spans
from linetap_bench.sounds import signalling, synth
from linetap_bench.sounds.synth import Sound, Wave
from linetap_bench.sounds.voices import MADE_DBM0, Language, Speaker, Voices
from linetap_core.codecs import g711
from linetap_core.codecs.g711 import peak_of

MARK_SPACE_HZ = {"bell202": (1200.0, 2200.0), "v23": (1300.0, 2100.0)}
BAUD = 1200
SEIZURE_BITS, MARK_BITS, LAST_MARK_BITS = 300, 180, 10  # spandsp adsi
SDMF, MDMF = 0x04, 0x80
DATE, NUMBER, NUMBER_ABSENT, NAME, NAME_ABSENT = 0x01, 0x02, 0x04, 0x07, 0x08
SENT_AT = b"11250900"  # MMDDHHMM; the recorder does not read it
PRIVATE = b"P"


def caller_id_message(caller: CallerId) -> bytes:
    """Caller ID message: type, length, content and checksum (two's complement of the sum of all octets)."""
    number = caller.number.encode("ascii")
    if caller.message == "sdmf":
        kind, body = SDMF, SENT_AT + (PRIVATE if caller.withheld else number)
    else:
        kind, body = MDMF, _parameter(DATE, SENT_AT)
        if caller.withheld:
            body += _parameter(NUMBER_ABSENT, PRIVATE) + _parameter(NAME_ABSENT, PRIVATE)
        if number:
            body += _parameter(NUMBER, number)
        if caller.name:
            body += _parameter(NAME, caller.name.encode("euc-kr"))
    unsummed = bytes([kind, len(body)]) + body
    return unsummed + bytes([(-sum(unsummed) + caller.broken) % 256])


def caller_id_sound(caller: CallerId) -> Wave:
    """Caller ID as sound: channel seizure, mark, then octets of a start, eight data and a stop bit,
    phase-continuous.
    """
    framed = [bit for octet in caller_id_message(caller) for bit in (0, *((octet >> k) & 1 for k in range(8)), 1)]
    bits = np.array([*(k % 2 for k in range(SEIZURE_BITS)), *[1] * MARK_BITS, *framed, *[1] * LAST_MARK_BITS])
    samples = len(bits) * RATE_HZ // BAUD
    sent = bits[np.arange(samples) * BAUD // RATE_HZ]
    mark_hz, space_hz = MARK_SPACE_HZ[caller.kind]
    phase = np.cumsum(np.where(sent == 1, mark_hz, space_hz)) * (2 * np.pi / RATE_HZ)
    return Wave(np.rint(peak_of(caller.dbm0) * np.sin(phase)).astype(np.int16), 1.0, samples)


def _parameter(kind: int, value: bytes) -> bytes:
    return bytes([kind, len(value)]) + value


PAUSE_MS = 350  # after a sound that replaces talk
SOONEST_MS = 400  # the earliest interruption by the other speaker


def add_talk(call: Call, times: Times, language: Language, voices: Voices, add: Callable[[int, Sound], None]) -> None:
    """Calls `add` with each utterance and its millisecond, cut off at the end of the talk or the next sound, and with
    the far end's echo of the staff member's voice.
    """
    for utterance in utterances(call, times, language, voices):
        add(utterance.at, utterance.wave)
        echo_db = utterance.network.echo_db
        if utterance.speaker == "staff" and echo_db is not None:
            late = 2 * utterance.network.delay_ms
            add(
                utterance.at + late,
                utterance.wave.scaled(10 ** (echo_db / 20), (times.talk_to - utterance.at - late) * PER_MS),
            )


class Utterance(NamedTuple):
    at: int
    wave: Wave
    speaker: Speaker
    network: Network  # of the far end at that time

    @property
    def end(self) -> int:
        return self.at + self.wave.length // PER_MS


def utterances(call: Call, times: Times, language: Language, voices: Voices) -> Iterator[Utterance]:
    """The utterances of a call, by their beginnings."""
    if not call.talk or times.answer is None:
        return
    quiet = quiet_spans(call, times.answer)
    turns: tuple[Speaker, Speaker] = ("staff", "caller") if call.first_speaker == "staff" else ("caller", "staff")
    at = times.talk_from
    for turn, text in zip(cycle(turns), cycle(call.talk), strict=False):
        while quiet and quiet[0][0] <= at:
            at = max(at, quiet.pop(0)[1] + PAUSE_MS)
        until = min(times.talk_to, quiet[0][0]) if quiet else times.talk_to
        if until <= at:
            return
        speaker, network, level = _speaker_at(call, turn, at - times.answer)
        samples = voices.say(text, language, speaker)
        if speaker != "staff":
            samples = through(samples, network, 0, voices)
        utterance = Utterance(
            at, Wave(samples, 10 ** ((level - MADE_DBM0) / 20), (until - at) * PER_MS), speaker, network
        )
        yield utterance
        at = max(at + SOONEST_MS, utterance.end + call.pause_ms + network.delay_ms)


def _speaker_at(call: Call, turn: Speaker, ms: int) -> tuple[Speaker, Network, float]:
    """The speaker, the network of the far end, and the level at this time after the answer."""
    party = next((party for party in reversed(call.party) if party.at_s * 1000 <= ms), None)
    network = party.network if party else call.network
    if turn == "staff":
        return "staff", network, call.staff_dbm0
    return (party.speaker, network, party.dbm0) if party else ("caller", network, call.caller_dbm0)


SEIZED_AFTER_MS = 250  # after the last digit
RING_TRIP_MS = 60  # the exchange's time to detect the closed loop and stop ringing
FAR_KEY_DBM0 = -20.0  # of each tone, for a telephone behind two lines and an exchange


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
        _signal_far_end_gone(call, line, times.far_gone, times.end)
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
        sound = caller_id_sound(call.caller_id)
        at = times.ring + timing.RING_ON_MS + timing.CALLER_ID_AFTER_MS
        if times.off_hook is not None:  # an early pick-up cuts the message off
            sound.cut(max(0, (times.off_hook - at) * PER_MS))
        line.add(at, sound)
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
    """Adds the events between the answer and the end of a call."""
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
    """Plays a dialled key on the line: of the staff member's telephone, or of the far end.

    A far key has passed G.711 at least: mobile networks and IP trunks carry the key as a message, and the last exchange
    plays it.
    """
    length = timing.KEY_ON_MS * PER_MS
    for i, digit in enumerate(keys.digits):
        at = ms + i * (timing.KEY_ON_MS + timing.KEY_OFF_MS)
        if keys.by == "staff":
            line.add(at, synth.dtmf(digit, length, keys.dbm0))
        else:
            dbm0 = FAR_KEY_DBM0 if keys.dbm0 is None else keys.dbm0
            received = np.rint(synth.dtmf(digit, length, dbm0).render(0, length)).clip(-32768, 32767).astype(np.int16)
            line.add(at, synth.Wave(g711.decode(g711.encode(received)), 1.0, length))


def _fax(call: Call, line: LineTimeline, answer: int, end: int) -> None:
    if call.fax == "calling":
        line.add(answer, signalling.fax_calling((end - answer) * PER_MS))
    elif call.fax != "none":
        length = min(timing.FAX_ANSWER_MS, end - answer - timing.FAX_ANSWERS_AFTER_MS) * PER_MS
        sound = signalling.fax_answer(max(0, length), call.fax == "answer_reversed")
        line.add(answer + timing.FAX_ANSWERS_AFTER_MS, sound)


def _signal_far_end_gone(call: Call, line: LineTimeline, ms: int, end_ms: int) -> None:
    """The exchange signals by a tone that the far end is gone, optionally with a break of the loop before it."""
    if call.polarity or call.seizure:
        line.reverse(ms, False)
    if call.loop_break_ms:
        line.break_loop(ms, call.loop_break_ms)
    name = "busy" if call.outcome == "answered" else call.outcome
    _tone(line, name, ms + call.loop_break_ms, end_ms)


def _tone(line: LineTimeline, name: str, ms: int, end_ms: int) -> None:
    line.add(ms, signalling.exchange_tone(name, (end_ms - ms) * PER_MS))
