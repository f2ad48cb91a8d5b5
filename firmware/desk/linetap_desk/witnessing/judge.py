# SPDX-License-Identifier: Apache-2.0
"""Applies a policy to a leaf or a log: the only place that decides *witnessed by k of n* or *not witnessed*.

A cosignature of a checkpoint over n leaves proves that they existed at its time. A call dated in March whose first
checkpoint is of November may have been made in November. A destruction dated in December but witnessed in November is
invalid. The signers' file determines the log of a checkpoint: the line of the keeper's key names the unit, with
namespaces="linetap-checkpoint".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from linetap_core.clock import FIRST_NS, NS_PER_S, S_PER_DAY, from_utc_ns, ns_of, parse_rfc3339, rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys.publickeys import KEY_BYTES, SSH_ED25519, ssh_string
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.note import BadNote, Note
from linetap_core.evidence.witness.quorum import NONE, Policy
from linetap_core.evidence.witness.tlogproof import Proof
from linetap_core.records import CallRecord
from linetap_desk.proofs.verdict import Problem
from linetap_desk.witnessing import signedheads

# from a call's end to its first witnessed checkpoint: a thief could backdate a call by this much
WITHIN_S = float(S_PER_DAY)
LONGEST_CALL_S = 4 * 3600.0 + 900.0
LATE_S = 3600.0  # rounds are every five minutes: a call first witnessed this much later is noted
SLACK_S = 600.0  # between the clocks of unit and witness
NOT_WITNESSED, NOBODY, NO_POLICY = "not_witnessed", "not witnessed", "not witnessed (no --policy)"


class NotWitnessed(Refusal):
    code = NOT_WITNESSED

    def __init__(self, text: str, code: str = NOT_WITNESSED) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Rules:
    """A verifier's requirements. Without a policy nothing is required and nothing counts as witnessed."""

    policy: Policy | None = None
    heads: Path | None = None
    within_s: float = WITHIN_S

    @property
    def required(self) -> bool:
        return self.policy is not None and self.policy.quorum != NONE


NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class CheckpointVerdict:
    """A checkpoint judged by a policy: how many witnesses cosigned it, and since when they form a quorum."""

    size: int
    root: str
    count: int
    of: int
    since_s: int | None

    @property
    def text(self) -> str:
        if self.since_s is None:
            return f"not witnessed: by {self.count} of {self.of}, which is no quorum"
        return f"witnessed by {self.count} of {self.of}, {self.size} leaves at {rfc3339(self.since_s * NS_PER_S)}"


@dataclass(frozen=True, slots=True)
class UnitHeads:
    """All checkpoints of one unit, by size, and the faults found among them."""

    rules: Rules
    seen: Sequence[CheckpointVerdict] = ()
    problems: list[Problem] = field(default_factory=list)

    def first_over(self, index: int) -> CheckpointVerdict | None:
        """The earliest witnessed checkpoint that covers leaf `index`."""
        covering = [each for each in self.seen if each.size > index and each.since_s is not None]
        return min(covering, key=lambda each: each.since_s or 0, default=None)

    @property
    def newest(self) -> CheckpointVerdict | None:
        return next((each for each in reversed(self.seen) if each.since_s is not None), None)


def of_unit(rules: Rules, unit: str, signers: list[Signer], log: str = "") -> UnitHeads:
    """The stored checkpoints of a unit."""
    found = UnitHeads(rules)
    if rules.policy is None or rules.heads is None:
        return found
    seen = list[CheckpointVerdict]()
    try:
        for each in signedheads.kept_checkpoints(rules.heads, unit, log):
            seen.append(verify_checkpoint(rules.policy, each.note, each.checkpoint, unit, signers))
    except Refusal as error:
        found.problems.append(Problem(error.code, str(error)))
    return UnitHeads(rules, seen, found.problems)


def newest_of(rules: Rules, unit: str, signers: list[Signer], log: str = "") -> CheckpointVerdict | None:
    """The newest checkpoint cosigned by a quorum; older ones are not read. A Refusal for a malformed one."""
    if rules.policy is None or rules.heads is None:
        return None
    for each in signedheads.kept_checkpoints(rules.heads, unit, log, newest_first=True):
        seen = verify_checkpoint(rules.policy, each.note, each.checkpoint, unit, signers)
        if seen.since_s is not None:
            return seen
    return None


def verify_checkpoint(
    policy: Policy, signed: Note, found: Checkpoint, unit: str, signers: list[Signer]
) -> CheckpointVerdict:
    """The verdict. BadNote unless the keeper of the unit's log signed the checkpoint and every cosignature is valid."""
    if not any(note.is_signed(signed, key) for key in keepers(policy, unit, signers) if key.name == found.origin):
        raise BadNote(f"{found.origin}: no key that the signers' file names for {unit} and {namespaces.CHECKPOINT} "
                      "has signed this checkpoint", "other_log")  # fmt: skip
    times = policy.cosigners(signed)
    return CheckpointVerdict(found.size, found.root.hex(), len(times), len(policy.witnesses), policy.since(times))


