# SPDX-License-Identifier: Apache-2.0
"""Checks a vault's log by a policy: it must continue every kept checkpoint, and each call must have been witnessed in
time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from linetap_core.clock import parse_rfc3339, utc_ns_of
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.proofs.verdict import Problem, Verdict
from linetap_desk.witnessing import judge
from linetap_desk.witnessing.judge import NO_POLICY, NOBODY, NOT_WITNESSED, CheckpointVerdict, Rules, UnitHeads

_MOST_LISTED = 1000


class LogWitness:
    """The check by the rules. Receives the unit, then every leaf; then returns the problems of each call, and finally
    the verdict."""

    def __init__(self, rules: Rules, signers: list[Signer] | None) -> None:
        self._rules, self._signers = rules, signers or []
        self._heads = UnitHeads(rules)
        self._unit = ""
        self._closes: dict[str, tuple[int, int]] = {}  # call id -> index of its close, and its time (ns)
        self._destructions: dict[str, tuple[int, int]] = {}
        self._problems: list[Problem] = []
        self._size = 0

    def checkpoint_sizes(self, unit: str, log: str = "") -> set[int]:
        """The sizes at which roots are needed."""
        self._unit = unit
        self._heads = judge.of_unit(self._rules, unit, self._signers, log)
        self._problems += self._heads.problems
        return {seen.size for seen in self._heads.seen}

    def check_leaf(self, index: int, leaf: Leaf) -> None:
        if leaf.call_id is None or leaf.kind not in ("close", "destruction") or self._rules.policy is None:
            return
        times = self._closes if leaf.kind == "close" else self._destructions
        try:
            times.setdefault(leaf.call_id, (index, parse_rfc3339(leaf.at)))
        except ValueError:
            self._report("bad_leaf", f"leaf {index} has no valid time")

    def compare(self, roots: Mapping[int, str], size: int) -> None:
        """Requires that every checkpoint is a prefix of this log, whichever of its witnesses cosigned it."""
        self._size = size
        for checkpoint in self._heads.seen:
            if checkpoint.size > size:
                self._report(
                    "rolled_back",
                    f"{checkpoint.size} leaves were there ({checkpoint.text}), {size} are: some were removed",
                )
            elif roots.get(checkpoint.size) != checkpoint.root:
                self._report(
                    "forked", f"the first {checkpoint.size} leaves are not those that were there: {checkpoint.text}"
                )

    def closed_by(self, call_id: str) -> datetime | None:
        """The time at which a quorum first witnessed the close of a call; None if unknown."""
        return None if call_id not in self._closes else _witnessed_at(self._first_over(self._closes[call_id][0]))

    def size_witnessed_at(self, unit: str, log: str, size: int) -> datetime | None:
        """The time at which a quorum first witnessed so many leaves; None if unknown."""
        heads = judge.of_unit(self._rules, unit, self._signers, log)
        return _witnessed_at(heads.first_over(size - 1)) if size else None

    @property
    def log_problems(self) -> list[Problem]:
        """Problems of the log as a whole, before `verdict`: it differs from the witnessed one."""
        return list(self._problems)

    @property
    def newest(self) -> CheckpointVerdict | None:
        return self._heads.newest

    def problems_of(self, call: Verdict) -> Iterator[Problem]:
        """Problems of a call by the policy; without any, a late witness is noted."""
        if not self._rules.required or call.name not in self._closes:
            return  # an unknown call is reported by the log's own check
        index, closed_ns = self._closes[call.name]
        try:
            moments_ns = [_call_start_ns(call.name, closed_ns)] if call.record is None else judge.moments(call.record)
        except (ValueError, BadInput) as error:
            yield Problem(NOT_WITNESSED, f"{NOBODY}: its record has an invalid time: {error}")
            return
        if call.counted is not None:  # counted time replaces its clock
            moments_ns = [utc_ns_of(call.counted)]
            closed_ns = moments_ns[0]
        checkpoint = self._first_over(index)
        problem = judge.call_problem(self._rules, checkpoint, moments_ns, closed_ns)
        if problem is not None:
            yield problem
        else:
            call.notes.extend(judge.late(checkpoint, max(moments_ns)))

    def verdict(self) -> Verdict:
        """The log's own verdict, which counts only under a policy."""
        newest, name = self._heads.newest, f"witness of {self._unit or 'the log'}"
        if self._rules.policy is None:
            return Verdict(f"{name}: {NO_POLICY}", counts=False)
        if self._rules.required:
            for call_id, (index, at_ns) in sorted(self._destructions.items()):
                if problem := judge.destruction_problem(self._first_over(index), at_ns):
                    self._report(problem.code, f"{call_id}: {problem.text}")
            if newest is None:
                self._report(NOT_WITNESSED, self._heads.seen[-1].text if self._heads.seen else NOBODY)
        if newest is not None:
            text = f", {self._size - newest.size} came after it" if self._size > newest.size else ""
            name += f": {newest.text}{text}"
        counts = self._rules.required or bool(self._problems)
        return Verdict(name, trusted=newest is not None, problems=self._problems, counts=counts)

    def _first_over(self, index: int) -> CheckpointVerdict | None:
        return self._heads.first_over(index)

    def _report(self, code: str, text: str) -> None:
        if len(self._problems) < _MOST_LISTED:
            self._problems.append(Problem(code, text))


def _witnessed_at(checkpoint: CheckpointVerdict | None) -> datetime | None:
    return None if checkpoint is None or checkpoint.since_s is None else datetime.fromtimestamp(checkpoint.since_s, UTC)


def _call_start_ns(call_id: str, default_ns: int) -> int:
    try:
        return sealed.call_ns(call_id)
    except BadInput:
        return default_ns  # reported by the call's own check
