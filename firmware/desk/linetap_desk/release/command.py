# SPDX-License-Identifier: Apache-2.0
"""`linetap release key|request|approve|show|peel|close`, in the order in which they are needed."""

from __future__ import annotations

import argparse

from linetap_core.clock import Clock
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.release import approve, ask, peel, show
from linetap_desk.verbs import Verb, add_verbs

_VERBS = {
    "key": Verb(
        "custodian: a key for one request alone, its public half on standard output",
        "2026-0042 -o one-time.txt",
        ask.add_key_arguments,
        ask.key,
    ),
    "request": Verb(
        "requester: which calls, for what, for whom",
        "vault/2026/11/24/20261124T225600.123Z-L03 --id 2026-0042 --one-time age1... --purpose dispute"
        ' --case 2026-117 --requester "Lee Jun" --for age1... -o request.json',
        ask.add_request_arguments,
        ask.request,
    ),
    "approve": Verb(
        "approver: sign it; two of different roles are needed",
        'request.json --key ~/.ssh/id_ed25519 --name "Kim Sora"',
        approve.add_arguments,
        approve.run,
    ),
    "show": Verb("what is there and what is missing", "request.json", show.add_arguments, show.run),
    "peel": Verb(
        "custodian of a group: take your layer off, for the next one",
        "vault/2026/11/24/20261124T225600.123Z-L03 --identity custodian-1.txt --identity one-time.txt"
        " --inner INNER.age --request request.json -o PART.age",
        peel.add_arguments,
        peel.run,
    ),
    "close": Verb(
        "custodian: destroy the key of a request", "2026-0042 --key one-time.txt", ask.add_close_arguments, ask.close
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap release show request.json"
    for sub in add_verbs(parser, "release", _VERBS)[1].values():
        deskfolder.add_argument(sub)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return _VERBS[args.verb].run(args, clock)
