# SPDX-License-Identifier: Apache-2.0
"""The claims of a log's leaves about the vault: hashes of documents and index segments, holds, the outbox's position,
and weakenings of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from linetap_core.evidence.merklelog.unitlog import Leaf


@dataclass(slots=True)
class Segment:
    """An index segment by its last leaf. The leaf precedes the file: until `is_written`, the previous content in
    `earlier_sha256s`, or no file, is valid too."""

    sha256: str
    is_written: bool = False
    earlier_sha256s: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)  # in the segment; empty for an adopted one

    def may_have(self, sha256: str) -> bool:
        return sha256 == self.sha256 or sha256 in self.earlier_sha256s

    @property
    def may_be_missing(self) -> bool:
        return not self.is_written and not self.earlier_sha256s


@dataclass(slots=True)
class LogClaims:
    """Collects the claims of a log; receives every leaf in turn."""

    segments: dict[str, Segment] = field(default_factory=dict)
    walks: set[str] = field(default_factory=set)
    destroyed_epochs: set[str] = field(default_factory=set)
    certificate_files: dict[str, str] = field(default_factory=dict)  # name -> hash of the newest of that name
    holds: dict[str, str | None] = field(default_factory=dict)  # in force: call -> hash of hold.json
    # of existing calls: hashes, the last one counts
    amendments: dict[str, list[str]] = field(default_factory=dict)
    destroyed_calls: set[str] = field(default_factory=set)
    roles: str | None = None
    vault: str = ""  # its name; empty in a vault of an earlier version
    seq: int = 0  # number of the outbox's newest event when the leaf was written
    last_close: tuple[str, int] | None = None  # the call, and the newest event before its own
    _segment_of_call: dict[str, str] = field(default_factory=dict)  # call -> segment of its last leaf

    @property
    def has_index_leaves(self) -> bool:
        return bool(self.segments)

    def check_leaf(self, leaf: Leaf) -> None:
        if leaf.seq is not None:
            self.seq = max(self.seq, leaf.seq)
        if leaf.kind == "index" and leaf.file is not None and leaf.sha256 is not None:
            self._add_segment(leaf.file, leaf.sha256, leaf.call_id)
        elif leaf.kind == "walk" and leaf.sha256 is not None:
            self.walks.add(leaf.sha256)
        elif leaf.kind == "roles":
            self.roles = leaf.sha256
        elif leaf.kind == "vault":
            self.vault = leaf.vault
        elif leaf.kind in ("certificate", "destruction") and leaf.epoch is not None and leaf.sha256 is not None:
            self.certificate_files[leaf.file or f"{leaf.epoch}.json"] = leaf.sha256
            if leaf.kind == "destruction":
                self.destroyed_epochs.add(leaf.epoch)
        elif leaf.kind == "close" and leaf.call_id is not None:
            self.last_close = (leaf.call_id, leaf.seq) if leaf.seq is not None else None
            if segment := self.segments.get(self._segment_of_call.pop(leaf.call_id, "")):
                segment.is_written = True  # before its call was sealed
                segment.earlier_sha256s.clear()
        elif leaf.kind == "amendment" and leaf.call_id is not None and leaf.sha256 is not None:
            self.amendments.setdefault(leaf.call_id, []).append(leaf.sha256)
        elif leaf.call_id is not None and leaf.kind in ("hold", "destruction"):
            if leaf.kind == "destruction":
                self.destroyed_calls.add(leaf.call_id)
                self.amendments.pop(leaf.call_id, None)
            self.holds.pop(leaf.call_id, None)
            if leaf.kind == "hold" and not leaf.ended:
                self.holds[leaf.call_id] = leaf.sha256

    def _add_segment(self, name: str, sha256: str, call_id: str | None) -> None:
        earlier = self.segments.get(name)
        if call_id is None:  # adopted: the file existed already
            self.segments[name] = Segment(sha256, is_written=True)
            return
        # The sets of the earlier leaf are taken over: copies would grow with the square of a log's leaves.
        earlier_sha256s, calls = (
            (set[str](), {call_id}) if earlier is None else (earlier.earlier_sha256s, earlier.calls)
        )
        if earlier is not None:
            earlier_sha256s.add(earlier.sha256)
            calls.update([call_id] if calls else [])
        self.segments[name] = Segment(sha256, earlier_sha256s=earlier_sha256s, calls=calls)
        self._segment_of_call[call_id] = name


MOST_LISTED = 20
MOST_WEAKENINGS = 100_000  # limits a forged log
_MOST_CHARACTERS = 200


class LogWeakenings:
    """Collects the weakenings that a log records: they show a verifier which calls were not recorded or announced
    meanwhile."""

    def __init__(self) -> None:
        self._first_leaves: dict[str, Leaf] = {}  # the first of each
        self._last_steps: dict[str, str] = {}  # the last of each

    def check_leaf(self, leaf: Leaf) -> None:
        if leaf.kind != "weakening" or leaf.id is None or leaf.step is None:
            return
        if leaf.id in self._first_leaves or len(self._first_leaves) < MOST_WEAKENINGS:
            self._first_leaves.setdefault(leaf.id, leaf)
            self._last_steps[leaf.id] = leaf.step

    def notes(self) -> list[str]:
        """Weakenings that took effect; held, cancelled or withdrawn ones did not."""
        notes = [
            f"weakened by {_printable(leaf.by or '?')} at {_printable(leaf.at)}: {_printable(', '.join(leaf.codes))}"
            f" ({'confirmed' if self._last_steps[name] == 'confirmed' else 'not confirmed'})"
            for name, leaf in self._first_leaves.items()
            if self._last_steps[name] not in ("asked", "held", "cancelled", "withdrawn")
        ]
        omitted = len(notes) - MOST_LISTED
        return [*notes[-MOST_LISTED:], *([f"{omitted} weakenings before these"] if omitted > 0 else [])]


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text[:_MOST_CHARACTERS])
