# SPDX-License-Identifier: Apache-2.0
"""A fax or a modem is on the line: no notice disturbs it, and nothing is recorded.

It is a state that voice leaves. A whistle of half a second, or a person who takes over from the machine, must not keep
a call from being announced and recorded.
"""

from __future__ import annotations

from linetap.recorder.calls import begin, dialling, parties, redial
from linetap.recorder.calls.answer import answered
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.ending import end_recording, passed
from linetap.recorder.calls.gate import ask_for_notice, stop_notice
from linetap.recorder.signals.event import Event
from linetap.recorder.signals.tones.ansam import is_ansam

SPEECH = ("speech", "announcement")
NOTICE_GONE_MS = 2000  # after it was stopped, what it left on the line is over


def heard(line: LineContext, event: Event) -> None:
    """A second party's carrier is withheld, as nobody can be told of a recording."""
    stop_notice(line)
    call = line.call
    call.carrier_from = event.known
    call.carriers += 1
    if call.first_frame is None:
        name = _name(line, event)
        call.disposition, call.why = "modem" if name.startswith("modem") else "fax", name
    line.go("carrier", event.known)


def voice_follows(line: LineContext, event: Event) -> None:
    """Somebody speaks: the call is announced as from now, and recorded. What began before the tone may be the echo of
    our own notice, unless it goes on long after that has been stopped."""
    call = line.call
    if call.carriers > 1:
        return
    goes_on = event.known >= call.carrier_from + NOTICE_GONE_MS * FRAMES_PER_MS
    if event.text in SPEECH and (event.at >= call.carrier_from or goes_on):
        _announce(line, event)


def talk_follows(line: LineContext, event: Event) -> None:
    """A calling fax sends its tone every 3.5 s, and whoever lifted says hello in between: once it has come back, only a
    talk of two seconds says that the machine has gone."""
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
        answered(line, event, "tone")
    else:
        ask_for_notice(line, event.known + line.policy.notice_delay_ms * FRAMES_PER_MS, event)


def flash(line: LineContext, event: Event) -> None:
    if line.call.first_frame is not None:
        parties.flash_with_new_party(line, event)
    else:
        begin.other_party_while_passing(line, event)


def digit(line: LineContext, event: Event) -> None:
    if line.call.first_frame is not None:
        dialling.dialled(line, event)
    else:
        redial.digit_while_passing(line, event)


def ended(line: LineContext, event: Event) -> None:
    if line.call.first_frame is not None:
        end_recording(line, event)
    else:
        passed(line, event)


def _name(line: LineContext, event: Event) -> str:
    """fax_calling, fax_answer, modem_calling, modem_answer, or modem_v8: 2100 Hz as modems send it."""
    if event.text == "answer":
        tone = line.around.audio.stretch(line.config.number, event.at, event.known).samples
        return "modem_v8" if is_ansam(tone, line.profile.cadence) else "fax_answer"
    return event.text if event.text.startswith("modem") else f"fax_{event.text}"
