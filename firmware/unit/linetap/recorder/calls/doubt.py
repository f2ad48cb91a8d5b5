# SPDX-License-Identifier: Apache-2.0
"""An answer that nothing proves: only a time has passed, or a voice came where nothing had rung, which may be the
network's. The notice plays, and no record calls it heard by a party.

A voice is proved to be somebody's by a second one behind the notice: two ends of a line differ by more than the
phrases of one announcer. Looked at once, when the recording is written or ends.
"""

from __future__ import annotations

from linetap.recorder.calls.context import LineContext
from linetap.recorder.calls.evidence.voices import Speech
from linetap.recorder.calls.evidence.windows import SPAN, STEP, windows_of
from linetap.ring import RATE_HZ
from linetap_core.records import AnsweredBy

UNKNOWN = "answer_unknown"  # nothing proves an answer, and policy wants the call announced and recorded
PROVED = "two_voices_behind_the_notice"
LONGEST_S = 30  # behind the notice
AT_THIS_END = (("ringback", "voice"), ("ringback", "two_voices"))  # whoever answered later, two ends talk behind it


def is_doubtful(by: AnsweredBy, evidence: tuple[str, ...]) -> bool:
    """`tone`: a single one that nobody learnt, and a voice behind it: a first ring, or a network's chime. Behind
    `ringback` a voice that came with no other channel may be this end's, and the answer be yet to come."""
    alone = evidence[:1] in (("no_ringback",), ("tone",)) or evidence[:2] in AT_THIS_END
    return by == "unknown" or (by == "sound" and alone)


def dispel_doubt(line: LineContext, until: int) -> None:
    """A voice that was taken for an answer was one, if two ends talk behind the notice."""
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
    stretch = line.around.audio.stretch(line.config.number, begin, end)
    speech, numbers = Speech(), line.profile.answer
    if stretch.gaps:
        return False
    for last in range(SPAN, len(stretch.samples) + 1, STEP):
        for window in windows_of(stretch.samples[last - SPAN : last], last, numbers):
            speech.follow(window, numbers, toned=bool(window.lines))
        if speech.far_turn is not None:
            return True
    return False
