# SPDX-License-Identifier: Apache-2.0
"""The used counters of commands: detects a replay, in whatever order commands arrive. No I/O.

Counters belong to the signing key, not to its role, so that one key cannot use up another's. For each key the newest
MOST_SEEN counters are stored, and all up to `floor` count as used: a command that was signed earlier and arrives later
is accepted (like packets in RFC 4303 3.4.3), a repeated one is not. A command with several signatures uses its counter
with each of their keys: with its blocks in another order, or fewer of them, it is not a new command.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from linetap_core.clock import S_PER_DAY

MOST_SEEN = 256
# Counters are milliseconds since 1970 by the signer's clock. A counter further ahead than the longest time that a unit
# can be off is refused. A few counters more than a day ahead are accepted, so that a unit that was off can be set
# right: more would push today's below the floor.
AHEAD_MS, SOON_MS, MOST_FAR = 400 * S_PER_DAY * 1000, S_PER_DAY * 1000, 16
LATEST_MS = 4_102_444_800_000  # 2100: for a unit without a time


class Window(msgspec.Struct, frozen=True):
    """A key's used counters. `seen`: in order, all above `floor`."""

    floor: int = 0
    seen: tuple[int, ...] = ()

    def is_used(self, counter: int) -> bool:
        return counter <= self.floor or counter in self.seen

    def using(self, counter: int) -> Window:
        return self.joined(Window(seen=(counter,)))

    def joined(self, other: Window) -> Window:
        """The counters of both."""
        seen = sorted({*self.seen, *other.seen})
        dropped, kept = seen[:-MOST_SEEN], seen[-MOST_SEEN:]
        return Window(max([self.floor, other.floor, *dropped]), tuple(kept))


class Bound(msgspec.Struct, frozen=True):
    """The highest counters: none above `latest`, and for each key MOST_FAR above `soon`, or `soon_light` for light
    commands.
    """

    latest: int = LATEST_MS
    soon: int = LATEST_MS
    soon_light: int = LATEST_MS


class Counters(msgspec.Struct, frozen=True):
    """The used counters of all keys, by fingerprint.

    `light`: counters of commands that are sent every second and would displace the others. In RAM only: repeating them
    is harmless.
    """

    keys: dict[str, Window] = {}
    light: dict[str, Window] = {}

    def is_used(self, keys: Sequence[str], counter: int, light: bool = False) -> bool:
        return any(self._window(key, light).is_used(counter) for key in keys)

    def is_too_far(self, keys: Sequence[str], counter: int, light: bool, bound: Bound) -> bool:
        soon = bound.soon_light if light else bound.soon
        if counter <= soon:
            return False
        far = (sum(each > soon for each in self._window(key, light).seen) for key in keys)
        return counter > bound.latest or any(count >= MOST_FAR for count in far)

    def using(self, keys: Sequence[str], counter: int, light: bool = False) -> Self:
        windows = {key: self._window(key, light).using(counter) for key in keys}
        if light:
            return msgspec.structs.replace(self, light={**self.light, **windows})
        return msgspec.structs.replace(self, keys={**self.keys, **windows})

    def joined(self, other: Counters) -> Self:
        """These and the stored counters of `other`."""
        keys = {key: self._window(key, light=False).joined(window) for key, window in other.keys.items()}
        return msgspec.structs.replace(self, keys={**self.keys, **keys})

    def _window(self, key: str, light: bool) -> Window:
        return (self.light if light else self.keys).get(key, Window())


def bound(now_ns: int | None, utc_ns: int, is_dated: bool = True) -> Bound:
    """The bound of a unit. `now_ns`: its retention time; None or 0 if it never had a time or has lost it.

    `is_dated`: its date was set in this boot. Otherwise it may have been off for months, and the desk's commands of
    each second are as far ahead; their counters are not stored beyond the boot.
    """
    if not now_ns:
        return Bound()
    now_ms = max(now_ns, utc_ns) // 1_000_000
    latest, soon = now_ms + AHEAD_MS, now_ms + SOON_MS
    return Bound(latest, soon, soon if is_dated else latest)
