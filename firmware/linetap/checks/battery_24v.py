# SPDX-License-Identifier: Apache-2.0
"""battery_24v: a line that was not learnt has the battery of a 24 V PBX, for which the thresholds of 48 V are
wrong."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "battery_24v",
    clears="when `linetap line learn` has learnt the line",
    text_ko="{lines}은 24 V PBX 회선으로 보입니다. 수화기를 든 것을 알아보지 못할 수 있습니다.",
    text_en="{lines}: this looks like a PBX of 24 V. That the handset is lifted may not be seen.",
    action_ko="수화기를 내려놓고 linetap line learn {first} 명령을 실행하십시오. 드라이버는 필요 없습니다.",
    action_en="put the handset down and run linetap line learn {first}. No screwdriver is needed.",
)
