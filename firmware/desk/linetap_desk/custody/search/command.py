# SPDX-License-Identifier: Apache-2.0
"""`linetap search`: fetches the sealed indexes from the desk, opens them in this process's memory, and searches them on
pages that only this machine's browser can reach."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap_core import system
from linetap_core.clock import Clock
from linetap_core.errors import BadInput
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.custody import package, serving
from linetap_desk.custody.search import pages
from linetap_desk.custody.search.connection import DeskConnection
from linetap_desk.custody.search.session import SearchSession
from linetap_desk.custody.site import Admission, CasePages
from linetap_desk.proofs import callfolder
from linetap_desk.searching.departments import Departments
from linetap_desk.searching.indexsearch import IndexKeys
from linetap_desk.unsealing.callproof import SIGNERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap search --desk https://desk.city.example:8443 --ca ca.pem --identity /media/a"
    parser.add_argument(
        "--desk", dest="url", required=True, metavar="URL", help="the desk's address; prompts for its ticket"
    )
    parser.add_argument("--ca", type=Path, metavar="PEM", help="CA of the desk's certificate; default the system's")
    parser.add_argument("--identity", type=Path, action="append", required=True, metavar="FILE_OR_DIR",
                        help="an epoch's index key, or a folder of them; may be repeated")  # fmt: skip
    parser.add_argument(
        "--signers", type=Path, metavar="ALLOWED_SIGNERS",
        help=f"the published file, which names all units; default {SIGNERS} in the desk's folder",
    )  # fmt: skip
    parser.add_argument("--table", type=Path, metavar="lines.csv", help="unit,line,extension,department,from")
    serving.add_arguments(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    desk = deskfolder.require(argparse.Namespace(desk=args.desk_folder), clock)
    zone = serving.zone_of_arguments(args)
    path = args.signers or desk.folder / SIGNERS
    if not path.is_file():
        raise BadInput(f"{path}: not there; --signers with the published allowed_signers expected")
    signers, keys = callfolder.load_signers(path), IndexKeys(args.identity)
    table = Departments([]) if args.table is None else Departments.load(args.table, zone)
    system.leave_no_core()
    with DeskConnection(args.url, args.ca, package.ask_ticket()) as connection:
        session = SearchSession(connection, desk, signers, keys, table, zone, clock)
        session.load(_progress)
        return _serve(session, clock, args.port, args.idle_minutes * 60)


def _progress(done: int, of: int) -> None:
    sys.stderr.write(f"\r{done} of {of} units" + ("\n" if done == of else ""))
    sys.stderr.flush()


def _serve(session: SearchSession, clock: Clock, port: int, idle_s: float) -> int:
    with serving.listening(port) as at:
        look = CasePages(session.zone, "linetap_desk.custody")
        site = pages.SearchSite(Admission(), look, clock, serving.url_of(at), idle_s, session)
        serving.print_address(site)
        serving.serve(site, pages.make_app(site), at)
    return 0
