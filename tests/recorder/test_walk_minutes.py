# SPDX-License-Identifier: Apache-2.0
"""The minutes of a walk test over eight lines: one person with a test telephone, who follows the sheet's step 7 and
the line by ear, on the lines' own time.

The person's times are those of the account in docs/adoption-trials.md (tools/new_unit_minutes.py).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from sounds import dial, digits
from walk_rig import Walked, Wire

from linetap.config.schema import Recording
from linetap.recorder.calls import parties
from linetap.ring import RATE_HZ
from linetap_core.records import StartWalk, WalkState
from unit_rig import NOTICE_S, make_unit

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
import new_unit_minutes as minutes


@dataclass
class Telephone:
    """The person's one test telephone: the line it is clipped to, and since when."""

    line: int = 1
    clipped_at: float = 0.0


class ByEar(Wire):
    """A line whose person hears dial tone and notice, and never looks at CALL."""

    def __init__(self, telephone: Telephone) -> None:
        super().__init__()
        self.telephone = telephone
        self.did: list[float] = []  # the times of lifting, dialling and hanging up

    def carry_out(self, walk: WalkState, line: int, t: float) -> None:  # noqa: ARG002 - what CALL shows
        if self.telephone.line != line or t < self.telephone.clipped_at:
            return
        if not self.did:
            self.lifted_at = t
            self.say(t, dial(minutes.DIAL_S))
            self.did.append(t)
        elif len(self.did) == 1 and t >= self.did[0] + minutes.DIAL_S:
            self.say(t, digits("1"))
            self.did.append(t)
        elif len(self.did) == 2 and self.played_at is not None and t >= self._heard_at + minutes.SPEAK_S:
            self.lifted_at, self.sounds = None, []
            self.did.append(t)
            self.telephone.line, self.telephone.clipped_at = line + 1, t + minutes.CLIP_S

    @property
    def _heard_at(self) -> float:
        """The end of the notice as the person hears it."""
        assert self.played_at is not None
        return self.played_at / RATE_HZ + NOTICE_S


@pytest.mark.parametrize("wait_s", [parties.TEST_CALL_S, Recording().answer_timeout_s])
def test_eight_lines_by_ear_take_what_the_account_says(
    tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch, wait_s: int
) -> None:
    """Now, and as before with the usual time to an answer. All lines are green: nobody has to see CALL."""
    monkeypatch.setattr(parties, "TEST_CALL_S", wait_s)
    unit, telephone = make_unit(tmp_path, run_dir, lines=minutes.LINES, recording=Recording()), Telephone()
    with Walked(unit.config, [ByEar(telephone) for _ in range(minutes.LINES)]) as walked:
        walked.turn()
        began = walked.frame
        telephone.clipped_at = began / RATE_HZ + 1
        assert walked.ask(StartWalk("button")) == []
        walked.until(lambda: walked.walk is not None and walked.walk.ended_by is not None, "all lines are judged")
        assert walked.walk is not None
        assert {line.colour for line in walked.walk.lines} == {"green"}
        took_s = (walked.frame - began) / RATE_HZ
    unit_s = {4: minutes.UNIT_S, 8: minutes.UNIT_BEFORE_S}[wait_s] - minutes.NOTICE_S + NOTICE_S
    a_line_s = minutes.CLIP_S + minutes.DIAL_S + minutes.SPEAK_S + unit_s
    assert took_s / minutes.LINES == pytest.approx(a_line_s, abs=1.0)


def test_the_document_has_the_account() -> None:
    """Run tools/new_unit_minutes.py if not."""
    rows = minutes.steps()
    assert minutes.table(rows) in minutes.DOCUMENT.read_text(encoding="utf-8")
    assert sum(one.likely for one in rows) < 600, "ten minutes"
