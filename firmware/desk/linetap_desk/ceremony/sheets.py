# SPDX-License-Identifier: Apache-2.0
"""Private keys on paper: a page for each epoch and copy, ended by a form feed. Destroying a key destroys a page.

Each officer of a group has their own pages.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from linetap_core import system
from linetap_core.errors import BadInput
from linetap_core.evidence.keys.keys import AgeIdentity, identity_file

COPIES = 2
INDEX = ".index"  # suffix of an epoch's name, for its index key
OFFICER = "officer-"  # prefix of a group member's number
_PAGE_LINES = 60


def require_printer(instead: str) -> None:
    """BadInput if standard output cannot be a printer: a file keeps the keys, and the null device loses them."""
    try:
        fd = sys.stdout.fileno()
        is_file, is_null = stat.S_ISREG(os.fstat(fd).st_mode), system.is_null_device(fd)
    except (AttributeError, OSError):
        raise BadInput(f"there is no standard output: private keys go to a printer (| lp), or {instead}") from None
    if is_file or is_null:
        where = os.devnull if is_null else "a file"
        raise BadInput(f"standard output is {where}: private keys go to a printer (| lp), or {instead}")


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """The private keys of one epoch, for one officer. An overflow epoch has no index key."""

    name: str  # 2026-12-01, overflow-2
    call: AgeIdentity
    index: AgeIdentity | None = None
    officer: int = 0  # member of a group, from 1; 0: no group

    def files(self, created: str) -> dict[str, str]:
        """Name -> identity file, as age reads it."""
        found = {f"{self.name}.txt": identity_file(self.call, created)}
        if self.index is not None:
            found[f"{self.name}{INDEX}.txt"] = identity_file(self.index, created)
        return found


def pages(epochs: list[EpochKeys], zone: str, created: str, group: str = "") -> Iterator[str]:
    """All pages of the first copy, then those of the second, which is kept at another place. `group`: `2 of 3`, for
    officers."""
    for copy in range(1, COPIES + 1):
        for keys in epochs:
            yield _page(keys, copy, zone, created, group)


def _page(keys: EpochKeys, copy: int, zone: str, created: str, group: str) -> str:
    whose = f"    OFFICER {keys.officer}, {group} OPEN" if keys.officer else ""
    theirs = f" --officer {keys.officer}" if keys.officer else ""
    ends = f"ends at 24:00 of that day, {zone}" if keys.index else "ends when its calls are re-wrapped to their days"
    lines = [
        f"linetap  EPOCH {keys.name}    COPY {copy} OF {COPIES}{whose}",
        f"비밀 키 {keys.name}, 사본 {copy}/{COPIES}: 날이 끝나면 24시간 안에 두 사본을 모두 파기할 것",
        "",
        f"This epoch {ends}.",
        "Both copies are then destroyed within 24 h:",
        f"  linetap epoch destroy {keys.name} --sheets {COPIES}{theirs}",
        "To use a key, type its line into a file in RAM (/dev/shm) for age -i;",
        "a wrong or missing character is detected.",
        "",
    ]
    return page(lines, keys.files(created), f"{keys.name}  {copy}/{COPIES}")


def page(head: list[str], files: dict[str, str], foot: str) -> str:
    """A complete page: head lines, identity files for age, and the last line."""
    lines = list(head)
    for name, text in files.items():
        lines += [f"--- {name} " + "-" * 40, "", *text.splitlines(), ""]
    return "\n".join([*lines, *[""] * (_PAGE_LINES - len(lines) - 1), foot]) + "\n\f"
