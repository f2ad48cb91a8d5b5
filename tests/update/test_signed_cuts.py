# SPDX-License-Identifier: Apache-2.0
"""Power that goes at every step of a signed card's update, in the middle of every write. What the boot loader would
start then is always a pair that openssl verifies, before a root that veritysetup reads whole; and never a half.

A step is a call of a program that writes. The one that is cut has written a part of its blocks, in any order, as a card
does that is not asked to flush. What was not synced of the first partition is there or is not, file by file: on vfat a
file's name is one entry of 32 bytes.
"""

from __future__ import annotations

import copy
import itertools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pi_firmware
from boot_rig import LIMIT_S
from signed_rig import key
from signed_unit import SLOTS, SignedUnit, Version, require_whole

MORE = 6
MOST_STEPS = 60  # of one call: for a script that would never end
# Counts the steps of a call, and ends its whole session in the middle of one. $STEP: how many are left.
CUT = """#!/bin/sh
[ -e {root}/step ] || exec {real} "$@"
left=$(($(cat {root}/step) - 1))
echo $left >{root}/step
if [ $left -eq 0 ]; then
  {python} {root}/half.py {real} "$@" >{root}/was_cut 2>&1
  kill -9 0
fi
{real} "$@"
status=$?
case {real} in
  */sync) /usr/bin/rm -rf {root}/synced && /usr/bin/cp -a {root}/boot {root}/synced ;;
esac
exit $status
"""
# Of a program that was cut: dd has written some of its blocks, cp half of a file, mv and rm all or nothing.
HALF = """
import random, subprocess, sys
program, words = sys.argv[1], sys.argv[2:]
name, dice = program.rpartition("/")[2], random.Random("{seed}")
if name == "dd":
    said = dict(word.partition("=")[::2] for word in words if "=" in word)
    size = int(said.get("bs", "512").replace("k", "")) * (1024 if "k" in said.get("bs", "") else 1)
    if "of" in said:
        with open(said.get("if", "/dev/stdin"), "rb") as source, open(said["of"], "r+b") as into:
            if "if" in said:
                source.seek(size * int(said.get("skip", "0")))
            into.seek(size * int(said.get("seek", "0")))
            whole = source.read(size * int(said["count"]) if "count" in said else -1)
            at, step = into.tell(), max(512, len(whole) // 64 // 512 * 512)
            in_order, until = {seed} % 2 == 0, len(whole) * ({seed} % {more}) / (2 * {more})
            for start in range(0, len(whole), step):
                if start < until if in_order else dice.random() < 0.5:
                    into.seek(at + start)
                    into.write(whole[start : start + step])
elif name == "cp" and dice.random() < 0.5:
    with open(words[-2], "rb") as source:
        data = source.read()
    try:
        with open(words[-1], "wb") as into:
            into.write(data[: len(data) // 2])
    except IsADirectoryError:
        pass
elif name in ("mv", "rm", "mkdir") and dice.random() < 0.5:
    subprocess.run([program, *words], check=False)
print(name, len(whole) if name == "dd" and "of" in said else 0)
"""


@dataclass
class Cuts:
    """A unit whose calls can be ended at their n-th step."""

    unit: SignedUnit
    seed: int

    def __post_init__(self) -> None:
        root = self.unit.root
        (root / "half.py").write_text(HALF.format(seed=self.seed, more=MORE))
        for name in ("dd", "cp", "mv", "rm", "mkdir", "sync"):
            path = self.unit.bin / name
            real = shutil.which(name, path="/usr/bin:/bin")
            path.write_text(CUT.format(root=root, real=real, python=shutil.which("python3", path="/usr/bin")))
            path.chmod(0o755)

    def run(self, call: Callable[[], object], step: int) -> str:
        """What was cut, and how many bytes it was to write; nothing where the call ended before that step."""
        root = self.unit.root
        shutil.rmtree(root / "synced", ignore_errors=True)
        shutil.copytree(self.unit.boot, root / "synced")
        (root / "was_cut").unlink(missing_ok=True)
        (root / "step").write_text(str(step))
        try:
            call()
        except AssertionError:
            assert (root / "was_cut").exists()
        finally:
            (root / "step").unlink(missing_ok=True)
        if not (root / "was_cut").exists():
            return ""
        cut = (root / "was_cut").read_text()
        assert re.fullmatch(r"\w+ \d+\n", cut), cut
        return cut

    def left(self) -> Iterator[Path]:
        """What the first partition may be after the cut: each changed file as it was synced, or as it is."""
        now, then = self.unit.boot, self.unit.root / "synced"
        names = sorted({str(path.relative_to(top)) for top in (now, then) for path in top.rglob("*") if path.is_file()})
        changed = [name for name in names if _bytes(now / name) != _bytes(then / name)]
        assert len(changed) <= 6, changed
        for number, chosen in enumerate(itertools.product((now, then), repeat=len(changed))):
            made = self.unit.root / f"left{number}"
            shutil.copytree(now, made)
            for name, top in zip(changed, chosen, strict=True):
                (made / name).unlink(missing_ok=True)
                if (top / name).exists():
                    (made / name).parent.mkdir(exist_ok=True)
                    shutil.copy(top / name, made / name)
            yield made
            shutil.rmtree(made)


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def copied(unit: SignedUnit, into: Path) -> SignedUnit:
    """The same unit again: its card, and what has started it. Its paths are in its own folder alone."""
    subprocess.run(["cp", "-a", "--sparse=always", unit.root, into], check=True, timeout=LIMIT_S)
    made = copy.copy(unit)
    made.root, made.boot, made.proc = into, into / "boot", into / "proc"
    made.parts, made.bin = into / "parts", into / "bin"
    made.loader = made.proc / "device-tree/chosen/bootloader"
    made.say_restarts()
    return made


