# SPDX-License-Identifier: Apache-2.0
"""`linetap pki init`: the authority, which speaks for its own networks and domains and for no other."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.enrolment.certificates import NAME_LIMIT
from linetap_core.errors import BadInput
from linetap_core.evidence import document
from linetap_desk.pki import authority, names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="on a medium that is kept; made if it is not there")
    parser.add_argument(
        "--domain", action="append", default=[], metavar="NAME", help="brokers have names in it; may be repeated"
    )
    parser.add_argument(
        "--network", action="append", default=[], metavar="NET", help="10.20.0.0/16: brokers have addresses in it"
    )
    parser.add_argument("--name", default="linetap", metavar="TEXT", help="of the authority, default %(default)s")


def run(args: argparse.Namespace, clock: Clock) -> int:
    domains = [names.domain(text, "--domain") for text in args.domain]
    networks = [names.network(text, "--network") for text in args.network]
    if not domains and not networks:
        raise BadInput("--domain or --network: where the brokers are; the authority speaks for no host elsewhere")
    document.require_plain(args.name, "--name", NAME_LIMIT)
    authority.make(args.folder, args.name, domains, networks, clock)
    sys.stdout.write(f"{args.folder}: {authority.KEY} (keep it offline), {authority.CERTIFICATE} for everybody\n")
    return 0
