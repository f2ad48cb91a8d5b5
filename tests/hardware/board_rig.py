# SPDX-License-Identifier: Apache-2.0
"""What a board's file has, for the tests of both boards."""

from __future__ import annotations

import re

Nets = dict[str, list[tuple[str, str]]]


def on_copper(text: str) -> tuple[list[str], Nets]:
    """References in order, and net -> its (reference, pad), each pad's name once."""
    found: dict[str, set[tuple[str, str]]] = {}
    parts: list[str] = []
    for footprint in text.split('\n\t(footprint "')[1:]:
        named = re.search(r'"Reference" "(\w+)"', footprint)
        assert named
        parts.append(named[1])
        for pad in footprint.split('(pad "')[1:]:
            if net := re.search(r'\(net \d+ "([^"]+)"\)', pad):
                found.setdefault(net[1], set()).add((named[1], pad.split('"')[0]))
    return sorted(parts), {net: sorted(nodes) for net, nodes in found.items()}
