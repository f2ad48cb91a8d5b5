# SPDX-License-Identifier: Apache-2.0
"""A fax or a modem on the line: no notice is played to it, and nothing is recorded.

A voice ends this state, so that a call is still announced and recorded after a whistle of half a second, or when a
person replaces the machine. While a notice plays, `CarrierUnderNotice` looks for the machine's tone beneath the notice.
"""

from __future__ import annotations

import numpy as np

from linetap.recorder.calls import begin, dialling, parties, redial
from linetap.recorder.calls.answer import handle_answer
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.ending import end_passed, end_recording
from linetap.recorder.calls.gate import ask_for_notice, stop_notice
from linetap.recorder.signals.events import SPEECH, Event
from linetap.recorder.signals.notice.maskedtones import EVERY, LENGTH, carrier_under_notice
from linetap.recorder.signals.tones.stretch import is_ansam
from linetap.ring import I16, RATE_HZ, Batch

NOTICE_GONE_MS = 2000  # longest time from the stop of a notice to its last echo


def begin_carrier(line: LineContext, event: Event) -> None:
    """Stops the notice and waits for a voice.

    The carrier of a second party is withheld: a machine cannot hear a notice.
    """
    stop_notice(line)
    call = line.call
    call.carrier_from = event.known
    call.carriers += 1
    if call.first_frame is None:
        name = _name(line, event)
        call.disposition, call.why = "modem" if name.startswith("modem") else "fax", name
    line.enter("carrier", event.known)


def voice_after_carrier(line: LineContext, event: Event) -> None:
    """Announces the call from the first voice after the carrier.

    A voice that began before the carrier may be the echo of our notice, unless it lasts long after the notice was
    stopped.
    """
    call = line.call
    if call.carriers > 1:
        return
    goes_on = event.known >= call.carrier_from + NOTICE_GONE_MS * FRAMES_PER_MS
    if event.text in SPEECH and (event.at >= call.carrier_from or goes_on):
        _announce(line, event)


def talk_after_carrier(line: LineContext, event: Event) -> None:
    """Announces the call after a second carrier, once there were two seconds of talk.

    A calling fax repeats its tone every 3.5 s, and the person who lifted the handset says hello in between.
    """
    if line.call.carriers > 1 and event.at >= line.call.carrier_from:
        _announce(line, event)


def _announce(line: LineContext, event: Event) -> None:
    call = line.call
    call.notice_tries = 0
    if call.first_frame is not None:
        parties.announce_again(line, event)
        return
    call.disposition, call.why = "unanswered", ""
    if call.answered_ns is None:
        handle_answer(line, event, "tone")
    else:
        ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def flash_under_carrier(line: LineContext, event: Event) -> None:
    """Handles a flash: back to the first party of a recording, or another party in an unrecorded call."""
    if line.call.first_frame is not None:
        parties.flash_to_first_party(line, event)
    else:
        begin.replace_passing_party(line, event)


def digit_under_carrier(line: LineContext, event: Event) -> None:
    """Handles a digit: of a second party's number in a recording, or of a new call."""
    if line.call.first_frame is not None:
        dialling.add_dialled_digit(line, event)
    else:
        redial.digit_while_passing(line, event)


def end_carrier(line: LineContext, event: Event) -> None:
    """Ends the call, with its recording if there is one."""
    if line.call.first_frame is not None:
        end_recording(line, event)
    else:
        end_passed(line, event)


def _name(line: LineContext, event: Event) -> str:
    """fax_calling, fax_answer, modem_calling, modem_answer, or modem_v8: 2100 Hz with ANSam's amplitude modulation."""
    if event.text == "answer":
        tone = line.shared.audio.stretch(line.config.number, event.at, event.known).samples
        return "modem_v8" if is_ansam(tone, line.profile.cadence) else "fax_answer"
    return event.text if event.text.startswith("modem") else f"fax_{event.text}"


class CarrierUnderNotice:
    """Detects the tone of a fax or a modem while a notice is on the line.

    Lines that play a notice are examined ten times a second. The audio kept for it, half a second, is lost at a
    restart.
    """

    def __init__(self) -> None:
        self._held: I16 = np.zeros(0, np.int16)
        self._end = 0  # the frame after the held audio

    def follow(self, line: LineContext, batch: Batch, index: int) -> list[Event]:
        """The `fax` event of this batch, if there is one."""
        playing = line.memory.playing
        if playing is None or batch.gap is not None:
            self._held = self._held[:0]
            return []
        if self._end != batch.frame:
            self._held = self._held[:0]
        self._held = np.concatenate([self._held, batch.audio[index]])[-LENGTH - batch.frames :]
        self._end = batch.frame + batch.frames
        notice = next((each for each in line.shared.notices.values() if each.tag == playing.tag), None)
        if playing.started is None or notice is None:
            return []
        longest = line.profile.beneath.delay_max_ms * RATE_HZ // 1000
        for frame in range(-(-(batch.frame + 1) // EVERY) * EVERY, self._end + 1, EVERY):
            first = frame - LENGTH - (self._end - len(self._held))
            if first < 0 or not playing.started + EVERY <= frame <= playing.started + playing.frames + longest:
                continue
            sent = notice.between(frame - LENGTH - longest - playing.started, frame - playing.started)
            if found := carrier_under_notice(self._held[first : first + LENGTH], sent, line.profile.beneath):
                return [Event(frame, "fax", frame - LENGTH, found)]
        return []
