# SPDX-License-Identifier: Apache-2.0
"""`linetap desk serve|people|access`, as the command line has them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from linetap_core.clock import Clock
from linetap_desk.serve.access import command as access
from linetap_desk.serve.people import command as people

ACTIONS = ("serve", "people", "access")
EXAMPLE = "example: linetap desk serve --config desk.toml"


def add_actions(actions: Any) -> None:
    serve = actions.add_parser("serve", help="the desk's pages; until SIGTERM", epilog=EXAMPLE)
    serve.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="with a [serve] table")
    people.add_action(actions)
    access.add_action(actions)


def run(args: argparse.Namespace, clock: Clock) -> int:
    if args.action == "people":
        return people.run(args, clock)
    if args.action == "access":
        return access.run(args, clock)
    from linetap_desk.serve import service, settings

    return service.run(settings.read(args.config), clock)
