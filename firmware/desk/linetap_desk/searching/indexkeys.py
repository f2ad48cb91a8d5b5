# SPDX-License-Identifier: Apache-2.0
"""Which private file may open which epoch's index: by its name, as `linetap keygen epochs` gives it.

`2027-01-24.index.txt` is that day's and no other's, `overflow-2.txt` that overflow epoch's. A file of any other name
is tried on every epoch, if it was named itself; in a folder only the names above count.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from linetap_core.errors import BadInput
from linetap_core.evidence.calls import index
from linetap_desk.ceremony.sheets import INDEX
from linetap_desk.unsealing import stockage

SUFFIX = ".txt"
_MOST_FILES = 50_000  # of a folder: 20 years of days, twice, with the keys of the calls
_MOST_OTHERS = 100


class IndexKeys:
    def __init__(self, paths: Iterable[Path]) -> None:
        """Files and folders of them. BadInput where one cannot be what it should."""
        self._named: dict[str, list[Path]] = {}
        self._others: list[Path] = []
        for path in paths:
            if path.is_dir():
                self._take_folder(path)
            else:
                self._take_file(path)
        if len(self._others) > _MOST_OTHERS:
            raise BadInput(f"more than {_MOST_OTHERS} keys without an epoch's name: a folder of them would be right")

    def of(self, epoch: str) -> list[Path]:
        """None: no key was given for it."""
        return [*self._named.get(epoch, []), *self._others]

    def _take_folder(self, folder: Path) -> None:
        names = os.listdir(folder)
        if len(names) > _MOST_FILES:
            raise BadInput(f"{folder}: more than {_MOST_FILES} files; a folder of index keys would be right")
        known = {name: epoch for name in sorted(names) if (epoch := epoch_of(name))}
        if not known:
            raise BadInput(f"{folder}: no key of an index in it; 2027-01-24{INDEX}{SUFFIX} would be right")
        for name, epoch in known.items():
            self._named.setdefault(epoch, []).append(folder / name)

    def _take_file(self, path: Path) -> None:
        stockage.check_identity_file(path)
        found = index.parse_folder(path.name.removesuffix(SUFFIX))
        if found is not None and found[1] is not None:
            raise BadInput(f"{path}: the key of that day's calls; {found[0]}{INDEX}{SUFFIX} would be right")
        if epoch := epoch_of(path.name):
            self._named.setdefault(epoch, []).append(path)
        else:
            self._others.append(path)


def epoch_of(name: str) -> str | None:
    """The epoch whose index a file of this name opens; None: its name does not say so."""
    stem = name.removesuffix(SUFFIX)
    if stem == name:
        return None
    found = index.parse_folder(stem.removesuffix(INDEX))
    if found is None or (found[1] is None) != (stem == stem.removesuffix(INDEX)):
        return None  # a day's other key, or a name that is none
    return found[0]
