# SPDX-License-Identifier: Apache-2.0
"""Folders and files of this machine, for a page on which a person chooses one: a browser tells a page no paths."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from linetap_core import system
from linetap_core.errors import BadInput

MOST_SHOWN = 300
_DOWNLOADS = ("Downloads", "다운로드")


@dataclass(frozen=True, slots=True)
class Listed:
    """`more`: there are more than are shown. Files with the newest first, since what was downloaded is wanted."""

    folder: Path
    folders: list[Path]
    files: list[Path]
    more: bool


def places() -> list[Path]:
    """Where to begin: downloads, the home folder, and media."""
    home = Path.home()
    found = [home / name for name in _DOWNLOADS]
    return [path for path in (*found, home, *system.media()) if path.is_dir()]


def listed(folder: Path, suffixes: tuple[str, ...]) -> Listed:
    """What is in a folder, without hidden names; files with one of these endings, or all. BadInput if it cannot be
    read."""
    folders, files = list[Path](), list[tuple[float, Path]]()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.isprintable():
                    continue
                if entry.is_dir():
                    folders.append(folder / entry.name)
                elif entry.is_file() and entry.name.lower().endswith(suffixes or ("",)):
                    files.append((entry.stat().st_mtime, folder / entry.name))
    except OSError as error:
        raise BadInput(f"{folder}: {error.strerror}") from None
    folders.sort(key=lambda path: path.name.casefold())
    chosen = [path for _, path in sorted(files, key=lambda pair: (-pair[0], pair[1].name))]
    more = len(folders) > MOST_SHOWN or len(chosen) > MOST_SHOWN
    return Listed(folder, folders[:MOST_SHOWN], chosen[:MOST_SHOWN], more)
