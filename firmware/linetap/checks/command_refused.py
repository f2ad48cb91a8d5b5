# SPDX-License-Identifier: Apache-2.0
"""command_refused: somebody has asked for what he may not, or not in order. Of what, only the code and the role."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.heard import of_recorder
from linetap.clock import NS_PER_S
from linetap.records import RecorderState

STANDS_S = 3600


@of_recorder
def look(_snapshot: Snapshot, recorder: RecorderState) -> Trouble | None:
    last = recorder.refused_commands
    if not last.count or recorder.mono_ns - last.mono_ns >= STANDS_S * NS_PER_S:
        return None
    # Code and role are words of this program's and of the signed roles: nobody can put a text of his own here.
    by_ko = f"역할 {last.role}" if last.role else "서명 확인 안 됨"
    by_en = f"of role {last.role}" if last.role else "of nobody known"
    return Trouble(
        severity="warning",
        text_ko=f"명령을 거부했습니다: {last.code} ({by_ko}). 시작 이후 {last.count}건.",
        text_en=f"A command was refused: {last.code}, {by_en}. {last.count} since the recorder started.",
        action_ko="누가 보냈는지 확인하십시오. 코드의 뜻은 docs/commands.md에 있습니다. 현장에서 할 일은 없습니다.",
        action_en="Find out who sent it; docs/commands.md has the codes. There is nothing to do in the closet.",
    )


CHECK = Check(id="command_refused", clears="at the end of an hour without another one", look=look)
