# SPDX-License-Identifier: Apache-2.0
"""`linetap desk`: the central side. Imports SQLAlchemy only for actions that need it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args

from linetap_core.clock import Clock
from linetap_core.records import Disposition
from linetap_core.timekeeping import KEPT
from linetap_desk.serve import commands as access
from linetap_desk.serve import commands as people
from linetap_desk.setup import options as setup


def add_coverage_arguments(parser: argparse.ArgumentParser) -> None:
    steps = parser.add_subparsers(dest="coverage", required=True, metavar="STEP")
    taken = steps.add_parser(
        "import", help="the register of extensions, from the PBX's list",
        epilog="example: linetap desk coverage import pbx.csv --kind 9608=ip_phone -o extensions.csv",
    )  # fmt: skip
    taken.add_argument("list", type=Path, metavar="LIST.csv", help="a CSV as Excel saves it: UTF-8, CP949 or UTF-16")
    taken.add_argument(
        "--column", action="append", default=[], metavar="HEADING=COLUMN", help="extension, kind or department"
    )
    taken.add_argument(
        "--kind", action="append", default=[], metavar="WORD=KIND",
        help="the PBX's word for analog, ip_phone, digital_set, mobile, fax or unused",
    )  # fmt: skip
    taken.add_argument("-o", "--out", type=Path, required=True, metavar="extensions.csv")
    shown = steps.add_parser(
        "show", help="each telephone against lines and calls",
        epilog="example: linetap desk coverage show --config desk.toml -o coverage.csv",
    )  # fmt: skip
    shown.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="with extensions in [serve]")
    shown.add_argument("-o", "--out", type=Path, metavar="FILE.csv", help="every extension of the register")


_SERVE_ACTIONS = ("serve", "people", "access")
_SERVE = "example: linetap desk serve --config desk.toml"


def _add_serve(actions: Any) -> None:
    serve = actions.add_parser("serve", help="the desk's pages; until SIGTERM", epilog=_SERVE)
    serve.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="with a [serve] table")
    people.add_people_action(actions)
    access.add_access_action(actions)


def _run_serve(args: argparse.Namespace, clock: Clock) -> int:
    if args.action == "people":
        return people.run_people(args, clock)
    if args.action == "access":
        return access.run_access(args, clock)
    from linetap_desk.config import pages
    from linetap_desk.serve import service

    return service.run(pages.read_settings(args.config), clock)


_RAW = argparse.RawDescriptionHelpFormatter
_INGEST = (
    "examples: linetap desk ingest --config desk.toml\n"
    "          linetap desk ingest --broker mqtt://127.0.0.1:1883 --signers allowed_signers --db sqlite:///desk.db"
    " --key desk.key"
)
_CALLS = "example: linetap desk calls --db sqlite:///desk.db --unit floor-03 --from 2026-11-24 --disposition missed"
_METRICS = (
    "examples: linetap desk metrics --db sqlite:///desk.db > /var/lib/prometheus/node-exporter/linetap.prom\n"
    "          linetap desk metrics --db sqlite:///desk.db --listen 127.0.0.1:9464"
)
_REBUILD = "example: linetap desk rebuild --config desk.toml --for 600"
_SUMMARY = "example: linetap desk summary --config desk.toml --day 2026-11-24"
_COVERAGE = "example: linetap desk coverage import pbx.csv --kind 9608=ip_phone -o extensions.csv"
_PROTECTION = "example: linetap desk protection 2026-11 --config desk.toml -o protection.csv"
_BRINGUP = "example: linetap desk bringup *.bringup.json --signers allowed_signers --keep bringups"
MOST = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example: linetap desk ingest --config desk.toml"
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ingest = actions.add_parser(
        "ingest",
        help="receive, verify and store the units' reports; until SIGTERM",
        epilog=_INGEST,
        formatter_class=_RAW,
    )
    ingest.add_argument("--config", type=Path, metavar="desk.toml")
    ingest.add_argument("--broker", metavar="URL", help="mqtt://HOST:PORT on the loopback; else [broker] in desk.toml")
    ingest.add_argument("--client-id", metavar="NAME", help="the broker keeps the session by it; default linetap-desk")
    ingest.add_argument("--signers", metavar="FILE", help="allowed_signers: each unit with its key")
    ingest.add_argument("--db", metavar="URL", help="sqlite:///desk.db, or postgresql+psycopg://USER@HOST/NAME")
    ingest.add_argument(
        "--key", metavar="FILE", help="private, of role desk: confirms stored events, requests missing ones"
    )
    ingest.add_argument(
        "--copy", metavar="URL", help="the ciphertext of every sealed call is copied there: file:///srv/linetap-copy"
    )
    calls = actions.add_parser("calls", help="search the calls", epilog=_CALLS, formatter_class=_RAW)
    calls.add_argument("--db", required=True, metavar="URL")
    calls.add_argument("--unit", metavar="UNIT")
    calls.add_argument("--line", type=int, metavar="N")
    calls.add_argument("--from", dest="since", metavar="TIME", help="began at or after; RFC 3339, or a day in UTC")
    calls.add_argument("--to", dest="until", metavar="TIME", help="began before; RFC 3339, or a day in UTC")
    calls.add_argument("--disposition", choices=get_args(Disposition))
    calls.add_argument("--limit", type=int, default=MOST, metavar="N", help="the newest N, default %(default)s")
    calls.add_argument("--json", action="store_true", help="one object a line")
    metrics = actions.add_parser("metrics", help="figures for Prometheus", epilog=_METRICS, formatter_class=_RAW)
    of = metrics.add_mutually_exclusive_group(required=True)
    of.add_argument("--db", metavar="URL")
    of.add_argument("--config", type=Path, metavar="desk.toml", help="with the setting db")
    metrics.add_argument(
        "--listen", metavar="HOST:PORT", help="serve /metrics there, on the loopback, until SIGTERM; else print once"
    )
    rebuild = actions.add_parser(
        "rebuild", help="make the index again, from the units and the copies", epilog=_REBUILD, formatter_class=_RAW
    )
    rebuild.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="the ingest's desk.toml")
    rebuild.add_argument(
        "--for", dest="for_s", type=int, default=600, metavar="SECONDS",
        help="longest time for requests to the units, default %(default)s; 0: none",
    )  # fmt: skip
    rebuild.add_argument(
        "--without-old",
        action="store_true",
        help="copy nothing from the old database, not even the desk's own observations",
    )
    summary = actions.add_parser(
        "summary", help="the figures of a day, by mail, to a webhook or here", epilog=_SUMMARY, formatter_class=_RAW
    )
    summary.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="with a [summary] table")
    summary.add_argument("--day", metavar="DAY", help="in the zone of the table; default yesterday")
    coverage = actions.add_parser("coverage", help="the recorded telephones of the office", epilog=_COVERAGE)
    add_coverage_arguments(coverage)
    protection = actions.add_parser(
        "protection", help="the report on the protection of staff, of a month or a year, as CSV", epilog=_PROTECTION
    )
    protection.add_argument("period", metavar="PERIOD", help="2026-11 or 2026, in the zone of the pages")
    protection.add_argument("--config", type=Path, required=True, metavar="desk.toml", help="with a [serve] table")
    protection.add_argument("--language", choices=("ko", "en"), default="ko", help="default %(default)s")
    protection.add_argument("-o", "--out", type=Path, metavar="FILE.csv", help="default: standard output")
    bringup = actions.add_parser(
        "bringup", help="check the signed reports of `linetap bringup`, and show them in one table", epilog=_BRINGUP
    )
    bringup.add_argument("report", type=Path, nargs="+", metavar="UNIT-TIME.bringup.json")
    bringup.add_argument("--signers", type=Path, required=True, metavar="FILE", help="allowed_signers: each unit's key")
    bringup.add_argument("--keep", type=Path, metavar="FOLDER", help="copy the good ones there, with their signatures")
    _add_serve(actions)
    setup.add_setup_action(actions)
    setup.add_doctor_action(actions)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    if args.action in _SERVE_ACTIONS:
        return _run_serve(args, clock)
    if args.action == "doctor":
        from linetap_desk.doctor import command as doctor

        return doctor.run_doctor(args, clock)
    if args.action == "setup":
        from linetap_desk.setup import command

        return command.run_setup(args, clock)
    if args.action == "ingest":
        from linetap_desk.config import desk
        from linetap_desk.copy.service import start_copies
        from linetap_desk.ingest import process

        return process.run(desk.ingest_settings(args), start_copies, clock)
    if args.action == "metrics":
        from linetap_desk.config import desk
        from linetap_desk.ingest import metrics

        return metrics.run(desk.database_of(args), args.listen, clock)
    if args.action == "summary":
        from linetap_desk.summary import command as summary

        return summary.run(args, clock)
    if args.action == "rebuild":
        from linetap_desk.rebuild import command as rebuild

        return rebuild.run(args, clock)
    if args.action == "coverage":
        from linetap_desk.coverage import command as coverage

        return coverage.run(args, clock)
    if args.action == "protection":
        from linetap_desk.serve.protection import command as protection

        return protection.run(args, clock)
    if args.action == "bringup":
        from linetap_desk.commands import bringup

        return bringup.run(args)
    from linetap_desk.calls import command as calls

    return calls.run(args)
