# SPDX-License-Identifier: Apache-2.0
"""An image built from other files is detected (image/sources.sh): `./build.sh hil` would test the old one."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from boot_rig import IMAGE, LIMIT_S


class Clone:
    def __init__(self, root: Path) -> None:
        self.root, self.out = root, root / "build/image"
        for name in ("firmware/unit/a.py", "firmware/desk/a.py", "image/root/a", "systemd/a b.service", "docs/tpm.md"):
            self.write(name, f"{name}\n")
        self.write(".gitignore", "build/\n")
        shutil.copy(IMAGE / "sources.sh", root / "image/sources.sh")
        self._git("init", "-q")
        self._git("add", "-A")
        self.out.mkdir(parents=True)
        self.made()

    def _git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True, timeout=LIMIT_S)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *words: str, **names: str) -> subprocess.CompletedProcess[str]:
        environment = {name: text for name, text in os.environ.items() if not name.startswith(("LINETAP_", "GIT_"))}
        return subprocess.run(
            [self.root / "image/sources.sh", *words], env=environment | names, capture_output=True, text=True,
            timeout=LIMIT_S, check=False,
        )  # fmt: skip

    def made(self) -> None:
        """Records the clone like image/build.sh."""
        (self.out / "sources").write_text(f"{self.run().stdout.strip()} 0f3a4bb3\n")

    def told(self, **names: str) -> str:
        done = self.run("build/image", **names)
        assert (done.returncode == 0) == (not done.stderr)
        return done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


CHANGES: dict[str, Callable[[Clone], object]] = {
    "changed": lambda clone: clone.write("firmware/unit/a.py", "x"),
    "new": lambda clone: clone.write("firmware/unit/b.py", ""),
    "deleted": lambda clone: (clone.root / "systemd/a b.service").unlink(),
    "renamed": lambda clone: (clone.root / "image/root/a").rename(clone.root / "image/root/b"),
    "can be run": lambda clone: (clone.root / "image/root/a").chmod(0o755),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_image_of_other_files_is_told_in_a_line(clone: Clone, change: str) -> None:
    assert clone.told() == ""
    CHANGES[change](clone)
    said = clone.told()
    assert said.startswith("the image in build/image is of other files (commit 0f3a4bb3): ")
    assert said.count("\n") == 1
    assert clone.told(LINETAP_IMAGE_AS_IS="1") == ""
    clone.made()
    assert clone.told() == ""


@pytest.mark.parametrize(
    "name", ["docs/tpm.md", "firmware/desk/a.py", "tests/test_a.py", "build/image/a", "image/published/SHA256SUMS"]
)
def test_what_no_image_has_makes_none_old(clone: Clone, name: str) -> None:
    clone.write(name, "x")
    assert clone.told() == ""


def test_an_image_that_was_not_finished_is_of_unknown_files(clone: Clone) -> None:
    (clone.out / "sources").unlink()
    assert "(commit unknown)" in clone.told()


def test_the_whole_clone_is_looked_at_in_a_moment() -> None:
    """Each of its folders exists, and there is one sum."""
    done = subprocess.run([IMAGE / "sources.sh"], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert len(done.stdout) == 65
    text = (IMAGE / "sources.sh").read_text()
    named = text.split("FROM=(")[1].split(")")[0].split()
    assert [name for name in named if not (IMAGE.parent / name).exists()] == []
