# SPDX-License-Identifier: Apache-2.0
"""What the witnesses say before a day's keys are destroyed: that no log was rewritten, and that the day is over.

The desk's own clock says when a day has ended. Under a policy a quorum of witnesses must have said so too: a desk whose
clock was put forward, by whomever, destroys nothing early.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from linetap_core.clock import from_utc_ns
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.proofs.verifylog import LogCheck
from linetap_desk.witnessing import heads as store
from linetap_desk.witnessing import judge
from linetap_desk.witnessing.judge import NOBODY, NotWitnessed, Rules, Seen

_S = 1_000_000_000


def newest(rules: Rules, copy: Path, signers: list[Signer]) -> dict[str, Seen | None]:
    """Of each unit, from its log in the copies and the kept checkpoints, what a quorum saw last. NotWitnessed where a
    log is not the one that was witnessed."""
    found: dict[str, Seen | None] = {}
    for log in _logs(copy):
        check = LogCheck(log, signers, None, rules)
        broken = check.witnessed.broken
        if check.head is None or not check.good or broken:
            code, text = (broken[0].code, broken[0].text) if broken else ("log_damaged", "the log is not in order")
            raise NotWitnessed(f"{log}: {text}: `linetap verify` of its vault says more", code)
        found[check.head.unit] = check.witnessed.newest
    kept = sorted(path.name for path in rules.heads.iterdir() if path.is_dir()) if rules.heads is not None else []
    for unit, log_name in [store.named(name) for name in kept if store.named(name)[0] not in found]:
        try:
            found[unit] = judge.newest_of(rules, unit, signers, log_name)
        except Refusal as error:
            raise NotWitnessed(str(error), error.code) from None
    return found


def require_over(
    rules: Rules, copy: Path, signers: list[Signer], name: str, ended: datetime | None
) -> dict[str, str] | None:
    """Unit -> what is said of it. NotWitnessed where the policy asks for more; None where there is no policy."""
    if rules.policy is None:
        return None
    found = newest(rules, copy, signers)
    if rules.required:
        for unit in [unit for unit, seen in found.items() if seen is None]:
            raise NotWitnessed(f"{name}: not destroyed: {unit} is not witnessed")
        latest = max((seen.since_s or 0 for seen in found.values() if seen is not None), default=None)
        if latest is None:
            raise NotWitnessed(f"{name}: not destroyed: not witnessed: there is no log and no checkpoint of any unit")
        if ended is not None and from_utc_ns(latest * _S) < ended:
            text = f"the last that witnesses have cosigned is of {from_utc_ns(latest * _S):%Y-%m-%dT%H:%M:%SZ}"
            raise NotWitnessed(f"{name}: not destroyed: {text}: by their clocks the day is not over", "day_not_over")
    return {unit: NOBODY if seen is None else seen.text for unit, seen in sorted(found.items())}


def _logs(copy: Path) -> Iterator[Path]:
    for vault in [copy, *(each for each in sorted(copy.iterdir()) if each.is_dir())]:
        if (vault / unitlog.FOLDER / unitlog.HEAD).is_file():
            yield vault / unitlog.FOLDER
