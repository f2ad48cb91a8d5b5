# SPDX-License-Identifier: Apache-2.0
"""A vault officer's command, judged as the unit will judge it, and held against what was asked for. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence import command, commandbody, hold, namespaces, sshsig
from linetap_core.evidence.authority import Authority
from linetap_core.evidence.command import CommandFault
from linetap_core.evidence.counters import Counters
from linetap_core.evidence.roles import Roles
from linetap_core.zones import end_of, epoch_text
from linetap_desk.serve.release.stepfault import StepFault

TEXT_LIMIT = 1000  # as the unit has it


def end(day: str, zone: str, now_ns: int) -> str:
    """The end of a day to come, as `linetap hold wrap` takes it too."""
    try:
        until = epoch_text(end_of(date.fromisoformat(day), zone))
    except (ValueError, OverflowError):
        raise BadInput("until: a day such as 2027-06-30 would be right") from None
    if parse_rfc3339(until) <= now_ns:
        raise StepFault("hold_ended", f"until {day}: is over")
    return until


def signed(data: bytes, row: Mapping[str, Any], roles: Roles, authority: Authority, now_ns: int) -> tuple[str, str]:
    """When the command expires, and who signed it. CommandFault or StepFault says no."""
    said = command.check(data, row["unit"], authority, roles, Counters(), now_ns)
    if said.verb != "hold":
        raise CommandFault("command_verb", f"it is {said.verb}, which holds nothing")
    wrapped = commandbody.read(said, commandbody.Hold)
    text, armored, key_age = wrapped.data, wrapped.signature, wrapped.key_age
    command.signed_by(text, armored, namespaces.HOLD, roles, "vault")
    found = hold.decode(text)
    if not isinstance(found, hold.Hold) or hashlib.sha256(key_age).hexdigest() != found.key_sha256:
        raise StepFault("hold_malformed", "not a hold, or key_age is not the one that it names")
    asked = (row["unit"], row["call_id"], row["record_sha256"], row["case_number"], row["basis"], row["until"])
    if (found.unit, found.call_id, found.record_sha256, found.case, found.basis, found.until) != asked:
        raise StepFault("hold_differs", "call, record, case, basis or end are not those that were asked for")
    if parse_rfc3339(found.until) <= now_ns:
        raise StepFault("hold_ended", f"the hold ends at {found.until}, and that is past")
    return said.expires, _signer(text, armored, roles)


def _signer(text: bytes, armored: bytes, roles: Roles) -> str:
    person = roles.holder(sshsig.check(text, armored, namespaces.HOLD))
    return "" if person is None else person.name
