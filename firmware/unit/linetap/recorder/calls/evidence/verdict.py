# SPDX-License-Identifier: Apache-2.0
"""What the evidence is asked of, and what it says."""

from __future__ import annotations

from typing import Literal, NamedTuple

from linetap_core.records import AnswerConfidence, AnsweredBy

# What was dialled: a number that answers without ringback, a code that picks up another's call, a number that goes
# on after what was dialled so far, or none at all: a hotline, or a line that was lifted just as it rang. Where dial
# tone was heard and no digit, it is a handset off its cradle, or a number that nobody could hear.
Number = Literal["ordinary", "at_once", "pickup", "unfinished", "hotline", "unheard"]


class Verdict(NamedTuple):
    at: int
    by: AnsweredBy
    confidence: AnswerConfidence
    evidence: tuple[str, ...]


class Dialled(NamedTuple):
    """`since`: of the last digit, or of the off-hook. `tone`: busy, dial, unobtainable or the like is on."""

    number: Number
    since: int
    tone: str
