# SPDX-License-Identifier: Apache-2.0
"""A published image is built again and compared (image/confirm.sh), by someone who has only the published files.

The build is replaced here by one that writes its input; the real one runs in `./build.sh image --confirm FOLDER`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from boot_rig import IMAGE, LIMIT_S

PUBLISHED = ("manifest.txt", "packages.lock", "certificate.pem", "slot.cmdline")
# What the real build takes from its surroundings, as the content of the card.
BUILD = """\
#!/usr/bin/env bash
set -euo pipefail
mkdir -p build/image
cat "$LINETAP_LOCK" "$LINETAP_UPDATE_CERTIFICATE" source >build/image/card
cp "$LINETAP_LOCK" build/image/packages.lock
cp "$LINETAP_UPDATE_CERTIFICATE" build/image/certificate.pem
printf 'linetap 0.1.0 (%s)\\n' "$(git rev-parse --short=12 HEAD)" >build/image/manifest.txt
if [ "${LINETAP_UPDATE_KEY:-}" ]; then
  printf 'signed with %s\\n' "$LINETAP_UPDATE_KEY" >build/image/slot.cmdline
else
  cp "${LINETAP_PUBLISHED_CMDLINE:-/dev/null}" build/image/slot.cmdline
fi
cd build/image && sha256sum card manifest.txt packages.lock certificate.pem slot.cmdline >SHA256SUMS
printf 'key <%s> umask %s zone %s of %s\\n' "${LINETAP_UPDATE_KEY:-}" "$(umask)" "$TZ" "$(stat -c %y ../../source)"
"""


class Clone:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "image").mkdir()
        shutil.copy(IMAGE / "confirm.sh", root / "image")
        self._program("image/build.sh", BUILD)
        self._program("build.sh", '#!/bin/sh\n[ "$1" = setup ]\n')
        self.write("source", "one\n")
        self.write(".gitignore", "build/\npublished/\n")
        self.git("init", "-q")
        self.commit()

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _program(self, name: str, text: str) -> None:
        self.write(name, text)
        (self.root / name).chmod(0o755)

    def git(self, *words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *who, *words], cwd=self.root, check=True, capture_output=True, timeout=LIMIT_S)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a")

    def publish(self) -> Path:
        """The publisher's build, with their key, under another name of the folder."""
        self.write("build/lock", "root a 1\n")
        self.write("build/key/certificate.pem", "certificate\n")
        names = {"LINETAP_LOCK": "build/lock", "LINETAP_UPDATE_CERTIFICATE": "build/key/certificate.pem", "TZ": "UTC"}
        names["LINETAP_UPDATE_KEY"] = "build/key/key.pem"
        self.run("image/build.sh", **names)
        return Path(shutil.copytree(self.root / "build/image", self.root / "published"))

    def run(self, *words: str | Path, **names: str) -> subprocess.CompletedProcess[str]:
        environment = {name: text for name, text in os.environ.items() if not name.startswith(("LINETAP_", "GIT_"))}
        (self.root / "build").mkdir(exist_ok=True)
        return subprocess.run(
            [self.root / words[0], *words[1:]], cwd=self.root, capture_output=True, text=True, timeout=LIMIT_S,
            env=environment | {"TMPDIR": str(self.root / "build")} | names, check=False,
        )  # fmt: skip

    def confirm(self, folder: Path, **names: str) -> subprocess.CompletedProcess[str]:
        return self.run("image/confirm.sh", folder, **names)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def sums(folder: Path) -> None:
    """Writes SHA256SUMS again, as whoever changes a published file and its sum."""
    names = [line.split()[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    (folder / "SHA256SUMS").write_text("".join(lines))


def test_later_commits_and_the_own_key_make_no_difference(clone: Clone) -> None:
    published = clone.publish()
    shutil.rmtree(clone.root / "build")
    (published / "card").unlink()  # the sums are enough
    clone.write("source", "two\n")
    clone.commit()
    done = clone.confirm(published, LINETAP_UPDATE_KEY="/root/own.key")
    assert done.returncode == 0, done.stderr
    assert "the same to the byte:\n" + (published / "SHA256SUMS").read_text() in done.stdout
    assert "key <> umask 0077 zone Asia/Seoul of 2001-02-03" in done.stdout
    assert list((clone.root / "build").iterdir()) == [], "nothing remains"


def test_another_card_is_not_confirmed_and_both_can_be_examined(clone: Clone) -> None:
    published = clone.publish()
    (published / "card").write_text("with another program\n")
    sums(published)
    done = clone.confirm(published)
    assert done.returncode == 1
    assert "not the same; the second build is in " in done.stderr
    kept = Path(done.stderr.rpartition(" is in ")[2].strip())
    assert (kept / "card").read_text() == "root a 1\ncertificate\none\n"
    assert "card" in done.stdout, "the differing sum is printed"


@pytest.mark.parametrize("name", [*PUBLISHED, "SHA256SUMS"])
def test_an_incomplete_folder_is_refused(clone: Clone, name: str) -> None:
    published = clone.publish()
    (published / name).unlink()
    done = clone.confirm(published)
    assert (done.returncode, done.stderr) == (2, f"confirm: {published}: no {name}\n")


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_that_the_sums_do_not_name_is_refused(clone: Clone, name: str) -> None:
    published = clone.publish()
    with (published / name).open("a") as file:
        file.write("more\n")
    done = clone.confirm(published)
    assert (done.returncode, done.stderr) == (2, f"confirm: {published}/{name} is not the file that SHA256SUMS names\n")


def _unknown_commit(published: Path) -> str:
    (published / "manifest.txt").write_text("linetap 0.1.0 (0123456789ab)\n")
    return "is of commit 0123456789ab, which this clone does not have"


def _changed_files(published: Path) -> str:
    manifest = published / "manifest.txt"
    manifest.write_text(manifest.read_text().replace(")", "-changed)"))
    return "names no commit"


def _option_for_git(published: Path) -> str:
    (published / "manifest.txt").write_text("linetap 0.1.0 (--all)\n")
    return "names no commit"


def _signed_card(published: Path) -> str:
    (published / "signed").mkdir()
    return "a card for a Pi's verified boot"


@pytest.mark.parametrize("spoil", [_unknown_commit, _changed_files, _option_for_git, _signed_card])
def test_an_image_that_cannot_be_built_again_is_refused(clone: Clone, spoil: Callable[[Path], str]) -> None:
    published = clone.publish()
    why = spoil(published)
    sums(published)
    done = clone.confirm(published)
    assert done.returncode == 2
    assert why in done.stderr
