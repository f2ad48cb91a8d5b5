# SPDX-License-Identifier: Apache-2.0
"""The steps of a release in their order, the people who may take each, and the progress of a group's members.

ask -> key -> approve (each approval) -> unwrap -> give -> closed     any of them -> expired, or closed with a remark

Pure: works on rows of the database and a time. Officers of a group work in the order of their numbers. Several chains
may be open: if the third of three cannot follow the second, the first may begin another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.authorization.release import APPROVERS, NotReleased
from linetap_core.evidence.signing import namespaces
from linetap_desk.web import roles as people


class StepFault(NotReleased):
    """A refusal of the pages, in addition to those of the checks at the keys; docs/desk-release.md has the codes."""


Kind = Literal["officer", "custodian"]
OFFICER: Kind = "officer"
CUSTODIAN: Kind = "custodian"
GIVEN, NOT_GIVEN = "given", "not_given"  # outcomes of a closed request


@dataclass(frozen=True, slots=True)
class Partial:
    """A partial. `taken`: the numbers of the members whose layers are removed. `here`: not overwritten yet."""

    kind: str
    key_sha256: str
    taken: tuple[int, ...]
    left: int
    by: str
    at: str
    here: bool

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Partial:
        taken = tuple(map(int, row["taken"].split("-")))
        return cls(row["kind"], row["key_sha256"], taken, row["left"], row["by"], row["at"], row["data"] is not None)

    @property
    def numbers(self) -> str:
        return "-".join(map(str, self.taken))


@dataclass(frozen=True, slots=True)
class Chain:
    """All partials of a request or a hold."""

    partials: Sequence[Partial] = ()

    def of(self, kind: Kind) -> list[Partial]:
        return [one for one in self.partials if one.kind == kind]

    @property
    def officers(self) -> list[Partial]:
        return self.of(OFFICER)

    @property
    def custodians(self) -> list[Partial]:
        return self.of(CUSTODIAN)

    @property
    def handed(self) -> Partial | None:
        """The partial of the latest custodian."""
        return max((one for one in self.custodians if one.here), key=lambda one: one.taken, default=None)

    def people(self, key_sha256: str, taken: tuple[int, ...]) -> set[str]:
        """The people who removed these layers."""
        return {
            one.by for one in self.officers if one.key_sha256 == key_sha256 and one.taken == taken[: len(one.taken)]
        }

    def open_to(self, name: str, left: int | None = None) -> list[Partial]:
        """The partials that this person may continue. `left`: only those that need so many more members."""
        return [
            one
            for one in self.officers
            if one.here and left in (None, one.left) and name not in self.people(one.key_sha256, one.taken)
        ]

    def waits_for(self, name: str) -> bool:
        """Whether this officer can begin a chain, or continue another's."""
        return all(one.by != name for one in self.officers) or bool(self.open_to(name))


Step = Literal["key", "approve", "unwrap", "give", "closed", "expired"]
ORDER: tuple[Step, ...] = ("key", "approve", "unwrap", "give")
ROLES: dict[Step, frozenset[str]] = {
    "key": people.CUSTODIAN, "approve": people.APPROVERS, "unwrap": people.VAULT, "give": people.CUSTODIAN,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request's row, the rows of its approvals, and the partials of groups."""

    row: Mapping[str, Any]
    approvals: Sequence[Mapping[str, Any]]
    chain: Chain = field(default_factory=Chain)

    @property
    def signatures(self) -> dict[str, bytes]:
        """The signatures, by the file names that `linetap release approve` gives them."""
        return {f"request.json.{one['signer_role']}{namespaces.SUFFIX}": bytes(one["sig"]) for one in self.approvals}

    @property
    def needed(self) -> int:
        """The number of approvals by the rule when request.json was made. Each step uses the rules of that time."""
        return self.row["approvals_needed"] or APPROVERS

    def step(self, now_ns: int) -> Step:
        row = self.row
        if row["closed_at"] is not None:
            return "closed"
        if now_ns >= parse_rfc3339(row["expires_at"]):
            return "expired"
        if row["request"] is None:
            return "key"
        if len(self.approvals) < self.needed:
            return "approve"
        return "unwrap" if row["inner_age"] is None else "give"

    def is_for(self, name: str, roles: frozenset[str], now_ns: int) -> bool:
        """Whether this person may take the next step."""
        step = self.step(now_ns)
        if not roles & ROLES.get(step, frozenset()) or self._took_another_step(name, step):
            return False
        if step == "unwrap":
            return self.chain.waits_for(name)
        return step != "approve" or any(self.takes_approval(role) for role in roles & people.APPROVERS)

    def takes_approval(self, role: str) -> bool:
        """Whether an account of this role may approve: one role alone never gives all approvals."""
        return self.needed < 2 or sum(one["role"] == role for one in self.approvals) < self.needed - 1

    def require(self, step: Step, name: str, now_ns: int) -> None:
        """NotReleased unless this step is the next, the request is open, and the person took no other step."""
        request_id, now = self.row["id"], self.require_open(now_ns)
        if now != step:
            code = "step_done" if ORDER.index(now) > ORDER.index(step) else "step_not_yet"
            raise StepFault(code, f"request {request_id}: the next step is {now}, not {step}")
        if self._took_another_step(name, step):
            raise StepFault("one_person_two_steps", f"request {request_id}: {name} has taken another of its steps")

    def require_open(self, now_ns: int) -> Step:
        request_id, step = self.row["id"], self.step(now_ns)
        if step == "closed":
            raise NotReleased("request_closed", f"request {request_id} was closed")
        if step == "expired":
            raise NotReleased("request_expired", f"request {request_id} expired at {self.row['expires_at']}")
        return step

    def _took_another_step(self, name: str, step: Step) -> bool:
        """Whether the person took another step. The custodian's two steps belong to one person, who has the one-time
        key. Members of a group take the same step, each once (`Chain`)."""
        row = self.row
        approved = {one["by"] for one in self.approvals}
        did = {row["asked_by"]}
        did |= set() if step in ("key", "give") else {row["keyed_by"]}
        did |= set() if step == "approve" else approved
        did |= set() if step == "unwrap" else {row["unwrapped_by"], *(one.by for one in self.chain.officers)}
        did |= set() if step in ("key", "give") else {one.by for one in self.chain.custodians}
        return name in did or (step == "approve" and name in approved)
