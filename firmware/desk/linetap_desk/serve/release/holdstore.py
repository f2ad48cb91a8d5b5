# SPDX-License-Identifier: Apache-2.0
"""Requested holds: the vault officer's command, checked by the unit's own rules, and the state reported since."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update
from starlette.exceptions import HTTPException

from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command, commandbody
from linetap_core.evidence.authorization.command import CommandFault
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import hold
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority
from linetap_core.zones import end_text
from linetap_desk.ingest import callrow
from linetap_desk.ingest.tables import events
from linetap_desk.inputs import strict
from linetap_desk.serve.database.tables import holds
from linetap_desk.serve.release.steps import Chain, StepFault
from linetap_desk.serve.release.store import ID

TEXT_LIMIT = 1000  # the unit's own limit


def hold_end(day: str, zone: str, now_ns: int) -> str:
    """The end of a future day, computed as by `linetap hold wrap`."""
    try:
        until = end_text(date.fromisoformat(day), zone)
    except (ValueError, OverflowError):
        raise BadInput("until: a day such as 2027-06-30 expected") from None
    if parse_rfc3339(until) <= now_ns:
        raise StepFault("hold_ended", f"until {day}: is over")
    return until


def signed_hold(
    data: bytes, row: Mapping[str, Any], roles: Roles, authority: Authority, now_ns: int
) -> tuple[str, str]:
    """The command's expiry and its signer. CommandFault or StepFault unless it is the requested hold."""
    order = command.check(data, row["unit"], authority, roles, Counters(), now_ns)
    if order.verb != "hold":
        raise CommandFault("command_verb", f"it is {order.verb}, which holds nothing")
    wrapped = commandbody.read(order, commandbody.Hold)
    text, armored, key_age = wrapped.data, wrapped.signature, wrapped.key_age
    command.signed_by(text, armored, namespaces.HOLD, roles, "vault")
    found = hold.decode(text)
    if not isinstance(found, hold.Hold) or hashlib.sha256(key_age).hexdigest() != found.key_sha256:
        raise StepFault("hold_malformed", "not a hold, or key_age is not the one that it names")
    asked = (row["unit"], row["call_id"], row["record_sha256"], row["case_number"], row["basis"], row["until"])
    if (found.unit, found.call_id, found.record_sha256, found.case, found.basis, found.until) != asked:
        raise StepFault("hold_differs", "call, record, case, basis or end differ from the request")
    if parse_rfc3339(found.until) <= now_ns:
        raise StepFault("hold_ended", f"the hold ends at {found.until}, and that is past")
    return order.expires, _signer(text, armored, roles)


def _signer(text: bytes, armored: bytes, roles: Roles) -> str:
    person = roles.holder(sshsig.check(text, armored, namespaces.HOLD))
    return "" if person is None else person.name


def require_cosigned(data: bytes, before: bytes) -> None:
    """StepFault unless it is the earlier command with one further signature."""
    old, new = (strict.decode(one, command.Envelope) for one in (before, data))
    if new.command != old.command or not new.sig.startswith(old.sig) or new.sig == old.sig:
        raise StepFault("hold_second", "not the command of this hold with one more signature behind it")


def cosigners(data: bytes | None, roles: Roles) -> tuple[str, ...]:
    """Names of those who signed the command after the vault officer."""
    if data is None:
        return ()
    try:
        made = strict.decode(bytes(data), command.Envelope)
        signed_by = sshsig.check_all(made.command.encode("utf-8"), made.sig.encode("ascii"), namespaces.COMMAND)
    except (ValueError, Refusal):
        return ()
    people = (roles.holder(key) for key in signed_by[1:])
    return tuple(person.name for person in people if person is not None)


State = Literal["command", "send", "held", "ended", "over", "closed"]
_NO_CHAINS: Mapping[str, Chain] = {}


@dataclass(frozen=True, slots=True)
class RequestedHold:
    """A requested hold. `state`: the next action, or the outcome."""

    row: Mapping[str, Any]
    state: State
    chain: Chain = field(default_factory=Chain)

    @property
    def is_over(self) -> bool:
        return self.state in ("ended", "over", "closed")

    @property
    def is_waiting(self) -> bool:
        return self.state in ("command", "send")

    def is_for(self, name: str, roles: frozenset[str]) -> bool:
        theirs = self.is_waiting and "vault" in roles and self.row["asked_by"] != name
        return theirs and (self.row["command"] is not None or self.chain.waits_for(name))


def require_hold(db: Connection, hold_id: str) -> Mapping[str, Any]:
    row = None
    if ID.fullmatch(hold_id):
        row = db.execute(select(holds).where(holds.c.id == hold_id)).mappings().first()
    if row is None:
        raise HTTPException(404)
    return dict(row)


def add_hold(db: Connection, values: Mapping[str, Any]) -> None:
    db.execute(insert(holds).values(**values))


def update_hold(db: Connection, hold_id: str, **values: Any) -> None:
    db.execute(update(holds).where(holds.c.id == hold_id).values(**values))


def with_state(
    desk: Connection, rows: Sequence[Mapping[str, Any]], now_ns: int, chains: Mapping[str, Chain] = _NO_CHAINS
) -> list[RequestedHold]:
    """The holds with their states. `desk`: the ingest's database. `chains`: the partials of groups, by hold."""
    return [RequestedHold(row, _state(desk, row, now_ns), chains.get(row["id"], Chain())) for row in rows]


def to_do(desk: Connection, rows: Sequence[Mapping[str, Any]], now_ns: int, most: int) -> list[RequestedHold]:
    """The holds that wait for a vault officer; at most `most` and one more, which shows that there are more."""
    asked = (RequestedHold(row, _state(desk, row, now_ns)) for row in rows)
    return list(islice((one for one in asked if one.is_waiting), most + 1))


def _state(desk: Connection, row: Mapping[str, Any], now_ns: int) -> State:
    if row["closed_at"] is not None:
        return "closed"
    if row["command_at"] is not None and (answer := _answer(desk, row)) is not None:
        return answer
    if parse_rfc3339(row["until"]) <= now_ns:
        return "over"
    return "command" if row["command"] is None else "send"


def _answer(desk: Connection, row: Mapping[str, Any]) -> State | None:
    """The state by the unit's newest event received after the command was signed."""
    held = callrow.is_held(
        desk, events.c.unit == row["unit"], events.c.call_id == row["call_id"],
        events.c.received_at >= row["command_at"],
    )  # fmt: skip
    return None if held is None else "held" if held else "ended"
