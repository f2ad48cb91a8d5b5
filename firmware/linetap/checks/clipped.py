# SPDX-License-Identifier: Apache-2.0
"""clipped: speech on a line is so loud that it is cut off at full scale, again and again in a call."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "clipped",
    clears="when a whole call was without it",
    text_ko="{lines}의 소리가 너무 커서 잘립니다.",
    text_en="{lines}: speech is too loud and clips.",
    action_ko="코덱에서 {lines} 채널의 입력 이득을 6 dB 낮추십시오. 이득 조절 나사가 있으면 드라이버로 돌리십시오.",
    action_en="lower the input gain of {lines} at the codec by 6 dB, with a screwdriver where it has a trimmer.",
)
