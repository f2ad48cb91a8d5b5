# SPDX-License-Identifier: Apache-2.0
"""Determines which vault of a unit is in use: after a new disk with the old key, an old disk that returned, or two at
once.

An unknown vault replaces the one in use. Events of the old vault stay; its missing events count as lost and are not
requested. Late events that a broker still holds are accepted. The old vault is in use again, with an alert, if one of
its events is dated after its end. Since a unit's clock may be wrong permanently, arrivals count too from an hour after
the end: those with an impossible time (1970) at once, others if they continue for an hour after the first of them,
since a broker that was unavailable delivers all its messages at once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from linetap_core.clock import FIRST_NS, NS_PER_S, parse_rfc3339, rfc3339
from linetap_core.vaultformat import vaultname
from linetap_desk.ingest.tables import alerts, events, heads, origins, units, vaults

NEW = "vault_new"  # an unknown vault: `first` is its number, `last` that of the vault before it
BACK = "vault_back"  # a replaced vault reports again: an old disk, or a copy of one
CLONE = "vault_clone"  # a replaced vault reports again while the other continues
LOST = "events_lost"  # events of the replaced vault that were never reported
FORK = "events_fork"  # two signed events with the same number: a copy of the disk, or a disk set back
CODES = (NEW, BACK, CLONE, LOST, FORK)
LATE_S = 3600  # before arrivals after a vault's end count; a broker may take as long to deliver its messages
MOST_CHAINS = 10_000  # chains of a unit: each start without its disk makes one

log = logging.getLogger("linetap.ingest")


def check_vaults(
    db: Connection, rows_by_chain: Mapping[Group, list[dict[str, Any]]], new: Collection[Group], now: str
) -> None:
    """Updates the vaults of a batch. `rows_by_chain`: rows of `events` being stored, before `origins` is updated;
    `new`: chains that did not exist before."""
    with_rows = {group: rows for group, rows in rows_by_chain.items() if rows}
    stored = _vaults_of(db, {unit for unit, _ in with_rows})
    for group, rows in with_rows.items():
        row = stored.get(group)
        if row is None and group in new:
            _begin(db, group, rows, stored, now)
            stored = stored | _vaults_of(db, {group[0]})
        elif row is not None and row.over_at is not None:
            in_use = _in_use(stored, group)
            if in_use is not None and _is_alive(db, row, in_use, rows):
                _use_again(db, row, in_use, now)
                stored = stored | _vaults_of(db, {group[0]})


def store_signed_number(db: Connection, group: Group, number: int) -> None:
    """Stores the vault's number as signed by the unit."""
    db.execute(update(vaults).where(*_is_vault(group)).values(signed=number))


def alert_fork(db: Connection, group: Group, seq: int, since: str, now: str) -> None:
    _alert(db, group, FORK, seq, seq, since, now)


def replaced(db: Connection, groups: Iterable[Group]) -> set[Group]:
    """The groups whose vault was replaced by another."""
    found = set(groups)
    wanted = select(vaults.c.unit, vaults.c.origin).where(
        vaults.c.over_at.is_not(None), vaults.c.unit.in_({unit for unit, _ in found})
    )
    return found & {(unit, origin) for unit, origin in db.execute(wanted)}


def ack_fields(db: Connection, groups: Collection[Group]) -> dict[Group, dict[str, str]]:
    """Fields of an `ack` for a named vault: its number and the previous vault until the unit has signed them, and the
    newest signed head of its log."""
    named = [group for group in groups if vault_of(group[1])]
    fields_by_chain: dict[Group, dict[str, str]] = {}
    if not named:
        return fields_by_chain
    stored = _vaults_of(db, {unit for unit, _ in named})
    for group in named:
        fields = fields_by_chain[group] = {"vault": vault_of(group[1])}
        row = stored.get(group)
        if row is not None and row.signed is None:
            fields |= {"number": str(row.number), "before": vault_of(row.before)}
        heads_of_log = (heads.c.unit == group[0], heads.c.origin == origin_of(group[1]), heads.c.code == "")
        head = db.execute(
            select(heads.c.head, heads.c.sig).where(*heads_of_log).order_by(heads.c.id.desc()).limit(1)
        ).first()
        if head is not None:
            fields |= {"head": bytes(head.head).decode("utf-8"), "sig": head.sig}
    return fields_by_chain


# --- one vault -----------------------------------------------------------------------------------------------------


