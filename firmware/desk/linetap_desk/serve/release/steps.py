# SPDX-License-Identifier: Apache-2.0
"""The steps of a release in their order, and who may take which. Pure: what stands in the database, and a time.

ask -> key -> approve (two) -> unwrap -> give -> closed        any of them -> expired, or closed with a remark
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from linetap_core.clock import parse_rfc3339
from linetap_core.evidence import namespaces
from linetap_core.evidence.release import APPROVERS, NotReleased
from linetap_desk.serve.release.chain import Chain
from linetap_desk.serve.release.stepfault import StepFault

Step = Literal["key", "approve", "unwrap", "give", "closed", "expired"]
ORDER: tuple[Step, ...] = ("key", "approve", "unwrap", "give")
ASKS, APPROVES, UNWRAPS, KEEPS = (
    frozenset({"officer"}),
    frozenset({"approver-legal", "approver-manager"}),
    frozenset({"vault"}),
    frozenset({"custodian"}),
)
ROLES: dict[Step, frozenset[str]] = {"key": KEEPS, "approve": APPROVES, "unwrap": UNWRAPS, "give": KEEPS}


@dataclass(frozen=True, slots=True)
class Found:
    """A request's row, the rows of its approvals, and what members of groups have handed on."""

    row: Mapping[str, Any]
    approvals: Sequence[Mapping[str, Any]]
    chain: Chain = field(default_factory=Chain)

    @property
    def signatures(self) -> dict[str, bytes]:
        """By the names that `linetap release approve` gives them."""
        return {f"request.json.{one['signer_role']}{namespaces.SUFFIX}": bytes(one["sig"]) for one in self.approvals}

    def step(self, now_ns: int) -> Step:
        row = self.row
        if row["closed_at"] is not None:
            return "closed"
        if now_ns >= parse_rfc3339(row["expires_at"]):
            return "expired"
        if row["request"] is None:
            return "key"
        if len(self.approvals) < APPROVERS:
            return "approve"
        return "unwrap" if row["inner_age"] is None else "give"

    def is_for(self, name: str, roles: frozenset[str], now_ns: int) -> bool:
        """Whether the next step is theirs to take."""
        step = self.step(now_ns)
        if not roles & ROLES.get(step, frozenset()) or self._did_another(name, step):
            return False
        if step == "unwrap":
            return self.chain.waits_for(name)
        return step != "approve" or not {one["role"] for one in self.approvals} & roles

    def require(self, step: Step, name: str, now_ns: int) -> None:
        """NotReleased unless this step is the next one, in time, and not of somebody who has taken another."""
        request_id, now = self.row["id"], self.require_open(now_ns)
        if now != step:
            code = "step_done" if ORDER.index(now) > ORDER.index(step) else "step_not_yet"
            raise StepFault(code, f"request {request_id}: the next step is {now}, not {step}")
        if self._did_another(name, step):
            raise StepFault("one_person_two_steps", f"request {request_id}: {name} has taken another of its steps")

    def require_open(self, now_ns: int) -> Step:
        request_id, step = self.row["id"], self.step(now_ns)
        if step == "closed":
            raise NotReleased("request_closed", f"request {request_id} was closed")
        if step == "expired":
            raise NotReleased("request_expired", f"request {request_id} expired at {self.row['expires_at']}")
        return step

    def _did_another(self, name: str, step: Step) -> bool:
        """The custodian's two are one person's: who made the one-time key has it. Members of a group take the same
        step, each once, which chain.py judges."""
        row = self.row
        approved = {one["by"] for one in self.approvals}
        did = {row["asked_by"]}
        did |= set() if step in ("key", "give") else {row["keyed_by"]}
        did |= set() if step == "approve" else approved
        did |= set() if step == "unwrap" else {row["unwrapped_by"], *(one.by for one in self.chain.officers)}
        did |= set() if step in ("key", "give") else {one.by for one in self.chain.custodians}
        return name in did or (step == "approve" and name in approved)
