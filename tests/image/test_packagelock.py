# SPDX-License-Identifier: Apache-2.0
"""The kept list of packages: Debian's own apt chooses from an archive that changes while the list stays."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_rig import Archive, build_package, serving
from contents_rig import IMAGE

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("apt-get") is None, reason="gpg or apt-get is not installed"
)
KEPT = "root base 1.0 arm64"


class Site:
    """An archive with `base` (essential), `thing`, which depends on `helper`, and `tool`; and its server."""

    def __init__(self, folder: Path, archive: Archive, server: str) -> None:
        self.folder, self.archive, self.server = folder, archive, server
        self.mirror = f"{server}/debian"

    def choose(
        self, lock: str, mirror: str = "", kit: str = "tool/trixie-backports"
    ) -> subprocess.CompletedProcess[str]:
        words = ["choose", "--lock", self.folder / lock, "--mirror", mirror or self.mirror]
        words += ["--work", self.folder / f"apt-{lock}", "--keyring", self.archive.keyring]
        return self.run([*words, "--root", "thing", "--kit", kit])

    def fetch(self, lock: str, mirror: str, keep: str, into: str) -> subprocess.CompletedProcess[str]:
        words = ["fetch", "--lock", self.folder / lock, "--mirror", mirror]
        return self.run([*words, "--keep", self.folder / keep, "--into", self.folder / into])

    def run(self, words: list[object]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(IMAGE / "packagelock.py"), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    def newer(self) -> None:
        """A day later: `helper` has another version, and the previous one is removed."""
        self.archive.drop("helper")
        self.archive.add("helper", "1.1", "trixie-security")
        self.archive.publish()


@pytest.fixture
def gnupg() -> Iterator[Path]:
    """A folder with a short path for gpg-agent's socket, whose path has 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="gnupg-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "home"


@pytest.fixture
def site(tmp_path: Path, gnupg: Path) -> Iterator[Site]:
    archive = Archive(tmp_path / "served", gnupg)
    archive.add("base", "1.0", fields="Essential: yes\n")
    archive.add("thing", "2:1.0", fields="Depends: helper\n")
    archive.add("helper", "1.0")
    archive.add("tool", "1.0")
    archive.add("tool", "1.5~bpo13+1", "trixie-backports")
    archive.add("unwanted", "1.0")
    archive.publish()
    with serving(archive.folder) as server:
        yield Site(tmp_path, archive, server)


def _lines(folder: Path, lock: str) -> list[str]:
    return [" ".join(line.split()[:4]) for line in (folder / lock).read_text().splitlines()]


def test_the_list_has_what_apt_would_install_with_its_version_and_hash(site: Site) -> None:
    done = site.choose("lock")
    assert done.returncode == 0, done.stderr
    assert _lines(site.folder, "lock") == [
        "kit tool 1.5~bpo13+1 arm64", KEPT, "root helper 1.0 arm64", "root thing 2:1.0 arm64"
    ]  # fmt: skip


def test_of_the_next_release_only_a_firmware_is_taken_that_was_asked_for(site: Site) -> None:
    """The firmware of trixie does not start from the image's card (linetap.update.startfile)."""
    for name in ("tool", "thing", "helper"):
        site.archive.add(name, "2:9.0", "forky")
    site.archive.publish()
    done = site.choose("lock", kit="tool/forky")
    assert done.returncode == 0, done.stderr
    assert _lines(site.folder, "lock") == [
        "kit tool 2:9.0 arm64", KEPT, "root helper 1.0 arm64", "root thing 2:1.0 arm64"
    ]  # fmt: skip
    assert site.choose("other").returncode == 0
    assert _lines(site.folder, "other")[0] == "kit tool 1.5~bpo13+1 arm64"


