# SPDX-License-Identifier: Apache-2.0
"""`linetap access show|verify`: prints the access log, or checks that it is complete."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

from linetap_core import jsontext, rundir
from linetap_core.clock import Clock
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey
from linetap_core.evidence.merklelog.unitlog import HEAD, HEAD_LIMIT_BYTES, Head
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import AccessFault, Entry, read_head, read_log, require_head
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES

_FACTS = ("request", "purpose", "case", "requester", "number", "span", "roles", "key_sha256", "left", "code", "text")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap access show --call 20261124T225600.123Z-L03"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser(
        "show", help="one line a step, the oldest first", epilog="example: linetap access show --request 2026-0042"
    )
    show.add_argument("--call", metavar="CALL_ID", help="only entries of this call")
    show.add_argument("--request", metavar="REQUEST_ID", help="only entries of this request")
    show.add_argument(
        "--key",
        type=Path,
        metavar="KEY.age",
        help="only entries that opened this sealed key, for whichever call",
    )
    show.add_argument("--json", action="store_true", help="the entries in the log's own form")
    verify = verbs.add_parser(
        "verify",
        help="whether the log is whole: against its own head, and against heads that others kept",
        epilog="example: linetap access verify --head witness/head.json",
    )
    verify.add_argument(
        "--head",
        type=Path,
        action="append",
        default=[],
        metavar="head.json",
        help="a head stored elsewhere; may be repeated",
    )
    for verb in (show, verify):
        deskfolder.add_argument(verb)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    desk = deskfolder.require(args, clock)
    if args.verb == "verify":
        return _verify(desk.folder, args.head)
    key = "" if args.key is None else hashlib.sha256(rundir.read_small(args.key, KEY_LIMIT_BYTES)).hexdigest()
    for entry in read_log(desk.access.folder)[0]:
        if (
            (not args.call or args.call in entry.calls)
            and (not args.request or args.request == entry.request)
            and (not key or key == entry.key_sha256)
        ):
            sys.stdout.write(jsontext.line(entry) if args.json else line_of(entry) + "\n")
    return 0


def line_of(entry: Entry) -> str:
    """One line: time, person, origin, verb, outcome, calls, and all other facts."""
    who = f"{entry.user}@{entry.host}" + (f" from {entry.origin}" if entry.origin else "")
    who += f" ({entry.name})" if entry.name else ""
    words = [entry.at, who, entry.verb, entry.outcome, " ".join(entry.calls) or "-"]
    words += [f"{name}={value}" for name in _FACTS if (value := getattr(entry, name))]
    words += [f"approvers={', '.join(entry.approvers)}"] if entry.approvers else []
    words += ["unreleased"] if entry.unreleased else []
    return "\t".join("".join(c if c.isprintable() else "?" for c in word) for word in words)


def _verify(folder: Path, kept: list[Path]) -> int:
    """Verifies the log. 0 if it continues every kept head; 1 without one, since then only its consistency can be
    checked."""
    access = folder / deskfolder.ACCESS
    _, tree = read_log(access)
    own = _own_head(access, deskfolder.read_public(folder / deskfolder.PUBLIC))
    for path in (access / HEAD, *kept):
        require_head(read_head(path), tree, path)
    if own.size < tree.size:
        raise AccessFault("access_log_added", f"{access}: {tree.size - own.size} entries are under no signed head")
    if not kept:
        sys.stdout.write(
            f"?    {tree.size} entries, consistent; a log cut back together with its head would not be seen: --head\n"
        )
        return 1
    sys.stdout.write(f"ok   {tree.size} entries, signed, and they continue {len(kept)} kept head(s)\n")
    return 0


def _own_head(access: Path, public: PublicKey) -> Head:
    """Raises a Refusal unless the log's own key signed its head."""
    signature = access / f"{HEAD}{namespaces.SUFFIX}"
    head = read_head(access / HEAD)
    data = rundir.read_small(access / HEAD, HEAD_LIMIT_BYTES)
    armored = rundir.read_small(signature, sshsig.SIGNATURE_LIMIT_BYTES)
    if keys.public_blob(sshsig.check(data, armored, namespaces.HEAD)) != keys.public_blob(public):
        raise AccessFault("access_log_signer", f"{signature}: signed by another key than {deskfolder.PUBLIC}")
    return head
