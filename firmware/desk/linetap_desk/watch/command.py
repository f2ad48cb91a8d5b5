# SPDX-License-Identifier: Apache-2.0
"""`linetap watch`: all units, as the broker has them, until Ctrl-C; or once."""

from __future__ import annotations

import argparse
from pathlib import Path

from linetap_core.clock import Clock
from linetap_core.timekeeping import KEPT

_EPILOG = """\
example: linetap watch --config desk.toml
         linetap watch --config desk.toml --once | less
         linetap watch --config desk.toml --json | jq -c 'select(.kind == "standing")'
--once ends with 0 where no unit is fault, unheard, offline or late, else with 1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("--config", type=Path, metavar="desk.toml")
    parser.add_argument("--broker", metavar="URL", help="mqtt://HOST:PORT on the loopback; else [broker] in desk.toml")
    parser.add_argument("--places", metavar="places.toml", help="which unit hangs where; else [watch] in desk.toml")
    parser.add_argument("--json", action="store_true", help="an object a line: each change; with --once each unit")
    parser.add_argument("--once", action="store_true", help="what is now, and no more")
    parser.add_argument("--language", choices=("en", "ko"), default="en", help="of the alerts; default %(default)s")


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    from linetap_desk.watch import service
    from linetap_desk.watch.settings import settings

    return service.run(settings(args), args, clock)
