# SPDX-License-Identifier: Apache-2.0
"""`linetap desk people`: manages accounts on the server's terminal. No page creates or changes accounts."""

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
    """Reads the password hidden and twice from the terminal, or as one line from a pipe; never from the command line,
    which every process can read. BadInput if the two differ or are empty."""
    if not sys.stdin.isatty():
        password = sys.stdin.readline(_MOST).rstrip("\n")
        if not password:
            raise BadInput("the password: one line on standard input expected")
        return password
    password = getpass.getpass("password: ")
    if password != getpass.getpass("once more: "):
        raise BadInput("the password: the two are not the same")
    return password


PEOPLE_EXAMPLES = (
    "examples: linetap desk people add kim --shown '김민지' --roles officer --config desk.toml\n"
    "          linetap desk people add park --shown '박지훈' --roles vault --invite --config desk.toml\n"
    "          linetap desk people add lee --shown '이준호' --roles auditor --subject 7f3a... --config desk.toml\n"
    "          linetap desk people roles kim officer watch --config desk.toml\n"
    "          linetap desk people departments choi 민원실 세무과 --config desk.toml\n"
    "          linetap desk people lock kim --config desk.toml"
)
_PEOPLE_VERBS = {
    "add": "create an account; the password is asked for twice",
    "roles": "replace the account's roles",
    "departments": "limit a supervisor to the ended calls of these departments; none: all",
    "password": "set a new password",
    "invite": "print a one-time link for a first password and passkey",
    "lock": "lock the account and end its sessions",
    "unlock": "unlock the account",
    "list": "list all accounts with their roles",
}
_RAW = argparse.RawDescriptionHelpFormatter


