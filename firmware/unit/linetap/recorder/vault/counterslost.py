# SPDX-License-Identifier: Apache-2.0
"""The counters of commands, rebuilt from the log when `commands.json` is broken or gone.

Each command that was taken has a leaf, so that none can be repeated. A leaf names the keys that signed; one of version
0.1 names only the role, whose every key then begins above that counter.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from linetap_core import jsontext
from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.counters import LATEST_MS, SOON_MS, Counters, Window

NS_PER_MS = 1_000_000
# Refusals of commands with a known signer: they are in the log, and did not use up their counter.
_NOT_USED = frozenset(
    f"command_{each}" for each in ("signer", "verb", "role", "not_here", "counter", "repeated", "expired")
) | {"config_weakens", "key_list_weakens", "hold_shorter"}


class _Leaf(msgspec.Struct):
    kind: str
    at: str = ""
    role: str = ""
    counter: int = 0
    code: str = ""
    keys: list[str] = []


def counters_of(leaves: Iterable[bytes]) -> Counters:
    """From all leaves of the log, in order. What is no leaf is passed over."""
    keys: dict[str, Window] = {}
    roles: dict[str, int] = {}
    for line in leaves:
        leaf = _leaf(line)
        if leaf is None or leaf.code in _NOT_USED:
            continue
        for key in leaf.keys:
            keys[key] = keys.get(key, Window(roles.get(leaf.role, 0))).using(leaf.counter)
        if not leaf.keys and leaf.counter <= _latest(leaf.at):
            roles[leaf.role] = max(roles.get(leaf.role, 0), leaf.counter)
    return Counters(keys, roles)


def _leaf(line: bytes) -> _Leaf | None:
    if b'"command"' not in line:
        return None
    try:
        leaf = jsontext.decode(line, type=_Leaf)
    except ValueError:
        return None
    return leaf if leaf.kind == "command" else None


def _latest(at: str) -> int:
    """The largest counter that moves a whole role's: one signed for a later year would burn it for everybody."""
    try:
        return min(LATEST_MS, parse_rfc3339(at) // NS_PER_MS + SOON_MS)
    except ValueError:
        return 0
