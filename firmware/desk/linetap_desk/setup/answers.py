# SPDX-License-Identifier: Apache-2.0
"""Collects the answers for `linetap desk setup`: from its options, from an existing desk.toml, or typed at a
terminal."""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from linetap_core.enrolment.certificates import UNREADABLE
from linetap_core.errors import BadInput
from linetap_desk.config.desk import DeskConfig
from linetap_desk.pki import authority
from linetap_desk.setup import machine

_MOST = 200


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    name: str  # host name for people's browsers, and for units to find the broker
    addresses: tuple[str, ...] = ()  # further names for units to find the broker
    domain: str
    database: str = "sqlite"
    store: Path = machine.COPY
    pki: Path = machine.PKI
    broker: str | None = None  # on another machine; None: on this one
    admin: str | None = None
    shown: str | None = None


def from_options(args: argparse.Namespace, found: DeskConfig | None) -> Answers:
    """The answers. BadInput for one that is missing or contradicts `found`, the existing desk.toml, which is never
    changed."""
    name, broker = args.name, args.broker
    if found is not None:
        _refuse_others(args, found)
        name = urlsplit(found.serve.url or "").hostname
    if found is not None and found.broker.host not in (machine.LOOPBACK, name):
        broker = found.broker.host
    name = name or _prompt("host name of this server, as people will type it", socket.getfqdn())
    if not name:
        raise BadInput("--name: the host name that people will type is missing; desk.city.example expected")
    authority.domain_name(name, "--name")
    for address in args.address:
        authority.host_name(address, "--address")
    _refuse_another_domain(args.domain, args.pki or machine.PKI)
    admin = args.admin
    if admin is None and found is not None and args.shown is not None:
        raise BadInput(f"--shown {args.shown}: --admin with the login name of that person is missing")
    if admin is None and found is None:
        admin = _prompt("login name of the first person", "")
        if not admin:
            raise BadInput("--admin: the login name of the first person is missing; kim expected")
    shown = args.shown or (_prompt("their name, as others will read it", admin) if admin else None) or admin
    return Answers(
        name=name, addresses=tuple(args.address), domain=args.domain or _parent_domain(name),
        database=args.database or "sqlite", store=(args.store or machine.COPY).absolute(), pki=args.pki or machine.PKI,
        broker=broker, admin=admin, shown=shown,
    )  # fmt: skip


def _refuse_others(args: argparse.Namespace, found: DeskConfig) -> None:
    """BadInput for an option other than the existing desk.toml has it: setup would not carry it out."""
    store = found.copy.store if found.copy is not None else None
    kind = (found.db or "").partition(":")[0].partition("+")[0]
    broker = found.broker.host
    for option, given, had, entry in (
        ("--name", args.name, urlsplit(found.serve.url or "").hostname, f"serve.url {found.serve.url}"),
        ("--database", args.database, kind, f"db {found.db}"),
        ("--store", args.store and f"file://{args.store.absolute()}", store, f"copy.store {store}"),
        ("--broker", args.broker, broker, f"broker.host {broker}"),
    ):
        if given is not None and given != had:
            raise BadInput(f"{option} {given.removeprefix('file://')}: {machine.CONFIG} has {entry}; change it there")
    if args.pki is not None and not (args.pki / authority.CERTIFICATE).exists():
        raise BadInput(f"--pki {args.pki}: no {authority.CERTIFICATE} in it; mount the authority's medium")


def _refuse_another_domain(domain: str | None, pki: Path) -> None:
    """BadInput for a domain of which an existing authority does not issue certificates: its domains never change."""
    path = next(
        (at / authority.CERTIFICATE for at in (machine.FOLDER, pki) if (at / authority.CERTIFICATE).exists()), None
    )
    if domain is None or path is None:
        return
    try:
        made = authority.permitted_domains(x509.load_pem_x509_certificate(path.read_bytes()))
    except UNREADABLE:
        raise BadInput(f"{path}: not a certificate of an authority in PEM") from None
    if domain.lower() not in made:
        raise BadInput(
            f"--domain {domain}: the authority {path} is for {', '.join(made)} and stays so; leave the option out"
        )


def _prompt(what: str, suggested: str) -> str:
    """The line typed at the terminal, or `suggested` for an empty one; empty if there is no terminal."""
    if not sys.stdin.isatty():
        return ""
    sys.stderr.write(f"{what}{f' [{suggested}]' if suggested else ''}: ")
    sys.stderr.flush()
    return sys.stdin.readline(_MOST).strip() or suggested


def _parent_domain(name: str) -> str:
    """The domain to which the authority is limited; a name of one or two parts is its own."""
    host, _, rest = name.partition(".")
    return rest if host and "." in rest else name
