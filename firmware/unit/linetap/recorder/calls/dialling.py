# SPDX-License-Identifier: Apache-2.0
"""An outgoing call before its answer: digits, tones, and the decision from the evidence. The same code serves a second
party during a call.

If nothing was dialled and the exchange has given up (busy tone, an announcement), the handset is off its cradle: only
a reversal or the PBX's report makes this a call.
"""

from __future__ import annotations

from linetap.recorder.calls import parties
from linetap.recorder.calls.answer import handle_answer, record_answer
from linetap.recorder.calls.call import MOST_DIGITS
from linetap.recorder.calls.codes import learn_near_end
from linetap.recorder.calls.context import FRAMES_PER_MS, LineContext
from linetap.recorder.calls.doubtfulanswer import is_doubtful
from linetap.recorder.calls.evidence.decision import Dialled, Evidence, Number
from linetap.recorder.calls.evidence.windows import SPAN, first_window, windows_of
from linetap.recorder.calls.policy import kind_of_number
from linetap.recorder.signals.events import Event
from linetap.recorder.signals.sound.classes import spectrum_steadiness
from linetap.ring import RATE_HZ
from linetap_core.records import AnswerConfidence, AnsweredBy

NO_ANSWER = ("busy", "congestion", "unobtainable")


def add_dialled_digit(line: LineContext, event: Event) -> None:
    """Adds a digit to the number and restarts the evidence and the wait for an answer."""
    call = line.call
    if call.first_frame is None:
        call.dialled = (call.dialled + event.text)[:MOST_DIGITS]
    else:
        call.redialled = (call.redialled + event.text)[:MOST_DIGITS]
    pulsed = not event.level_dbm0
    at = event.known if pulsed else event.at  # so that the clicks of pulses do not count as voice
    call.dialled_ns = line.utc_ns(at)
    call.tone, call.given_up = "", False
    call.dial_tone |= line.memory.evidence.bursts.follows("dial", line.profile.tone, line.profile.answer)
    # After a pressed key the sound detector classifies anew; after pulses it does not.
    line.memory.evidence = line.memory.evidence.keeping_sound() if pulsed else Evidence()
    line.memory.next_window = first_window("off_hook", at)
    learn_near_end(line, event)
    parties.wait_for_answer(line, event)


def restart_dialling(line: LineContext, event: Event) -> None:
    """Discards the number after a flash before the answer: the exchange waits for another one."""
    call = line.call
    call.dialled, call.tone, call.given_up = "", "", False
    line.memory.evidence = line.memory.evidence.keeping_sound()
    line.memory.deadline = event.known + line.policy.answer_unheard_s * RATE_HZ


def follow_progress_tone(line: LineContext, event: Event) -> None:
    """Handles a call-progress tone: ringback restarts the wait for an answer, busy ends it.

    In a walk test a busy tone counts as the answer, so that the notice reaches no party by mistake.
    """
    call = line.call
    if event.text == "ringback":
        call.tone = ""
        parties.wait_for_answer(line, event)
    elif event.text in NO_ANSWER and line.memory.in_walk_test and call.direction == "out":
        accept_answer(line, event, "tone", "certain", (event.text,))
    elif event.text in NO_ANSWER or event.text == "dial":
        call.tone, call.tone_at = event.text, event.at
        call.dial_tone |= event.text == "dial"
        line.memory.deadline = None


def progress_tone_over(line: LineContext, event: Event) -> None:
    """Handles the end of a call-progress tone: the wait for an answer begins anew, or the handset is off its cradle."""
    call = line.call
    if event.text == "dial" and call.tone == "dial":
        # The exchange ends dial tone after a while; dialling, detected or not, ends it sooner.
        call.tone = ""
        given_up = event.at - call.tone_at >= line.profile.answer.dial_gives_up_ms * FRAMES_PER_MS
        call.given_up = given_up and not _number(line) and not call.digits_incomplete
        line.memory.evidence = line.memory.evidence.keeping_sound()
        if not call.given_up and not _number(line):
            line.memory.deadline = event.known + line.policy.answer_unheard_s * RATE_HZ
        elif not call.given_up:
            parties.wait_for_answer(line, event)
    elif event.text in NO_ANSWER and _number(line):
        parties.wait_for_answer(line, event)


def answer_by_talk(line: LineContext, event: Event) -> None:
    """Accepts two seconds of voice on a line without digits: it was lifted just as it began to ring."""
    call = line.call
    if not _number(line) and not call.tone and not call.given_up and not line.memory.evidence.rings:
        accept_answer(line, event, "tone", "low", ("no_digits", "voice"))


def add_sound(line: LineContext, event: Event) -> None:
    """Adds a change of the line's sound to the evidence."""
    loud = event.level_dbm0 >= line.profile.answer.loud_dbm0
    line.memory.evidence.add_sound(event.text, event.at, loud, event.period_ms)


def add_channel_change(line: LineContext, event: Event) -> None:
    """Adds a change of the far channel's noise to the evidence."""
    line.memory.evidence.add_channel_change(event.at)


