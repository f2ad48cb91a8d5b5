# SPDX-License-Identifier: Apache-2.0
"""silent_off_hook: a line is off-hook and its audio is not even noise: a dead codec channel, or wires that are not
there."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "silent_off_hook",
    clears="when sound or a line's own noise was heard on it for 3 s",
    text_ko="{lines}에서 수화기를 들어도 아무 소리가 들어오지 않습니다. 녹음에 소리가 없습니다.",
    text_en="{lines}: off-hook, and no sound at all comes in. What is recorded is silence.",
    action_ko=(
        "드라이버로 {lines}의 단자와 코덱 쪽 커넥터를 조이십시오. 다른 회선은 들리고 이 회선만 조용하면 "
        "카드를 교체하십시오."
    ),
    action_en=(
        "tighten the terminals of {lines} and its connector at the codec with a screwdriver. If the other "
        "lines are heard and this one is not, replace the card."
    ),
)
