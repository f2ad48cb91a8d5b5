# SPDX-License-Identifier: Apache-2.0
"""Members of a group with their private files, and stock `age` and `tar` on data sealed to them."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing.members import Group
from sealing_rig import run


@dataclass(frozen=True)
class Members:
    files: list[Path]
    group: Group

    @classmethod
    def make(cls, folder: Path, needed: int, count: int, name: str = "member") -> Members:
        folder.mkdir(exist_ok=True)
        files, recipients = [], []
        for number in range(1, count + 1):
            identity = keys.new_identity()
            path = folder / f"{name}{number}.txt"
            path.write_text(keys.identity_file(identity, "2026-11-24T00:00:00.000Z"))
            files.append(path)
            recipients.append(identity.recipient)
        return cls(files, Group(tuple(recipients), needed))

    @property
    def text(self) -> str:
        return str(self.group)

    def some(self, *numbers: int) -> list[Path]:
        """The files of these members, counted from 1."""
        return [self.files[number - 1] for number in numbers]

    def subsets(self, size: int) -> Iterator[tuple[int, ...]]:
        yield from itertools.combinations(range(1, len(self.files) + 1), size)

    def stock_recipe(self, name: str, numbers: tuple[int, ...]) -> str:
        """The command by which these members open the file `name`; the names before it are files in it."""
        age = [f"age -d -i {shlex.quote(str(path))}" for path in self.some(*numbers)]
        if len(numbers) == 1:
            return f"{age[0]} {name}"
        first = f"tar xOf {name} {'-'.join(map(str, numbers[:-1]))}.age"
        return " | ".join([first, *age])

    def stock_seal(self, data: Path, folder: Path) -> Path:
        """`data` sealed to the group with only stock `age` and `tar`, as in docs/groups.md."""
        folder.mkdir()
        lines = []
        for chosen in self.group.combinations():
            behind = " ".join(f"-r {recipient}" for recipient in self.group.recipients[chosen[-1] :])
            words = [f"age {behind} {shlex.quote(str(data))}"]
            words += [f"age -r {self.group.recipients[position - 1]}" for position in reversed(chosen)]
            lines.append(f"{' | '.join(words)} > {'-'.join(map(str, chosen))}.age")
        done = run(["sh", "-ec", "\n".join([*lines, "tar cf ../stock.age *.age"])], cwd=folder)
        assert done.returncode == 0, done.stderr
        return folder.parent / "stock.age"
