# SPDX-License-Identifier: Apache-2.0
"""The second person who signs the certificate of a destruction: somebody who is named, and not the officer."""

from __future__ import annotations

import argparse

from linetap_core.clock import Clock, from_utc_ns
from linetap_core.durable import signedfile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.command import VAULT
from linetap_core.evidence.keys.keys import SigningKey, public_blob
from linetap_core.evidence.signing import document, namespaces
from linetap_core.evidence.signing.signers import UntrustedSigner, require_named
from linetap_core.evidence.signing.sshsig import SignatureFault
from linetap_desk.accesslog import deskfolder
from linetap_desk.proofs import callfolder


def key_of(args: argparse.Namespace, signer: SigningKey | None, clock: Clock) -> SigningKey | None:
    """The second person's key, if named. With roles in force a Refusal unless the first person is a vault officer, and
    the second another vault officer or an approver; without roles unless --signers names both, as two people."""
    if args.second is None:
        return None
    if signer is None:
        raise BadInput("--second: signs beside an officer: --key expected too")
    second = signedfile.load_key(args.second)
    if public_blob(second.public_key()) == public_blob(signer.public_key()):
        raise Refusal("--second: the same key as --key; another person's expected")
    desk = deskfolder.find(args, clock)
    if desk is None:
        _require_two_named(args, signer, second, clock)
        return second
    roles = desk.roles(desk.access.entries())
    officer, other = roles.holder(signer.public_key()), roles.holder(second.public_key())
    if officer is None or officer.role != VAULT:
        raise Refusal(f"{args.key}: is no vault officer's key by the roles in force")
    if other is None or not (other.role == VAULT or other.approves):
        raise Refusal(f"{args.second}: is neither another vault officer's nor an approver's key by the roles in force")
    return second


def _require_two_named(args: argparse.Namespace, signer: SigningKey, second: SigningKey, clock: Clock) -> None:
    if args.signers is None:
        raise BadInput("--second: without roles in force, --signers that name both people for its certificate expected")
    named, now = callfolder.load_signers(args.signers), from_utc_ns(clock.utc_ns())
    names = []
    for path, key in ((args.key, signer), (args.second, second)):
        try:
            names.append(require_named(key.public_key(), namespaces.CERTIFICATE, named, now))
        except SignatureFault as error:
            nobody = f"no signer is named for {namespaces.CERTIFICATE} in {args.signers}"
            raise Refusal(f"{path}: {nobody if isinstance(error, UntrustedSigner) else error}") from None
    if document.name_key(names[0]) == document.name_key(names[1]):
        raise Refusal(f"{args.second}: a key of {names[1]}, as --key is; another person's expected")
