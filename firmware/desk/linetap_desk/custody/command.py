# SPDX-License-Identifier: Apache-2.0
"""`linetap custody`: the custodian's helper. It plays the calls of a package from the desk in a browser on this machine
and hands them over; decrypted data is in memory only."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from zoneinfo import ZoneInfo

from linetap_core.clock import Clock
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.keys.publickeys import decode_recipient
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog import deskfolder
from linetap_desk.custody import handlers, package, serving
from linetap_desk.custody.case import Case, CustodianFiles
from linetap_desk.custody.package import Package, private_folder, unpack
from linetap_desk.custody.site import Admission, CasePages, Site
from linetap_desk.unsealing import stockage
from linetap_desk.unsealing.callproof import SIGNERS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: linetap custody --desk https://desk.city.example:8443 --ca ca.pem --identity custodian.txt"
        " --identity one-time.txt"
    )
    parser.add_argument("package", type=Path, nargs="?", metavar="ID.tar", help="downloaded from the request's page")
    parser.add_argument("--desk", dest="url", metavar="URL", help="the desk with the package; prompts for the ticket")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="CA of the desk's certificate; default the system's")
    parser.add_argument("--identity", type=Path, action="append", metavar="FILE", help="custodian.txt and one-time.txt")
    parser.add_argument(
        "--signers", type=Path, metavar="ALLOWED_SIGNERS",
        help=f"the published file; default {SIGNERS} in the desk's folder. The package's own proves nothing",
    )  # fmt: skip
    parser.add_argument(
        "--for", dest="recipient", default="", metavar="age1...", help="refuse a request for another key"
    )
    parser.add_argument(
        "--log",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="the unit's log, for the bundle, where the package has no proof from it",
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path(), metavar="DIR", help="folder of the handed-over files; default ."
    )
    serving.add_arguments(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    desk = deskfolder.require(argparse.Namespace(desk=args.desk_folder), clock)
    zone, means = _check_arguments(args, desk)
    with private_folder() as folder:
        case = Case(_package(args, folder), desk, means, clock)
        return serve_case(case, clock, args.port, zone, args.idle_minutes * 60)


def _check_arguments(args: argparse.Namespace, desk: deskfolder.Desk) -> tuple[ZoneInfo, CustodianFiles]:
    """The zone and the custodian's files. BadInput, before any prompt or download."""
    if (args.package is None) == (args.url is None):
        raise BadInput("ID.tar or --desk URL: one of the two expected")
    if not args.identity:
        raise BadInput("--identity: custodian.txt and one-time.txt expected")
    for path in args.identity:
        stockage.check_identity_file(path)
    signers = args.signers or desk.folder / SIGNERS
    if not signers.is_file():
        raise BadInput(f"{signers}: not there; --signers with the published allowed_signers expected")
    if args.recipient:
        try:
            decode_recipient(args.recipient)
        except BadInput as error:
            raise BadInput(f"--for: {error}") from None
    if not args.output.is_dir():
        raise BadInput(f"--output {args.output}: not a folder")
    return serving.zone_of_arguments(args), CustodianFiles(
        signers, args.identity, args.recipient, args.output, args.log
    )


def _package(args: argparse.Namespace, folder: Path) -> Package:
    with contextlib.ExitStack() as held:
        if args.url is not None:
            return unpack(held.enter_context(package.fetched(args.url, args.ca, package.ask_ticket())), folder)
        try:
            return unpack(held.enter_context(args.package.open("rb")), folder)
        except OSError as error:
            if isinstance(error, LinetapError):
                raise
            raise BadInput(f"{args.package}: {error.strerror}") from None


def serve_case(case: Case, clock: Clock, port: int, zone: ZoneInfo, idle_s: float) -> int:
    with serving.listening(port) as at:
        site = make_site(case, clock, serving.url_of(at), zone, idle_s)
        serving.print_address(site)
        serving.serve(site, handlers.make_app(site), at)
    return 0


def make_site(case: Case, clock: Clock, url: str, zone: ZoneInfo, idle_s: float) -> Site:
    return Site(Admission(), CasePages(zone, "linetap_desk.custody"), clock, url, idle_s, case)
