# SPDX-License-Identifier: Apache-2.0
"""`linetap desk people`: accounts, managed on the server's terminal. No page creates or changes them."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from linetap_core.clock import Clock
from linetap_core.errors import BadInput

_MOST = 1000


def read_password() -> str:
    """From the terminal, hidden and twice, or the one line of a pipe; never from the command line, which every process
    may read. BadInput if the two differ or nothing was typed."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline(_MOST).rstrip("\n")
        if not password:
            raise BadInput("the password: one line on standard input would be right")
        return password
    password = getpass.getpass("password: ")
    if password != getpass.getpass("once more: "):
        raise BadInput("the password: the two are not the same")
    return password


EXAMPLES = (
    "examples: linetap desk people add kim --shown '김민지' --roles officer --config desk.toml\n"
    "          linetap desk people add lee --shown '이준호' --roles auditor --subject 7f3a... --config desk.toml\n"
    "          linetap desk people roles kim officer watch --config desk.toml\n"
    "          linetap desk people lock kim --config desk.toml"
)
_VERBS = {
    "add": "an account; the password is asked for, twice",
    "roles": "these roles, and no others",
    "password": "another password",
    "lock": "no login any more, and every session ends",
    "unlock": "logins again",
    "list": "everybody, with their roles",
}
_RAW = argparse.RawDescriptionHelpFormatter


def add_action(actions: Any) -> None:
    parser = actions.add_parser("people", help="accounts of the desk's pages", epilog=EXAMPLES, formatter_class=_RAW)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text in _VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text, epilog=EXAMPLES, formatter_class=_RAW)
        sub.add_argument("--config", type=Path, required=True, metavar="desk.toml")
        if verb != "list":
            sub.add_argument("name", metavar="NAME", help="what is typed at the login")
        if verb == "add":
            sub.add_argument("--shown", required=True, metavar="TEXT", help="what others read")
            sub.add_argument("--roles", default="", metavar="A,B", help="default none")
            sub.add_argument("--subject", metavar="SUB", help="at the OIDC provider: then no password is asked for")
        if verb == "roles":
            sub.add_argument("roles", nargs="*", metavar="ROLE")


def run(args: argparse.Namespace, clock: Clock) -> int:
    from linetap_desk.serve.people import accounts

    with opened(args.config, clock) as (table, issuer):
        by = f"terminal:{_user()}"
        if args.verb == "add":
            subject, roles = args.subject, [role for role in args.roles.split(",") if role]
            accounts.checked_roles(roles)  # before somebody has typed a password twice
            if subject is not None and issuer is None:
                raise BadInput(f"--subject: {args.config} has no [serve.oidc]")
            password = read_password() if subject is None else None
            accounts.add(table, by, args.name, args.shown, roles, password, subject and f"{issuer} {subject}")
        elif args.verb == "roles":
            accounts.give(table, by, args.name, args.roles)
        elif args.verb == "password":
            accounts.set_password(table, by, args.name, read_password())
        elif args.verb in ("lock", "unlock"):
            accounts.lock(table, by, args.name, args.verb == "lock")
        else:
            for one in accounts.everybody(table):
                ways = [way for way, there in (("password", one.password), ("oidc", one.subject)) if there]
                state = "locked" if one.locked else "open"
                sys.stdout.write(f"{one.name}\t{one.shown}\t{one.roles or '-'}\t{'+'.join(ways)}\t{state}\n")
    return 0


@contextlib.contextmanager
def opened(config: Path, clock: Clock) -> Iterator[tuple[Any, str | None]]:
    """The access table, which has the database with it, and the OIDC provider's name."""
    from linetap_core.durable.signedfile import load_key
    from linetap_desk.serve import database, settings
    from linetap_desk.serve.access.log import AccessTable

    read = settings.read(config)
    key = load_key(read.log_key)
    engine = database.open_own(read.db)
    try:
        yield AccessTable(engine, clock, key), None if read.oidc is None else read.oidc.issuer
    finally:
        engine.dispose()


def _user() -> str:
    """The user who called sudo, if any."""
    before = os.environ.get("SUDO_USER", "")
    try:
        return before or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
