# SPDX-License-Identifier: Apache-2.0
"""Checks the logs in copies of vaults before a day's keys are destroyed.

`require_witnessed_over` checks that no log was rewritten, and that the day has ended. The desk's own clock determines
the end of a day. With a policy a quorum of witnesses must confirm it, so that a desk with a fast clock destroys nothing
early.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from linetap_core.clock import NS_PER_S, from_utc_ns
from linetap_core.errors import Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.vaultproofs.verifylog import LogCheck
from linetap_desk.witnessing import judge, signedheads
from linetap_desk.witnessing.judge import NOBODY, CheckpointVerdict, NotWitnessed, Rules


def newest_witnessed(rules: Rules, copy: Path, signers: list[Signer]) -> dict[str, CheckpointVerdict | None]:
    """For each unit the newest witnessed checkpoint, from its log in the copies and the kept checkpoints. NotWitnessed
    if a log differs from the witnessed one."""
    newest: dict[str, CheckpointVerdict | None] = {}
    for log in _log_folders(copy):
        check = LogCheck(log, signers, None, rules)
        log_problems = check.witnesses.log_problems
        if check.head is None or not check.good or log_problems:
            code, text = (
                (log_problems[0].code, log_problems[0].text)
                if log_problems
                else ("log_damaged", "the log is not in order")
            )
            raise NotWitnessed(f"{log}: {text}: `linetap verify` of its vault gives details", code)
        newest[check.head.unit] = check.witnesses.newest
    folder_names = (
        sorted(path.name for path in rules.heads.iterdir() if path.is_dir()) if rules.heads is not None else []
    )
    for unit, log_name in [
        signedheads.unit_and_log(name) for name in folder_names if signedheads.unit_and_log(name)[0] not in newest
    ]:
        try:
            newest[unit] = judge.newest_of(rules, unit, signers, log_name)
        except Refusal as error:
            raise NotWitnessed(str(error), error.code) from None
    return newest


def require_witnessed_over(
    rules: Rules, copy: Path, signers: list[Signer], name: str, ended: datetime | None
) -> dict[str, str] | None:
    """Unit -> the witnesses' result. NotWitnessed if the policy requires more; None without a policy."""
    if rules.policy is None:
        return None
    newest = newest_witnessed(rules, copy, signers)
    if rules.required:
        for unit in [unit for unit, seen in newest.items() if seen is None]:
            raise NotWitnessed(f"{name}: not destroyed: {unit} is not witnessed")
        latest_s = max((seen.since_s or 0 for seen in newest.values() if seen is not None), default=None)
        if latest_s is None:
            raise NotWitnessed(f"{name}: not destroyed: not witnessed: there is no log and no checkpoint of any unit")
        if ended is not None and from_utc_ns(latest_s * NS_PER_S) < ended:
            text = f"the last that witnesses have cosigned is of {from_utc_ns(latest_s * NS_PER_S):%Y-%m-%dT%H:%M:%SZ}"
            raise NotWitnessed(f"{name}: not destroyed: {text}: by their clocks the day is not over", "day_not_over")
    return {unit: NOBODY if seen is None else seen.text for unit, seen in sorted(newest.items())}


def _log_folders(copy: Path) -> Iterator[Path]:
    for vault in [copy, *(each for each in sorted(copy.iterdir()) if each.is_dir())]:
        if (vault / unitlog.FOLDER / unitlog.HEAD).is_file():
            yield vault / unitlog.FOLDER
