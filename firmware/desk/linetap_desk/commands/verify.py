# SPDX-License-Identifier: Apache-2.0
"""`linetap verify`: checks that a sealed call, a whole vault or a bundle is unchanged. Needs no secret.

Every defect is reported with a stable code. For a vault the log is checked too: it reveals a recording that was removed
with its whole folder, and a witness reveals a truncated log.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from linetap_core.errors import BadInput, Refusal, file_and_reason
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.signing.signers import Signer
from linetap_desk.bundle import layout, misplaced
from linetap_desk.bundle.check import verify_bundle
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Problem, Verdict
from linetap_desk.proofs.verifycall import verify_call
from linetap_desk.unsealing import callproof
from linetap_desk.vaultproofs.verifyvault import verify_vault
from linetap_desk.witnessing import judge, options
from linetap_desk.witnessing.judge import NO_POLICY, NOBODY, NOT_WITNESSED, Rules

_ZIP = ".zip"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap verify vault/2026/11/24/20261124T225600.123Z-L03 --signers allowed_signers"
    parser.add_argument("path", type=Path, metavar="PATH", help="a call folder, a vault or a bundle")
    parser.add_argument(
        "--signers", type=Path, metavar="ALLOWED_SIGNERS", help="OpenSSH allowed_signers file naming the units"
    )
    parser.add_argument(
        "--witness", type=Path, metavar="FILE", help="a head cosigned by the witness: the vault must continue it"
    )
    options.add_arguments(parser)
    parser.add_argument("--ca", type=Path, metavar="PEM", help="CA of the authority that has stamped a bundle")


def run(args: argparse.Namespace) -> int:
    """Verifies. 0 if every call is as a named signer sealed it, else 1."""
    signers = None if args.signers is None else callfolder.load_signers(args.signers)
    path: Path = args.path.resolve()
    verdicts = _verdicts(args, path, signers)
    count = good = 0
    try:
        for verdict in verdicts:
            count += verdict.counts
            good += verdict.counts and verdict.good
            sys.stdout.writelines(line + "\n" for line in verdict.lines())
    except PermissionError as error:
        raise BadInput(f"{file_and_reason(error, path)}; a vault you may read expected") from None
    if not count and (text := misplaced.in_folder(args.path)) is not None:
        raise BadInput(text)
    if not count:
        raise BadInput(f"{args.path}: there is no call in it; a call folder or a vault expected")
    sys.stdout.write(f"{count} checked, {good} good\n")
    return 0 if good == count else 1


def _verdicts(args: argparse.Namespace, path: Path, signers: list[Signer] | None) -> Iterable[Verdict]:
    if path.is_file():
        if path.suffix != _ZIP and not misplaced.is_zip(path):
            raise BadInput(f"{args.path}: a file that is no zip; a call folder, a vault or a bundle expected")
        if args.witness is not None:
            raise BadInput(f"--witness: {args.path} is a bundle, which has the head that its witness has signed")
        return verify_bundle(path, signers, args.ca, options.rules(args, binding=False))
    if not path.is_dir():
        raise BadInput(f"{args.path}: not there; a call folder, a vault or a bundle expected")
    if args.ca is not None:
        raise BadInput(f"--ca: {args.path} is not a bundle; use `linetap timestamp check` for stamped heads")
    if (path / layout.ABOUT).is_file():
        raise BadInput(misplaced.in_folder(path) or f"{args.path}: {misplaced.UNPACKED}")
    if not callfolder.is_call(path):
        return verify_vault(path, signers, args.witness, options.rules(args, binding=False))
    if args.witness is not None:
        raise BadInput(f"--witness: {args.path} is a call folder; --witness is for a vault")
    return _call_and_witnesses(path, signers, options.rules(args, binding=False))


def _call_and_witnesses(path: Path, signers: list[Signer] | None, rules: Rules) -> Iterator[Verdict]:
    """Verifies a single call, with the proof of its close in its vault, a store or a package around it."""
    call = verify_call(path, signers)
    yield call
    if call.record is None or call.record_sha256 is None:
        return  # an unreadable call has no witnesses
    if rules.policy is None:
        yield Verdict(f"witness: {NO_POLICY}", counts=False)
        return
    basis, unit, problem, seen = callproof.Basis(signers, rules=rules), call.record.unit, None, None
    try:
        close = callproof.find_closing(path, unit, basis)
        if close is not None:
            closing.check(close, unit, path.name, call.record_sha256, signers)
        seen, problem = callproof.witnessed(path, call.record, close, basis)
    except (Refusal, BadInput, OSError) as error:
        problem = Problem(error.code if isinstance(error, Refusal) else NOT_WITNESSED, f"{NOBODY}: {error}")
    problems = [] if problem is None or not rules.required else [problem]
    name = f"witness: {NOBODY if seen is None else seen.text}"
    notes = judge.late(seen, max(judge.moments(call.record))) if seen is not None and problem is None else []
    yield Verdict(name, trusted=seen is not None, problems=problems, counts=rules.required, notes=notes)
