# SPDX-License-Identifier: Apache-2.0
"""`linetap find`: finds the calls of a telephone number, with line and folder, in the indexes of vaults.

A search reveals who called whom, so it is logged in the access log before the first index is opened. Its result is a
pointer: only the call's own signed record proves it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from linetap_core import jsontext
from linetap_core.clock import Clock, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import CASE_LIMIT, NotReleased
from linetap_core.evidence.calls import index, sealed
from linetap_core.evidence.signing import document
from linetap_core.mask import masked
from linetap_core.timekeeping import KEPT
from linetap_core.zones import KOREA, local_time
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.access import Entry, LoggedStep
from linetap_desk.inputs.strict import last_ns, moment_ns, zone_of
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.amendments import TrueTimes
from linetap_desk.searching import indexsearch
from linetap_desk.searching.departments import Departments
from linetap_desk.searching.indexsearch import REMOVED, IndexKeys, IndexLog, Result

_ALWAYS = 1 << 63


class Call(msgspec.Struct, frozen=True):
    """A line of `--json`. `path` None: its folder is not in the vault."""

    at: str
    local: str
    unit: str
    line: int
    extension: str
    department: str
    direction: str
    number: str
    call_id: str
    path: str | None
    internal: bool
    disposition: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "example: linetap find --number 010-1234-5678 --from '2026-11-24 13:00' --to '2026-11-24 18:00' vaults/floor-03"
        " --identity /media/a --purpose dispute --case 2026-117"
    )
    parser.add_argument(
        "vaults", type=Path, nargs="+", metavar="VAULT", help="a unit's vault, or the desk's copy of it"
    )
    parser.add_argument("--number", required=True, help="in any spelling; or its ending, 4 digits or more")
    parser.add_argument("--from", dest="first", metavar="TIME", help="2026-11-24, '2026-11-24 13:00', or RFC 3339")
    parser.add_argument("--to", dest="last", metavar="TIME", help="in the same form; a day counts to its end")
    parser.add_argument("--line", type=int, metavar="N", help="only this line")
    parser.add_argument("--identity", type=Path, action="append", required=True, metavar="FILE_OR_DIR",
                        help="an epoch's index key, or a folder of them; may be repeated")  # fmt: skip
    parser.add_argument(
        "--signers", type=Path, metavar="ALLOWED_SIGNERS", help="names the units; their logs authenticate their indexes"
    )
    parser.add_argument("--table", type=Path, metavar="lines.csv", help="unit,line,extension,department,from")
    parser.add_argument("--zone", default=KOREA, help="of times, given and shown; default %(default)s")
    parser.add_argument("--purpose", default="", metavar="ID", help="from the signed list; needed once there are roles")
    parser.add_argument("--case", default="", metavar="TEXT", help="a file number; needed once there are roles")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each call")
    deskfolder.add_argument(parser)


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Searches. 0: found. 1: nothing found; standard error lists what could not be searched."""
    desk = deskfolder.find(args, clock)
    digits = index.digits_of(args.number)
    entry = Entry(verb="find", number=masked(digits), purpose=args.purpose, case=args.case)
    with deskfolder.logged_step(desk, entry) as step:
        if len(digits) < index.LEAST_DIGITS:
            raise BadInput(f"--number: {len(digits)} digits; a number, or at least {index.LEAST_DIGITS} of its ending")
        zone = zone_of(args.zone)
        first_ns, last = _span(args, zone)
        entry.lines = [args.line] if args.line is not None else []
        entry.span = _span_text(args, first_ns, last)
        table = Departments([]) if args.table is None else Departments.load(args.table, zone)
        keys = IndexKeys(args.identity)
        times = TrueTimes(vault for vault in args.vaults if vault.is_dir())
        segments = _segments(args, zone, first_ns, last, times)
        if desk is not None:
            _require_purpose(desk, step)
        step.granted()
        signers = None if args.signers is None else callfolder.load_signers(args.signers)
        logs = {vault: IndexLog(vault, signers) for vault in args.vaults if (vault / index.FOLDER).is_dir()}
        result = indexsearch.search(segments, keys, _criteria(digits, first_ns, last, args.line, times), logs)
        days = indexsearch.days_of(*_days(args, zone, first_ns, last))
        for epoch in (epoch for log in logs.values() for epoch in log.missing(*days)):
            result.closed.setdefault(REMOVED, set()).add(epoch)
    calls = sorted(_calls(result, table, zone, times), key=lambda call: (call.at, call.unit, call.line))
    for call in calls:
        sys.stdout.write(jsontext.line(call) if args.json else _line_of(call) + "\n")
    sys.stdout.flush()
    for vault, log in logs.items():
        if log.why is not None:
            sys.stderr.write(f"not vouched for: {vault}: {log.why}\n")
    _print_unsearched(args.vaults, result, times.unread, bool(calls))
    return 0 if calls else 1


