# SPDX-License-Identifier: Apache-2.0
"""Reading an untrusted bundle by `linetap versions`: with one call of unsquashfs, and without access to this machine's
files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from linetap_core.errors import BadInput
from linetap_core.versions import entry
from linetap_desk.versions import bundle as bundles
from slots_rig import LIMIT_S

pytestmark = pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="there is no mksquashfs here")
ROOT = "84" * 32
MANIFEST = "[update]\ncompatible=linetap\nversion=0.2.0\n\n[bundle]\nformat=plain\n"
CMDLINE = f"console=tty1 linetap.verity=256:{ROOT}:5a17\n"


def made(folder: Path, content: dict[str, bytes | Path]) -> Path:
    """A plain bundle in its outer format: squashfs, a dummy signature, its length. A path is a link to it."""
    tree, out = folder / "tree", folder / "linetap-0.2.0.raucb"
    tree.mkdir()
    for name, what in content.items():
        if isinstance(what, Path):
            (tree / name).symlink_to(what)
        else:
            (tree / name).write_bytes(what)
    subprocess.run(
        ["mksquashfs", tree, out, "-quiet", "-no-progress"], check=True, capture_output=True, timeout=LIMIT_S
    )
    with out.open("ab") as file:
        file.write(b"signature" + (9).to_bytes(8))
    return out


def content(**other: bytes | Path) -> dict[str, bytes | Path]:
    usual: dict[str, bytes | Path] = {"manifest.raucm": MANIFEST.encode(), "cmdline.txt": CMDLINE.encode()}
    return usual | {name.replace("_", "."): what for name, what in other.items()}


@pytest.mark.parametrize("boot", [None, b"", b"x" * 5000, os.urandom(3 << 20)], ids=["none", "empty", "small", "large"])
def test_a_boot_part_of_any_length_makes_it_the_signed_cards(tmp_path: Path, boot: bytes | None) -> None:
    facts = bundles.read(made(tmp_path, content() if boot is None else content(boot_part=boot)))
    assert (facts.product, facts.version, facts.root) == (
        entry.PRODUCT if boot is None else entry.SIGNED,
        "0.2.0",
        ROOT,
    )


def test_unsquashfs_is_called_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin/unsquashfs"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho >>{tmp_path}/calls\nexec {shutil.which("unsquashfs")} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    bundles.read(made(tmp_path, content(boot_part=b"x")))
    assert (tmp_path / "calls").read_text() == "\n"


@pytest.mark.parametrize("name", ["manifest.raucm", "cmdline.txt"])
def test_a_link_in_it_leads_to_no_file_of_this_machine(tmp_path: Path, name: str) -> None:
    (tmp_path / "here").write_text(MANIFEST + CMDLINE)
    with pytest.raises(BadInput, match=f"unsquashfs reads no {name} in it"):
        bundles.read(made(tmp_path, content() | {name: tmp_path / "here"}))


@pytest.mark.parametrize("name", ["manifest.raucm", "cmdline.txt"])
def test_what_is_missing_or_too_long_is_named(tmp_path: Path, name: str) -> None:
    for number, (data, words) in enumerate({None: "reads no", b"x" * 70_000: "has more than"}.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = content()
        del found[name]
        with pytest.raises(BadInput, match=words):
            bundles.read(made(folder, found if data is None else found | {name: data}))


def test_a_bundle_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gigabyte of zeros is a few kilobytes of a squashfs."""
    monkeypatch.setattr(bundles, "_BOOT_BYTES", 1 << 20)
    with pytest.raises(BadInput, match="a file in it has more than 1048576 bytes"):
        bundles.read(made(tmp_path, content(boot_part=bytes(2 << 20))))


def test_what_is_no_squashfs_is_told_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "linetap-0.2.0.raucb"
    path.write_bytes(b"hsqs" + bytes(5000) + b"signature" + (9).to_bytes(8))
    with pytest.raises(BadInput, match="unsquashfs cannot read it"):
        bundles.read(path)
