# SPDX-License-Identifier: Apache-2.0
"""The file that names a slot is flushed from the card's own cache once it is written, and never renamed.

On vfat only fsync does that: syncfs, i.e. `sync -f`, writes but does not flush (decision 0154), so the calls are
observed.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from boot_rig import LIMIT_S, SCRIPT, Boot

NAMES = ("config.txt", "tryboot.txt", "autoboot.txt")
LIBRARY = SCRIPT.parent


def calls(folder: Path, environment: dict[str, str], *words: str) -> list[tuple[str, str]]:
    """The calls that flush or rename, in order, each with the name of the flushed file, or the new name."""
    log = folder / "strace"
    traced = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", "trace=fsync,syncfs,sync,rename,renameat,renameat2"]
    subprocess.run([*traced, *words], env=environment, check=True, capture_output=True, timeout=LIMIT_S)
    found = []
    begun: dict[str, str] = {}
    for line in log.read_text().splitlines():
        process, _, call = line.partition(" ")
        if call.endswith(" <unfinished ...>"):  # another process's line came between: the names are in this half
            begun[process] = call.removesuffix(" <unfinished ...>")
            continue
        if resumed := re.search(r"<\.\.\. \w+ resumed>(.*)", call):
            call = begun.pop(process) + resumed[1]
        if match := re.search(r"(fsync|syncfs|sync|rename\w*)\((.*)\) += 0$", call):
            named = re.findall(r'["<]([^">]*)[">]', match[2])
            found.append((match[1], Path(named[-1]).name if named else ""))
    return found


def require_made(found: list[tuple[str, str]], name: str) -> None:
    """Requires, if the file was missing, that its content is on the card before its name."""
    at = found.index(next(each for each in found if each[0].startswith("rename") and each[1] == name))
    assert "fsync" in [call for call, _ in found[:at]][-2:], f"what is named is not on the card yet: {found}"
    assert "fsync" in [call for call, _ in found[at + 1 :]], f"the name is not on the card: {found}"


def require_in_place(found: list[tuple[str, str]], name: str) -> None:
    assert ("fsync", name) in found
    assert not [each for each in found if each[0].startswith("rename") and each[1] in NAMES], found


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    if shutil.which("strace") is None:
        pytest.skip("there is no strace: build.sh's PACKAGES has it")
    made = Boot(tmp_path, pi=True)
    made.lay("b", "0.2.0")
    return made


def test_a_try_is_flushed(boot: Boot, tmp_path: Path) -> None:
    require_made(calls(tmp_path, boot.environment, str(SCRIPT), "set-primary", "b"), "tryboot.txt")
    require_in_place(calls(tmp_path, boot.environment, str(SCRIPT), "set-primary", "b"), "tryboot.txt")


def test_what_is_kept_is_flushed(boot: Boot, tmp_path: Path) -> None:
    boot.call("set-primary", "b")
    boot.reboots()
    require_in_place(calls(tmp_path, boot.environment, str(SCRIPT), "set-state", "b", "good"), "config.txt")


@pytest.mark.parametrize("shell", [("sh",), ("busybox", "sh")], ids=" ".join)
def test_a_signed_cards_name_is_flushed(boot: Boot, tmp_path: Path, shell: tuple[str, ...]) -> None:
    """By the unit's shell and by the initramfs's. It is overwritten in place, or renamed if it was missing."""
    script = f". {LIBRARY}/bootfiles; . {LIBRARY}/autoboot; autoboot_write {boot.boot} "
    require_made(calls(tmp_path, boot.environment, *shell, "-euc", script + "b"), "autoboot.txt")
    inode = (boot.boot / "autoboot.txt").stat().st_ino
    assert calls(tmp_path, boot.environment, *shell, "-euc", script + "a") == [("fsync", "autoboot.txt")]
    assert (boot.boot / "autoboot.txt").stat().st_ino == inode
    assert "boot_partition=2\n[tryboot]" in (boot.boot / "autoboot.txt").read_text()


def test_a_slot_that_is_given_up_is_flushed(boot: Boot, tmp_path: Path) -> None:
    found = calls(tmp_path, boot.environment, str(SCRIPT), "set-state", "b", "bad")
    assert "fsync" in [call for call, _ in found]
