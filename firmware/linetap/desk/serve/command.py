# SPDX-License-Identifier: Apache-2.0
"""`linetap desk serve`, as the command line has it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from linetap.clock import Clock

ACTIONS = ("serve",)
EXAMPLE = "example: linetap desk serve --config desk.toml"


def add_actions(actions: Any) -> None:
    serve = actions.add_parser("serve", help="the desk's pages; until SIGTERM", epilog=EXAMPLE)
    serve.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="with a [serve] table")


def run(args: argparse.Namespace, clock: Clock) -> int:
    from linetap.desk.serve import service, settings

    return service.run(settings.read(args.config), clock)
