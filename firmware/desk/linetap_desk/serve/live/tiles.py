# SPDX-License-Identifier: Apache-2.0
"""Renders once the parts that many tiles of the page of all units share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from markupsafe import Markup

from linetap_desk.web.text import Language

MOST = 4000  # tiles, of some 700 bytes; a fleet of a thousand units in two languages has half as many


class LineTiles:
    """The lines of one page, rendered once for each set of states: most units have the same."""

    def __init__(self) -> None:
        self._made: dict[tuple[tuple[str, str], ...], Markup] = {}

    def __call__(self, render: Callable[..., Markup], lines: Mapping[str, Any], *more: Any) -> Markup:
        states = _states(lines)
        if states not in self._made:
            self._made[states] = render(states, *more)
        return self._made[states]


class Tiles:
    """The rendered tiles of all pages. A well unit's tile is the same for all readers and seldom changes; another
    unit's tile shows a time, and is rendered each time."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Markup] = {}
        self._lock = threading.Lock()  # pages are rendered by several threads

    def well_tile(
        self, language: Language, render: Callable[..., Markup], one: Mapping[str, Any], hidden: bool
    ) -> Markup:
        """The tile of a well unit. `render` gets `one` and `hidden`."""
        if one["cause"] is not None:
            return render(one, hidden=hidden)
        fields = (one[name] for name in ("unit", "standing", "calls", "order", "faults", "building", "floor"))
        texts = tuple(alert["text"] for alert in one["alerts"])
        key = (language, hidden, one["seen"] is None, *fields, texts, _states(one["lines"]))
        with self._lock:
            if (made := self._made.get(key)) is not None:
                return made
        made = render(one, hidden=hidden)
        with self._lock:
            if len(self._made) >= MOST:
                self._made.clear()
            self._made[key] = made
        return made


def _states(lines: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((number, line["state"]) for number, line in lines.items())
