# SPDX-License-Identifier: Apache-2.0
"""Held calls: vault/holds/<call_id>/ with hold.json, its signature, and the key.age for the hold's epoch.

A hold names a case and a legal basis and has an end; another hold renews it. While hold.json exists the call is not
destroyed; an unreadable hold.json counts until a person replaces it. A hold ends like a call: when its end has come and
its length was counted since its acceptance (vault/holdtimes.json). Used by the vault's thread alone.

A backup may have put back an older hold, or none: `compare` keeps each call whose hold is not the last one of the log.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.log.pastleaves import PastLeaf
from linetap.recorder.vault.retention import lifetime
from linetap.recorder.vault.retention.lifetime import Lifetime
from linetap.recorder.vault.retention.time import RetentionTime
from linetap_core import plainfile
from linetap_core.clock import NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.durable import broken, copies, files, folders
from linetap_core.durable.files import replace_durably
from linetap_core.durable.smallfile import SmallFile
from linetap_core.durable.unreadable import is_missing
from linetap_core.errors import CodedRefusal, Refusal
from linetap_core.evidence.calls import hold as evidence
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.hold import Hold
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallEvent, CountedMoment
from linetap_core.system import is_damage, is_out_of_reach

FOLDER = "holds"
TIMES = "holdtimes.json"  # in the vault
DOCUMENT = evidence.HOLD
SIGNATURE = f"{DOCUMENT}{namespaces.SUFFIX}"
COPY = f"hold{copies.SET_SUFFIX}"  # copy of all three files
MOST_HOLDS = 10_000
MOST_TIMES_BYTES = 1 << 22  # for this many holds
FOR_EVER = 1 << 63
RETRY_NS = 3600 * NS_PER_S
TEXT_LIMIT = 1000
_KEY_BYTES = 1 << 20  # a command, which brings it, has no more
_FILES = (sealed.KEY, SIGNATURE, DOCUMENT)
_KEPT = "the call stays held until a new hold replaces this one"

log = logging.getLogger("linetap.recorder.vault")


class HoldFault(CodedRefusal):
    """The reason for refusing a hold."""


class _Taken(msgspec.Struct, frozen=True):
    """The time of a hold's acceptance, and its length. `moment` None: accepted by an older version, at the time in the
    document, `at_ns`. `sha256` of the document, empty if an older version accepted it: an entry of another document
    does not count.
    """

    period_ns: int
    moment: CountedMoment | None = None
    at_ns: int | None = None
    sha256: str = ""


_FILE = SmallFile("holdtimes", dict[str, _Taken], MOST_TIMES_BYTES)


class Holds:
    def __init__(
        self, vault: Path, unit: str, unit_log: UnitLog, report: Callable[[CallEvent], None], time: RetentionTime
    ) -> None:
        self._vault, self._unit, self._log, self._report = vault, unit, unit_log, report
        self._time = time
        self._until: dict[str, int] = {}
        self._taken = _FILE.load(vault / TIMES) or {}  # if broken, a hold counts from the time in its document
        self._ending: dict[str, int] = {}  # ended, but their folders cannot be removed: when to try again
        self._is_unknown = False  # the folder cannot be read: no call is destroyed
        self._accepted = set[str]()  # since this start
        for path in self._folders():
            if not is_missing(path / DOCUMENT):
                self._until[path.name] = _until_of(path)
                self._taken[path.name] = self._taken_of(path)
            else:  # incomplete, with its command to be repeated; or ended, and its key must be removed
                shutil.rmtree(path, ignore_errors=True)

    def until(self, call_id: str) -> int | None:
        """Returns the end of this call's hold, or None if it is not held."""
        return self._until.get(call_id, FOR_EVER if self._is_unknown else None)

    def _taken_of(self, place: Path) -> _Taken:
        """The entry of the hold in this folder. Without one, as by an older version, its document's own time counts. An
        entry of another document does not: the rest of its time is counted again.
        """
        noted = self._taken.get(place.name)
        try:
            document = plainfile.read(place / DOCUMENT, evidence.LIMIT_BYTES)
            hold = read(document)
        except (OSError, Refusal):
            return noted or _Taken(0)  # such a call is held for ever
        digest, until_ns, made_ns = _sha256(document), parse_rfc3339(hold.until), parse_rfc3339(hold.made_at)
        if noted is None:
            return _Taken(max(0, until_ns - made_ns), at_ns=made_ns, sha256=digest)
        if noted.sha256 in ("", digest):
            return msgspec.structs.replace(noted, sha256=digest)
        return _Taken(max(0, until_ns - (self._time.now_ns or made_ns)), self._time.moment(), sha256=digest)

    def _folders(self) -> list[Path]:
        folder = self._vault / FOLDER
        try:
            names = folders.names(folder)
        except OSError as error:
            if not is_out_of_reach(error):
                raise
            broken.report(folder, f"{error.strerror}; no call is destroyed until it can be read at a start")
            self._is_unknown, names = True, []
        return [folder / name for name in names if sealed.CALL_ID.fullmatch(name)]

    def __len__(self) -> int:
        return len(self._until)

    def accept(self, document: bytes, signature: bytes, key_age: bytes, now_ns: int | None, at: str) -> Hold:
        """Stores a hold or its renewal, whose signature was checked. A repetition with the same `at` changes nothing.

        HoldFault for a call that is not in this vault, an end in the past, or a call whose own period is over; the last
        two are not checked if `now_ns` is None.
        """
        hold = read(document)
        until_ns = parse_rfc3339(hold.until)
        if now_ns is not None and until_ns <= now_ns:
            raise HoldFault("hold_ended", f"the hold ends at {hold.until}, and that is past")
        if hold.unit != self._unit or _sha256(key_age) != hold.key_sha256:
            raise HoldFault("hold_malformed", "the hold is of another unit, or key_age is not the one that it names")
        self._require_call(hold, now_ns)
        place = self._vault / FOLDER / hold.call_id
        folders.make(self._vault, place)
        self._until[hold.call_id] = max(until_ns, self._until.get(hold.call_id, 0))
        digest = _sha256(document)
        self._note(hold, now_ns, until_ns, digest)
        for name, data in ((sealed.KEY, key_age), (SIGNATURE, signature), (DOCUMENT, document)):
            replace_durably(place / name, data)
        copies.keep_set(place / COPY, _FILES)
        self._until[hold.call_id] = until_ns
        self._ending.pop(hold.call_id, None)
        self._accepted.add(hold.call_id)
        self._record(hold.call_id, at, None, until=hold.until, sha256=digest)
        return hold

    def compare(self, last: Mapping[str, PastLeaf]) -> None:
        """Compares the holds with the last leaf of each in the log, once all leaves are read. A call whose hold here is
        another, or is missing, is kept until a new hold replaces it.
        """
        for call_id, leaf in last.items():
            taken = self._taken.get(call_id)
            is_here = call_id in self._until and taken is not None and taken.sha256 == leaf.sha256
            if leaf.ended or is_here or call_id in self._accepted or self._until.get(call_id) == FOR_EVER:
                continue
            if self._is_unknown or not sealed.CALL_ID.fullmatch(call_id) or self._is_gone(call_id):
                continue
            self._until[call_id] = FOR_EVER
            why = f"not the last hold of the log, which is until {leaf.until}: an older copy, or a lost one"
            broken.report(self._vault / FOLDER / call_id / DOCUMENT, f"{why}; {_KEPT}")

    def _is_gone(self, call_id: str) -> bool:
        return is_missing(self._vault / sealed.call_path(call_id) / sealed.RECORD)

    def earlier(self, document: bytes) -> str:
        """Returns in words how this hold shortens the one in force; "": it does not. HoldFault if it is invalid."""
        hold = read(document)
        now_ns = self._until.get(hold.call_id, 0)
        if parse_rfc3339(hold.until) >= now_ns:
            return ""
        now = "a person has examined it, since it is damaged" if now_ns == FOR_EVER else rfc3339(now_ns)
        return f"{hold.call_id} is held until {now}, and would be until {hold.until}"

    def _note(self, hold: Hold, now_ns: int | None, until_ns: int, sha256: str) -> None:
        """Stores the time of acceptance. `now_ns` None: a repetition; a later moment does not shorten the hold."""
        from_ns = parse_rfc3339(hold.made_at) if now_ns is None else now_ns
        self._taken[hold.call_id] = _Taken(max(0, until_ns - from_ns), self._time.moment(), sha256=sha256)
        taken = {call_id: each for call_id, each in self._taken.items() if self._is_unknown or call_id in self._until}
        _FILE.replace(self._vault / TIMES, taken)

    def _is_old(self, call: Lifetime) -> bool:
        """Whether expiry would destroy the call. A call whose date alone has come can still be held."""
        return self._time.age_ns(call.sealed, call.at_ns) >= call.period_ns

    def _has_elapsed(self, call_id: str) -> bool:
        taken = self._taken.get(call_id)
        return taken is None or self._time.age_ns(taken.moment, taken.at_ns) >= taken.period_ns

    def _require_call(self, hold: Hold, now_ns: int | None) -> None:
        folder = self._vault / sealed.call_path(hold.call_id)
        try:
            data: bytes | None = plainfile.read(folder / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        except FileNotFoundError:
            raise HoldFault("hold_no_call", f"{hold.call_id} is not in this vault, or is not sealed") from None
        except OSError as error:
            if not is_damage(error):
                raise
            broken.report(folder / sealed.RECORD, f"{error.strerror}; the call is held without a comparison")
            data = None
        if data is not None and _sha256(data) != hold.record_sha256:
            raise HoldFault("hold_no_call", f"{hold.call_id} has another record than the hold names")
        if hold.call_id in self._until:
            return
        if len(self._until) >= MOST_HOLDS:
            raise HoldFault("hold_too_many", f"{MOST_HOLDS} calls are held, which is the bound")
        try:
            found, _ = lifetime.read(folder)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and not is_damage(error):
                raise
            return  # its end is unknown, so it is not over
        if now_ns is not None and found.until_ns is not None and found.until_ns <= now_ns and self._is_old(found):
            raise HoldFault("hold_too_late", f"the retention of {hold.call_id} is over")

    def end_those_over(self, now_ns: int) -> list[str]:
        """Ends holds that were not renewed: their calls may be destroyed."""
        over = [
            call_id
            for call_id, until_ns in self._until.items()
            if until_ns <= now_ns and self._ending.get(call_id, 0) <= now_ns and self._has_elapsed(call_id)
        ]
        for call_id in over:
            if call_id not in self._ending:
                until = rfc3339(self._until[call_id])
                self._record(call_id, until, "hold_ended", ended=True)  # dated by its end: a repetition is recognised
            try:
                self._remove(self._vault / FOLDER / call_id)
            except OSError as error:
                log.error("hold_not_ended: %s: %s; it is tried again later", call_id, error)
                self._ending[call_id] = now_ns + RETRY_NS
                continue
            del self._until[call_id]
            self._ending.pop(call_id, None)
            self._taken.pop(call_id, None)  # removed from the file with the next hold
            log.warning("hold_ended: %s is no longer held", call_id)
        return [call_id for call_id in over if call_id not in self._until]

    def _remove(self, place: Path) -> None:
        with contextlib.suppress(FileNotFoundError):  # the name was not synced the last time
            shutil.rmtree(place)
        files.sync_directory(place.parent)

    def _record(self, call_id: str, at: str, why: str | None, **fields: str | bool) -> None:
        self._log.append("hold", at=at, call_id=call_id, **fields)
        self._report(CallEvent(seq=0, event="held", at=at, unit=self._unit, call_id=call_id, why=why))


def read(document: bytes) -> Hold:
    """Reads a hold. HoldFault unless it has a call, a case, a basis and an end."""
    try:
        found = evidence.decode(document)
        sealed.call_time(found.call_id)
        parse_rfc3339(found.until)
        parse_rfc3339(found.made_at)
    except (Refusal, ValueError) as error:
        raise HoldFault("hold_malformed", f"not a hold: {error}") from None
    if not isinstance(found, Hold):
        raise HoldFault("hold_malformed", "not a hold: a re-wrapping is for the desk's own copy")
    for name in ("case", "basis"):
        if not 0 < len(getattr(found, name).strip()) <= TEXT_LIMIT:
            raise HoldFault("hold_malformed", f"{name}: 1 to {TEXT_LIMIT} characters expected")
    return found


def _until_of(place: Path) -> int:
    """The end of a hold, whose damaged files are restored from the copy. If that fails the call is held for ever: the
    files stay until a new hold replaces them.
    """
    why = _read_of(place)
    if isinstance(why, _Damaged) and copies.mend_set(place / COPY, why.error):
        why = _read_of(place)
    if isinstance(why, _Damaged):
        broken.report(place / why.name, f"{why.error}; {_KEPT}")
        return FOR_EVER
    copies.keep_set(place / COPY, _FILES)
    return why


class _Damaged(NamedTuple):
    name: str
    error: object


def _read_of(place: Path) -> int | _Damaged:
    name = DOCUMENT
    try:
        document = plainfile.read(place / DOCUMENT, evidence.LIMIT_BYTES)
        found = read(document)
        name = SIGNATURE
        sshsig.check_all(document, plainfile.read(place / SIGNATURE, sshsig.MOST_ARMORED_BYTES), namespaces.HOLD)
        name = sealed.KEY
        if _sha256(plainfile.read(place / sealed.KEY, _KEY_BYTES)) != found.key_sha256:
            raise HoldFault("hold_malformed", "not the key.age that the hold names")
        return parse_rfc3339(found.until)
    except (OSError, Refusal, sshsig.SignatureFault) as error:
        return _Damaged(name, error)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
