# SPDX-License-Identifier: Apache-2.0
"""What a log says of weakenings: whoever checks recordings learns what was not recorded or announced meanwhile."""

from __future__ import annotations

from linetap_core.evidence.merklelog.unitlog import Leaf

MOST_TOLD = 20
MOST_KNOWN = 100_000  # of a log that another hand has written
_LONGEST = 200


class LogWeakened:
    """Gets every leaf in turn, then `notes`."""

    def __init__(self) -> None:
        self._known: dict[str, Leaf] = {}  # the first of each
        self._steps: dict[str, str] = {}  # the last of each

    def look_at(self, leaf: Leaf) -> None:
        if leaf.kind != "weakening" or leaf.id is None or leaf.step is None:
            return
        if leaf.id in self._known or len(self._known) < MOST_KNOWN:
            self._known.setdefault(leaf.id, leaf)
            self._steps[leaf.id] = leaf.step

    def notes(self) -> list[str]:
        """Of those that came into effect; what was held, cancelled or withdrawn before has changed nothing."""
        found = [
            f"weakened by {_plain(leaf.by or '?')} at {_plain(leaf.at)}: {_plain(', '.join(leaf.codes))}"
            f" ({'confirmed' if self._steps[name] == 'confirmed' else 'not confirmed'})"
            for name, leaf in self._known.items()
            if self._steps[name] not in ("asked", "held", "cancelled", "withdrawn")
        ]
        more = len(found) - MOST_TOLD
        return [*found[-MOST_TOLD:], *([f"{more} weakenings before these"] if more > 0 else [])]


def _plain(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:_LONGEST])
