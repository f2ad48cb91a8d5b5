# SPDX-License-Identifier: Apache-2.0
"""Takes the commands, holds and roles from the leaves of the log. A small file beside the log may be an older copy, put
back from a backup or by whoever writes the disk; it is compared with them at each start.

The leaves of the log come from the pass that proves it (proof.py), those of logs that were set aside from a pass beside
it. The latter are not proved: they count as far as they can be read, and only to refuse a command or to keep a call.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import msgspec

from linetap.recorder.vault.log.proof import LEAVES_AT_ONCE
from linetap_core import jsontext
from linetap_core.durable import broken
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.merklelog import leaflog
from linetap_core.vaultformat import keptlogs

# Codes of logged refusals, with a known signer, that did not use up a counter.
NOT_USED = frozenset(
    f"command_{each}" for each in ("signer", "verb", "role", "not_here", "counter", "repeated", "expired")
) | {"config_weakens", "key_list_weakens", "hold_shorter"}
_KINDS = tuple(f'{{"kind":"{kind}"'.encode("ascii") for kind in ("command", "hold", "roles"))

log = logging.getLogger("linetap.recorder.vault")


class PastLeaf(msgspec.Struct):
    """The fields of a leaf of those kinds: `counter`, `code`, `keys` of a command, `until` of a hold, `version` of
    roles; `sha256` of a document."""

    kind: str
    counter: int = 0
    code: str = ""
    keys: list[str] = []
    call_id: str = ""
    until: str = ""
    ended: bool = False
    version: int = 0
    sha256: str = ""


class PastLeaves:
    """The leaves of one log, or of several in order. A leaf that is taken twice changes nothing."""

    def __init__(self) -> None:
        self.counters = Counters()  # the used ones of commands
        self.holds: dict[str, PastLeaf] = {}  # the last of each call
        self.roles: PastLeaf | None = None  # the last

    def take(self, line: bytes) -> None:
        if not line.startswith(_KINDS):
            return
        try:
            leaf = jsontext.decode(line, type=PastLeaf)
        except ValueError:
            return
        if leaf.kind == "hold":
            self.holds[leaf.call_id] = leaf
        elif leaf.kind == "roles":
            self.roles = leaf
        elif leaf.code not in NOT_USED:
            self.counters = self.counters.using(leaf.keys, leaf.counter)

    def after(self, earlier: PastLeaves) -> PastLeaves:
        """These leaves after those of earlier logs. Roles are these alone: the leaf is carried over to a new log."""
        both = PastLeaves()
        both.counters = earlier.counters.joined(self.counters)
        both.holds, both.roles = {**earlier.holds, **self.holds}, self.roles
        return both


class KeptLeaves:
    """The leaves of the logs that were set aside, read in pieces."""

    def __init__(self, vault: Path) -> None:
        self.past, self.is_read = PastLeaves(), False
        self._lines = _kept_lines(vault)

    def step(self, most: int = LEAVES_AT_ONCE) -> None:
        count = 0
        for count, line in enumerate(islice(self._lines, most), 1):  # noqa: B007
            self.past.take(line)
        self.is_read = count < most


def _kept_lines(vault: Path) -> Iterator[bytes]:
    for number in keptlogs.numbers(vault):
        path = vault / keptlogs.place(number) / leaflog.LEAVES
        try:
            yield from keptlogs.readable_lines(path)
        except OSError as error:
            broken.report(path, f"{error.strerror}; its commands and holds are not known")
