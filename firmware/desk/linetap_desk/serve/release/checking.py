# SPDX-License-Identifier: Apache-2.0
"""Before anybody approves, opens or holds by way of these pages, the second copy is verified whole, as at the keys.

By the signers that this desk knows; each person's own tools do it again by theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.release import NotReleased
from linetap_core.evidence.roles import Roles
from linetap_desk.proofs import callfolder
from linetap_desk.serve.release import package, samekey, witnesses
from linetap_desk.serve.release.stepfault import StepFault
from linetap_desk.serve.site import Site
from linetap_desk.unsealing import checkedcall
from linetap_desk.unsealing.callproof import Basis
from linetap_desk.unsealing.checkedcall import CheckedCall
from linetap_desk.witnessing.judge import NO_RULES


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found: the call, or what stands against it."""

    call: CheckedCall | None = None
    fault: Exception | None = None


def require(site: Site, row: Mapping[str, Any], roles: Roles, *, opens: bool = True) -> CheckedCall:
    """StepFault or NotReleased unless the copy is the call that `row` of a request or a hold is about. `opens`: not of
    a hold, which opens nothing and must keep what nobody has witnessed yet."""
    folder, signers = package.copy_of(site, row), site.settings.desk.signers
    if not signers:
        raise StepFault("signers_needed", "signers: desk.toml names no published allowed_signers")
    try:
        rules = witnesses.rules(site, roles) if opens else NO_RULES
        call = checkedcall.check(folder, Basis(callfolder.load_signers(Path(signers)), roles, rules=rules))
    except OSError:
        raise StepFault("copy_unreadable", f"{row['call_id']}: its second copy cannot be read whole") from None
    asked = (row["unit"], row["call_id"], row["record_sha256"])
    if (call.record.unit, call.record.call_id, call.record_sha256) != asked:
        raise NotReleased(
            "record_differs", f"{row['call_id']}: the second copy is not of the record that was asked for"
        )
    samekey.require_one_record(folder.parents[4], call)
    return call


def look(site: Site, row: Mapping[str, Any] | None, roles: Roles) -> Looked:
    """The same, told and not raised: a step that is not due is refused for that first."""
    if row is None:
        return Looked()
    try:
        return Looked(require(site, row, roles))
    except (Refusal, BadInput) as error:
        return Looked(fault=error)
