# SPDX-License-Identifier: Apache-2.0
"""The modes of the desk's files do not depend on the umask at a program's start: everybody may read the authority's
public documents, and nobody databases and copies.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from linetap_core.cli import main
from linetap_core.clock import ManualClock
from linetap_core.evidence.keys import keys
from linetap_desk.copy.store import Tree
from linetap_desk.ingest import database
from linetap_desk.rebuild.newdatabase import File
from linetap_desk.serve import opendatabase
from pki_rig import Pki

NOBODY = 65534
CLOSED = {"desk": 0o640, "serve": 0o600}


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def opened(name: str, path: Path) -> Engine:
    """A database with a change still in its log."""
    engine = (database.open_writer if name == "desk" else opendatabase.open_own)(f"sqlite:///{path}")
    with engine.connect() as db:
        db.execute(text("CREATE TABLE IF NOT EXISTS more (n INTEGER)"))
        db.commit()
    return engine


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("mask", [0, 0o022])
def test_a_database_and_its_log_are_closed_to_others(tmp_path: Path, name: str, mask: int) -> None:
    path = tmp_path / f"{name}.db"
    with umask(mask):
        engine = opened(name, path)
        there = [one for one in database.all_files_of(path) if one.exists()]
        assert {one.name: mode(one) for one in there} == dict.fromkeys(
            (f"{name}.db", f"{name}.db-wal", f"{name}.db-shm"), CLOSED[name]
        )
        engine.dispose()


@pytest.mark.parametrize("name", CLOSED)
def test_an_existing_one_is_closed_and_its_group_keeps_what_it_has(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.db"
    first = opened(name, path)
    for one in database.all_files_of(path):
        if one.exists():
            one.chmod(0o664)
    second = opened(name, path)
    assert {mode(one) for one in database.all_files_of(path) if one.exists()} == {0o660}
    second.dispose()
    first.dispose()


def test_a_rebuilt_one_is_readable_by_whom_the_old_one_was(tmp_path: Path) -> None:
    path = tmp_path / "desk.db"
    opened("desk", path).dispose()
    path.chmod(0o660)
    place = File(path, ManualClock(10**18))
    with umask(0):
        new = place.begin()
        assert mode(tmp_path / "desk.db.rebuild") == 0o640
        place.finish(new)
        kept = Path(place.swap())
    assert (mode(path), mode(kept)) == (0o660, 0o660)


def test_incomplete_copies_are_closed_to_others(tmp_path: Path) -> None:
    (tmp_path / ".incoming").mkdir(mode=0o755)
    assert mode(Tree(tmp_path).incoming) == 0o750


def readable_by_nobody(path: Path) -> bool:
    """Tested with another user's process, if this one may become another user."""
    if os.getuid() != 0:
        return bool(path.stat().st_mode & 0o004)
    return (
        subprocess.run(["cat", path], user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True).returncode == 0
    )


def test_what_the_authority_publishes_is_readable_by_a_brokers_own_user(run_dir: Path) -> None:
    with umask(0o077):
        pki = Pki(run_dir / "authority")
        desk, unit = pki.desk("seoul"), pki.unit("floor-03")
        assert main(["keygen", "authority", "--group", "2/3", "-o", str(run_dir / "group")]) == 0
    for folder in (run_dir, pki.root, pki.folder, run_dir / "group"):
        folder.chmod(0o755)  # the files' own modes are asked here; cp takes them along
    public = [pki.ca, pki.crl, pki.signers, desk.certificate, unit.certificate, run_dir / "group" / "authority.pub"]
    assert {path.name: mode(path) for path in public} == {path.name: 0o644 for path in public}
    assert {path.name for path in public if not readable_by_nobody(path)} == set()
    private = [desk.key, pki.folder / "ca.key", pki.register, run_dir / "group" / "authority-1.key"]
    assert {path.name for path in private if readable_by_nobody(path)} == set()
    pki.run("revoke", "floor-03")
    assert (mode(pki.crl), mode(pki.signers)) == (0o644, 0o644)


def test_a_new_key_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    with umask(0):
        (tmp_path / "x").mkdir()
        assert main(["keygen", "unit", "-o", str(tmp_path / "x" / "unit.key")]) == 0
    assert mode(tmp_path / "x" / "unit.key") == 0o600
    assert keys.load_signing_key((tmp_path / "x" / "unit.key").read_bytes())


@pytest.mark.parametrize("size", [0, 10])
def test_a_private_file_on_a_full_medium(tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named in one line, and no part of it remains."""
    path, (soft, hard) = tmp_path / "custodian.txt", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        assert main(["keygen", "custodian", "-o", str(path)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{path}: File too large" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
