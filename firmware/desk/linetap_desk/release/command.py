# SPDX-License-Identifier: Apache-2.0
"""`linetap release key|request|approve|show|peel|page|close`, in the order in which they are used.

`peel`: a custodian of a group removes a layer and passes the rest to the next one, who opens the call. All checks of
`linetap open --request` precede it. The passed file is encrypted to the remaining members, and opens only its own call:
its key must open that call's record.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from linetap_core.cli import Verb, add_verbs
from linetap_core.clock import Clock
from linetap_core.evidence.authorization.release import (
    NotReleased,
    check_approvals,
    require_approvals,
    require_purpose,
    require_time,
)
from linetap_core.evidence.authorization.releaserules import DEFAULT, slots
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry
from linetap_desk.release import requestfile, requesting, signingpage
from linetap_desk.release.opening import OpeningInputs, hand_on
from linetap_desk.unsealing import callproof, layers, stockage
from linetap_desk.witnessing import options


def add_peel_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("call_dir", type=Path, metavar="CALL_DIR")
    parser.add_argument(
        "--identity",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="your private file, and the one-time key",
    )
    parser.add_argument(
        "--inner",
        type=Path,
        required=True,
        metavar="INNER.age",
        help="file of the officer, or of the previous custodian",
    )
    parser.add_argument("--request", type=Path, required=True, metavar="REQ", help="request.json, approvals beside it")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="PART.age",
        help="for `linetap open --inner`; must not exist",
    )
    callproof.add_arguments(parser)


def peel_layer(args: argparse.Namespace, clock: Clock) -> int:
    desk = deskfolder.require(args, clock)
    with desk.access.logged_step(Entry(verb="peel")) as step:
        for path in args.identity:
            stockage.check_identity_file(path)
        recipient = requestfile.load_request(args.request).request.recipient
        wanted = OpeningInputs(
            args.call_dir, args.signers, args.identity, args.inner, args.request, recipient,
            args.closing, args.log, options.rules(args), args.witnessed,
        )  # fmt: skip
        peeled = hand_on(desk, step, wanted, args.output)
    layers.say_partial(args.output, peeled.left, "custodian")
    return 0


_OK, _VOID, _MISSING = "ok", "void", "MISSING"


def add_show_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", type=Path, metavar="request.json")


def show(args: argparse.Namespace, clock: Clock) -> int:
    """Prints a request with its present and missing approvals. 0 if `unwrap` would accept it, else 1."""
    desk = deskfolder.require(args, clock)
    past = desk.access.entries()
    file = requestfile.load_request(args.request)
    roles = desk.roles(past)
    sys.stdout.writelines(line + "\n" for line in _request_lines(file))
    steps = list(_steps(file, roles, past, desk.now_ns(past)))
    sys.stdout.writelines(f"{mark:8} {line}\n" for mark, line in steps)
    return 1 if any(mark == _MISSING for mark, _ in steps) else 0


def _request_lines(file: requestfile.RequestFile) -> Iterator[str]:
    request = file.request
    yield f"request  {request.id} (sha256 {hashlib.sha256(file.data).hexdigest()})"
    yield f"asks     {request.requester}, case {request.case}, purpose {request.purpose}"
    if request.party:
        yield f"party    {request.party}, calls of {request.unit}, by version {request.policy} of the roles"
    yield f"for      {request.recipient}"
    yield f"through  {request.one_time}"
    yield f"from     {request.created} until {request.expires}"
    for call in request.calls:
        yield f"call     {call.call_id} (line {call.line}), record {call.record_sha256}"


def _steps(file: requestfile.RequestFile, roles: Roles, past: list[Entry], now_ns: int) -> Iterator[tuple[str, str]]:
    request, sha256 = file.request, hashlib.sha256(file.data).hexdigest()
    purpose = roles.purpose(request.purpose)
    basis = f"{purpose.text_en} | {purpose.text_ko} | {purpose.basis}" if purpose else ""
    yield _step(partial(require_purpose, request, roles), f"purpose: {basis}")
    yield _step(partial(require_time, request, now_ns), f"time: until {request.expires}")
    yield from _approvals(file, roles)
    yield _step(partial(requestfile.require_open, request, past), "not closed")
    for call in request.calls:
        unused = partial(requestfile.require_unused, request, sha256, call.call_id, past)
        yield _step(unused, f"not yet given out: {call.call_id}")


def _approvals(file: requestfile.RequestFile, roles: Roles) -> Iterator[tuple[str, str]]:
    request = file.request
    try:
        found = check_approvals(file.data, request, file.signatures, roles)
    except NotReleased:  # the preceding line names its purpose or rule
        return
    for approval in found.approvals:
        yield _OK, f"approval: {approval.file}: {approval.person.name} ({approval.person.role})"
    for name, fault in found.faults.items():
        yield _VOID, f"approval: {name}: {fault}"
    takes = "two people of different roles" if found.terms == DEFAULT else slots(found.terms.approvals)
    yield _step(partial(require_approvals, request, found), f"approvals: {takes}")


def _step(check: Callable[[], None], text: str) -> tuple[str, str]:
    try:
        check()
    except NotReleased as error:
        return _MISSING, str(error)
    return _OK, text


_VERBS = {
    "key": Verb(
        "custodian: a key for one request alone, its public half on standard output",
        "2026-0042 -o one-time.txt",
        requesting.add_key_arguments,
        requesting.make_key,
    ),
    "request": Verb(
        "requester: which calls, for what, for whom",
        "vault/2026/11/24/20261124T225600.123Z-L03 --id 2026-0042 --one-time age1... --purpose dispute"
        ' --case 2026-117 --requester "Lee Jun" --for age1... -o request.json',
        requesting.add_request_arguments,
        requesting.write_request,
    ),
    "approve": Verb(
        "approver: sign it; two of different roles are needed",
        'request.json --key ~/.ssh/id_ed25519 --name "Kim Sora"',
        requesting.add_approve_arguments,
        requesting.approve_request,
    ),
    "show": Verb("show the request and its missing approvals", "request.json", add_show_arguments, show),
    "peel": Verb(
        "custodian of a group: take your layer off, for the next one",
        "vault/2026/11/24/20261124T225600.123Z-L03 --identity custodian-1.txt --identity one-time.txt"
        " --inner INNER.age --request request.json -o PART.age",
        add_peel_arguments,
        peel_layer,
    ),
    "page": Verb(
        "write the page for approval by passkey, for a separate site",
        "-o /srv/sign/index.html",
        signingpage.add_page_arguments,
        signingpage.write_page,
    ),
    "close": Verb(
        "custodian: destroy the key of a request",
        "2026-0042 --key one-time.txt",
        requesting.add_close_arguments,
        requesting.close_request,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap release show request.json"
    for sub in add_verbs(parser, "release", _VERBS)[1].values():
        deskfolder.add_argument(sub)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return _VERBS[args.verb].run(args, clock)
