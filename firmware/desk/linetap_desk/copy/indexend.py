# SPDX-License-Identifier: Apache-2.0
"""The end of the desk's copies of indexes: a segment goes with the calls of its day.

The day must be over by the desk's clock and by that of a unit, as for a copy of a call (`worklist.expired`), and no
copy of a call of that unit may be left that ends with that day; a held call leaves its index behind, as in a vault.
Segments of an overflow epoch without a day go when their unit no longer names them and no copy without an end is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection, func, select

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.evidence.calls import index
from linetap_core.evidence.signing.signers import Signer
from linetap_core.zones import end_of_ns
from linetap_desk.copy.indexfolder import IndexFolder
from linetap_desk.ingest.tables import calls, copies


def units_with_index(root: Path) -> list[str]:
    return sorted(path.parent.name for path in root.glob(f"[!.]*/{index.FOLDER}") if not path.is_symlink())


def over(db: Connection, folder: IndexFolder, signers: list[Signer], now_ns: int, zone: str) -> Iterator[str]:
    """The segments of one unit to be removed. OSError: the folder cannot be read."""
    witnessed = db.execute(select(func.max(calls.c.began_at))).scalar()
    if witnessed is None:
        return
    sure_ns = min(now_ns, parse_rfc3339(witnessed))
    by_folder: dict[str, list[str]] = {}
    for name in folder.segments():
        by_folder.setdefault(name.partition("/")[0], []).append(name)
    for named, segments in by_folder.items():
        _, last_day = index.parse_folder(named) or ("", None)
        if last_day is None:
            yield from _of_no_day(db, folder, signers, segments)
            continue
        ends_ns = end_of_ns(last_day, zone)
        if ends_ns <= sure_ns and not _has_copies(db, folder.unit, rfc3339(ends_ns)):
            yield from segments


def _of_no_day(db: Connection, folder: IndexFolder, signers: list[Signer], segments: list[str]) -> Iterator[str]:
    lists = folder.lists(signers)
    if not lists or _has_copies(db, folder.unit, None):
        return
    newest = lists[-1][2]
    named = {each.file for each in newest.segments} | {each.file for each in newest.unlisted}
    yield from (name for name in segments if name not in named)


def _has_copies(db: Connection, unit: str, until: str | None) -> bool:
    """Of calls that end at that moment, or have no end yet; without those that are only held."""
    its = select(copies.c.call_id).where(copies.c.unit == unit, copies.c.removed_at.is_(None))
    if until is None:
        its = its.where(copies.c.until.is_(None))
    else:
        its = its.where(copies.c.until == until, copies.c.look_at <= copies.c.until)
    return db.execute(its.limit(1)).first() is not None
