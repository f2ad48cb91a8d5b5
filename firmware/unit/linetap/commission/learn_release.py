# SPDX-License-Identifier: Apache-2.0
"""How long a line's loop must be open until its exchange releases the call: measured on a call made for it.

Idle voltage while the contact is open says nothing of the exchange: the card sees it at once. So the evidence is dial
tone or busy tone after the contact has closed again (docs/line-release.md).
"""

from __future__ import annotations

from collections.abc import Callable

from linetap.commission.learn_steps import Line
from linetap_core.records import LEAST_OPEN_MS, MOST_OPEN_MS

OPENINGS_MS = (LEAST_OPEN_MS, MOST_OPEN_MS)
BEFORE_S = 2.0
OPENS_WITHIN_S = 2.0
LATE_S = 1.0
LISTENS_S = 6.0
RESTS_S = 4.0  # the meter's contact opens again after 3 s


def release_ms(it: Line, ask: Callable[[int], None]) -> float:
    """Returns the shortest opening that released the call, or 0. `ask` has capture open the contact.

    Refusal where there is no call, the loop does not open, or the handset is put down.
    """
    if it.tone(BEFORE_S) is not None:
        raise it.refusal("it gives a tone: there is no call on it that could be released")
    for open_ms in OPENINGS_MS:
        ask(open_ms)
        it.loop_opens(OPENS_WITHIN_S)
        it.loop_closes(open_ms / 1000 + LATE_S)
        if it.tone(LISTENS_S) is not None:
            return float(open_ms)
        it.tone(RESTS_S)
    return 0.0