def _begin(db: Connection, group: Group, rows: list[dict[str, Any]], stored: dict[Group, Row[Any]], now: str) -> None:
    unit, chain = group
    predecessor = _in_use(stored, group)
    if predecessor is None and (earlier := _earlier(db, group)) is not None:
        _insert(db, earlier[0], 1, "", earlier[1], now)
        predecessor = _vaults_of(db, {unit})[earlier[0]]
    if predecessor is None and not vault_of(chain):
        return  # the only chain of its key, as with units of earlier versions
    of_key = [row.number for (of, name), row in stored.items() if of == unit and _same_key(name, chain)]
    number = max([*of_key, 0 if predecessor is None else predecessor.number]) + 1
    if number > MOST_CHAINS:
        log.error("vault_new: %s has %d vaults; more are not distinguished", unit, MOST_CHAINS)
        return
    _insert(db, group, number, "" if predecessor is None else predecessor.origin, min(row["at"] for row in rows), now)
    if predecessor is None:
        return
    _end(db, (unit, predecessor.origin), now, min(row["at"] for row in rows))
    _alert(db, group, NEW, number, predecessor.number, now, now)
    log.error(
        "vault_new: %s: vault %d of its key began; events of vault %d that have not arrived are lost",
        unit,
        number,
        predecessor.number,
    )


def _is_alive(db: Connection, row: Row[Any], in_use: Row[Any], rows: list[dict[str, Any]]) -> bool:
    """Whether a replaced vault reports new events. Events up to `lost_to` may have waited at a broker."""
    if any(event["at"] > in_use.since_at for event in rows):
        return True
    later = _later(in_use.since_at)
    arrived = [event for event in rows if event["seq"] > row.lost_to and event["received_at"] >= later]
    if any(parse_rfc3339(event["at"]) < FIRST_NS for event in arrived):
        return True
    if not arrived:
        return False
    of_chain = (events.c.unit == row.unit, events.c.origin == row.origin)
    first = select(func.min(events.c.received_at)).where(
        *of_chain, events.c.seq > row.lost_to, events.c.received_at >= later
    )
    began = db.execute(first).scalar()
    return began is not None and max(event["received_at"] for event in arrived) >= _later(began)


def _later(time: str) -> str:
    return rfc3339(parse_rfc3339(time) + LATE_S * NS_PER_S)


def _use_again(db: Connection, row: Row[Any], in_use: Row[Any], now: str) -> None:
    code = BACK if row.number < in_use.number else CLONE
    log.error("%s: %s: vault %d reports again after vault %d", code, row.unit, row.number, in_use.number)
    _alert(db, (row.unit, row.origin), code, row.number, in_use.number, now, now)
    _end(db, (row.unit, in_use.origin), now)
    db.execute(update(vaults).where(*_is_vault((row.unit, row.origin))).values(over_at=None, since_at=now))
    mine = (alerts.c.unit == row.unit, alerts.c.origin == row.origin, alerts.c.code == LOST)
    db.execute(update(alerts).where(*mine, alerts.c.ended_at.is_(None)).values(ended_at=now))


def _end(db: Connection, group: Group, now: str, replaced_at: str = "") -> None:
    """Ends the use of a vault: its missing events are lost and cannot be requested. `replaced_at`: when the other
    vault began. A unit that also lost its count numbers both vaults from 1; later reports belong to the other."""
    unit, chain = group
    reached = db.execute(
        select(origins.c.through, origins.c.newest).where(origins.c.unit == unit, origins.c.origin == chain)
    ).first()
    through, newest = (before_first(chain),) * 2 if reached is None else reached
    health = db.execute(select(units.c.outbox_seq, units.c.health_at).where(units.c.unit == unit)).first()
    reported = (
        0 if health is None or (replaced_at and (health.health_at or "") >= replaced_at) else health.outbox_seq or 0
    )
    last = max(newest, reported if is_of(chain, reported) else 0)
    db.execute(update(vaults).where(*_is_vault(group)).values(over_at=now, lost_to=last))
    of_chain = (alerts.c.unit == unit, alerts.c.origin == chain, alerts.c.code == "events_missing")
    db.execute(update(alerts).where(*of_chain, alerts.c.ended_at.is_(None)).values(ended_at=now))
    if last > through:
        log.error("events_lost: %s: events %d to %d are lost", unit, through + 1, last)
        _alert(db, group, LOST, through + 1, last, now, now)


def _insert(db: Connection, group: Group, number: int, before: str, began_at: str, now: str) -> None:
    db.execute(insert(vaults).values(
        unit=group[0], origin=group[1], number=number, before=before, began_at=began_at, first_at=now, since_at=now
    ))  # fmt: skip