def keepers(policy: Policy, unit: str, signers: list[Signer]) -> Iterator[note.Key]:
    """The keys of the unit's log. A line that allows all namespaces does not count: the unit's own key is no keeper."""
    for key in all_keepers(signers, (namespaces.CHECKPOINT,), unit):
        if not policy.logs or key.public in policy.logs:
            yield key


def all_keepers(
    signers: list[Signer],
    purposes: Sequence[str] = (namespaces.CHECKPOINT, namespaces.CLOSES),
    unit: str | None = None,
) -> Iterator[note.Key]:
    """The keeper keys of a unit's logs, or of all units'. A key that signs records is no keeper, even if another line
    allows it."""
    prefix = ssh_string(SSH_ED25519) + KEY_BYTES.to_bytes(4, "big")
    units = {signer.blob for signer in signers if signer.is_unit}
    for signer in signers:
        if unit is not None and not signer.is_named(unit):
            continue
        if any(map(signer.is_for, purposes)) and signer.blob.startswith(prefix) and signer.blob not in units:
            yield checkpoint.log_key(Ed25519PublicKey.from_public_bytes(signer.blob[len(prefix) :]))


def of_proof(rules: Rules, proof: Proof, leaf: bytes, unit: str, signers: list[Signer]) -> CheckpointVerdict:
    """The verdict on the checkpoint that covers a leaf. A Refusal if the leaf is not covered, or the proof is
    forged."""
    assert rules.policy is not None
    return verify_checkpoint(rules.policy, proof.note, proof.require(leaf), unit, signers)


def moments(record: CallRecord) -> list[int]:
    """Every time that the call's record states (ns). ValueError if one is invalid."""
    times = [record.ring_at, record.off_hook_at, record.answered_at, record.ended_at]
    for each in (record.notice, *record.notices):
        times += [] if each is None else [each.started_at, each.ended_at]
    return [sealed.call_ns(record.call_id), *(parse_rfc3339(text) for text in times if text is not None)]


def call_problem(
    rules: Rules, seen: CheckpointVerdict | None, moments_ns: Sequence[int], closed_ns: int
) -> Problem | None:
    """The problem of a call with these times that was first witnessed by `seen`; None if there is none.

    Times of a clock before the first version of linetap are ignored: the witnesses determine the age of such a call.
    """
    if seen is None or seen.since_s is None:
        return Problem(NOT_WITNESSED, "not witnessed" if seen is None else seen.text)
    moments_ns = [each for each in moments_ns if each >= FIRST_NS]
    if not moments_ns:
        return None
    closed_ns = closed_ns if closed_ns >= FIRST_NS else max(moments_ns)
    began_ns, newest_ns = min(moments_ns), max(*moments_ns, closed_ns)
    since_ns = seen.since_s * NS_PER_S
    if newest_ns > since_ns + SLACK_S * NS_PER_S:
        return Problem("dated_ahead", f"dated {_day(newest_ns)}, and was {seen.text}")
    latest = {"was closed": closed_ns, "began": began_ns + ns_of(LONGEST_CALL_S)}
    for what, at_ns in latest.items():
        if at_ns < since_ns - rules.within_s * NS_PER_S:
            day = _day(closed_ns if at_ns == closed_ns else began_ns)
            return Problem("witnessed_late", f"{what} at {day} by its own date, and nothing of it existed before "
                           f"{_day(since_ns)}: {seen.text}; more than {rules.within_s / 3600:g} h")  # fmt: skip
    return None


def late(seen: CheckpointVerdict | None, ended_ns: int) -> list[str]:
    """Notes on a valid call about how much it could have been backdated: a thief of the unit's key can do so within the
    period that the policy allows between a call and its first witness."""
    if seen is None or seen.since_s is None or seen.since_s * NS_PER_S - ended_ns < LATE_S * NS_PER_S:
        return []
    hours = (seen.since_s * NS_PER_S - ended_ns) / (3600 * NS_PER_S)
    return [f"first witnessed {hours:.1f} h after its stated end; with the unit's key a call could be backdated so far"]


def destruction_problem(seen: CheckpointVerdict | None, at_ns: int) -> Problem | None:
    """The problem of a destruction at `at_ns` that may have happened before its time; None if there is none."""
    if seen is None or seen.since_s is None:
        return Problem(NOT_WITNESSED, "its destruction is not witnessed")
    if at_ns > seen.since_s * NS_PER_S + SLACK_S * NS_PER_S:
        return Problem("destroyed_ahead", f"destroyed at {_day(at_ns)} by its own date, and that was {seen.text}")
    return None


def _day(at_ns: int) -> str:
    return f"{from_utc_ns(at_ns):%Y-%m-%dT%H:%M:%SZ}"
