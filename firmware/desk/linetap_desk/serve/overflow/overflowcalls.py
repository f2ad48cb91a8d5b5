# SPDX-License-Identifier: Apache-2.0
"""Finds the calls of the second copy that are sealed to an overflow epoch, and the progress of each.

There is no separate state: a call is re-wrapped if a signed rewrap.json is in the desk's folder of holds, and checked
if another vault officer's signature is beside it, as `linetap epoch destroy` counts them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, desc, literal, select, tuple_

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import hold
from linetap_core.evidence.calls.hold import Rewrap
from linetap_core.evidence.sealing.keylist import is_overflow
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.zones import day_of_end
from linetap_desk.copy import recordfile
from linetap_desk.ingest.tables import amendments, copies
from linetap_desk.proofs import callfolder
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.release import callfiles
from linetap_desk.unsealing import wrapped
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX, Wrapped, verify_wrapped

MOST = 100  # per page, and per archive: of those that wait, and of the others
A_READ, MOST_LOOKED = 500, 20_000
_CHECK = f"{hold.REWRAP}{CHECK_SUFFIX}"


@dataclass(frozen=True, slots=True)
class OverflowCall:
    """A call. `row`: unit, call_id, record_sha256. `day`: by its unit's amendment; empty: an officer determines it by
    the class. `signer`: who re-wrapped it. `why`: why the desk has no readable copy."""

    row: Mapping[str, Any]
    epoch: str
    day: str
    rewrapped: Rewrap | None
    signer: str
    checked: bool
    why: str = ""

    @property
    def call_id(self) -> str:
        return str(self.row["call_id"])


def candidates(desk: Connection, after: Mapping[str, Any] | None = None) -> list[Mapping[str, Any]]:
    """Copies with a record without a day, and amended copies, oldest first, at most A_READ. `after`: the last row of
    the previous candidates."""
    columns = (copies.c.unit, copies.c.call_id, copies.c.record_sha256, copies.c.stored_at)
    same = (amendments.c.unit == copies.c.unit) & (amendments.c.call_id == copies.c.call_id)
    newest = select(amendments.c.until).where(same).order_by(desc(amendments.c.number)).limit(1).scalar_subquery()
    there = copies.c.removed_at.is_(None)
    undated = copies.c.until.is_(None) | newest.is_not(None)
    wanted = select(*columns, newest.label("amended_until")).where(there, undated)
    order = (copies.c.stored_at, copies.c.unit, copies.c.call_id)
    if after is not None:
        wanted = wanted.where(tuple_(*order) > tuple_(*(literal(after[column.name]) for column in order)))
    return [dict(row) for row in desk.execute(wanted.order_by(*order).limit(A_READ)).mappings()]


def may_be_done(site: Site, row: Mapping[str, Any]) -> bool:
    """Whether there is the signature of a check, unverified."""
    folder = folder_of(site, row)
    return folder is not None and (folder / _CHECK).exists()


def overflow_calls(site: Site, rows: Iterable[Mapping[str, Any]], roles: Roles | None) -> list[OverflowCall]:
    """The calls with a record that names an overflow epoch, or cannot be read."""
    found = []
    for row in rows:
        read = recordfile.read_record(site.settings.desk, row["unit"], row["call_id"], row["record_sha256"])
        retention = None if read.record is None else read.record.retention
        epoch = "" if retention is None else retention.epoch
        if is_overflow(epoch) or read.why:
            found.append(_of(site, row, epoch, roles, read.why))
    return found


def _of(site: Site, row: Mapping[str, Any], epoch: str, roles: Roles | None, why: str) -> OverflowCall:
    papers = stored_rewrap(site, row)
    day = day_of(row["amended_until"], site.pages.zone)
    if papers is None or roles is None:
        return OverflowCall(row, epoch, day, None, "", False, why)
    try:
        document = verify_wrapped(papers, papers.name, row["call_id"], row["record_sha256"], roles)
    except Refusal:
        document = None
    if not isinstance(document, Rewrap):
        return OverflowCall(row, epoch, day, None, "", False, why)
    signer = signer_of(papers, roles)
    return OverflowCall(row, epoch, day, document, signer, _is_checked(site, row, papers, roles, signer), why)


def day_of(until: str | None, zone: ZoneInfo) -> str:
    """The day that ends at `until`; empty without one."""
    return day_of_end(from_utc_ns(parse_rfc3339(until)), zone.key).isoformat() if until else ""


def folder_of(site: Site, row: Mapping[str, Any]) -> Path | None:
    """The folder for the call's re-wrapping: not one with a hold, or with another call's papers, since each has its own
    key.age. None if there is no free one."""
    return next((folder for folder in callfiles.hold_folders(site, row) if not _is_taken(folder, row)), None)


def _is_taken(folder: Path, row: Mapping[str, Any]) -> bool:
    try:
        named = record_of(callfolder.read(folder / hold.REWRAP, hold.LIMIT_BYTES))
    except callfolder.Damaged:
        named = ""
    return named != row["record_sha256"] if named else (folder / hold.HOLD).exists()


def record_of(document: bytes) -> str:
    """The hash of the record that the document names; empty if it cannot be read."""
    try:
        return hold.decode(document).record_sha256
    except Refusal:
        return ""


def stored_rewrap(site: Site, row: Mapping[str, Any]) -> Wrapped | None:
    """The call's stored re-wrapping, unverified."""
    folder = folder_of(site, row)
    return next((one for at, one in callfiles.hold_documents(site, row) if at == folder), None)


def signer_of(papers: Wrapped, roles: Roles) -> str:
    person = roles.holder(sshsig.check(papers.document, papers.sig, namespaces.HOLD))
    return "" if person is None else person.name


def _is_checked(site: Site, row: Mapping[str, Any], papers: Wrapped, roles: Roles, signer: str) -> bool:
    folder = folder_of(site, row)
    if folder is None:
        return False
    try:
        wrapped.require_checked(folder / papers.name, papers.document, roles, signer)
    except (Refusal, BadInput, OSError):
        return False
    return True


def papers_of(site: Site, row: Mapping[str, Any]) -> dict[str, bytes]:
    """The re-wrapping's files by name, with the check's signature if there is one."""
    found, folder = stored_rewrap(site, row), folder_of(site, row)
    if found is None or folder is None:
        return {}
    members = found.members()
    if (folder / _CHECK).exists():
        members[_CHECK] = callfolder.read(folder / _CHECK, sshsig.SIGNATURE_LIMIT_BYTES)
    return members
