# SPDX-License-Identifier: Apache-2.0
"""`linetap pki unit|renew`: a unit's request becomes its certificate and its line in the signers' file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.durable import privatefile, signedfile
from linetap_core.enrolment import request
from linetap_core.enrolment.request import PkiFault, Request
from linetap_core.errors import Refusal
from linetap_core.evidence.keys import keys
from linetap_core.handover import read_small
from linetap_desk.pki import authority
from linetap_desk.pki.authority import Authority, key_hash, signers_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", type=Path, metavar="UNIT.request", help="what `linetap pki request` wrote")
    parser.add_argument(
        "--fingerprint", metavar="SHA256:...", help="what it printed on the unit, where the file came by another way"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="UNIT.pem", help="must not exist")


def enrol(args: argparse.Namespace, clock: Clock) -> int:
    return _issue(args, clock, known=False)


def renew(args: argparse.Namespace, clock: Clock) -> int:
    return _issue(args, clock, known=True)


def _issue(args: argparse.Namespace, clock: Clock, known: bool) -> int:
    asked = _read(args.request)
    found = keys.fingerprint(asked.signer)
    if args.fingerprint not in (None, found):
        raise PkiFault("request_fingerprint", f"{args.request}: its signing key is {found}, not that of --fingerprint")
    signedfile.require_free(args.output)
    line = keys.public_line(asked.signer)
    with authority.opened(args.dir, clock) as ca:
        _require(ca, asked, line, known)
        made = ca.issue("unit", asked.unit, asked.tls, asked.alternatives, line)
    privatefile.write(args.output, made)
    args.output.chmod(0o644)
    sys.stdout.write(f"{signers_line(asked.unit, line)}\n")
    return 0


def _read(path: Path) -> Request:
    data = read_small(path, request.LIMIT_BYTES)
    try:
        return request.check(data)
    except Refusal as fault:
        raise PkiFault(fault.code, f"{path}: {str(fault).removesuffix(f' [{fault.code}]')}") from None


def _require(ca: Authority, asked: Request, line: str, known: bool) -> None:
    """A name has one signing key at a time, a key one name; and what was revoked does not come back."""
    register = ca.register
    revoked = register.revocations()
    tls = key_hash(asked.tls)
    if register.signers().get((asked.unit, line)):
        raise PkiFault("signer_revoked", f"{asked.unit}: this signing key was revoked: a new unit.key is needed")
    if any(entry.key == tls and entry.serial in revoked for entry in register.issued()):
        raise PkiFault("key_revoked", f"{asked.unit}: this TLS key was revoked: `linetap pki request --new-key`")
    if any(entry.signer == line and entry.name != asked.unit for entry in register.issued("unit")):
        raise PkiFault("signer_taken", f"{asked.unit}: this signing key is another unit's")
    standing = register.standing("unit", asked.unit)
    if any(entry.signer != line for entry in standing):
        raise PkiFault(
            "name_taken", f"{asked.unit}: enrolled with another signing key; `linetap pki revoke {asked.unit}` first"
        )
    if known and not standing:
        raise PkiFault("not_enrolled", f"{asked.unit}: is not enrolled; `linetap pki unit` enrols it")
    if standing and not known:
        raise PkiFault("enrolled", f"{asked.unit}: is enrolled since {standing[0].at}; `linetap pki renew` renews")
