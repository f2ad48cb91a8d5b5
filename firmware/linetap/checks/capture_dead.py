# SPDX-License-Identifier: Apache-2.0
"""capture_dead: a card's capture does not run, for another reason than its codec."""

from __future__ import annotations

from linetap.checks import codec_absent, codec_mismatch, codec_stalled
from linetap.checks.cards import STEADY_MS, of_cards
from linetap.checks.watch import Seen
from linetap.records import CaptureState

CHECK_ID = "capture_dead"
OF_THE_CODEC = (codec_stalled.CHECK_ID, codec_absent.CHECK_ID, codec_mismatch.CHECK_ID)


def is_dead(capture: Seen[CaptureState]) -> bool:
    return capture.status == "dead" and capture.unwritten is None and capture.fault not in OF_THE_CODEC


CHECK = of_cards(
    CHECK_ID,
    clears=f"when it runs and has given audio for {STEADY_MS // 1000} s without a halt",
    text_ko="카드 {cards}의 capture 서비스가 멈췄습니다. 그 카드의 통화는 녹음되지 않습니다.",
    text_en="Card {cards}: capture has stopped. The calls of that card are not recorded.",
    action_ko="저절로 다시 시작합니다. 그대로면 systemctl status {units} 명령으로 이유를 보십시오.",
    action_en="It is started again by itself. If it stays dead, see why: systemctl status {units}",
    is_ill=is_dead,
    steady=True,
)
