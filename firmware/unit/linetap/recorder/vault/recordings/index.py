# SPDX-License-Identifier: Apache-2.0
"""The index: each call with a recording, by its number, sealed to the index key of its epoch; and the index's end.

The unit cannot read a sealed segment. It keeps the entries of unfinished segments in RAM only, and rewrites a segment
with each call. After a restart the next segment begins. A segment's hash is logged before the segment is written: if a
power cut prevents the write, the previous content counts, and the call will be in another segment.

An index is removed at the end of its epoch's day, by retention time, never earlier. Remains on flash open only with the
epoch's index key, which the desk destroys.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from linetap.config.schema import Config
from linetap.recorder.smdr.layouts import parser
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.retention.epochs import Epochs
from linetap_core import jsontext
from linetap_core.clock import NS_PER_DAY, NS_PER_S, from_utc_ns, parse_rfc3339
from linetap_core.durable import broken, files, folders
from linetap_core.durable.files import replace_durably
from linetap_core.durable.unreadable import Unreadable, is_missing, reading
from linetap_core.errors import LinetapError
from linetap_core.evidence import sealing
from linetap_core.evidence.calls import index, sealed
from linetap_core.evidence.calls.index import CallSegment, Entry, SegmentPlace
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.evidence.sealing import group
from linetap_core.evidence.sealing.keylist import is_overflow
from linetap_core.records import CallRecord, Retention
from linetap_core.zones import day_of_end, end_of_ns, local_time, zone_of

MOST_OPEN = 8  # unfinished segments: one for each class of today, and of yesterday around midnight


class Index:
    """The index. Used by the vault's thread; the function that `of_one_call` returns, by the journal's thread."""

    def __init__(self, config: Config, epochs: Epochs, unit_log: UnitLog) -> None:
        self._log, self._adopted = unit_log, False
        self._root = config.vault_path / index.FOLDER
        self._epochs = epochs
        self._zone = config.retention.zone
        self._extensions = {line.number: line.extension or "" for line in config.line}
        self._parse_smdr = parser(config)
        self._open: OrderedDict[SegmentPlace, _Segment] = OrderedDict()

    def add(self, record: CallRecord, retention: Retention) -> None:
        """Writes the call into the index, on disk at the return. `retention`: that of its record.

        May raise OSError, and may be repeated: a call still in RAM gets only one entry.
        """
        place, recipient = self._place_of(record, retention)
        entry = self._entry_of(record)
        segment = self._segment(place, record.call_id)
        segment.entries[record.call_id] = entry
        self._write(segment.path, group.seal(index.encode(segment.entries.values()), recipient), record.call_id)

    def adopt(self) -> None:
        """Logs, once, the segments of a version that did not log them. May raise OSError, and is then repeated."""
        if self._adopted:
            return
        found = sorted(self._root.glob(f"*/*{sealing.SUFFIX}"))
        if found and not self._log.has_any("index"):
            for path in found:
                if index.parse_segment(path.name) and index.parse_folder(path.parent.name):
                    try:
                        with reading(path):
                            digest = files.sha256(path)
                    except Unreadable as error:
                        broken.report(path, error)
                        continue
                    self._log.append("index", file=self._named(path), sha256=digest, adopted="yes")
        self._adopted = True

    def of_one_call(self) -> Callable[[CallRecord, Retention], CallSegment]:
        """Returns a function for the journal that seals a call's entry as a separate segment, again only after a
        change.
        """
        made: dict[tuple[SegmentPlace, str, Entry], CallSegment] = {}

        def piece(record: CallRecord, retention: Retention) -> CallSegment:
            place, recipient = self._place_of(record, retention)
            entry = self._entry_of(record)
            if (place, recipient, entry) not in made:
                made.clear()
                made[place, recipient, entry] = CallSegment(place, group.seal(index.encode([entry]), recipient))
            return made[place, recipient, entry]

        return piece

    def lay(self, piece: CallSegment, call_id: str) -> None:
        """Writes the journal's segment of a call that a power cut has ended."""
        self._write(self._free(piece.place), piece.sealed, call_id)

    def _write(self, path: Path, data: bytes, call_id: str) -> None:
        digest = hashlib.sha256(data).hexdigest()
        self._log.append("index", file=self._named(path), sha256=digest, call_id=call_id)
        replace_durably(path, data)

    def _named(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _place_of(self, record: CallRecord, retention: Retention) -> tuple[SegmentPlace, str]:
        epoch, recipient = self._epochs.index_key(retention)
        last_day = None
        if retention.until is not None:
            last_day = day_of_end(from_utc_ns(parse_rfc3339(retention.until)), self._zone)
        ended_at = record.actual.ended_at if record.actual else record.ended_at
        ended_ns = parse_rfc3339(ended_at) if ended_at else sealed.call_ns(record.call_id)
        day = self._local(ended_ns).date().isoformat()
        return SegmentPlace(index.folder_name(epoch, last_day if is_overflow(epoch) else None), day), recipient

    def _entry_of(self, record: CallRecord) -> Entry:
        printed = self._parse_smdr(record.smdr, sealed.call_ns(record.call_id)) if record.smdr else None
        extension = self._extensions.get(record.line) or (printed.extension if printed else "")
        return Entry.of(record, extension, printed.number if printed else "")

    def _segment(self, place: SegmentPlace, call_id: str) -> _Segment:
        segment = self._open.get(place)
        if segment is None or (len(segment.entries) >= index.MOST_ENTRIES and call_id not in segment.entries):
            segment = self._open[place] = _Segment(self._free(place))
        self._open.move_to_end(place)
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
        return segment

    def _free(self, place: SegmentPlace) -> Path:
        """Returns the path of the next segment of that epoch and day, in an existing folder without temporary files."""
        folder = self._root / place.folder
        folders.make(self._root.parent, folder)
        files.remove_temporary(folder)
        taken = [found[1] for path in folder.iterdir() if (found := index.parse_segment(path.name))
                 and found[0].isoformat() == place.day]  # fmt: skip
        return folder / index.segment_name(place.day, max(taken, default=0) + 1)

    def _local(self, utc_ns: int) -> datetime:
        return local_time(utc_ns, zone_of(self._zone))


class _Segment:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[str, Entry] = {}


# --- The end of an index ----------------------------------------------------------------------------------------------


UNDATED_EVERY_NS = NS_PER_DAY
LOOK_EVERY_NS = 3600 * NS_PER_S  # longest interval

log = logging.getLogger("linetap.recorder.vault")


class IndexEnd:
    """The removal of indexes. May raise OSError; the next tick continues."""

    def __init__(self, vault: Path, zone: str, unit_log: UnitLog) -> None:
        self._vault, self._root, self._zone, self._log = vault, vault / index.FOLDER, zone, unit_log
        self._look_ns = 0  # retention time before which nothing ends
        self._undated_ns = 0
        self._calls_went = True

    def calls_were_destroyed(self) -> None:
        """Records that calls were destroyed: a segment without a day may be over."""
        self._calls_went = True

    def tick(self, now_ns: int | None, next_ns: int | None = None) -> None:
        """Removes the folder of at most one epoch that is over, and once a day segments without calls.

        `next_ns`: the end of the call that is destroyed next. The index of its day stays, even if the day ended earlier
        by present zone data.
        """
        if now_ns is None:
            return
        if self._calls_went and now_ns >= self._undated_ns:
            self._end_undated()
            self._calls_went, self._undated_ns = False, now_ns + UNDATED_EVERY_NS
        if now_ns < self._look_ns:
            return
        ends = sorted(
            (end_of_ns(last_day, self._zone), name)
            for name in folders.names(self._root)
            if (found := index.parse_folder(name)) and (last_day := found[1])
        )
        first_kept = None if next_ns is None else day_of_end(from_utc_ns(next_ns), self._zone)
        failed = None
        for ends_ns, name in ends:
            if ends_ns > now_ns:
                break
            found = index.parse_folder(name)
            if first_kept is not None and found is not None and found[1] is not None and found[1] >= first_kept:
                self._look_ns = now_ns  # the index ends with its calls
                return
            try:
                _remove(self._root / name)
                return
            except OSError as error:  # continue with the others
                failed = error
        later = [ends_ns for ends_ns, _ in ends if ends_ns > now_ns]
        self._look_ns = min([*later, now_ns + LOOK_EVERY_NS])
        if failed is not None:
            raise failed

    def _end_undated(self) -> None:
        """Removes a segment of an overflow epoch after the last of its calls, which had no day at their seal. These
        calls are found in the log, since the unit cannot read the segment.
        """
        undated = [name for name in folders.names(self._root) if (found := index.parse_folder(name)) and not found[1]]
        if not undated:
            return
        calls: dict[str, set[str]] = {f"{name}/{file}": set() for name in undated for file in self._files(name)}
        for line in self._log.leaves(0):
            if b'"index"' in line and (leaf := _index_leaf(line)) is not None and leaf.file in calls:
                calls[leaf.file].add(leaf.call_id or "")  # an adopted segment names no call, and stays
        for file, named in calls.items():
            if named and all(call_id and is_missing(self._vault / sealed.call_path(call_id)) for call_id in named):
                (self._root / file).unlink()
                log.info("index %s: removed, its calls are gone", file)
        for name in undated:
            if not self._files(name):
                _remove(self._root / name)

    def _files(self, name: str) -> list[str]:
        return [file for file in folders.names(self._root / name) if index.parse_segment(file)]


def _index_leaf(line: bytes) -> Leaf | None:
    try:
        found = jsontext.decode(line, type=Leaf)
        if found.call_id is not None:
            sealed.call_ns(found.call_id)
    except (ValueError, LinetapError):
        return None
    return found if found.kind == "index" else None


def remove_epoch(vault: Path, epoch: str) -> None:
    """Removes the index of an epoch after the destruction of its key."""
    root = vault / index.FOLDER
    for name in folders.names(root):
        if (found := index.parse_folder(name)) and found[0] == epoch:
            _remove(root / name)


def _remove(folder: Path) -> None:
    for name in folders.names(folder):
        (folder / name).unlink()
    folder.rmdir()
    files.sync_directory(folder.parent)
    log.info("index of %s: removed, its time is over", folder.name)