def _span(args: argparse.Namespace, zone: ZoneInfo) -> tuple[int, int]:
    """First and last moment, UTC ns."""
    try:
        first_ns = moment_ns(args.first, zone) if args.first else 0
        last = last_ns(args.last, zone) if args.last else _ALWAYS
    except BadInput as error:
        raise BadInput(f"--from, --to: {error}") from None
    if last < first_ns:
        raise BadInput("--to is before --from")
    return first_ns, last


def _span_text(args: argparse.Namespace, first_ns: int, last: int) -> str:
    ends = [rfc3339(first_ns) if args.first else "", rfc3339(last) if args.last else ""]
    return "/".join(ends) if any(ends) else ""


def _segments(
    args: argparse.Namespace, zone: ZoneInfo, first_ns: int, last: int, times: TrueTimes
) -> list[indexsearch.Segment]:
    for vault in args.vaults:
        if not vault.is_dir():
            raise BadInput(f"{vault}: not a folder; a vault expected")

    first_day, last_day = _days(args, zone, first_ns, last)
    others = times.days_of_others(first_ns, last, zone)
    return [found for vault in args.vaults for found in indexsearch.segments_of(vault, first_day, last_day, others)]


def _days(args: argparse.Namespace, zone: ZoneInfo, first_ns: int, last: int) -> tuple[date | None, date | None]:
    def day_of(utc_ns: int) -> date:
        return local_time(utc_ns, zone).date()

    return day_of(first_ns) if args.first else None, day_of(last) if args.last else None


def _require_purpose(desk: deskfolder.Desk, step: LoggedStep) -> None:
    """NotReleased unless a purpose of the signed list and a case are given. Called with roles in force."""
    roles, entry = desk.roles(step.past), step.entry
    entry.roles = roles.version
    if not entry.purpose or not entry.case:
        raise NotReleased("purpose_needed", "--purpose and --case: roles are in force, and a search requires both")
    document.require_plain(entry.case, "--case", CASE_LIMIT)
    if roles.purpose(entry.purpose) is None:
        have = ", ".join(purpose.id for purpose in roles.purposes) or "none"
        raise NotReleased("purpose_unknown", f"purpose {entry.purpose!r} is not in the signed list: {have}")


def _criteria(
    digits: str, first_ns: int, last: int, line: int | None, times: TrueTimes
) -> Callable[[index.Entry], bool]:
    def matches(entry: index.Entry) -> bool:
        if line not in (None, entry.line) or not index.is_number(entry, digits):  # cheap test that excludes nearly all
            return False
        return first_ns <= times.began_ns(entry) <= last

    return matches


def _calls(result: Result, table: Departments, zone: ZoneInfo, times: TrueTimes) -> list[Call]:
    calls = []
    for vaults, entry in result.found.values():
        at_ns = times.began_ns(entry)
        extension, department = table.at(entry, at_ns)
        paths = [vault / sealed.call_path(entry.call_id) for vault in vaults]
        path = next((str(path) for path in paths if (path / sealed.RECORD).exists()), None)
        calls.append(Call(
            at=rfc3339(at_ns), local=local_time(at_ns, zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
            unit=entry.unit, line=entry.line, extension=extension, department=department, direction=entry.direction,
            number=entry.number, call_id=entry.call_id, path=path,
            internal=entry.internal, disposition=entry.disposition,
        ))  # fmt: skip
    return calls


def _line_of(call: Call) -> str:
    words = [call.local, call.unit, f"line {call.line}", call.extension or "-", call.department or "-",
             call.direction, call.number, call.call_id, call.path or "not in the vault"]  # fmt: skip
    return "\t".join("".join(sign if sign.isprintable() else "?" for sign in word) for word in words)


def _print_unsearched(vaults: list[Path], result: Result, undated: list[str], found: bool) -> None:
    """Prints one line for each reason why a part was not searched."""
    for why, epochs in sorted(result.closed.items()):
        sys.stderr.write(f"not searched: {why}: {indexsearch.spans(epochs)}\n")
    without = [str(vault) for vault in vaults if not (vault / index.FOLDER).is_dir()]
    if without:
        sys.stderr.write(f"not searched: no index: {', '.join(without)}\n")
    for why in undated:
        sys.stderr.write(f"not searched: {why}: calls of a wrong clock are under their old times\n")
    if not found:
        certain = not result.closed and not without and not undated
        rest = "" if certain else " in the calls that could be searched, which are not all"
        sys.stderr.write(f"none found{rest}. Nothing is kept of calls whose epoch has ended\n")
