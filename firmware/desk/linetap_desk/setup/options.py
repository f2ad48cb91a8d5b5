# SPDX-License-Identifier: Apache-2.0
"""The options of `linetap desk setup` and `doctor`, without their implementation, since each `linetap desk` loads
them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from linetap_desk.setup import machine

_EXAMPLES = (
    "examples: linetap desk setup --name desk.city.example --admin kim --shown '김민지'\n"
    "          linetap desk setup --database postgresql     at a terminal it asks for the rest\n"
    "          linetap desk setup                           again: what is missing, or ends soon, is made"
)


def add_setup_action(actions: Any) -> None:
    text = "set up this server: broker, keys, database, pages, and the first account"
    parser = actions.add_parser(
        "setup", help=text, description=text, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--name", metavar="HOST", help="the address for people and units: desk.city.example")
    parser.add_argument("--address", action="append", default=[], metavar="A", help="another name or address of it")
    parser.add_argument(
        "--domain", metavar="NAME", help="the authority's domain, when it is made; default: the domain of HOST"
    )
    parser.add_argument("--admin", metavar="NAME", help="the first account, of role officer")
    parser.add_argument("--shown", metavar="TEXT", help="the name of that person, as others read it")
    parser.add_argument("--database", choices=machine.DATABASES, help="default sqlite")
    parser.add_argument("--store", type=Path, metavar="DIR", help=f"copies; default {machine.COPY}")
    parser.add_argument("--pki", type=Path, metavar="DIR", help=f"authority; default {machine.PKI}")
    parser.add_argument("--broker", metavar="HOST", help="a broker on another machine; default Mosquitto on this one")


def add_doctor_action(actions: Any) -> None:
    text = "report what is wrong with this server, one line each with its cure; exit 1 if anything is"
    parser = actions.add_parser("doctor", help=text, description=text, epilog="example: linetap desk doctor --quiet")
    parser.add_argument("--config", type=Path, default=machine.CONFIG, metavar="desk.toml", help="default %(default)s")
    parser.add_argument("--quiet", action="store_true", help="only faults")