def add_people_action(actions: Any) -> None:
    parser = actions.add_parser(
        "people", help="accounts of the desk's pages", epilog=PEOPLE_EXAMPLES, formatter_class=_RAW
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb, text in _PEOPLE_VERBS.items():
        sub = verbs.add_parser(verb, help=text, description=text, epilog=PEOPLE_EXAMPLES, formatter_class=_RAW)
        sub.add_argument("--config", type=Path, required=True, metavar="desk.toml")
        if verb != "list":
            sub.add_argument("name", metavar="NAME", help="the name typed at the login")
        if verb == "add":
            sub.add_argument("--shown", required=True, metavar="TEXT", help="the name shown to others")
            sub.add_argument("--roles", default="", metavar="A,B", help="default none")
            sub.add_argument("--subject", metavar="SUB", help="the person at the OIDC provider, instead of a password")
            sub.add_argument("--invite", action="store_true", help="print a one-time link in place of a password")
        if verb == "roles":
            sub.add_argument("roles", nargs="*", metavar="ROLE")
        if verb == "departments":
            sub.add_argument("departments", nargs="*", metavar="DEPARTMENT", help="a name from the table of lines")


def run_people(args: argparse.Namespace, clock: Clock) -> int:
    from linetap_desk.serve.people import accounts, invitations

    with opened(args.config, clock) as (table, read):
        issuer = None if read.oidc is None else read.oidc.issuer
        by = f"terminal:{_user()}"
        if args.verb == "add":
            subject, roles = args.subject, [role for role in args.roles.split(",") if role]
            accounts.checked_roles(roles)  # before a password is typed twice
            if subject is not None and issuer is None:
                raise BadInput(f"--subject: {args.config} has no [serve.oidc]")
            password = read_password() if subject is None and not args.invite else None
            subject = subject and f"{issuer} {subject}"
            accounts.add_account(table, by, args.name, args.shown, roles, password, subject, invited=args.invite)
            if args.invite:
                sys.stdout.write(_link(read, args.name, invitations.invite(table, by, args.name)))
        elif args.verb == "invite":
            sys.stdout.write(_link(read, args.name, invitations.invite(table, by, args.name)))
        elif args.verb == "roles":
            accounts.set_roles(table, by, args.name, args.roles)
        elif args.verb == "departments":
            accounts.set_departments(table, by, args.name, args.departments, _departments(read))
        elif args.verb == "password":
            accounts.set_password(table, by, args.name, read_password())
        elif args.verb in ("lock", "unlock"):
            accounts.lock_account(table, by, args.name, args.verb == "lock")
        else:
            keyed = accounts.with_passkey(table)
            for one in accounts.list_accounts(table):
                had = (("password", one.password), ("passkey", one.name in keyed), ("oidc", one.subject))
                ways = [way for way, there in had if there]
                state = "locked" if one.locked else "open"
                only = ", ".join(sorted(accounts.departments_in(one.departments)))
                line = [one.name, one.shown, one.roles or "-", "+".join(ways), state, *([only] if only else [])]
                sys.stdout.write("\t".join(line) + "\n")
    return 0


def _departments(read: Any) -> list[str]:
    """The departments of the table of lines and of the register; empty without both."""
    from linetap_desk.serve.calls.form import Directory

    directory = Directory(read)
    return sorted({*directory.lines.names(), *directory.register.departments.values()})


def _link(read: Any, name: str, code: str) -> str:
    """The link with the code in its fragment, which browsers do not send; the page removes it from the history."""
    return f"{read.url or 'https://ADDRESS'}/first#{name}/{code}\n"


@contextlib.contextmanager
def opened(config: Path, clock: Clock) -> Iterator[tuple[Any, Any]]:
    """The access table with its database, and the settings."""
    from linetap_core.durable.signedfile import load_key
    from linetap_desk.config import pages
    from linetap_desk.serve import opendatabase
    from linetap_desk.serve.database.accesslog import AccessTable

    read = pages.read_settings(config)
    key = load_key(read.log_key)
    engine = opendatabase.open_own(read.db)
    try:
        yield AccessTable(engine, clock, key), read
    finally:
        engine.dispose()


def _user() -> str:
    """The user who called sudo, if any."""
    before = os.environ.get("SUDO_USER", "")
    try:
        return before or pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


ACCESS_EXAMPLES = (
    "examples: linetap desk access head --db sqlite:///serve.db > kept/2026-11.head\n"
    "          linetap desk access verify --db sqlite:///serve.db --key serve-log.key.pub --head kept/2026-11.head"
)
_MOST_BYTES = 1 << 16


def add_access_action(actions: Any) -> None:
    parser = actions.add_parser(
        "access", help="the access log of the pages", epilog=ACCESS_EXAMPLES, formatter_class=_RAW
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    texts = {
        "rekey": "sign with another key from now on, after verifying the log under the old one",
        "verify": "check whether a row is changed, missing or out of place",
        "head": "print its signed head, to be kept elsewhere",
    }
    for verb, text in texts.items():
        sub = verbs.add_parser(verb, help=text, description=text, epilog=ACCESS_EXAMPLES, formatter_class=_RAW)
        if verb == "rekey":
            sub.add_argument(
                "--config", type=Path, required=True, metavar="desk.toml", help="desk.toml with the new serve.log_key"
            )
            sub.add_argument("--old", type=Path, required=True, metavar="FILE.pub", help="the previous key")
            continue
        sub.add_argument("--db", required=True, metavar="URL", help="database of the pages, like serve.db in desk.toml")
        if verb == "verify":
            sub.add_argument("--key", type=Path, metavar="FILE.pub", help="the log's, as `linetap keygen unit` has it")
            sub.add_argument(
                "--head",
                type=Path,
                action="append",
                default=[],
                metavar="FILE",
                help="a head stored earlier; may be repeated",
            )


def run_access(args: argparse.Namespace, clock: Clock) -> int:
    """Verifies or re-keys the log. Exit status 0: the log continues a kept head; 1: it does not, or none was given."""
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from linetap_desk.ingest.database import reason
    from linetap_desk.serve import opendatabase
    from linetap_desk.serve.database.tables import access_head

    if args.verb == "rekey":
        return _rekey(args, clock)
    engine = opendatabase.open_there(args.db)
    try:
        with engine.connect() as db:
            if args.verb == "verify":
                return _verify(db, args)
            found = db.execute(select(access_head)).one_or_none()
    except SQLAlchemyError as error:
        raise BadInput(f"--db: {reason(error)}") from None
    finally:
        engine.dispose()
    if found is None:
        raise BadInput("--db: the access log is empty")
    sys.stdout.write(f"{found.head}\n{found.sig}")
    return 0


def _rekey(args: argparse.Namespace, clock: Clock) -> int:
    from linetap_desk.serve.database.accesslog import rekey

    with opened(args.config, clock) as (table, _):
        sys.stdout.write(f"{rekey(table, _public(args.old))} rows verified; another key signs from now on\n")
    return 0


def _verify(db: Any, args: argparse.Namespace) -> int:
    """Verifies the log. Status 0 requires a head kept elsewhere, as for the file log (decision 0031)."""
    from linetap_core.evidence.keys import keys
    from linetap_desk.serve.database import accesslog

    kept = [_read_kept_head(path) for path in args.head]
    verdict = accesslog.verify_chain(db, [head for head, _ in kept])
    signer = keys.fingerprint(verdict.key)
    expected = [keys.fingerprint(key) for _, key in kept]
    if args.key is not None:
        expected.append(keys.fingerprint(_public(args.key)))
    if other := next((one for one in expected if one != signer), None):
        raise accesslog.ChainFault("access_head_bad", f"the access log is signed by {signer}, not by {other}")
    since = f", the rows up to {verdict.anchor.seq} were removed on {verdict.anchor.at}" if verdict.anchor else ""
    sys.stdout.write(f"{verdict.rows} rows, the last is {verdict.head.seq} of {verdict.head.at}{since}\n")
    if not kept:
        sys.stderr.write(
            f"consistent, signed by {signer}; name a kept head with --head FILE to check that it was not cut\n"
        )
        return 1
    return 0


def _read_kept_head(path: Path) -> tuple[Any, Any]:
    from linetap_desk.serve.database import accesslog

    head, _, sig = _text(path).partition("\n")
    return accesslog.read_signed_head(head, sig, "head")


def _public(path: Path) -> Any:
    from linetap_core.evidence.authorization import roles

    return roles.public_key(_text(path).strip())


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error.strerror if isinstance(error, OSError) else 'not text'}") from None
