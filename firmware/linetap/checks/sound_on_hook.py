# SPDX-License-Identifier: Apache-2.0
"""sound_on_hook: somebody talks on a line that is on-hook by its pin and its meter: calls on it are not seen, and not
recorded."""

from __future__ import annotations

from linetap.checks.lines import of_lines

CHECK = of_lines(
    "sound_on_hook",
    clears="when its hook is seen to open, or half a minute was quiet",
    text_ko="{lines}에서 수화기가 내려져 있는데 통화 소리가 들립니다. 통화를 알아채지 못해 녹음하지 않을 수 있습니다.",
    text_en="{lines}: on-hook, and there is talk on it. Its calls may not be seen, and not be recorded.",
    action_ko=(
        "{lines}의 수화기를 들었다 놓아 보십시오. 기기가 알아채지 못하면 드라이버로 단자를 조이고 "
        "`linetap line learn`을 실행하십시오. 알아채면 이웃 회선과 선이 닿았는지 확인하십시오."
    ),
    action_en=(
        "lift the handset of {lines} and put it down. If the unit does not see it, tighten its terminals with a "
        "screwdriver and run `linetap line learn`. If it does, look whether the wires touch those of a neighbour."
    ),
)
