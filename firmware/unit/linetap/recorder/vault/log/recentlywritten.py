# SPDX-License-Identifier: Apache-2.0
"""The newest written items, so that a restarted recorder writes none of them twice.

Each item is stored as a digest: as texts, 4,096 events needed two megabytes, and a recorder grew for its first hours.
"""

from __future__ import annotations

import hashlib

_DIGEST_BYTES = 16


class RecentlyWritten:
    """The newest items, at most `most`, each with a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._numbers: dict[bytes, int] = {}

    def add(self, number: int, *parts: object) -> None:
        self._numbers[_digest(parts)] = number
        if len(self._numbers) > self._most:
            del self._numbers[next(iter(self._numbers))]

    def number_of(self, *parts: object) -> int | None:
        """Returns the item's number, or None if it is not among the newest."""
        return self._numbers.get(_digest(parts))

    def has(self, *parts: object) -> bool:
        return _digest(parts) in self._numbers


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()
