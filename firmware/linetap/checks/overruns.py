# SPDX-License-Identifier: Apache-2.0
"""overruns: capture came too late for its codec several times within ten minutes. Each is a gap in the calls."""

from __future__ import annotations

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen
from linetap.lately import WINDOW_S
from linetap.records import CaptureState

CHECK_ID = "overruns"
WARN = 3  # in WINDOW_S: one a month is what a busy machine does
CRITICAL = 30


def of_card(capture: Seen[CaptureState]) -> int:
    return capture.word.overruns_lately if capture.word is not None else 0


def too_many(capture: Seen[CaptureState]) -> bool:
    return of_card(capture) >= WARN


def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
    captures = snapshot.services.capture
    found = [(card, seen) for card, seen in captures.items() if too_many(seen)]
    if not found:
        return standing if all(seen.word is None for seen in captures.values()) else None
    minutes = WINDOW_S // 60
    ko = ", ".join(f"카드 {card}: {of_card(seen)}번" for card, seen in found)
    en = ", ".join(f"card {card}: {of_card(seen)}" for card, seen in found)
    return Trouble(
        severity="critical" if any(of_card(seen) >= CRITICAL for _, seen in found) else "warning",
        text_ko=f"{minutes}분 사이에 소리가 여러 번 끊겼습니다 ({ko}).",
        text_en=f"Audio was lost several times within {minutes} min ({en}).",
        action_ko="코덱의 USB 케이블과 전원을 확인하고, 허브를 거치지 말고 기기에 바로 꽂으십시오.",
        action_en="Check the codec's USB cable and supply, and plug it into the unit itself, not into a hub.",
    )


CHECK = Check(
    id=CHECK_ID,
    clears=f"when there were fewer than {WARN} within {WINDOW_S // 60} min",
    look=look,
)
