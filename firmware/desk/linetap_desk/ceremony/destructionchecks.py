# SPDX-License-Identifier: Apache-2.0
"""Checks before an epoch's key is destroyed that the desk has the new keys and the ciphertext of all calls that outlive
it.

These are held calls, and calls sealed to a foreign epoch: an overflow epoch, or a pending class. A held call that was
re-wrapped for the epoch counts too: its hold names the record's epoch, whose key is gone. Nothing else keeps a key
alive, not even a silent or dead unit.

A hold that only the log of its unit has keeps the key too: the folder of holds may be an older copy (heldbylog.py).

A hold or re-wrapping without a vault officer's signature proves nothing, not even its epoch: it keeps every key until a
person has examined it. The same applies if no officer has checked that its key opens (`linetap hold check`).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from linetap_core.clock import NS_PER_MS, NS_PER_S, from_utc_ns, parse_rfc3339
from linetap_core.errors import LinetapError, Refusal
from linetap_core.evidence.authorization.command import VAULT
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.calls.hold import Hold, Rewrap
from linetap_core.evidence.sealing.keylist import is_overflow
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallRecord, CountedMoment
from linetap_core.timekeeping import is_unkept
from linetap_desk.ceremony.certificate import WITHIN
from linetap_desk.ceremony.heldbylog import held_calls
from linetap_desk.inputs import strict
from linetap_desk.proofs import amendments, callfolder
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.unsealing.wrapped import require_checked

_ZONES_MOVE = timedelta(hours=26)  # from UTC-12 to UTC+14
_CLOCK_TRUSTED_NS = round(WITHIN.total_seconds()) * NS_PER_S  # after the epoch's end: it is destroyed by then


def missing(
    epoch: str, copy: Path, holds: Path, now_ns: int, ended_ns: int | None, roles: Roles | None
) -> Iterator[str]:
    """A line for each call that would be lost with the epoch's key. `copy`: a vault, or a folder of vaults. `ended_ns`:
    the end of the epoch, None for an overflow epoch. `roles`: those in force; without them any valid signature
    counts."""
    over_by_ns = None if ended_ns is None else min(now_ns, ended_ns + _CLOCK_TRUSTED_NS)
    vaults = [copy, *(each for each in sorted(copy.iterdir()) if each.is_dir())]
    found: list[tuple[Path, Hold | Rewrap, bytes, str]] = []
    for path in _documents(holds):
        try:
            found.append((path, *_signed_document(path, roles)))
        except (Refusal, ValueError) as error:
            yield f"{path}: {error}"
    # By the record's hash: two units may have calls of the same id.
    rewrapped = {each.record_sha256 for _, each, _, _ in found if isinstance(each, Rewrap) and each.epoch == epoch}
    wrapped: set[str] = set()
    refused: set[str] = set()
    for path, document, data, signer in found:
        try:
            again = isinstance(document, Hold) and document.record_sha256 in rewrapped
            if not (again or document.from_epoch == epoch) or _is_over(document, over_by_ns):
                continue
            _require_key(document, path.parent)
            if roles is not None:
                require_checked(path, data, roles, signer)
            _require_ciphertext(document, vaults)
        except (Refusal, ValueError, OSError) as error:
            refused.add(document.record_sha256)
            yield f"{path}: {error}"
            continue
        wrapped.add(document.record_sha256)
    for call in held_calls(vaults, over_by_ns):
        is_of_epoch = call.epoch == epoch or call.record_sha256 in rewrapped
        if is_of_epoch and call.record_sha256 not in wrapped | refused:
            held = f"its unit's log holds it until {call.until or 'further notice'}"
            yield f"{call.call_dir}: {held}, and no hold that stands is in {holds}"
    for call_dir, record_sha256 in _foreign_recordings(epoch, vaults):
        if not record_sha256:
            yield f"{call_dir / sealed.RECORD}: cannot be read"
        elif record_sha256 not in wrapped:
            yield f"{call_dir}: sealed to {epoch} until it is re-wrapped, and is not in {holds}"


def _documents(holds: Path) -> Iterator[Path]:
    """All holds and re-wrappings in the folder and its subfolders. A Refusal for an unreadable folder, which a glob
    would leave out."""
    for folder in [holds, *sorted(_entries(holds))] if holds.exists() else []:
        there = {path.name for path in _entries(folder)}
        yield from (folder / name for name in (hold.HOLD, hold.REWRAP) if name in there)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except NotADirectoryError:
        return []
    except OSError as error:
        raise Refusal(f"{folder}: {error.strerror}: it may have holds") from None


def _signed_document(path: Path, roles: Roles | None) -> tuple[Hold | Rewrap, bytes, str]:
    """The document, its bytes, and its signer."""
    data = callfolder.read(path, hold.LIMIT_BYTES)
    armored = callfolder.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES)
    key = sshsig.check(data, armored, namespaces.HOLD)
    person = None if roles is None else roles.holder(key)
    if roles is not None and (person is None or person.role != VAULT):
        raise Refusal("not signed by a vault officer: have one sign it, or remove it")
    return hold.decode(data), data, "" if person is None else person.name


def reason_unproven(copy: Path, epoch: str, ended_ns: int) -> str | None:
    """The reason why the units' counted time does not prove that an epoch is over; None if it does.

    Every call of the epoch in the copies must be as old as its retention period. Its age is the time that its unit
    counted between the call's record and the newest record. Without such calls, one call must prove by its age that the
    day is past. A record's clock alone proves nothing: it may be wrong by decades.
    """
    vaults = [copy, *(each for each in sorted(copy.iterdir()) if each.is_dir())]
    newest: dict[tuple[str, str], int] = {}
    found: list[_CountedTime] = []
    for call_dir in itertools.chain.from_iterable(map(callfolder.calls, vaults)):
        if (call := _counted_time(call_dir)) is None:
            continue
        found.append(call)
        if call.moment is not None:
            newest[call.memory] = max(newest.get(call.memory, 0), call.moment.ms)
    young = of_epoch = 0
    past = False
    for call in found:
        age_ns = 0 if call.moment is None else (newest[call.memory] - call.moment.ms) * NS_PER_MS
        if call.epoch == epoch and call.until_ns is not None:
            of_epoch += 1
            young += age_ns < call.until_ns - call.ended_ns
        past |= call.kept and call.ended_ns < ended_ns <= call.ended_ns + age_ns
    if young:
        return f"{young} of its {of_epoch} calls in {copy} have not been counted to be as old as they have to be"
    return None if of_epoch or past else f"no call in {copy} is counted to be so much older than another"


def last_until(copy: Path, epoch: str, ended: datetime) -> datetime | None:
    """The latest `until` of a call of that epoch in the copies, or None. Each unit computed it with its zone data of
    that time. A value further from `ended` than zone data ever moved is ignored."""
    if not copy.is_dir():
        return None
    found = None
    for call_dir in itertools.chain.from_iterable(
        map(callfolder.calls, [copy, *(each for each in sorted(copy.iterdir()) if each.is_dir())])
    ):
        call = _counted_time(call_dir)
        if call is not None and call.epoch == epoch and call.until_ns is not None:
            until = from_utc_ns(call.until_ns)
            if abs(until - ended) <= _ZONES_MOVE and (found is None or until > found):
                found = until
    return found


class _CountedTime(NamedTuple):
    """The data for a call's age. `kept`: by a synchronised clock."""

    epoch: str
    ended_ns: int
    until_ns: int | None
    memory: tuple[str, str]  # the unit, and the name of its counted time
    moment: CountedMoment | None
    kept: bool


