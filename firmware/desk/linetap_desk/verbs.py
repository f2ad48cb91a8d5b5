# SPDX-License-Identifier: Apache-2.0
"""A sub-command that has verbs of its own: `linetap release approve`, `linetap pki unit`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from linetap_core.cli import Verbs
from linetap_core.clock import Clock


@dataclass(frozen=True, slots=True)
class Verb:
    help: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Clock], int]


def add_verbs(
    parser: argparse.ArgumentParser, command: str, verbs: Mapping[str, Verb]
) -> tuple[Verbs, dict[str, argparse.ArgumentParser]]:
    """The place of the verbs, and each one's parser with its arguments; `args.verb` will be the name."""
    parsers = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    added = {}
    for name, verb in verbs.items():
        sub = parsers.add_parser(
            name,
            help=verb.help,
            description=verb.help,
            epilog=f"example: linetap {command} {name} {verb.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        verb.add_arguments(sub)
        added[name] = sub
    return parsers, added
