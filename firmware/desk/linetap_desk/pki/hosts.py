# SPDX-License-Identifier: Apache-2.0
"""`linetap pki broker|desk`: key and certificate of those that have no signing key to ask with."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cryptography import x509

from linetap_core.clock import Clock
from linetap_core.durable import privatefile, signedfile
from linetap_core.enrolment import certificates
from linetap_core.enrolment.certificates import Role
from linetap_core.enrolment.request import PkiFault
from linetap_core.errors import BadInput
from linetap_desk.pki import authority

_HOSTS_LIMIT = 32


def add_broker_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hosts", nargs="+", metavar="HOST", help="names and addresses; the first names the broker")
    _add_output(parser)


def add_desk_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="2 to 40 of a-z, 0-9 and -; one desk connects once at a time")
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="NAME.pem", help="NAME.key (0600) beside it; neither exists"
    )


def broker(args: argparse.Namespace, clock: Clock) -> int:
    if len(args.hosts) > _HOSTS_LIMIT:
        raise BadInput(f"HOST: {len(args.hosts)} of them; {_HOSTS_LIMIT} at most")
    if len(certificates.common_name("broker", args.hosts[0])) > certificates.NAME_LIMIT:
        raise BadInput(f"HOST {args.hosts[0]!r}: too long to name the broker; a shorter one first would be right")
    return _issue(args, clock, "broker", args.hosts[0], [authority.host_name(text, "HOST") for text in args.hosts])


def desk(args: argparse.Namespace, clock: Clock) -> int:
    return _issue(args, clock, "desk", authority.desk_name(args.name), [])


def _issue(args: argparse.Namespace, clock: Clock, role: Role, name: str, alternatives: list[x509.GeneralName]) -> int:
    key_path: Path = args.output.with_suffix(".key")
    if key_path == args.output:
        raise BadInput(f"-o {args.output}: that is the key's name; {args.output.with_suffix('.pem')} would be right")
    signedfile.require_free(args.output, key_path)
    with authority.opened(args.dir, clock) as ca:
        for one in alternatives:
            if not authority.is_permitted(ca.certificate, one):
                raise PkiFault("host_not_permitted", f"{one.value}: outside what this authority may speak for")
        key = certificates.new_key()
        made = ca.issue(role, name, key.public_key(), alternatives)
    privatefile.write(key_path, certificates.key_pem(key))
    privatefile.write(args.output, made)
    args.output.chmod(0o644)
    sys.stdout.write(f"{certificates.common_name(role, name)}\n")
    return 0
