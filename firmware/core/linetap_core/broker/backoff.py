# SPDX-License-Identifier: Apache-2.0
"""When the next connection may be tried."""

from __future__ import annotations

import random
from dataclasses import dataclass

from linetap_core.clock import NS_PER_MS


@dataclass(frozen=True, slots=True)
class Patience:
    """The first pause doubles up to the longest; each is shortened by chance, so that a floor of units does not come
    back in one second. A connection that stood for `steady_ms` begins anew with the first."""

    first_ms: int = 2000
    longest_ms: int = 30_000
    steady_ms: int = 10_000
    answer_ms: int = 20_000  # for a connection to stand, and for each acknowledgement


class Backoff:
    """`due_ns`: by the monotonic clock; the first is due at once."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._pause_ms = patience.first_ms
        self.due_ns = 0

    def ended(self, now_ns: int, stood_ns: int) -> None:
        """`stood_ns`: how long the connection was there; 0 if it never was."""
        if stood_ns >= self._patience.steady_ms * NS_PER_MS:
            self._pause_ms = self._patience.first_ms
        self.due_ns = now_ns + round(random.uniform(0.2, 1.0) * self._pause_ms * NS_PER_MS)
        self._pause_ms = min(2 * self._pause_ms, self._patience.longest_ms)