def _vaults_of(db: Connection, names: Collection[str]) -> dict[Group, Row[Any]]:
    return {(row.unit, row.origin): row for row in db.execute(select(vaults).where(vaults.c.unit.in_(names)))}


def _in_use(stored: Mapping[Group, Row[Any]], group: Group) -> Row[Any] | None:
    """The vault in use of the same key, if it is another."""
    of_key = [row for (unit, chain), row in stored.items() if unit == group[0] and _same_key(chain, group[1])]
    return next((row for row in of_key if row.over_at is None and row.origin != group[1]), None)


def _earlier(db: Connection, group: Group) -> tuple[Group, str] | None:
    """A chain of the same key from earlier versions that is not in `vaults` yet, and the time of its last report."""
    unit, key = group[0], origin_of(group[1])
    named = func.substr(origins.c.origin, 1, len(key) + 1) == f"{key} "
    mine = (origins.c.unit == unit, or_(origins.c.origin == key, named))
    wanted = select(origins.c.origin, origins.c.heard_at).where(*mine, origins.c.origin != group[1])
    found = db.execute(wanted.order_by(origins.c.heard_at.desc()).limit(1)).first()
    return None if found is None else ((unit, found.origin), found.heard_at)


def _same_key(chain: str, second_chain: str) -> bool:
    return origin_of(chain) == origin_of(second_chain)


def _is_vault(group: Group) -> tuple[Any, ...]:
    return vaults.c.unit == group[0], vaults.c.origin == group[1]


def _alert(db: Connection, group: Group, code: str, first: int, last: int, since: str, now: str) -> None:
    """Raises an alert that only a person ends, except for events that counted as lost and arrived after all."""
    same_alert = (alerts.c.unit == group[0], alerts.c.origin == group[1], alerts.c.code == code)
    if db.execute(select(alerts.c.id).where(*same_alert, alerts.c.ended_at.is_(None))).first() is None:
        db.execute(insert(alerts).values(
            unit=group[0], origin=group[1], code=code, first=first, last=last, since=since, alerted_at=now
        ))  # fmt: skip


# --- A unit's chains of events: their names in the desk's tables, and how far each is stored without a gap ------------
# A chain's name is the fingerprint of its signing key and, after a blank, the vault's name: a unit that lost its disk
# and kept its key has two chains. The chain of a vault without a name has the fingerprint only.


def chain_name(origin: str, vault: str) -> str:
    """The chain's name in the tables."""
    return f"{origin} {vault}" if vault else origin


def origin_of(name: str) -> str:
    """The fingerprint of the key."""
    return name.partition(" ")[0]


def vault_of(name: str) -> str:
    """The vault's name; empty without one."""
    return name.partition(" ")[2]


def before_first(name: str) -> int:
    """The number that precedes the chain's first event."""
    return vaultname.first_seq(vault_of(name)) - 1


def is_of(name: str, seq: int) -> bool:
    """Whether an event of this number can belong to the chain."""
    return vaultname.is_of(vault_of(name), seq)


Group = tuple[str, str]  # unit, name of the chain
_A_STEP = 1000  # rows for each query


def reached(db: Connection, group: Group, through: int) -> int:
    """The number up to which all events are stored, or dropped by the unit's own report. `through`: such a number known
    so far."""
    of_chain = (events.c.unit == group[0], events.c.origin == group[1])
    while True:
        following = select(events.c.seq).where(*of_chain, events.c.seq > through).order_by(events.c.seq).limit(_A_STEP)
        numbers = [through, *db.execute(following).scalars()]
        through = next((a for a, b in pairwise(numbers) if b != a + 1), numbers[-1])
        if through == numbers[-1] and len(numbers) == _A_STEP + 1:
            continue
        dropping = select(events.c.dropped_to).where(
            *of_chain, events.c.dropped_from <= through + 1, events.c.dropped_to > through
        )
        dropped = db.execute(dropping.order_by(events.c.dropped_to.desc()).limit(1)).scalar()
        if dropped is None:
            return through
        through = dropped


def first_hole(db: Connection, group: Group, through: int) -> tuple[int, int] | None:
    """The first missing range (from, to) after `through`; None if no later event has arrived."""
    behind = select(events.c.seq).where(events.c.unit == group[0], events.c.origin == group[1], events.c.seq > through)
    following = db.execute(behind.order_by(events.c.seq).limit(1)).scalar()
    return None if following is None else (through + 1, following - 1)