@pytest.fixture
def ram() -> Iterator[Path]:
    """Where a flush costs nothing: what it keeps is counted here."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="linetap-cuts-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Version, Version]:
    folder = tmp_path_factory.mktemp("versions")
    ours = key(folder / "ours.pem")
    return ours, Version.new(folder / "old", "0.1.0", ours), Version.new(folder / "new", "0.2.0", ours)


def judged(unit: SignedUnit, boot: Path, *, normal: set[int], tryboot: set[int] | None) -> int:
    """What starts from this first partition. `tryboot`: what a try may start; None: it is not asked for."""
    card = {**unit.card, 1: pi_firmware.Folder(boot)}
    start = pi_firmware.start(card, unit.key)
    assert start.partition in normal
    require_whole(unit.parts / f"linetap-{SLOTS[start.partition]}", start)
    if tryboot is not None:
        tried = pi_firmware.start(card, unit.key, tryboot=True)
        assert tried.partition in tryboot
        require_whole(unit.parts / f"linetap-{SLOTS[tried.partition]}", tried)
    walked = pi_firmware.start(card, unit.key, walks=True)
    assert walked.partition == start.partition
    return start.partition


def is_none_or_whole(unit: SignedUnit, partition: int) -> bool:
    """Whether a boot loader finds a boot.img there, and then it takes it: one that walks may come to it."""
    image = unit.card[partition].read("boot.img")
    if image is not None:
        pi_firmware.verify(image, unit.card[partition].read("boot.sig"), unit.key)
    return image is not None


def slot_is_whole_where_it_is_one(unit: SignedUnit, boot: Path, slot: str) -> bool:
    """config.txt makes a slot: then its partition starts."""
    is_one = (boot / slot / "config.txt").exists()
    assert not is_one or is_none_or_whole(unit, {"a": 2, "b": 3}[slot])
    return is_one


def test_while_it_is_installed(versions: tuple[Path, Version, Version], ram: Path) -> None:
    """From giving the slot up to its config.txt: what runs starts, each time, and the next try is whole."""
    ours, old, new = versions
    bundle = new.bundle(ram / "bundle")
    before = SignedUnit(ram / "before", old, ours)
    before.install(old, old.bundle(ram / "old"))  # the other slot holds something that starts
    step, seed, ended = 1, 0, False
    while not ended:
        assert step < MOST_STEPS, "it never ends"
        unit = copied(before, ram / "unit")
        cuts = Cuts(unit, seed)
        cut = cuts.run(lambda: unit.install(new, bundle), step)  # noqa: B023
        whole = set()
        for boot in cuts.left():
            assert judged(unit, boot, normal={2}, tryboot=None) == 2
            whole.add(slot_is_whole_where_it_is_one(unit, boot, "b"))
        is_none_or_whole(unit, 3)
        if not cut:
            assert whole == {True}
            ended = True
        elif step % 5 == 0:
            unit.install(new, bundle)
            unit.call("set-primary", "b")
            assert unit.reboots().partition == 3, "it begins again, and is whole"
        shutil.rmtree(unit.root)
        seed += 1
        is_large = cut.startswith("dd") and int(cut.split()[1]) > 1 << 20
        step += 0 if is_large and seed % MORE else 1  # a long write is cut in several ways
    assert step > 10, "nothing was cut"


def test_while_it_is_tried_and_kept(versions: tuple[Path, Version, Version], ram: Path) -> None:
    """autoboot.txt is the one or the other, and what it names is whole."""
    ours, old, new = versions
    before = SignedUnit(ram / "before", old, ours)
    before.install(new, new.bundle(ram / "bundle"))
    for word in (("set-primary", "b"), ("set-state", "b", "good")):
        ended, seen = 0, set()
        if word[0] == "set-state":
            before.call("set-primary", "b")
            before.reboots()
        for step in range(1, MOST_STEPS):
            unit = copied(before, ram / "unit")
            cuts = Cuts(unit, step)
            cut = cuts.run(lambda: unit.call(*word), step)  # noqa: B023
            for boot in cuts.left():
                seen.add(judged(unit, boot, normal={2, 3}, tryboot={2, 3}))
            shutil.rmtree(unit.root)
            if not cut:
                ended = step
                break
        assert ended > 1
        assert seen == ({2} if word[0] == "set-primary" else {2, 3})
