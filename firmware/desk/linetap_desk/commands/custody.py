# SPDX-License-Identifier: Apache-2.0
"""`linetap custody`: without arguments one program with pages for every step that needs a key; with a package, or with
a desk's address and keys, the custodian's helper alone."""

from __future__ import annotations

import argparse
import sys
import webbrowser
from pathlib import Path

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
    return _run_program(args, deskfolder.folder_of(argparse.Namespace(desk=args.desk_folder)), clock)


def _run_program(args: argparse.Namespace, desk_folder: Path, clock: Clock) -> int:
    """Prints the program's address and code, and opens the browser there; runs until its button, a signal, or the idle
    time ends it."""
    from linetap_desk.custody.package import private_folder  # these load the modules of all steps
    from linetap_desk.custody.program import pages, settings
    from linetap_desk.custody.program.program import Program
    from linetap_desk.custody.site import Admission, CasePages

    known = settings.load(desk_folder)
    with private_folder() as work, serving.listening(args.port) as at:
        look = CasePages(serving.zone_of_arguments(args), "linetap_desk.custody")
        idle_s = args.idle_minutes * 60
        program = Program(Admission(), look, clock, serving.url_of(at), idle_s, desk_folder, work, known)
        with program.held:
            serving.print_address(program)
            if args.browser:
                webbrowser.open(f"{program.url}/")
            serving.serve(program, pages.make_app(program), at)
    return 0


def main() -> int:
    """`linetap-custody`, for a double click: after an error the console window waits for a key before it closes."""
    status = cli.main(["custody", *sys.argv[1:]])
    if status and sys.platform == "win32" and sys.stdin.isatty():
        input("Enter ends. / Enter 키를 누르면 끝납니다. ")
    return status
