# SPDX-License-Identifier: Apache-2.0
"""Amendments as they lie in a vault, or in a unit's folder of a store: `amended/`, beside the years. In a package it
stands beside `calls/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from linetap_core.errors import Refusal
from linetap_core.evidence import amendment, namespaces, sshsig
from linetap_core.evidence.amendment import Amendment
from linetap_core.evidence.signers import Signer
from linetap_desk.proofs import callfolder

MOST_FILES = 200_000
IN_A_PACKAGE = "calls"


def home(call_dir: Path) -> Path:
    """The folder that has the call's `amended/`."""
    return call_dir.parent.parent if call_dir.parent.name == IN_A_PACKAGE else callfolder.home(call_dir)


def newest(home: Path, call_id: str) -> Amendment | None:
    """Of a call, whose signature fits, by whichever key; None: there is none, or none that can be believed."""
    found = [each for path in _paths(home, call_id) if (each := _read(path, call_id)) is not None]
    return found[-1] if found else None


def path_of_newest(home: Path, call_id: str) -> Path | None:
    """The file with the highest number, whatever is in it."""
    return next(iter(reversed(list(_paths(home, call_id)))), None)


def checked(
    call_dir: Path, unit: str, record_sha256: str, signers: list[Signer] | None
) -> tuple[Amendment | None, str]:
    """The newest beside a call that was verified, if it is of its record and signed by its unit; else why not, or ""
    where there is none."""
    path = path_of_newest(home(call_dir), call_dir.name)
    if path is None:
        return None, ""
    try:
        data = callfolder.read(path, amendment.LIMIT_BYTES)
        armored = callfolder.read(namespaces.beside(path), sshsig.SIGNATURE_LIMIT_BYTES)
        return amendment.check(data, armored, unit, call_dir.name, record_sha256, signers), ""
    except Refusal as error:
        return None, f"{path.name}: {error}"


def files(home: Path, call_id: str) -> Iterator[Path]:
    """Each of a call with its signature, from the first on."""
    for path in _paths(home, call_id):
        yield from (path, namespaces.beside(path))


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
        armored = callfolder.read(namespaces.beside(path), sshsig.SIGNATURE_LIMIT_BYTES)
        return amendment.check(data, armored, found.unit, call_id, found.record_sha256, None)
    except Refusal:
        return None
