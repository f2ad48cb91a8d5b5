# SPDX-License-Identifier: Apache-2.0
"""vault/weakened.json: the state in force, and each weakening that is not confirmed yet.

The hash of both is in the log (`in_force`): at each change, before the file is written, and once a day. A file that is
missing, or does not match the log, was changed from outside.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.weakening import inforce
from linetap.recorder.vault.weakening.inforce import InForce
from linetap_core import jsontext
from linetap_core.clock import NS_PER_DAY, NS_PER_MS, Clock, rfc3339
from linetap_core.durable import copies
from linetap_core.durable.smallfile import SmallFile
from linetap_core.evidence.merklelog.unitlog import Kind

NAME = "weakened.json"  # in the vault
MOST_BYTES = 16 << 20  # 128 lines and all possible weakenings need a tenth
LEAF_EVERY_NS = NS_PER_DAY
_WINDOW, _WINDOWS = 4096, 32  # leaves that are searched, the newest first: more than those of a day

By = Literal["command", "file", "update", "authority"]
Fields = dict[str, str | int | float | list[str] | None]
log = logging.getLogger("linetap.recorder.vault")


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One unconfirmed weakening. `signers`: role and fingerprint of each signing key; its owner may not confirm it."""

    id: str
    at: str
    by: By
    codes: list[str]
    what: list[str]
    signers: list[str] = []
    before: str = ""  # SHA-256 of the configuration, or of roles.json
    after: str = ""
    in_effect: bool = True
    waits_ns: int = 0  # remaining time until it may take effect, counted while a recorder runs
    confirmers: list[str] = []  # fingerprints of the people who may confirm it; empty: anybody with the role


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    in_force: InForce | None = None
    version: str = ""
    file_sha256: str = ""  # hash of unit.toml as a file, which an update of a default does not change
    granted: str = ""  # the configuration that a command is about to put in force
    standing: list[Standing] = []
    settled: list[tuple[str, str]] = []  # id and outcome, for a repeated command


FILE = SmallFile("weakened", Saved, MOST_BYTES)


class WeakenedMemory:
    """The memory. `lost`: the reason why the state in force is uncertain; empty: it is known, or there was none."""

    def __init__(self, vault: Path, unit_log: UnitLog, clock: Clock) -> None:
        self._path, self._log, self._clock = vault / NAME, unit_log, clock
        self._leaf_ns = self._at_ns = 0
        self.lost = ""
        self.saved = self._load()
        self._bound = _bound(self.saved)

    @property
    def log_size(self) -> int:
        return self._log.size

    def write(self, **changes: Any) -> None:
        """Changes the stored state. OSError: nothing has changed, except possibly a leaf."""
        new = msgspec.structs.replace(self.saved, **changes)
        if (bound := _bound(new)) != self._bound:
            self.leaf("in_force", sha256=bound, replaces=self._bound)
        copies.replace_both(FILE, self._path, new)
        self.saved, self._bound = new, bound

    def repeat_leaf(self) -> None:
        """Repeats the leaf, so that it stays among the newest leaves."""
        mono_ns = self._clock.monotonic_ns()
        if mono_ns >= self._leaf_ns:
            self.leaf("in_force", sha256=self._bound)
            self._leaf_ns = mono_ns + LEAF_EVERY_NS

    def leaf(self, kind: Kind, **fields: Any) -> None:
        """Appends a leaf with a time of its own: the log treats leaves of the same kind and time as one."""
        self._at_ns = max(self._clock.utc_ns(), self._at_ns + NS_PER_MS)
        self._log.append(kind, at=rfc3339(self._at_ns), **fields)

    def _load(self) -> Saved:
        known = _last_leaf(self._log)
        try:
            found = copies.read_file_or_twin(FILE, self._path)
        except FileNotFoundError:
            self.lost = f"{NAME} is gone" if known else ""
        except (OSError, ValueError) as error:
            self.lost = f"{NAME} cannot be read: {error}"
        else:
            if known and _bound(found) not in known:
                self.lost = f"{NAME} is not the one that the log has the SHA-256 of"
                return msgspec.structs.replace(found, in_force=None, granted="")
            return found
        return Saved()


def _bound(saved: Saved) -> str:
    """The hash over everything except the countdowns."""
    standing = [msgspec.structs.replace(each, waits_ns=0) for each in saved.standing]
    in_force = "" if saved.in_force is None else inforce.sha256(saved.in_force)
    return hashlib.sha256(msgspec.json.encode((in_force, saved.granted, standing))).hexdigest()


def _last_leaf(unit_log: UnitLog) -> tuple[str, str] | None:
    """Returns the newest `in_force` hash and its predecessor, since the file is written after the leaf."""
    end = unit_log.size
    for _ in range(_WINDOWS):
        first = max(0, end - _WINDOW)
        for line in reversed([*_between(unit_log, first, end)]):
            if b'"in_force"' in line and (leaf := _read(line)).get("kind") == "in_force":
                return str(leaf.get("sha256", "")), str(leaf.get("replaces", ""))
        if first == 0:
            break
        end = first
    return None


def _between(unit_log: UnitLog, first: int, end: int) -> Iterator[bytes]:
    return itertools.islice(unit_log.leaves(first), end - first)


def _read(line: bytes) -> dict[str, Any]:
    try:
        return jsontext.decode(line, type=dict[str, Any])
    except ValueError:
        return {}