def test_a_kept_list_gives_the_same_packages_when_the_archive_has_gone_on(site: Site) -> None:
    assert site.choose("first").returncode == 0
    (site.folder / "keep-1").mkdir()
    (site.folder / "keep-1/older.deb").write_bytes(b"of a list that nobody uses any more")
    assert site.fetch("first", site.mirror, "keep-1", "archive-1").returncode == 0
    assert len(list((site.folder / "keep-1").iterdir())) == 4
    snapshot = f"{site.server}/{site.archive.snapshot()}"
    site.newer()
    assert site.choose("second").returncode == 0
    assert "root helper 1.1 arm64" in _lines(site.folder, "second")
    done = site.fetch("first", snapshot, "keep-2", "archive-2")
    assert done.returncode == 0, done.stderr
    first, second = (site.folder / f"archive-{number}" for number in (1, 2))
    files = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len([path for path in files if path.suffix == ".deb"]) == 4
    assert files == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert [(first / path).read_bytes() for path in files] == [(second / path).read_bytes() for path in files]


def test_a_snapshot_is_chosen_from_too_with_its_security_archive(site: Site) -> None:
    site.newer()
    snapshot = f"{site.server}/{site.archive.snapshot()}"
    site.archive.drop("helper")
    site.archive.add("helper", "1.2", "trixie-security")
    site.archive.publish()
    assert site.choose("lock", snapshot).returncode == 0
    assert "root helper 1.1 arm64" in _lines(site.folder, "lock")


def test_a_mirror_without_a_version_gives_one_line(site: Site) -> None:
    assert site.choose("lock").returncode == 0
    site.newer()
    done = site.fetch("lock", site.mirror, "keep", "archive")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"packages: helper 1.0 cannot be had at {site.mirror}/pool/main/h/helper/helper_1.0_arm64.deb"
    )
    assert "404" in line
    assert "snapshot.debian.org" in line


def test_other_bytes_under_the_same_name_are_refused(site: Site) -> None:
    assert site.choose("lock").returncode == 0
    path = site.archive.folder / "debian/pool/main/h/helper/helper_1.0_arm64.deb"
    path.write_bytes(path.read_bytes() + b"\0")
    done = site.fetch("lock", site.mirror, "keep", "archive")
    assert done.returncode == 1
    assert "is not the file of the list" in done.stderr
    assert not any((site.folder / "keep").glob("*.part"))


def test_an_archive_that_nobody_signed_is_refused(site: Site) -> None:
    release = site.archive.folder / "debian/dists/trixie/InRelease"
    release.write_text(release.read_text().replace("stable", "stably"))
    done = site.choose("lock")
    assert done.returncode == 1
    assert done.stderr.startswith("packages: apt-get: ")


def test_packages_of_a_folder_join_the_list_and_must_be_the_same_later(site: Site) -> None:
    assert site.choose("lock").returncode == 0
    kernel = build_package(site.folder / "given", "linux-image-rpi", "1:6.12-1")
    # As `apt-get download` names the file of a version with an epoch, as Raspberry Pi's kernels have one.
    kernel = kernel.rename(kernel.with_name("linux-image-rpi_1%3a6.12-1_arm64.deb"))
    words = ["add", "--lock", site.folder / "lock", "--keep", site.folder / "keep", "--part", "root", kernel]
    for _ in range(2):
        assert site.run(words).returncode == 0
    assert [line for line in _lines(site.folder, "lock") if "rpi" in line] == ["root linux-image-rpi 1:6.12-1 arm64"]
    done = site.fetch("lock", site.mirror, "keep", "archive")
    assert done.returncode == 0, done.stderr
    assert not list((site.folder / "archive").rglob("linux-image-rpi*")), "the build installs it itself"
    kernel.write_bytes(build_package(site.folder / "other", "linux-image-rpi", "1:6.12-2").read_bytes())
    done = site.run(words)
    assert done.returncode == 1
    assert "is not the linux-image-rpi of the list" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it lists no packages for root and kit"),
        ("root base 1.0\n", "line 1: not `root|kit NAME"),
        (f"{KEPT} {'0' * 64} debian ../../etc/passwd\n", "line 1: no package of Debian's archive"),
        (f"{KEPT} {'0' * 64} elsewhere pool/b/base_1_a.deb\n", "line 1: no package of Debian's archive"),
    ],
)
def test_a_list_that_is_none_says_where(tmp_path: Path, text: str, said: str) -> None:
    lock = tmp_path / "lock"
    lock.write_text(text)
    words = ["fetch", "--lock", lock, "--mirror", "http://127.0.0.1:1/debian", "--keep", tmp_path, "--into", tmp_path]
    command = [sys.executable, str(IMAGE / "packagelock.py"), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert said in done.stderr
