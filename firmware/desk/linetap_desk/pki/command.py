# SPDX-License-Identifier: Apache-2.0
"""`linetap pki init|unit|renew|revoke|broker|desk|rabbitmq|list`, in the order in which they are needed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cryptography import x509

from linetap_core.cli import Verb, Verbs, add_verbs
from linetap_core.clock import NS_PER_DAY, Clock, parse_rfc3339, rfc3339
from linetap_core.durable import privatefile, signedfile
from linetap_core.enrolment import certificates, request
from linetap_core.enrolment.certificates import Role, common_name
from linetap_core.enrolment.request import PkiFault, Request
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.rundir import read_small
from linetap_core.timekeeping import KEPT
from linetap_desk.pki import authority, rabbitmq
from linetap_desk.pki.authority import Authority, key_hash, signers_line
from linetap_desk.pki.register import Issued, Register

_NEVER = "9999"  # sorts after every time
_ROLES: tuple[Role, ...] = ("desk", "broker")


def add_revoke_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="floor-03, desk:seoul or broker:HOST")
    parser.add_argument(
        "--since", metavar="TIME", help="RFC 3339: from when on its signatures are in doubt; default now"
    )
    parser.add_argument(
        "--keep-signer", action="store_true", help="for a unit that lost only its TLS key: its signatures stay valid"
    )


def revoke_certificates(args: argparse.Namespace, clock: Clock) -> int:
    role, name = _role_and_name(args.name)
    now_ns = clock.utc_ns()
    since = rfc3339(now_ns) if args.since is None else _since(args.since, now_ns)
    with authority.opened(args.dir, clock) as ca:
        entries = ca.register.standing(role, name) or _again(ca.register, role, name, since, args.keep_signer)
        if not entries:
            raise PkiFault("not_issued", f"{args.name}: {_why_none(ca.register, role, name)}")
        ca.revoke(entries, since, with_signer=not args.keep_signer)
    sys.stdout.write(
        f"{args.name}: {len(entries)} revoked; now {authority.REVOCATIONS} to every broker, and restart it;"
        f" {authority.SIGNERS} to the verifiers\n"
    )
    return 0


def _why_none(register: Register, role: Role, name: str) -> str:
    """The reason for the lack of a certificate to revoke."""
    gone = register.revocations()
    if at := [gone[entry.serial].at for entry in register.issued(role, name) if entry.serial in gone]:
        return f"revoked at {max(at)}; {authority.REVOCATIONS} and {authority.SIGNERS} have it"
    return "no certificate of this name; `linetap pki list` shows all"


def _again(register: Register, role: Role, name: str, since: str, keep_signer: bool) -> list[Issued]:
    """Revoked certificates that must be revoked again, from an earlier time on."""
    before = {} if keep_signer else register.signers()
    return [
        entry
        for entry in register.issued(role, name)
        if (entry.name, entry.signer) in before and since < (before[entry.name, entry.signer] or _NEVER)
    ]


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days", type=int, default=0, metavar="N", help="only certificates that end within N days; then exit 1"
    )


def list_certificates(args: argparse.Namespace, clock: Clock) -> int:
    """Lists the certificates. 0, or 1 if one ends within --days."""
    with authority.opened(args.dir, clock) as ca:
        newest: dict[str, Issued] = {}
        revoked = ca.register.revocations()
        for entry in ca.register.issued():
            if entry.serial not in revoked:
                newest[common_name(entry.role, entry.name)] = entry
    end_ns = clock.utc_ns() + args.days * NS_PER_DAY
    shown = sorted(
        (entry.until, name) for name, entry in newest.items() if not args.days or parse_rfc3339(entry.until) <= end_ns
    )
    sys.stdout.writelines(f"{until} {name}\n" for until, name in shown)
    return 1 if args.days and shown else 0


def _role_and_name(name: str) -> tuple[Role, str]:
    for role in _ROLES:
        if name.startswith(f"{role}:"):
            return role, name.removeprefix(f"{role}:")
    return "unit", name


def _since(text: str, now_ns: int) -> str:
    try:
        since_ns = parse_rfc3339(text)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"--since {text}: {error}; 2026-11-24T22:56:00Z expected") from None
    if since_ns > now_ns:
        raise BadInput(f"--since {text}: in the future")
    return rfc3339(since_ns)


def add_unit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", type=Path, metavar="UNIT.request", help="the output of `linetap pki request`")
    parser.add_argument(
        "--fingerprint",
        metavar="SHA256:...",
        help="the fingerprint printed on the unit, if the file came by another way",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="UNIT.pem", help="must not exist")


def enrol_unit(args: argparse.Namespace, clock: Clock) -> int:
    return _issue_unit(args, clock, known=False)


def renew_unit(args: argparse.Namespace, clock: Clock) -> int:
    return _issue_unit(args, clock, known=True)


def _issue_unit(args: argparse.Namespace, clock: Clock, known: bool) -> int:
    asked = _read_request(args.request)
    found = keys.fingerprint(asked.signer)
    if args.fingerprint not in (None, found):
        raise PkiFault("request_fingerprint", f"{args.request}: its signing key is {found}, not that of --fingerprint")
    signedfile.require_free(args.output)
    line = keys.public_line(asked.signer)
    with authority.opened(args.dir, clock) as ca:
        _require(ca, asked, line, known)
        made = ca.issue("unit", asked.unit, asked.tls, asked.alternatives, line)
    privatefile.write_public(args.output, made)
    sys.stdout.write(f"{signers_line(asked.unit, line)}\n")
    return 0


def _read_request(path: Path) -> Request:
    data = read_small(path, request.LIMIT_BYTES)
    try:
        return request.check(data)
    except Refusal as fault:
        raise PkiFault(fault.code, f"{path}: {str(fault).removesuffix(f' [{fault.code}]')}") from None


def _require(ca: Authority, asked: Request, line: str, known: bool) -> None:
    """Requires that a name has one signing key at a time, that a key has one name, and that the key is not revoked."""
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


def make_broker_certificate(args: argparse.Namespace, clock: Clock) -> int:
    if len(args.hosts) > _HOSTS_LIMIT:
        raise BadInput(f"HOST: {len(args.hosts)} of them; {_HOSTS_LIMIT} at most")
    if len(certificates.common_name("broker", args.hosts[0])) > certificates.NAME_LIMIT:
        raise BadInput(f"HOST {args.hosts[0]!r}: too long to name the broker; a shorter one first expected")
    return _issue_host(args, clock, "broker", args.hosts[0], [authority.host_name(text, "HOST") for text in args.hosts])


def make_desk_certificate(args: argparse.Namespace, clock: Clock) -> int:
    return _issue_host(args, clock, "desk", authority.desk_name(args.name), [])


def _issue_host(
    args: argparse.Namespace, clock: Clock, role: Role, name: str, alternatives: list[x509.GeneralName]
) -> int:
    authority.make_host(args.dir, clock, role, name, alternatives, args.output)
    sys.stdout.write(f"{certificates.common_name(role, name)}\n")
    return 0


BEFORE = ("init",)  # the authority exists

_VERBS = {
    "init": Verb(
        "make the authority: a root, and a revocation list from the first day",
        "/media/pki --domain police.example --network 10.20.0.0/16",
        authority.add_init_arguments,
        authority.init,
    ),
    "broker": Verb(
        "key and certificate of a broker, for the names and addresses it is reached by",
        "mqtt.police.example 10.20.0.5 --dir /media/pki -o broker.pem",
        add_broker_arguments,
        make_broker_certificate,
    ),
    "desk": Verb(
        "key and certificate of a desk",
        "seoul --dir /media/pki -o desk-tls.pem",
        add_desk_arguments,
        make_desk_certificate,
    ),
    "unit": Verb(
        "enrol a unit: its certificate in the file, its line for allowed_signers on standard output",
        "floor-03.request --dir /media/pki -o floor-03.pem",
        add_unit_arguments,
        enrol_unit,
    ),
    "renew": Verb(
        "a further certificate for a unit that is enrolled",
        "floor-03.request --dir /media/pki -o floor-03.pem",
        add_unit_arguments,
        renew_unit,
    ),
    "revoke": Verb(
        "from now on its certificates count nowhere, and its signatures no longer",
        "floor-03 --since 2026-11-24T22:00:00Z --dir /media/pki",
        add_revoke_arguments,
        revoke_certificates,
    ),
    "rabbitmq": Verb(
        "the permissions at a RabbitMQ, as its definitions file",
        "--silent wall --silent pages --dir /media/pki -o definitions.json",
        rabbitmq.add_arguments,
        rabbitmq.write_definitions,
    ),
    "list": Verb(
        "the valid certificates, the first to end first",
        "--days 60 --dir /media/pki",
        add_list_arguments,
        list_certificates,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> Verbs:
    parser.epilog = "example: linetap pki init --help"
    verbs, added = add_verbs(parser, "pki", _VERBS)
    for name, sub in added.items():
        if name not in BEFORE:
            sub.add_argument(
                "--dir", type=Path, required=True, metavar="DIR", help="the folder made by `linetap pki init`"
            )
    return verbs


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return _VERBS[args.verb].run(args, clock)
