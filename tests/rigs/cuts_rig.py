# SPDX-License-Identifier: Apache-2.0
"""Power cuts in the middle of a script: the programs that write a card are interrupted at their n-th call.

A step is a call of a program that writes. The interrupted one has written a part of its blocks, in any order, like a
card without a flush; a sector is written completely or not at all. Unsynced changes of the first partition are present
or not, file by file: on vfat a file's name is one entry of 32 bytes. A name that was the unsynced target of a rename
may also be empty: the card has stored the release of the old file's clusters, and not the new name (decision 0154).
"""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MORE = 6
MOST_STEPS = 60  # of one call: stops an endless script
# Counts the steps of a call, and ends its whole session in the middle of one. $STEP: the number left.
CUT = """#!/bin/sh
[ -e {root}/step ] || exec {real} "$@"
left=$(($(cat {root}/step) - 1))
echo $left >{root}/step
if [ $left -eq 0 ]; then
  {python} {root}/half.py {real} "$@" >{root}/was_cut 2>&1
  kill -9 0
fi
for into; do :; done
over=
case {real} in */mv) [ ! -f "$into" ] || over=$into ;; esac
{real} "$@"
status=$?
[ ! "$over" ] || echo "$over" >>{root}/renamed
case "{real} $1" in
  *"/sync -f") ;; # of a vfat it flushes nothing
  */sync*) /usr/bin/rm -rf {root}/renamed {root}/synced && /usr/bin/cp -a {root}/boot {root}/synced ;;
esac
exit $status
"""
# The result of an interrupted program: dd has written some of its blocks, cp half of a file, mv and rm all or nothing.
HALF = """
import os, random, subprocess, sys
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
    if name == "mv" and os.path.isfile(words[-1]):
        with open("{root}/renamed", "a") as renamed:
            print(words[-1], file=renamed)
    subprocess.run([program, *words], check=False)
print(name, len(whole) if name == "dd" and "of" in said else 0)
"""


class Unit(Protocol):
    """A first partition in a folder, and the folder of programs that comes first in its scripts' path."""

    root: Path
    boot: Path
    bin: Path


@dataclass
class Cuts:
    """A unit whose calls can be ended at their n-th step."""

    unit: Unit
    seed: int

    def __post_init__(self) -> None:
        root = self.unit.root
        (root / "half.py").write_text(HALF.format(seed=self.seed, more=MORE, root=root))
        for name in ("dd", "cp", "mv", "rm", "mkdir", "sync"):
            path = self.unit.bin / name
            real = shutil.which(name, path="/usr/bin:/bin")
            path.write_text(CUT.format(root=root, real=real, python=shutil.which("python3", path="/usr/bin")))
            path.chmod(0o755)

    def run(self, call: Callable[[], object], step: int) -> str:
        """The write that was interrupted, and its length in bytes; empty if the call ended before that step."""
        root = self.unit.root
        shutil.rmtree(root / "synced", ignore_errors=True)
        shutil.copytree(self.unit.boot, root / "synced")
        for name in ("was_cut", "renamed"):
            (root / name).unlink(missing_ok=True)
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
        """Possible first partitions after the cut: each changed file as last synced, as written, or empty."""
        now, then = self.unit.boot, self.unit.root / "synced"
        names = sorted({str(path.relative_to(top)) for top in (now, then) for path in top.rglob("*") if path.is_file()})
        may_be = {name: {_bytes(now / name), _bytes(then / name)} for name in names}
        for name in self._renamed():
            may_be[name].add(b"")
        changed = {name: sorted(each, key=repr) for name, each in may_be.items() if len(each) > 1}
        assert len(changed) <= 6, changed.keys()
        for number, chosen in enumerate(itertools.product(*changed.values())):
            made = self.unit.root / f"left{number}"
            shutil.copytree(now, made)
            for name, data in zip(changed, chosen, strict=True):
                (made / name).unlink(missing_ok=True)
                if data is not None:
                    (made / name).parent.mkdir(exist_ok=True)
                    (made / name).write_bytes(data)
            yield made
            shutil.rmtree(made)

    def _renamed(self) -> set[str]:
        listed = self.unit.root / "renamed"
        lines = listed.read_text().splitlines() if listed.exists() else []
        return {str(Path(line).relative_to(self.unit.boot)) for line in lines if line.startswith(f"{self.unit.boot}/")}


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
