# SPDX-License-Identifier: Apache-2.0
"""`linetap desk access verify|head`: whether the access log is whole, and its head to be kept elsewhere."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from linetap_core.clock import Clock
from linetap_core.errors import BadInput

EXAMPLES = (
    "examples: linetap desk access head --db sqlite:///serve.db > kept/2026-11.head\n"
    "          linetap desk access verify --db sqlite:///serve.db --key serve.key.pub --head kept/2026-11.head"
)
_RAW = argparse.RawDescriptionHelpFormatter
_MOST_BYTES = 1 << 16


def add_action(actions: Any) -> None:
    parser = actions.add_parser("access", help="the log of who saw what", epilog=EXAMPLES, formatter_class=_RAW)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    texts = {
        "rekey": "go on with another key, once all is whole under the old one",
        "verify": "whether a row is changed, missing or out of place",
        "head": "its signed end, to be kept elsewhere",
    }
    for verb, text in texts.items():
        sub = verbs.add_parser(verb, help=text, description=text, epilog=EXAMPLES, formatter_class=_RAW)
        if verb == "rekey":
            sub.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="its serve.log_key is new")
            sub.add_argument("--old", type=Path, required=True, metavar="FILE.pub", help="the key until now")
            continue
        sub.add_argument("--db", required=True, metavar="URL", help="of the pages, as serve.db in desk.toml")
        if verb == "verify":
            sub.add_argument("--key", type=Path, metavar="FILE.pub", help="the log's, as `linetap keygen unit` has it")
            sub.add_argument(
                "--head", type=Path, action="append", default=[], metavar="FILE", help="kept earlier; may be repeated"
            )


def run(args: argparse.Namespace, clock: Clock) -> int:
    """0 it goes on from a kept head; 1 it does not, or none was given."""
    from sqlalchemy import select
    from sqlalchemy.exc import SQLAlchemyError

    from linetap_desk.ingest.database import reason
    from linetap_desk.serve import database
    from linetap_desk.serve.tables import access_head

    if args.verb == "rekey":
        return _rekey(args, clock)
    engine = database.open_there(args.db)
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
        raise BadInput("--db: nothing was written there yet")
    sys.stdout.write(f"{found.head}\n{found.sig}")
    return 0


def _rekey(args: argparse.Namespace, clock: Clock) -> int:
    from linetap_desk.serve.access.log import rekey
    from linetap_desk.serve.people.command import opened

    with opened(args.config, clock) as (table, _):
        sys.stdout.write(f"{rekey(table, _public(args.old))} rows go on with another key\n")
    return 0


def _verify(db: Any, args: argparse.Namespace) -> int:
    """Answers yes only against a head that was kept elsewhere, as for the file log (decision 0031)."""
    from linetap_core.evidence.keys import keys
    from linetap_desk.serve.access import chain

    kept = [_kept(path) for path in args.head]
    verdict = chain.verify(db, [head for head, _ in kept])
    signer = keys.fingerprint(verdict.key)
    expected = [keys.fingerprint(key) for _, key in kept]
    if args.key is not None:
        expected.append(keys.fingerprint(_public(args.key)))
    if other := next((one for one in expected if one != signer), None):
        raise chain.ChainFault("access_head_bad", f"the access log is signed by {signer}, not by {other}")
    since = f", the rows up to {verdict.anchor.seq} went on {verdict.anchor.at}" if verdict.anchor else ""
    sys.stdout.write(f"{verdict.rows} rows, the last is {verdict.head.seq} of {verdict.head.at}{since}\n")
    if not kept:
        sys.stderr.write(f"consistent, signed by {signer}; whether it was cut, --head FILE with a kept one would say\n")
        return 1
    return 0


def _kept(path: Path) -> tuple[Any, Any]:
    from linetap_desk.serve.access import chain

    head, _, sig = _text(path).partition("\n")
    return chain.read(head, sig, "head")


def _public(path: Path) -> Any:
    from linetap_core.evidence.authorization import roles

    return roles.public_key(_text(path).strip())


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error.strerror if isinstance(error, OSError) else 'not text'}") from None
