# SPDX-License-Identifier: Apache-2.0
"""`linetap versions add|prove|verify`: publishes an update in the log of versions, and checks the log and its proofs.

The log has its own key, so that the signer of bundles and the keeper of the log are two people. Witnesses of other
parties cosign that the log only grows.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.cli import Verb, Verbs, add_verbs
from linetap_core.clock import Clock
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.witness import quorum
from linetap_core.evidence.witness.quorum import Policy
from linetap_core.timekeeping import KEPT
from linetap_core.versions import entry, payload
from linetap_core.versions.entry import Entry, NotLogged, decode
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import Damaged
from linetap_desk.versions import bundle as bundles
from linetap_desk.versions import log as versionlog
from linetap_desk.witnessing import carry, client


def add_add_arguments(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="linetap-VERSION.raucb; the proof is written beside it"
    )
    parser.add_argument("--key", type=Path, required=True, metavar="KEY", help="the log's own, `linetap keygen unit`")
    parser.add_argument("--commit", required=True, metavar="HASH", help="the commit of its source, 40 digits")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="CA of the witnesses' https")


def add_version(args: argparse.Namespace, _clock: Clock) -> int:
    """Adds a version. 0 if a quorum has cosigned the entry, and the proof is written; else 1, and the same command
    continues."""
    policy, key = _policy(args.policy), callfolder.load_private_key(args.key)
    client.require_urls(policy)
    if key.public_key().public_bytes_raw() not in policy.logs:
        raise BadInput(f"--key {args.key}: the policy names another log; `log {_public(key)}` expected")
    wanted = _entry(args.bundle, args.commit)
    with versionlog.opened(args.log) as log:
        index = versionlog.add(log, wanted)
        carry.submit_to_witnesses(log.tree, versionlog.NAME, key, policy, versionlog.heads_of(args.log), args.ca)
    return _prove(args, index, policy)


def add_prove_arguments(parser: argparse.ArgumentParser) -> None:
    _add_common(parser)
    parser.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="linetap-VERSION.raucb; the proof is written beside it"
    )


def prove_version(args: argparse.Namespace, _clock: Clock) -> int:
    return _prove(args, versionlog.index_of(args.log, payload.sha256(args.bundle)), _policy(args.policy))


def add_verify_arguments(parser: argparse.ArgumentParser) -> None:
    _add_common(parser, log_required=False)
    parser.add_argument("bundle", type=Path, nargs="*", metavar="BUNDLE", help="with its proof, as a unit checks it")


def verify_versions(args: argparse.Namespace, _clock: Clock) -> int:
    """Verifies the log: prints a line for the log, each problem, and each bundle. 0 without problems, else 1."""
    policy, bad = _policy(args.policy), 0
    if args.log is None and not args.bundle:
        raise BadInput("--log DIR, or bundles with their proofs beside them expected")
    entries = list[Entry]()
    if args.log is not None:
        entries, problems = versionlog.audit(args.log, policy)
        for problem in problems:
            sys.stdout.write(f"BAD  {args.log}: {problem.text} [{problem.code}]\n")
        if not problems:
            sys.stdout.write(f"ok   {args.log}: {len(entries)} versions, each once and witnessed\n")
        bad += len(problems)
    for bundle in args.bundle:
        try:
            found = _verify_bundle(bundle, policy)
            if args.log is not None and found not in entries:
                raise NotLogged(f"its entry is not in {args.log}: two logs of one key")
            sys.stdout.write(f"ok   {bundle}: {found.text}\n")
        except Refusal as error:
            sys.stdout.write(f"BAD  {bundle}: {error} [{error.code}]\n")
            bad += 1
    return 1 if bad else 0


VERBS = {
    "add": Verb(
        "add a bundle to the log, have witnesses cosign it, write the proof beside the bundle",
        "linetap-0.2.0.raucb --log versions --key versions.key --policy policy --commit $(git rev-parse HEAD)",
        add_add_arguments,
        add_version,
    ),
    "prove": Verb(
        "write a bundle's proof again", "linetap-0.2.0.raucb --log versions --policy policy", add_prove_arguments,
        prove_version,
    ),
    "verify": Verb(
        "check the whole log, and bundles with their proofs",
        "linetap-0.2.0.raucb --log versions --policy policy",
        add_verify_arguments,
        verify_versions,
    ),
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> Verbs:
    return add_verbs(parser, "versions", VERBS)[0]


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return VERBS[args.verb].run(args, clock)


def _add_common(parser: argparse.ArgumentParser, *, log_required: bool = True) -> None:
    parser.add_argument("--log", type=Path, required=log_required, metavar="DIR", help="the log's folder")
    parser.add_argument("--policy", type=Path, required=True, metavar="FILE", help="names log, witnesses and quorum")


def _policy(path: Path) -> Policy:
    try:
        return entry.demanded(callfolder.read(path, quorum.LIMIT_BYTES).decode("utf-8", "replace"))
    except (Damaged, BadInput) as error:
        raise BadInput(callfolder.fault_of(path, error)) from None


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()


def _entry(bundle: Path, commit: str) -> Entry:
    facts = bundles.read(bundle)
    wanted = Entry(
        product=facts.product, version=facts.version, payload=facts.payload, root=facts.root, commit=commit
    )  # fmt: skip
    try:
        decode(wanted.encode())
    except NotLogged as error:
        raise BadInput(f"{bundle}: {error}") from None
    if wanted.product not in entry.PRODUCTS:
        raise BadInput(f"{bundle}: for {wanted.product!r}; a bundle of {entry.PRODUCT!r} expected")
    return wanted


def _prove(args: argparse.Namespace, index: int, policy: Policy) -> int:
    try:
        proof = versionlog.prove_entry(args.log, index, policy)
    except NotLogged as error:
        sys.stdout.write(f"BAD  {args.log}: {error}; repeat the command to ask the witnesses again [not_witnessed]\n")
        return 1
    path = versionlog.write_proof(args.bundle, proof)
    sys.stdout.write(f"ok   {path}: {_verify_bundle(args.bundle, policy).text}, entry {index}\n")
    return 0


def _verify_bundle(bundle: Path, policy: Policy) -> Entry:
    """Verifies a bundle by the proof beside it, as a unit does, and by its entry in the log."""
    facts = bundles.read(bundle)
    found = entry.require_logged(policy, versionlog.read_proof(bundle), facts.version, facts.payload)
    if found.root != facts.root:
        raise NotLogged(f"the log has root {found.root} for it, its command line has {facts.root}")
    return found
