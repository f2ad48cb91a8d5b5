# SPDX-License-Identifier: Apache-2.0
"""short_loop: a line that was not learnt reads so many volts off-hook that it seems to be on-hook."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "short_loop",
    clears="when `linetap line learn` has learnt the line, or it was off-hook at an ordinary voltage",
    text_ko="{lines}은 수화기를 들어도 전압이 높습니다. 통화가 시작된 것을 알아보지 못할 수 있습니다.",
    text_en="{lines}: the voltage stays high off-hook. That a call begins may not be seen.",
    action_ko="수화기를 내려놓고 linetap line learn {first} 명령을 실행하십시오. 드라이버는 필요 없습니다.",
    action_en="put the handset down and run linetap line learn {first}. No screwdriver is needed.",
)
