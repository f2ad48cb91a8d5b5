# SPDX-License-Identifier: Apache-2.0
"""`linetap custody`: without arguments one program with pages for every step that needs a key; with a package, or with
a desk's address and keys, the custodian's helper alone."""

from __future__ import annotations

import argparse
import sys

from linetap_core import cli
from linetap_core.clock import Clock
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.custody import command as helper
from linetap_desk.custody import serving


def add_arguments(parser: argparse.ArgumentParser) -> None:
    helper.add_arguments(parser)
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="without a package or --desk: open no browser"
    )


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    if args.package is not None or args.url is not None or args.identity:
        return helper.run(args, clock)
    from linetap_desk.custody.program import command as program  # loads the modules of all steps

    folder = deskfolder.folder_of(argparse.Namespace(desk=args.desk_folder))
    return program.run(folder, clock, serving.zone_of_arguments(args), args.port, args.idle_minutes * 60, args.browser)


def main() -> int:
    """`linetap-custody`, for a double click: after an error the console window waits for a key before it closes."""
    status = cli.main(["custody", *sys.argv[1:]])
    if status and sys.platform == "win32" and sys.stdin.isatty():
        input("Enter ends. / Enter 키를 누르면 끝납니다. ")
    return status
