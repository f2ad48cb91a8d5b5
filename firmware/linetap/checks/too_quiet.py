# SPDX-License-Identifier: Apache-2.0
"""too_quiet: in a whole call nobody on a line was louder than a whisper."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "too_quiet",
    clears="when a call on it was loud enough",
    text_ko="{lines}의 통화 소리가 너무 작습니다.",
    text_en="{lines}: a whole call was far too faint.",
    action_ko="드라이버로 {lines}의 단자를 조이고, 그대로면 코덱에서 그 채널의 입력 이득을 올리십시오.",
    action_en=(
        "tighten the terminals of {lines} with a screwdriver; if it stays, raise the input gain of its "
        "channel at the codec."
    ),
)
