# SPDX-License-Identifier: Apache-2.0
"""`linetap checkpoint --config desk.toml`: submits the logs that the [witnesses] table names; with `--follow`, each new
head when it arrives.

A new head in LOGS/UNIT is submitted within LOOK_S, but each log at most once in EVERY_S: a busy unit signs one every
ten seconds, and every submitted checkpoint is kept. A log without a quorum is retried after AGAIN_S. New units and the
proofs beside the copies are processed once a round.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from linetap_core.clock import NS_PER_S, Clock
from linetap_core.errors import BadInput
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import HEAD
from linetap_desk.config import desk

_MOST_UNITS = 10_000


@dataclass(frozen=True, slots=True)
class Round:
    """The work of one run. `logs`: each with its keeper's key file."""

    logs: list[tuple[Path, Path]]
    policy: Path
    signers: Path
    heads: Path
    store: Path | None = None
    ca: Path | None = None


def read_round(args: argparse.Namespace) -> Round:
    """The round of a configuration. BadInput if a setting is missing. A unit with an unusable log or key does not block
    others; it is reported in its turn."""
    if args.log or any(getattr(args, name) is not None for name in ("key", "policy", "signers", "output", "store")):
        raise BadInput("--config: alone, or without it DIR, --key, --policy, --signers and -o")
    path: Path = args.config
    config, _ = desk.read_config(argparse.Namespace(config=path, broker=None))
    configured = config.witnesses
    for name in ("policy", "heads", "logs", "keepers"):
        if getattr(configured, name) is None:
            raise BadInput(f"{path}: witnesses.{name} is missing")
    if config.signers is None:
        raise BadInput(f"{path}: signers is missing: it names the keepers of the logs")
    ca = args.ca or (None if configured.ca is None else Path(configured.ca))
    logs = _logs(path, Path(str(configured.logs)), Path(str(configured.keepers)))
    store = None if config.copy is None else _folder(config.copy.store)
    return Round(logs, Path(str(configured.policy)), Path(config.signers), Path(str(configured.heads)), store, ca)


def _logs(path: Path, logs: Path, keepers: Path) -> list[tuple[Path, Path]]:
    """LOGS/UNIT, or LOGS/UNIT/log of a whole vault, if it contains a head."""
    if not logs.is_dir():
        raise BadInput(f"{path}: witnesses.logs {logs}: not a folder")
    found = []
    for folder in sorted(logs.iterdir()):
        log = folder if (folder / unitlog.HEAD).is_file() else folder / unitlog.FOLDER
        if (log / unitlog.HEAD).is_file():
            found.append((log, keepers / f"{folder.name}.key"))
    if not found or len(found) > _MOST_UNITS:
        raise BadInput(f"{path}: witnesses.logs {logs}: {len(found)} logs in it; UNIT/{unitlog.HEAD} expected")
    return found


def _folder(store: str) -> Path | None:
    parts = urlsplit(store)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


LOOK_S = 1
EVERY_S = 60
AGAIN_S = 30
ROUND_S = 300

Carry = Callable[[Path, Path, bool], bool]  # log, its keeper's key, whether the proofs are written too


@dataclass(slots=True)
class _Log:
    """The state of one log: the head submitted last, and when the next may be; monotonic."""

    stamp: tuple[int, int, int] | None = None
    not_before_ns: int = 0
    good: bool = True
    proofs_due_ns: int = 0
    proofs_wanted: bool = True


class Follower:
    def __init__(self, carry: Carry, clock: Clock) -> None:
        self._carry, self._clock = carry, clock
        self._logs: dict[Path, _Log] = {}

    def run_round(self, wanted: Round) -> int:
        """Submits new heads that are due; returns the number of logs without a quorum."""
        for log, key in wanted.logs:
            self._carry_if_changed(self._logs.setdefault(log, _Log()), log, key)
        for gone in self._logs.keys() - {log for log, _ in wanted.logs}:
            del self._logs[gone]
        return sum(not one.good for one in self._logs.values())

    def _carry_if_changed(self, one: _Log, log: Path, key: Path) -> None:
        now_ns, stamp = self._clock.monotonic_ns(), _stamp(log)
        proofs = one.proofs_wanted and now_ns >= one.proofs_due_ns
        if now_ns < one.not_before_ns or (stamp == one.stamp and one.good and not proofs):
            return
        one.proofs_wanted = one.proofs_wanted or stamp != one.stamp
        one.good = self._carry(log, key, proofs)
        one.stamp = stamp  # read before the transfer: a newer head is submitted next
        one.not_before_ns = self._clock.monotonic_ns() + (EVERY_S if one.good else AGAIN_S) * NS_PER_S
        if proofs and one.good:
            one.proofs_wanted, one.proofs_due_ns = False, self._clock.monotonic_ns() + ROUND_S * NS_PER_S


def _stamp(log: Path) -> tuple[int, int, int] | None:
    try:
        found = (log / HEAD).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
