# SPDX-License-Identifier: Apache-2.0
"""stuck_off_hook: a line is off-hook for long with neither voice nor digit: a receiver off its cradle."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "stuck_off_hook",
    clears="when the handset is down, or somebody speaks or dials",
    text_ko="{lines}의 수화기가 오래 들려 있습니다. 전화를 받을 수 없습니다.",
    text_en="{lines}: off-hook for long, and nobody speaks. It cannot be called.",
    action_ko=(
        "{lines} 전화기의 수화기를 바로 놓으십시오. 놓여 있으면 드라이버로 단자를 풀어 선이 서로 닿는지 보십시오."
    ),
    action_en=(
        "put the receiver of {lines} back. If it is on its cradle, open the terminals with a screwdriver and "
        "see whether the wires touch."
    ),
)
