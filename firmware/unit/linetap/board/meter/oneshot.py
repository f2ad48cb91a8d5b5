# SPDX-License-Identifier: Apache-2.0
"""The one-shot of each series contact, by which a meter, and the card itself, bound an opening.

A contact is open while it is asked for, for CONTACT_MOST_MS at most; after any opening it opens again only when nobody
has asked for CONTACT_REST_MS. hardware/meter/contacts.c has the same rules, and a test compares them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from linetap.board.meter.protocol import CONTACT_MOST_MS, CONTACT_REST_MS
from linetap_core.clock import NS_PER_MS

Contacts = npt.NDArray[np.bool_]  # (lines,)


class OneShots:
    """All closed, and at rest since `now_ns`: what restarted in the middle of an opening does not open again."""

    def __init__(self, lines: int, now_ns: int) -> None:
        self._opened = np.zeros(lines, np.bool_)
        self._spent = np.ones(lines, np.bool_)  # was open, or its meter has just begun
        self._since_ns = np.full(lines, now_ns, np.int64)  # when it opened, or was last asked for

    def look(self, asked: Contacts, now_ns: int) -> Contacts:
        """Returns the open ones, bool (lines,); `asked`: those whose command to open arrives at `now_ns`."""
        if not (asked.any() or self._opened.any() or self._spent.any()):
            return self._opened.copy()  # the usual case: nobody has asked for long
        lasted_ns = now_ns - self._since_ns
        closes = self._opened & (~asked | (lasted_ns >= CONTACT_MOST_MS * NS_PER_MS))
        opens = ~self._opened & ~self._spent & asked
        rested = ~self._opened & ~asked & (lasted_ns >= CONTACT_REST_MS * NS_PER_MS)
        self._since_ns[closes | opens | (~self._opened & asked)] = now_ns
        self._spent = (self._spent & ~rested) | closes
        self._opened = (self._opened & ~closes) | opens
        return self._opened.copy()
