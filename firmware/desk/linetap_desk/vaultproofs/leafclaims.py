# SPDX-License-Identifier: Apache-2.0
"""What a log's leaves claim about the vault: hashes of documents and index segments, holds, the outbox's position, and
weakenings of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from linetap_core.evidence.merklelog.unitlog import Leaf


@dataclass(slots=True)
class Segment:
    """An index segment, by its last leaf. The leaf precedes the file: until `written` is confirmed, the previous
    content in `before`, or no file, is valid too."""

    sha256: str
    written: bool = False
    before: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)  # in the segment; empty for an adopted one

    def may_be(self, sha256: str) -> bool:
        return sha256 == self.sha256 or sha256 in self.before

    @property
    def may_be_missing(self) -> bool:
        return not self.written and not self.before


@dataclass(slots=True)
class LogClaims:
    """Receives every leaf in turn."""

    segments: dict[str, Segment] = field(default_factory=dict)
    walks: list[str] = field(default_factory=list)
    certificates: dict[str, str] = field(default_factory=dict)  # by epoch
    holds: dict[str, str | None] = field(default_factory=dict)  # in force: call -> hash of hold.json
    # of existing calls: hashes, of which the last counts
    amendments: dict[str, list[str]] = field(default_factory=dict)
    destroyed: set[str] = field(default_factory=set)
    roles: str | None = None
    seq: int = 0  # number of the outbox's newest event when the leaf was written
    last_close: tuple[str, int] | None = None  # the call, and the newest event before its own
    _written_in: dict[str, str] = field(default_factory=dict)  # call -> segment of its last leaf

    @property
    def knows_index(self) -> bool:
        return bool(self.segments)

    def look_at(self, leaf: Leaf) -> None:
        if leaf.seq is not None:
            self.seq = max(self.seq, leaf.seq)
        if leaf.kind == "index" and leaf.file is not None and leaf.sha256 is not None:
            self._segment(leaf.file, leaf.sha256, leaf.call_id)
        elif leaf.kind == "walk" and leaf.sha256 is not None:
            self.walks.append(leaf.sha256)
        elif leaf.kind == "roles":
            self.roles = leaf.sha256
        elif leaf.kind == "destruction" and leaf.epoch is not None and leaf.sha256 is not None:
            self.certificates[leaf.epoch] = leaf.sha256
        elif leaf.kind == "close" and leaf.call_id is not None:
            self.last_close = (leaf.call_id, leaf.seq) if leaf.seq is not None else None
            if segment := self.segments.get(self._written_in.pop(leaf.call_id, "")):
                segment.written = True  # before its call was sealed
                segment.before.clear()
        elif leaf.kind == "amendment" and leaf.call_id is not None and leaf.sha256 is not None:
            self.amendments.setdefault(leaf.call_id, []).append(leaf.sha256)
        elif leaf.call_id is not None and leaf.kind in ("hold", "destruction"):
            if leaf.kind == "destruction":
                self.destroyed.add(leaf.call_id)
                self.amendments.pop(leaf.call_id, None)
            self.holds.pop(leaf.call_id, None)
            if leaf.kind == "hold" and not leaf.ended:
                self.holds[leaf.call_id] = leaf.sha256

    def _segment(self, name: str, sha256: str, call_id: str | None) -> None:
        old = self.segments.get(name)
        if call_id is None:  # adopted: the file existed already
            self.segments[name] = Segment(sha256, written=True)
            return
        before = set() if old is None else {old.sha256, *old.before}
        calls = {call_id} if old is None else {call_id, *old.calls} if old.calls else set()
        self.segments[name] = Segment(sha256, before=before, calls=calls)
        self._written_in[call_id] = name


MOST_TOLD = 20
MOST_KNOWN = 100_000  # limits a forged log
_LONGEST = 200


class LogWeakened:
    """Collects the weakenings that a log records: a verifier of recordings learns what was not recorded or announced
    meanwhile."""

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
        """Weakenings that took effect; those held, cancelled or withdrawn before had none."""
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