def judge_evidence(line: LineContext, event: Event) -> None:
    """Examines the last windows of the line, every 80 ms, and accepts the answer that they prove."""
    call, evidence, numbers = line.call, line.memory.evidence, line.profile.answer
    stretch = line.shared.audio.stretch(line.config.number, event.at - SPAN, event.at)
    if stretch.gaps or len(stretch.samples) < SPAN:
        evidence.reset_at_gap()
        return
    evidence.follow(windows_of(stretch.samples, event.at, numbers), line.profile.tone, numbers)
    if (behind := evidence.sound_after_silence(event.at, numbers)) is not None:
        notes = _notes(line, behind.start, behind.end)
        music = _notes(line, behind.hush - RATE_HZ, behind.hush)
        evidence.judge_sound(behind, notes, music is None or music < numbers.hush_notes, numbers)
    known_ms = max(line.profile.lift_debounce_ms, line.profile.pulses.digit_gap_ms) + 1
    if event.at - line.open_last(event.at) <= known_ms * FRAMES_PER_MS:
        return  # the loop has just opened: a flash, pulses or the call's end
    if call.given_up or (verdict := evidence.judge(event.at, _dialled(line), numbers)) is None:
        return
    accept_answer(line, Event(event.known, "window", verdict.at), verdict.by, verdict.confidence, verdict.evidence)


def _notes(line: LineContext, first: int, end: int) -> float | None:
    """The steadiness of the notes in a stretch of the line's past; None: the stretch has gaps or is too short."""
    stretch = line.shared.audio.stretch(line.config.number, first, end)
    return None if stretch.gaps else spectrum_steadiness(stretch.samples)


def answer_by_polarity(line: LineContext, event: Event) -> None:
    """Accepts a reversal as the answer, except one that follows the seizure or a digit.

    A reversal when a trunk is seized, or with a digit, is the exchange's sign that it is ready.
    """
    call, numbers = line.call, line.profile.answer
    if not _number(line):
        since = call.off_hook_ns if call.first_frame is None else None
        guard_ms = numbers.seizure_ms
    else:
        since, guard_ms = call.dialled_ns, numbers.polarity_after_digit_ms
    if since is not None and event.at < line.anchor.frame_at(since) + guard_ms * FRAMES_PER_MS:
        return
    if _number(line) in line.policy.trunk_prefixes:
        return
    accept_answer(line, event, "polarity")


def answer_by_pbx(line: LineContext, event: Event) -> None:
    """Accepts the PBX's report of an answer."""
    accept_answer(line, event, "pbx")


def answer_by_timeout(line: LineContext, event: Event) -> None:
    """Applies policy when the deadline passes without evidence of an answer."""
    call, evidence, policy = line.call, line.memory.evidence, line.policy
    silence = _since(line) + policy.answer_silence_s * RATE_HZ
    spoken = evidence.talked_ms >= line.profile.answer.spoken_ms and _kind(line) != "unfinished"
    numbers = line.profile.answer
    toned = evidence.bursts.had_tone_within(event.known, numbers.other_tone_ms * FRAMES_PER_MS)
    unsure = evidence.waits or toned or evidence.busy_tone_is_on(event.known, numbers)
    usual = _since(line) + policy.answer_timeout_s * RATE_HZ
    if unsure and (event.known < usual or not line.memory.in_walk_test):  # a test call waits less only in silence
        line.memory.deadline = event.known + RATE_HZ
    elif event.known < silence and not spoken and not line.memory.in_walk_test and _number(line):
        line.memory.deadline = min(silence, event.known + RATE_HZ)
    elif call.given_up or (evidence.network and not _number(line)):
        return  # the exchange's announcement: a handset off its cradle
    elif policy.on_unknown_answer != "wait" or line.memory.in_walk_test:
        accept_answer(line, event, "unknown", "none", ("time", *(("voice",) if spoken else ())))


def accept_answer(
    line: LineContext,
    event: Event,
    by: AnsweredBy,
    sure: AnswerConfidence = "certain",
    evidence: tuple[str, ...] = (),
) -> None:
    """Accepts the answer of the far end: announces the call, or announces a recorded call again."""
    call = line.call
    if call.first_frame is None:
        handle_answer(line, event, by, sure, evidence)
        return
    if call.answered_by is None:  # the only party answers after a wrong guess
        record_answer(line, event, by, sure, (*evidence, "after_a_guess"))
        line.report("answered", event.at)
    call.guessed = is_doubtful(by, evidence)
    parties.announce_again(line, event)


def _number(line: LineContext) -> str:
    """The number being dialled: that of the call, or of a second party."""
    return line.call.dialled if line.call.first_frame is None else line.call.redialled


def _kind(line: LineContext) -> Number:
    """The kind of the number being dialled.

    If the far end has called a second party itself, there is ringback without a number.
    """
    number = _number(line)
    if not number and line.call.first_frame is not None:
        return "ordinary"
    dial_tone = line.call.dial_tone or line.call.first_frame is not None
    return kind_of_number(line.policy, number, dial_tone)


def _since(line: LineContext) -> int:
    """The frame of the last digit, of the last burst of ringback, or at which the wait for an answer began."""
    call, last = line.call, line.memory.evidence.bursts.last_end
    began = call.dialled_ns if _number(line) else call.off_hook_ns
    frame = line.anchor.frame_at(began) if began is not None else line.anchor.frame
    return max(frame, last or 0)


def _dialled(line: LineContext) -> Dialled:
    return Dialled(_kind(line), _since(line), line.call.tone)
