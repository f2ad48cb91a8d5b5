# SPDX-License-Identifier: Apache-2.0
"""The packages of `./build.sh deb` repacked as a later version: the same files with another number, and one more
migration of the pages' database. dpkg-deb makes them, so apt, dpkg and the maintainer scripts are tested.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

NUMBER = "0.1.1"
TABLE = "later_version"
_MIGRATIONS = "usr/lib/python3/dist-packages/linetap_desk/serve/migrations/versions"
_STEP = f'''"""What a later version adds."""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "9000", "{{before}}"


def upgrade() -> None:
    op.create_table("{TABLE}", sa.Column("id", sa.Integer, primary_key=True))
'''
_LIMIT_S = 600


def make(packages: Path, folder: Path, work: Path) -> None:
    """Makes a folder for apt, as build.sh does, from the packages of another such folder."""
    folder.mkdir()
    work.mkdir()
    for package in sorted(packages.glob("*.deb")):
        tree = work / package.stem
        _run("dpkg-deb", "--raw-extract", str(package), str(tree))
        _renumber(tree)
        if (tree / _MIGRATIONS).is_dir():
            _add_step(tree / _MIGRATIONS)
        _sum(tree)
        _run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree), str(folder))
    listed = _run("dpkg-scanpackages", "--multiversion", ".", at=folder)
    (folder / "Packages").write_text(listed)


def _renumber(tree: Path) -> None:
    """Changes the version, the dependencies on packages of the same version, and the version in Python's metadata."""
    control = tree / "DEBIAN/control"
    found = re.search(r"^Version: (\S+)$", control.read_text(), re.MULTILINE)
    assert found, control
    control.write_text(control.read_text().replace(found[1], NUMBER))
    before = found[1].partition("+")[0]
    for metadata in tree.rglob("linetap*.dist-info/METADATA"):
        metadata.write_text(metadata.read_text().replace(f"\nVersion: {before}\n", f"\nVersion: {NUMBER}\n"))
        metadata.parent.rename(metadata.parent.with_name(metadata.parent.name.replace(before, NUMBER)))
    for module in tree.glob("usr/lib/python3/dist-packages/linetap_core/__init__.py"):
        module.write_text(module.read_text().replace(f'"{before}"', f'"{NUMBER}"'))


def _add_step(versions: Path) -> None:
    newest = max(path.name[:4] for path in versions.glob("[0-9]*.py"))
    (versions / "9000_later_version.py").write_text(_STEP.format(before=newest))


def _sum(tree: Path) -> None:
    files = (path for path in sorted(tree.rglob("*")) if path.is_file() and tree / "DEBIAN" not in path.parents)
    lines = (f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in files)
    (tree / "DEBIAN/md5sums").write_text("".join(lines))


def _run(*words: str, at: Path | None = None) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_LIMIT_S, check=False, cwd=at)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
