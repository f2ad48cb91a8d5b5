# SPDX-License-Identifier: Apache-2.0
"""Requests all events that the units still have. The units get no confirmation, since they drop confirmed events.

The requests use an ingest that only requests, and stores into the new database. It requests missing events, so each key
of a unit in the signers' file is entered with missing events.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, Engine, delete, insert, select

from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, signerline
from linetap_core.evidence.signing.signers import Signer
from linetap_core.service import Stop
from linetap_desk.config.desk import Settings
from linetap_desk.ingest import missingevents, vaults
from linetap_desk.ingest.link import Patience
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.service import Ingest
from linetap_desk.ingest.tables import alerts, origins, units
from linetap_desk.ingest.vaults import Group

SETTLE_S = 5  # after connecting, until the online units are known
LOOK_EVERY_S = 1
_EVER = 10**17  # beyond any event number
_ONLINE = units.c.state == "online"


@dataclass(frozen=True, slots=True)
class Answered:
    """The result. `done`: units whose events are complete; `online`: the units that were asked."""

    online: tuple[str, ...] = ()
    done: tuple[str, ...] = ()

    @property
    def lacking(self) -> list[str]:
        return sorted(set(self.online) - set(self.done))


def request_events(
    settings: Settings, new: Engine, signers: SignersFile, clock: Clock, stop: Stop, for_s: int
) -> Answered:
    """Requests events for at most `for_s` seconds, until every online unit has reported everything, or until `stop`."""
    ingest = Ingest(msgspec.structs.replace(settings, copy=None), new, signers, clock, Patience(), None, confirms=False)
    tails = _Tails(ingest)
    now_ns = look_ns = clock.monotonic_ns()
    ends_ns, settled_ns, found = now_ns + for_s * NS_PER_S, 0, Answered()
    try:
        while now_ns < ends_ns and not stop.requested:
            ingest.turn()
            now_ns = clock.monotonic_ns()
            if now_ns < look_ns or not ingest.connected:
                continue
            settled_ns = settled_ns or now_ns + SETTLE_S * NS_PER_S
            look_ns = now_ns + LOOK_EVERY_S * NS_PER_S
            with new.begin() as db:
                _expect(db, signers.now(), rfc3339(clock.utc_ns()))
                online, reported = _complete_units(db)
            found = Answered(tuple(online), tails.quiet(reported, now_ns))
            if not found.lacking and now_ns >= settled_ns:
                break
    finally:
        ingest.end()
    with new.begin() as db:
        _expect_no_more(db)
    return found


class _Tails:
    """Requests once the events after the newest in a unit's health, which is up to a minute old."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._since: dict[Group, tuple[int, int]] = {}  # through, and when later events were requested

    def quiet(self, reported: dict[Group, int], now_ns: int) -> tuple[str, ...]:
        """The units without further events."""
        for group, through in reported.items():
            if self._since.get(group, (-1, 0))[0] != through:
                self._since[group] = through, now_ns
                if through > vaults.before_first(group[1]):
                    self._ingest.request_events(group, through, _EVER)
        return tuple(unit for unit, origin in reported if now_ns - self._since[unit, origin][1] >= SETTLE_S * NS_PER_S)


def _expect(db: Connection, signers: list[Signer], now: str) -> None:
    """Enters every key of an online unit with its events missing from the first one on."""
    known = {(unit, origin) for unit, origin in db.execute(select(origins.c.unit, origins.c.origin))}
    for unit in db.execute(select(units.c.unit).where(_ONLINE)).scalars().all():
        for signer in signers:
            origin = keys.fingerprint_of(signer.blob)
            if signer.is_named(unit) and _for_events(signer) and (unit, origin) not in known:
                known.add((unit, origin))
                db.execute(insert(origins).values(unit=unit, origin=origin, through=0, newest=0, heard_at=now))


def _for_events(signer: Signer) -> bool:
    return signer.namespaces is None or signerline.in_list(namespaces.EVENT, signer.namespaces)


def _complete_units(db: Connection) -> tuple[list[str], dict[Group, int]]:
    """Online units; and those with complete events as far as their health states, by the chain with most progress."""
    states = db.execute(select(units.c.unit, units.c.outbox_seq).where(_ONLINE))
    online: dict[str, int | None] = {row[0]: row[1] for row in states}
    wanted = select(origins.c.unit, origins.c.origin, origins.c.through)
    rows = db.execute(wanted.where(origins.c.through >= origins.c.newest).order_by(origins.c.through))
    # For the chain to which the health refers: each chain has its own range.
    furthest = {
        unit: (origin, through)
        for unit, origin, through in rows
        if vaults.is_of(origin, online.get(unit) or 0) or not online.get(unit)
    }
    reported = {
        (unit, furthest[unit][0]): furthest[unit][1]
        for unit, seq in online.items()
        if seq is not None and unit in furthest and furthest[unit][1] >= seq
    }
    return list(online), reported


def _expect_no_more(db: Connection) -> None:
    """Removes keys that reported nothing, and their alerts."""
    db.execute(delete(origins).where(origins.c.newest == 0))
    here = select(origins.c.unit).where(origins.c.unit == alerts.c.unit, origins.c.origin == alerts.c.origin)
    db.execute(delete(alerts).where(alerts.c.code == missingevents.CODE, alerts.c.ended_at.is_(None), ~here.exists()))
