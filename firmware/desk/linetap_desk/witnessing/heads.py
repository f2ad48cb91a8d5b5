# SPDX-License-Identifier: Apache-2.0
"""The checkpoints of each unit with all cosignatures: HEADS/UNIT/000000042.checkpoint, one of each size, for ever.

All are kept, not the last alone: the first that covers a leaf says by when the leaf was there. Whoever takes one away
can only make a leaf look younger, and so never better.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from linetap_core.durable.files import replace_durably
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.note import BadNote, Line, Note
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import Damaged

SUFFIX = ".checkpoint"
_DIGITS = 9


class Kept(NamedTuple):
    path: Path
    note: Note
    checkpoint: Checkpoint


def folder_of(heads: Path, unit: str, log: str = "") -> Path:
    """Each log of a unit has its own: sizes of one say nothing of another. The first, without a name, is the unit's."""
    return heads / (f"{unit}.{log}" if log else unit)


def named(folder: str) -> tuple[str, str]:
    """Unit and log of such a folder's name."""
    unit, _, log = folder.partition(".")
    return unit, log


def place(heads: Path, unit: str, size: int, log: str = "") -> Path:
    return folder_of(heads, unit, log) / f"{size:0{_DIGITS}d}{SUFFIX}"


def kept(heads: Path, unit: str, log: str = "", *, newest_first: bool = False, above: int = 0) -> Iterator[Kept]:
    """Every checkpoint of a unit's log over more leaves than `above`, by size, each read as it is asked for: at a round
    every five minutes there are a hundred thousand in a year. BadNote names the file that is none."""
    folder, lowest = folder_of(heads, unit, log), place(heads, unit, above, log)
    for path in sorted(folder.glob(f"*{SUFFIX}"), reverse=newest_first) if folder.is_dir() else ():
        if above and len(path.name) == len(lowest.name) and path.name <= lowest.name:
            continue
        try:
            found = read(path)
        except (BadNote, Damaged) as error:
            raise BadNote(f"{path}: {error}", error.code) from None
        if path != place(heads, unit, found.checkpoint.size, log):
            raise BadNote(f"{path}: is over {found.checkpoint.size} leaves, as its name should say")
        yield found


def read(path: Path) -> Kept:
    found = note.parse(callfolder.read(path, note.LIMIT_BYTES))
    return Kept(path, found, checkpoint.decode(found.text))


def keep(heads: Path, unit: str, signed: Note, lines: list[Line], log: str = "") -> Path:
    """The checkpoint with these cosignatures and those it had. BadNote where another of this size is there already:
    two logs of one name."""
    path = place(heads, unit, checkpoint.decode(signed.text).size, log)
    path.parent.mkdir(exist_ok=True)
    had = read(path).note if path.exists() else signed
    if had.text != signed.text:
        raise BadNote(f"{path}: another checkpoint of this size is kept: the log was rewritten", "fork")
    known = {(line.name, line.key_id) for line in had.lines}
    more = tuple(line for line in lines if (line.name, line.key_id) not in known)
    replace_durably(path, Note(had.text, had.lines + more).encode())
    return path
