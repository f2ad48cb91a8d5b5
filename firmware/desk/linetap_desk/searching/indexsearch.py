# SPDX-License-Identifier: Apache-2.0
"""Searches the indexes of vaults: selects the segments that may contain a call and the keys that open them, compares
them with the log, and returns their matching entries.

The name of a private file states the epoch whose index it opens, as `linetap keygen epochs` writes it:
`2027-01-24.index.txt` only that day's, `overflow-2.txt` that overflow epoch's. A file of any other name is tried on
every epoch if it was given itself; in a folder only the names above count.

Several segments are opened in parallel, in case each needs a process of stock `age` (decision 0054). Segments that
could not be opened are counted: an incomplete search does not prove that there is no call.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from linetap_core.clock import from_utc_ns
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.evidence.sealing import group
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.ceremony.sheets import INDEX
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder, headtime
from linetap_desk.unsealing import stockage
from linetap_desk.vaultproofs.logclaims import LogClaims
from linetap_desk.witnessing import signedheads

ALTERED, FOREIGN = "changed since the unit wrote it", "not in the unit's log"
REMOVED = "in the unit's log, and missing"
_OF_INTEREST = (b'"index"', b'"close"', b'"destruction"')
_DAY = timedelta(days=1)


class IndexLog:
    """Compares segments with the vault's log, read once: a segment that differs from the log is not searched. `why`:
    the reason why the log confirms no segment; then all of them are searched. None if it does."""

    def __init__(self, vault: Path, signers: list[Signer] | None) -> None:
        self._root = vault / index.FOLDER
        self._named = LogClaims()
        self._today = date.max
        self.why = self._read(vault / unitlog.FOLDER, signers)

    def refuses(self, segment: Path, data: bytes) -> str | None:
        """The reason why these bytes are rejected, or None."""
        if not self._named.has_index_leaves:
            return None
        known = self._named.segments.get(segment.relative_to(self._root).as_posix())
        if known is None:
            return FOREIGN
        return None if known.may_have(hashlib.sha256(data).hexdigest()) else ALTERED

    def missing(self, low: date, high: date) -> Iterator[str]:
        """Epochs of segments of these days that the log has and the vault lacks. A segment is removed with its
        epoch."""
        for name, known in self._named.segments.items():
            folder, _, file = name.partition("/")
            epoch, last_day = index.parse_folder(folder) or ("", None)
            day, _ = index.parse_segment(file) or (date.max, 0)
            over = epoch in self._named.destroyed_epochs or (last_day is not None and last_day - self._today <= _DAY)
            if low <= day <= high and not over and not known.may_be_missing and not (self._root / name).is_file():
                yield epoch

    def _read(self, folder: Path, signers: list[Signer] | None) -> str | None:
        if not folder.is_dir():
            return "no log"
        try:
            head = signedheads.read_head(folder / unitlog.HEAD, signers).head
            root, size = "", 0
            for tree, _ in leaflog.hashes(map(self._checked_line, leaflog.lines_of(folder / leaflog.LEAVES))):
                root, size = tree.root().hex(), tree.size
        except (Refusal, OSError) as error:
            self._named = LogClaims()
            return f"its log cannot be used: {error}"
        self._today = from_utc_ns(headtime.by_now(head.at)).date()
        if (root, size) != (head.root, head.size):
            self._named = LogClaims()
            return "its log does not match its head: `linetap verify` gives details"
        if not self._named.has_index_leaves:
            return "written by a version that did not log it"
        return None if signers is not None else "no --signers"

    def _checked_line(self, line: bytes) -> bytes:
        if any(kind in line for kind in _OF_INTEREST):
            with contextlib.suppress(ValueError):  # the root proves that the unit wrote it
                self._named.check_leaf(strict.decode(line, Leaf))
        return line


SUFFIX = ".txt"
_MOST_FILES = 50_000  # in a folder: 20 years of days, twice, with the keys of the calls
_MOST_OTHERS = 100


class IndexKeys:
    def __init__(self, paths: Iterable[Path]) -> None:
        """`paths`: identity files, and folders of them. BadInput for a file that is no key of an index."""
        self._named: dict[str, list[Path]] = {}
        self._others: list[Path] = []
        for path in paths:
            if path.is_dir():
                self._add_key_folder(path)
            else:
                self._add_key_file(path)
        if len(self._others) > _MOST_OTHERS:
            raise BadInput(f"more than {_MOST_OTHERS} keys without an epoch's name: a folder of them expected")

    def of(self, epoch: str) -> list[Path]:
        """The files for this epoch; empty if none was given."""
        return [*self._named.get(epoch, []), *self._others]

    def _add_key_folder(self, folder: Path) -> None:
        names = os.listdir(folder)
        if len(names) > _MOST_FILES:
            raise BadInput(f"{folder}: more than {_MOST_FILES} files; a folder of index keys expected")
        known = {name: epoch for name in sorted(names) if (epoch := epoch_of(name))}
        if not known:
            raise BadInput(f"{folder}: no key of an index in it; 2027-01-24{INDEX}{SUFFIX} expected")
        for name, epoch in known.items():
            self._named.setdefault(epoch, []).append(folder / name)

    def _add_key_file(self, path: Path) -> None:
        stockage.check_identity_file(path)
        found = index.parse_folder(path.name.removesuffix(SUFFIX))
        if found is not None and found[1] is not None:
            raise BadInput(f"{path}: the key of that day's calls; {found[0]}{INDEX}{SUFFIX} expected")
        if epoch := epoch_of(path.name):
            self._named.setdefault(epoch, []).append(path)
        else:
            self._others.append(path)


def epoch_of(name: str) -> str | None:
    """The epoch of the index that a file of this name opens; None if the name states no epoch."""
    stem = name.removesuffix(SUFFIX)
    if stem == name:
        return None
    found = index.parse_folder(stem.removesuffix(INDEX))
    if found is None or (found[1] is None) != (stem == stem.removesuffix(INDEX)):
        return None  # a day's other key, or an invalid name
    return found[0]


try:
    import pyrage
except ImportError:  # not packaged by Debian
    pyrage = None

_KEY_LIMIT_BYTES = 64 * 1024
_SECRET = "AGE-SECRET-KEY-1"


def decrypt_segment(ciphertext: bytes, identities: list[Path]) -> bytes:
    """The plaintext of an index segment. Uses the identity files that fit; for a group, those of enough officers.
    DoesNotOpen if none fits.

    Uses pyrage in this process, if it is installed and the identities are unencrypted: stock `age` would need a process
    for each segment. All other identities, and every recording, are opened by stock `age` only (decision 0007 and
    decision 0054).
    """
    try:
        return group.open_whole(ciphertext, lambda layer: _layer(layer, identities))
    except Refusal as error:
        raise stockage.DoesNotOpen(str(error)) from None


def _layer(ciphertext: bytes, identities: list[Path]) -> bytes:
    if pyrage is None or (secrets := _in_the_clear(identities)) is None:
        return stockage.decrypt(ciphertext, identities)
    try:
        return bytes(pyrage.decrypt(ciphertext, [pyrage.x25519.Identity.from_str(secret) for secret in secrets]))
    except (pyrage.DecryptError, pyrage.IdentityError) as error:
        raise stockage.DoesNotOpen(str(error)) from None


def _in_the_clear(identities: list[Path]) -> list[str] | None:
    """The secrets in these files; None if a file contains anything else, or cannot be read."""
    found = []
    for path in identities:
        try:
            with path.open("rb") as file:
                text = file.read(_KEY_LIMIT_BYTES).decode("ascii")
        except (OSError, UnicodeDecodeError):
            return None
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        if not lines or not all(line.startswith(_SECRET) for line in lines):
            return None
        found += lines
    return found


NO_KEY, DESTROYED, CLOSED, UNREADABLE = "no key given", "key destroyed", "does not open", "damaged"
MOST_SEGMENTS = 200_000
_ZONES = timedelta(days=1)  # the unit's zone may differ from the desk's
_CERTIFICATES = "certificates"  # in a vault: certificates of destroyed keys that its unit received


@dataclass(frozen=True, slots=True)
class Segment:
    vault: Path
    path: Path
    epoch: str
    day: date


@dataclass(slots=True)
class Result:
    """The result. `found`: for each call the vaults whose index has it, and the entry. `closed`: reason -> the epochs
    not searched."""

    found: dict[tuple[str, str], tuple[list[Path], Entry]] = field(default_factory=dict)  # by unit and call
    closed: dict[str, set[str]] = field(default_factory=dict)

    def add(self, vault: Path, entry: Entry) -> None:
        """Adds an entry. A call listed twice, or in two copies of a vault, counts once; its last entry counts."""
        vaults = self.found.get((entry.unit, entry.call_id), ([], entry))[0]
        self.found[entry.unit, entry.call_id] = ([*vaults, vault], entry)


def segments_of(
    vault: Path, first: date | None = None, last: date | None = None, also: Collection[date] = ()
) -> Iterator[Segment]:
    """The segments that may contain calls begun from `first` to `last`: a call ends on the day of its begin, or the
    next. `also`: days after which a wrong clock named calls of that time. A Refusal if there are too many segments."""
    low, high = days_of(first, last)
    count = 0
    for folder in _entries(vault / index.FOLDER):
        if (known := index.parse_folder(folder.name)) is None:
            continue
        for path in _entries(folder):
            if (count := count + 1) > MOST_SEGMENTS:
                raise Refusal(f"{vault / index.FOLDER}: more than {MOST_SEGMENTS} files")
            if (named := index.parse_segment(path.name)) and (low <= named[0] <= high or named[0] in also):
                yield Segment(vault, path, known[0], named[0])


def days_of(first: date | None, last: date | None) -> tuple[date, date]:
    """The days of segments that may hold calls begun from `first` to `last`."""
    low = date.min if first is None else first - _ZONES
    return low, date.max if last is None else last + _ZONES + timedelta(days=1)


def search(
    segments: list[Segment], keys: IndexKeys, wanted: Callable[[Entry], bool], logs: Mapping[Path, IndexLog]
) -> Result:
    """The entries for which `wanted` returns True, in the order of the segments; `wanted` may raise BadIndex. `logs`:
    by vault."""
    result = Result()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for segment, opened in zip(
            segments, pool.map(lambda each: _search_segment(each, keys, wanted, logs), segments), strict=True
        ):
            if isinstance(opened, str):
                result.closed.setdefault(opened, set()).add(segment.epoch)
                continue
            for entry in opened:
                result.add(segment.vault, entry)
    return result


def spans(epochs: set[str]) -> str:
    """`2027-01-01 to 2027-01-09, overflow-2`: consecutive days are joined."""
    words: list[list[str]] = []
    for epoch in sorted(epochs):
        if words and _next_day(words[-1][-1]) == epoch:
            words[-1] = [words[-1][0], epoch]
        else:
            words.append([epoch])
    return ", ".join(" to ".join(word) for word in words)


def _search_segment(
    segment: Segment, keys: IndexKeys, wanted: Callable[[Entry], bool], logs: Mapping[Path, IndexLog]
) -> list[Entry] | str:
    """The matching entries of a segment, or the reason why it was not searched."""
    files = keys.of(segment.epoch)
    destroyed = (segment.vault / _CERTIFICATES / f"{segment.epoch}.json").exists()
    if not files:
        return DESTROYED if destroyed else NO_KEY
    try:
        ciphertext = callfolder.read(segment.path, index.SEGMENT_LIMIT_BYTES)
        if (log := logs.get(segment.vault)) and (refused := log.refuses(segment.path, ciphertext)):
            return refused
        data = decrypt_segment(ciphertext, files)
        return [entry for entry in index.decode(data) if wanted(entry)]
    except stockage.DoesNotOpen:
        return DESTROYED if destroyed else CLOSED
    except (callfolder.Damaged, index.BadIndex):
        return UNREADABLE


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _next_day(epoch: str) -> str:
    try:
        return (date.fromisoformat(epoch) + timedelta(days=1)).isoformat()
    except (ValueError, OverflowError):
        return ""
