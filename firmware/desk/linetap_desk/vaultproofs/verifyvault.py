# SPDX-License-Identifier: Apache-2.0
"""Verifies a whole vault: every call, its logs, and all other files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing.signers import Signer
from linetap_core.timekeeping import KEPT
from linetap_core.vaultformat import keptlogs
from linetap_desk.proofs import callfolder, headtime
from linetap_desk.proofs.verdict import Problem, Verdict
from linetap_desk.proofs.verifycall import verify_call
from linetap_desk.vaultproofs.logclaims import LogClaims
from linetap_desk.vaultproofs.tree import TreeCheck
from linetap_desk.vaultproofs.verifylog import MOST_PROBLEMS, LogCheck
from linetap_desk.witnessing.judge import NO_RULES, Rules


def verify_vault(
    vault: Path,
    signers: list[Signer] | None,
    witness: Path | None = None,
    rules: Rules = NO_RULES,
    clock: Clock = KEPT,
) -> Iterator[Verdict]:
    """A verdict for every call of a vault by time, then for its log, files and witnesses. `witness`: a cosigned
    head."""
    calls = callfolder.calls(vault)
    first_call = next(calls, None)
    if first_call is None and not (vault / unitlog.FOLDER).exists():
        return
    claims = LogClaims()
    replaced_logs = [
        LogCheck(vault / keptlogs.place(number), signers, None, claims=claims) for number in keptlogs.numbers(vault)
    ]
    log = LogCheck(vault / unitlog.FOLDER, signers, witness, rules, claims, clock)
    records, stray_count = dict[str, str](), 0
    for path in [] if first_call is None else chain([first_call], calls):
        if sealed.CALL_ID.fullmatch(path.name) is None or callfolder.is_folder(path) is False:
            stray_count += 1
            if stray_count <= MOST_PROBLEMS:
                yield Verdict(str(path.relative_to(vault)), problems=[_stray_problem(path)])
            continue
        verdict = verify_call(path, signers, seen=log.witnesses.closed_by(path.name))
        if not verdict.problems and path != vault / sealed.call_path(path.name):
            verdict.problems.append(Problem("wrong_day", f"lies under {path.parent.relative_to(vault)}"))
        verdict.problems.extend(chain(log.problems_of(verdict), log.late_problems(verdict)))
        records[verdict.name] = verdict.record_sha256 or ""
        yield verdict
    if stray_count > MOST_PROBLEMS:
        rest = Problem("more", f"{stray_count - MOST_PROBLEMS} more beside the calls do not belong into a vault")
        yield Verdict("days", problems=[rest])
    yield from (replaced.replaced_verdict(log) for replaced in replaced_logs)
    yield log.verdict()
    yield from log.notes()
    if log.head is not None:
        yield from TreeCheck(
            vault, log.head.unit, signers, log.claims, records, headtime.by_now(log.head.at, clock)
        ).verdicts()
    yield log.witnesses.verdict()


def _stray_problem(path: Path) -> Problem:
    """The problem of an entry that is no call: an unreadable day, or a foreign file."""
    try:
        os.scandir(path).close()
    except NotADirectoryError:
        pass
    except OSError as error:
        return Problem("folder_unreadable", f"cannot be read: {error.strerror}; its calls cannot be judged")
    hint = callfolder.by_a_desktop(path.name) or ": a call folder expected"
    return Problem("stray", f"does not belong into a vault{hint}")
