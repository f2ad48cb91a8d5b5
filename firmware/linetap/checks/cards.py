# SPDX-License-Identifier: Apache-2.0
"""Checks of single line cards: what all of them share. Each file holds when its card is ill, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable

from linetap.checks.frame import Check, Snapshot, Trouble
from linetap.checks.watch import Seen
from linetap.clock import NS_PER_MS
from linetap.records import CaptureState
from linetap.wire.alerts import ALERTS

STEADY_MS = 3000  # audio must have flowed so long before it clears: a capture that is restarted in a loop is no cure


def of_cards(
    check_id: str,
    *,
    clears: str,
    text_ko: str,
    text_en: str,
    action_ko: str,
    action_en: str,
    is_ill: Callable[[Seen[CaptureState]], bool],
    steady: bool = False,
) -> Check:
    """A check of the cards that are ill, and with `steady`, once it stands, of those that have not worked for long.

    In the texts {cards} are their numbers and {units} their services.
    """

    def look(snapshot: Snapshot, standing: Trouble | None) -> Trouble | None:
        captures = snapshot.services.capture
        ill = [card for card, seen in captures.items() if is_ill(seen)]
        if not ill and steady and standing is not None:
            ill = [card for card, seen in captures.items() if seen.moving_ns < STEADY_MS * NS_PER_MS]
        if not ill:
            return None
        cards = ", ".join(str(card) for card in ill)
        units = " ".join(f"linetap-capture@{card}" for card in ill)
        return Trouble(
            severity=ALERTS[check_id].severity,
            cards=tuple(ill),
            text_ko=text_ko.format(cards=cards, units=units),
            text_en=text_en.format(cards=cards, units=units),
            action_ko=action_ko.format(cards=cards, units=units),
            action_en=action_en.format(cards=cards, units=units),
        )

    return Check(id=check_id, clears=clears, look=look)
