# SPDX-License-Identifier: Apache-2.0
"""hook_disagree: a line's HOOK pin has said something else than the line meter for long. The meter is believed."""

from __future__ import annotations

from linetap.checks.frame import Snapshot
from linetap.checks.lines import Lines, of_lines
from linetap.checks.watch import Seen
from linetap.records import CaptureState


def disagreeing(capture: Seen[CaptureState]) -> list[int]:
    state = capture.word
    return state.meter.disagreeing if state is not None and state.meter else []


def _lines(snapshot: Snapshot, _code: str) -> Lines | None:
    captures = snapshot.services.capture.values()
    if all(seen.status != "alive" for seen in captures):
        return None
    return sorted(line for seen in captures for line in disagreeing(seen))


CHECK = of_lines(
    "hook_disagree",
    clears="when pin and meter say the same again",
    text_ko="{lines}: HOOK 핀과 계측기의 판단이 오랫동안 다릅니다. 계측기를 따릅니다.",
    text_en="{lines}: the HOOK pin and the meter have disagreed for long. The meter is believed.",
    action_ko=(
        "수화기를 내려놓고 linetap line learn {first} 명령을 실행하십시오. 그대로면 드라이버로 {lines}의 HOOK "
        "배선을 조이십시오."
    ),
    action_en="put the handset down and run linetap line learn {first}. If it stays, tighten the HOOK wire of {lines} "
    "with a screwdriver.",
    lines=_lines,
)
