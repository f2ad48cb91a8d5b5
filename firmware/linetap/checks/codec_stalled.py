# SPDX-License-Identifier: Apache-2.0
"""codec_stalled: a card with lines on it gives no audio: its capture lives without a period, or has ended for want of
one. A capture that is not there is capture_dead."""

from __future__ import annotations

from linetap.checks.cards import STEADY_MS, of_cards
from linetap.checks.watch import Seen
from linetap.records import CaptureState

CHECK_ID = "codec_stalled"


def gives_no_audio(capture: Seen[CaptureState]) -> bool:
    """For whatever reason."""
    return capture.status == "dead" or has_stalled(capture)


def has_stalled(capture: Seen[CaptureState]) -> bool:
    return capture.fault == CHECK_ID or (capture.status == "alive" and capture.stuck)


CHECK = of_cards(
    CHECK_ID,
    clears=f"when every card has given audio for {STEADY_MS // 1000} s without a halt",
    text_ko="카드 {cards}에서 소리가 들어오지 않아 통화를 녹음하지 못합니다.",
    text_en="Card {cards} gives no audio: its calls are not recorded.",
    action_ko=(
        "코덱의 케이블과 전원을 확인하고, 계속되면 카드를 교체하십시오. 로그: "
        "journalctl --namespace=+linetap -u {units}"
    ),
    action_en=(
        "Check the codec's cable and supply; if it goes on, replace the card. Log: "
        "journalctl --namespace=+linetap -u {units}"
    ),
    is_ill=has_stalled,
    steady=True,
)
