# SPDX-License-Identifier: Apache-2.0
"""`linetap pki init|unit|renew|revoke|broker|desk|list`, in the order in which they are needed."""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap_core.cli import Verbs
from linetap_core.clock import Clock
from linetap_core.timekeeping import KEPT
from linetap_desk.pki import authority, enrol, hosts, revoke
from linetap_desk.verbs import Verb, add_verbs

BEFORE = ("init",)  # there is an authority

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
        hosts.add_broker_arguments,
        hosts.broker,
    ),
    "desk": Verb(
        "key and certificate of a desk", "seoul --dir /media/pki -o desk.pem", hosts.add_desk_arguments, hosts.desk
    ),
    "unit": Verb(
        "enrol a unit: its certificate in the file, its line for allowed_signers on standard output",
        "floor-03.request --dir /media/pki -o floor-03.pem",
        enrol.add_arguments,
        enrol.enrol,
    ),
    "renew": Verb(
        "a further certificate for a unit that is enrolled",
        "floor-03.request --dir /media/pki -o floor-03.pem",
        enrol.add_arguments,
        enrol.renew,
    ),
    "revoke": Verb(
        "from now on its certificates count nowhere, and its signatures no longer",
        "floor-03 --since 2026-11-24T22:00:00Z --dir /media/pki",
        revoke.add_arguments,
        revoke.run,
    ),
    "list": Verb(
        "the certificates that stand, the first to end first",
        "--days 60 --dir /media/pki",
        revoke.add_list_arguments,
        revoke.listing,
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> Verbs:
    parser.epilog = "example: linetap pki init --help"
    verbs, added = add_verbs(parser, "pki", _VERBS)
    for name, sub in added.items():
        if name not in BEFORE:
            sub.add_argument("--dir", type=Path, required=True, metavar="DIR", help="what `linetap pki init` made")
    return verbs


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    return _VERBS[args.verb].run(args, clock)
