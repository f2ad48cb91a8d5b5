# SPDX-License-Identifier: Apache-2.0
"""codec_stalled: a card with lines on it gives no audio, whether its codec has stopped or its capture is not there."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen
from linetap.clock import NS_PER_MS
from linetap.records import CaptureState

CHECK_ID = "codec_stalled"
STEADY_MS = 3000  # audio must have flowed so long before it clears: a capture that is restarted in a loop is no cure


def gives_no_audio(capture: Seen[CaptureState]) -> bool:
    """Also the panel's word for it."""
    return capture.status == "dead" or capture.stuck or capture.fault == CHECK_ID


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    silent = [card for card, seen in snapshot.services.capture.items() if gives_no_audio(seen)]
    if not silent and standing is not None:
        captures = snapshot.services.capture.items()
        silent = [card for card, seen in captures if seen.moving_ns < STEADY_MS * NS_PER_MS]
    if not silent:
        return None
    cards = ", ".join(str(card) for card in silent)
    units = " ".join(f"linetap-capture@{card}" for card in silent)
    return Trouble(
        severity="critical",
        text_ko=f"카드 {cards}에서 소리가 들어오지 않아 통화를 녹음하지 못합니다.",
        text_en=f"Card {cards} gives no audio: its calls are not recorded.",
        action_ko=f"코덱의 케이블과 전원을 확인하고, 계속되면 카드를 교체하십시오. 로그: journalctl -u {units}",
        action_en=f"Check the codec's cable and supply; if it goes on, replace the card. Log: journalctl -u {units}",
    )


CHECK = Check(
    id=CHECK_ID,
    severity="critical",
    led=CHECK_ID,
    clears=f"when every card has given audio for {STEADY_MS // 1000} s without a halt",
    look=look,
)
