# SPDX-License-Identifier: Apache-2.0
"""Amendments as they lie in a vault, or in a unit's folder of a store: `amended/`, beside the years."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linetap.desk import callfolder
from linetap.errors import Refusal
from linetap.evidence import amendment, sshsig
from linetap.evidence.amendment import Amendment

MOST_FILES = 200_000


def newest(home: Path, call_id: str) -> Amendment | None:
    """Of a call, whose signature fits, by whichever key; None: there is none, or none that can be believed."""
    found = [each for path in _paths(home, call_id) if (each := _read(path, call_id)) is not None]
    return found[-1] if found else None


def path_of_newest(home: Path, call_id: str) -> Path | None:
    """The file with the highest number, whatever is in it."""
    return next(iter(reversed(list(_paths(home, call_id)))), None)


def _paths(home: Path, call_id: str) -> Iterator[Path]:
    for number in range(1, amendment.MOST + 1):
        path = home / amendment.FOLDER / amendment.name(call_id, number)
        if not path.exists():
            return
        yield path


def every(home: Path) -> Iterator[Amendment]:
    """The newest of each call that has one."""
    names = sorted(path.name for path in (home / amendment.FOLDER).glob("*.001.json"))
    for name in names[:MOST_FILES]:
        if (found := newest(home, name.removesuffix(".001.json"))) is not None:
            yield found


def _read(path: Path, call_id: str) -> Amendment | None:
    try:
        data = callfolder.read(path, amendment.LIMIT_BYTES)
        found = amendment.decode(data)
        armored = callfolder.read(path.with_name(path.name + amendment.SUFFIX), sshsig.SIGNATURE_LIMIT_BYTES)
        return amendment.check(data, armored, found.unit, call_id, found.record_sha256, None)
    except Refusal:
        return None
