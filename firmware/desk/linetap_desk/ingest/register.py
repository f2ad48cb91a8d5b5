# SPDX-License-Identifier: Apache-2.0
"""The register of units: the named units, their last reports, their retained messages at the broker, and their
alerts."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import unitnames
from linetap_core.evidence.signing.signers import Signer
from linetap_core.records import Severity
from linetap_desk.ingest.heads import HeadReport
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.share import ALL_UNITS, Share
from linetap_desk.ingest.tables import unit_alerts, units
from linetap_desk.inputs import strict
from linetap_desk.inputs.reloadedfile import ReloadedFile
from linetap_desk.inputs.strict import Status, Word
from linetap_desk.proofs.callfolder import load_signers

LIMIT_BYTES = 64 << 10
MOST_STRANGERS = 1000  # units not named in the signers' file


@dataclass(frozen=True, slots=True)
class UnitMessage:
    """A message of `status`, `health` or `alert/<check>`. It is unsigned: it may trigger a request, and proves
    nothing."""

    unit: str
    topic: Literal["status", "health", "alert"]
    payload: bytes
    received_ns: int
    check: str = ""

    def decode[T](self, kind: type[T]) -> T | None:
        """The decoded payload; None if it is too long or unreadable."""
        if len(self.payload) > LIMIT_BYTES:
            return None
        try:
            return strict.decode(self.payload, kind)
        except (ValueError, RecursionError):
            return None


Arrival = Report | HeadReport | UnitMessage


class OutboxHealth(msgspec.Struct):
    at: Word
    outbox_seq: Annotated[int, Meta(ge=0, lt=1 << 62)]


class SignerNames:
    """The units that a signers' file names, cached, since the same few are looked up repeatedly."""

    def __init__(self, signers: Sequence[Signer] = ()) -> None:
        self._signers = signers
        self._known: dict[str, bool] = {}

    def in_full(self) -> set[str]:
        """The units that a line names in full, not by a pattern."""
        names = (name for signer in self._signers if signer.is_unit for name in signer.principals.split(","))
        return set(filter(unitnames.is_name, names))

    def belong_to(self, signers: Sequence[Signer]) -> bool:
        return signers is self._signers

    def has(self, unit: str) -> bool:
        if unit not in self._known:
            if len(self._known) >= 10 * MOST_STRANGERS:
                self._known.clear()
            self._known[unit] = any(signer.is_named(unit) for signer in self._signers)
        return self._known[unit]


def register_units(db: Connection, batch: Sequence[Arrival], names: SignerNames) -> set[str]:
    """Adds a row for every unit of the batch, and returns the units. Strangers beyond MOST_STRANGERS are left out: a
    publisher could fill the disk with unit names."""
    by_unit: dict[str, list[Arrival]] = {}
    for arrival in batch:
        by_unit.setdefault(arrival.unit, []).append(arrival)
    wanted = select(units.c.unit, units.c.state, units.c.session).where(units.c.unit.in_(by_unit))
    reported = {unit: (state, session) for unit, state, session in db.execute(wanted)}
    strangers = {unit for unit in by_unit if unit not in reported and not names.has(unit)}
    room = MOST_STRANGERS - _unknown_units(db) if strangers else 0
    accepted = [unit for unit in by_unit if unit not in strangers] + sorted(strangers)[: max(0, room)]
    changes: dict[tuple[str, ...], list[dict[str, Any]]] = {}  # by their changed columns
    for unit in accepted:
        values: dict[str, Any] = {"named": names.has(unit), "heard_at": rfc3339(by_unit[unit][-1].received_ns)}
        state, session = reported.get(unit, (None, None))
        for arrival in by_unit[unit]:
            if isinstance(arrival, UnitMessage) and arrival.topic != "alert":
                values |= _status_values(arrival, values.get("state", state), values.get("session", session))
        changes.setdefault(tuple(sorted(values)), []).append({"of": unit, **values})
    for changed in changes.values():
        if new := [{"unit": of, **values} for row in changed for of, values in [_split(row)] if of not in reported]:
            db.execute(insert(units), new)
        if old := [row for row in changed if row["of"] in reported]:
            db.execute(update(units).where(units.c.unit == bindparam("of")), old)
    return set(accepted)


def _split(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    its = dict(row)
    return its.pop("of"), its


def _unknown_units(db: Connection) -> int:
    return db.execute(select(func.count()).select_from(units).where(units.c.named.is_(False))).scalar_one()


def forget_states(db: Connection, share: Share = ALL_UNITS) -> None:
    db.execute(update(units).where(share.condition(units.c.unit)).values(state=None))


def _status_values(notice: UnitMessage, state: str | None, session: str | None) -> dict[str, Any]:
    """The columns to change; empty if the message is unreadable, or older than the known state."""
    if notice.topic == "health":
        health = notice.decode(OutboxHealth)
        return {} if health is None else {"outbox_seq": health.outbox_seq, "health_at": health.at}
    status = notice.decode(Status)
    return {} if status is None or status.is_late_will(state, session) else msgspec.structs.asdict(status)


MOST_ALERTS = 100  # for each unit: a publisher could fill the table with names of checks
_CHECK = re.compile(r"[a-z0-9_]{1,40}")


class KeptAlert(msgspec.Struct):
    severity: Severity
    since: str


def keep_alerts(db: Connection, notices: Sequence[UnitMessage]) -> None:
    """Stores the newest retained message of a batch for each alert. An empty payload removes the alert."""
    units: dict[str, dict[str, dict[str, Any] | None]] = {}
    for one in notices:
        if one.topic == "alert" and _CHECK.fullmatch(one.check):
            units.setdefault(one.unit, {})[one.check] = _alert_row(one)
    for unit, words in units.items():
        mine = unit_alerts.c.unit == unit
        db.execute(delete(unit_alerts).where(mine, unit_alerts.c.check.in_(words)))
        rows = [row for row in words.values() if row is not None]
        if rows:
            there = db.execute(select(func.count()).select_from(unit_alerts).where(mine)).scalar_one()
            rows = rows[: max(0, MOST_ALERTS - there)]
        if rows:
            db.execute(insert(unit_alerts), rows)


def forget_alerts(db: Connection, share: Share = ALL_UNITS) -> None:
    db.execute(delete(unit_alerts).where(share.condition(unit_alerts.c.unit)))


def _alert_row(message: UnitMessage) -> dict[str, Any] | None:
    """The row; None if the alert is removed or unreadable."""
    alert = message.decode(KeptAlert)
    if alert is None:
        return None
    since = "".join(character for character in alert.since[:40] if character.isprintable())
    return {"unit": message.unit, "check": message.check, "severity": alert.severity, "since": since}


# --- The current signers' file: an added unit is accepted without a restart -------------------------------------------


log = logging.getLogger("linetap.ingest")


class SignersFile(ReloadedFile[list[Signer]]):
    def __init__(self, path: Path) -> None:
        """BadInput if the file cannot be used."""
        super().__init__(path, load_signers, log, "signers_unread")

    def units(self) -> list[str]:
        """The units, if every line names its unit in full. BadInput if a line has a pattern."""
        names = {name for signer in self.now() if signer.is_unit for name in signer.principals.split(",")}
        if odd := sorted(name for name in names if not unitnames.is_name(name)):
            raise BadInput(f"{self.path}: {odd[0]}: with `shares` each line names its unit in full")
        return sorted(names)