def _counted_time(call_dir: Path) -> _CountedTime | None:
    """The call's data. None for unrecorded or unreadable calls, which prove nothing."""
    try:
        record = strict.decode(callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES), CallRecord)
        last = amendments.newest(amendments.home(call_dir), record.call_id)
        kept, moment = record.retention, record.counted or None
        until = last.until if last is not None else kept.until if kept is not None else None
        ended = last.ended_at if last is not None else record.actual.ended_at if record.actual else record.ended_at
        ended_ns = parse_rfc3339(ended) if ended else sealed.call_ns(record.call_id)
        until_ns = None if until is None else parse_rfc3339(until)
    except (LinetapError, ValueError):
        return None
    if kept is None or not record.files:
        return None
    memory = (record.unit, moment.memory if isinstance(moment, CountedMoment) else "")
    by_kept = record.clock is not None and not is_unkept(record.clock, ended_ns)
    return _CountedTime(kept.epoch, ended_ns, until_ns, memory, moment or None, by_kept)


def _is_over(document: Hold | Rewrap, by_ns: int | None) -> bool:
    """Whether a hold ended before `by_ns`. A clock put forward ends no hold: `by_ns` is at most a day after the epoch's
    end, which has other proofs than the clock; for an overflow epoch, without such an end, it is None."""
    return isinstance(document, Hold) and by_ns is not None and parse_rfc3339(document.until) <= by_ns


def _require_key(document: Hold | Rewrap, folder: Path) -> None:
    if hashlib.sha256(callfolder.read(folder / sealed.KEY, KEY_LIMIT_BYTES)).hexdigest() != document.key_sha256:
        raise Refusal(f"{sealed.KEY} beside it is not the one it names")


def _require_ciphertext(document: Hold | Rewrap, vaults: list[Path]) -> None:
    """Requires the held call's record, and every file that it names except the key to be destroyed."""
    place = sealed.call_path(document.call_id)
    call_dirs = [vault / place for vault in vaults if _has_record(vault / place)]
    if not call_dirs:
        raise Refusal(f"the ciphertext of {document.call_id} is not in the copy of the vault")
    for call_dir in call_dirs:
        data = callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
        if hashlib.sha256(data).hexdigest() == document.record_sha256:
            break
    else:
        raise Refusal(f"{call_dirs[0] / sealed.RECORD}: not the record that was held")
    for name, sha256 in strict.decode(data, CallRecord, call_dir / sealed.RECORD).files.items():
        if name != sealed.KEY and callfolder.digest(call_dir / name).sha256 != sha256:
            raise Refusal(f"{call_dir / name}: not as it was sealed")


def _has_record(call_dir: Path) -> bool:
    """Whether there is a record, readable or not."""
    try:
        return (call_dir / sealed.RECORD).is_file()
    except PermissionError:
        raise
    except OSError:  # the medium has lost it
        return True


def _foreign_recordings(epoch: str, vaults: list[Path]) -> Iterator[tuple[Path, str]]:
    """Folder and hash of the record of the recordings that are sealed to a foreign epoch.

    An unreadable record does not state its epoch: it may be sealed to the overflow epoch, but keeps no day's key.
    """
    overflow = is_overflow(epoch)
    for call_dir in itertools.chain.from_iterable(map(callfolder.calls, vaults)):
        if not _has_record(call_dir):
            continue
        try:
            data = callfolder.read(call_dir / sealed.RECORD, sealed.RECORD_LIMIT_BYTES)
            record = strict.decode(data, CallRecord)
        except (callfolder.Damaged, ValueError):
            if overflow:
                yield call_dir, ""
            continue
        kept = record.retention
        if record.files and kept is not None and kept.epoch == epoch and (overflow or kept.class_pending is True):
            yield call_dir, hashlib.sha256(data).hexdigest()
