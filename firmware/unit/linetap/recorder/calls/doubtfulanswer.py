# SPDX-License-Identifier: Apache-2.0
"""Answers without proof: only time has passed, or a voice without ringback may be the network's. The notice plays, and
no record states that a party has heard it.

A second voice after the notice proves that the first voice was a party's: two ends of a line differ in level by more
than the phrases of one announcer. The audio is examined once, when the recording is written or ends.
"""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.evidence.voices import Speech
from linetap.recorder.calls.evidence.windows import SPAN, STEP, windows_of
from linetap.ring import RATE_HZ
from linetap_core.records import AnsweredBy

UNKNOWN = "answer_unknown"  # no proof of an answer; policy: announce and record
PROVED = "two_voices_behind_the_notice"
LONGEST_S = 30  # after the notice
AT_THIS_END = (("ringback", "voice"), ("ringback", "two_voices"))  # then two later voices prove nothing


def is_doubtful(by: AnsweredBy, evidence: tuple[str, ...]) -> bool:
    """Whether this evidence leaves doubt about the answer.

    `tone` is a single unknown tone and a voice after it: the tone may be a first ring or a network's chime. After
    `ringback`, a voice without a change of channel may be this end's, before the answer.
    """
    alone = evidence[:1] in (("no_ringback",), ("tone",)) or evidence[:2] in AT_THIS_END
    return by == "unknown" or (by == "sound" and alone)


def confirm_by_two_voices(line: LineContext, until: int) -> None:
    """Accepts a doubtful answer by voice if two ends talk after the notice."""
    call = line.call
    if not (call.guessed and call.heard_as and call.answered_by == "sound") or call.answer is None:
        return
    if tuple(call.answer.evidence[:2]) in AT_THIS_END:
        return
    if not _two_voices(line, call.notice_until, min(until, call.notice_until + LONGEST_S * RATE_HZ)):
        return
    call.guessed = False
    call.why = "" if call.why == UNKNOWN else call.why
    call.answer.evidence.append(PROVED)
    call.notices[-1].proof, call.notices[-1].began_after_answer = call.heard_as, True


def _two_voices(line: LineContext, begin: int, end: int) -> bool:
    stretch = line.shared.audio.stretch(line.config.number, begin, end)
    speech, numbers = Speech(), line.profile.answer
    if stretch.gaps:
        return False
    for last in range(SPAN, len(stretch.samples) + 1, STEP):
        for window in windows_of(stretch.samples[last - SPAN : last], last, numbers):
            speech.follow(window, numbers, toned=bool(window.lines))
        if speech.far_turn is not None:
            return True
    return False
