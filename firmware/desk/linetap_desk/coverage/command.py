# SPDX-License-Identifier: Apache-2.0
"""`linetap desk coverage`: imports the register of extensions, and shows the recorded part of it, as lines of text or
as a CSV with every extension."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from linetap_core.clock import Clock
from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput
from linetap_desk.config import pages
from linetap_desk.coverage import register
from linetap_desk.coverage.compare import SEEN_DAYS, STATES, Coverage, compare
from linetap_desk.coverage.register import KINDS, MOST_TOLD, BadLines, Register
from linetap_desk.ingest import database
from linetap_desk.protection.sheet import BOM, escape_formula
from linetap_desk.searching.departments import Departments

COLUMNS = ("extension", "department", "kind", "state", "unit", "line", "last_call")
MOST_NAMED = 20


def summary(coverage: Coverage) -> Iterator[str]:
    """The lines of text. The first is the measure: the staff's telephones, and those of them with a seen call."""
    share = "" if not coverage.staff else f" ({coverage.tapped * 1000 // coverage.staff / 10:.1f} %)"
    yield f"seen in {SEEN_DAYS} days: {coverage.tapped} of {coverage.staff} telephones of staff{share}"
    yield from (f"{state:12}{coverage.counts[state]:>6}" for state in STATES if coverage.counts[state])
    for name, found in (("not in the register", coverage.strays), ("lines of nobody", coverage.nobodys)):
        if found:
            shown = ", ".join(one if isinstance(one, str) else f"{one[0]}/{one[1]}" for one in found[:MOST_NAMED])
            yield f"{name}: {len(found)}: {shown}{', ...' if len(found) > MOST_NAMED else ''}"
    for one in coverage.pbx:
        yield (
            f"PBX at {one.unit}: {one.days} days, {one.calls} calls, {one.recorded} recorded, {one.missing} missing, "
            f"{one.unseen} recorded and not listed"
        )


def csv_of(coverage: Coverage) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for one in coverage.extensions:
        unit, line = one.place or ("", 0)
        writer.writerow([
            one.extension.number, escape_formula(one.extension.department), one.extension.kind, one.state, unit,
            line or "", one.last or "",
        ])  # fmt: skip
    return BOM + out.getvalue().encode()


def run(args: argparse.Namespace, clock: Clock) -> int:
    """Runs the action. 0; 1 if a telephone that a tap can reach is not seen; 2 for a list with bad lines: nothing is
    written."""
    if args.coverage == "import":
        try:
            found = register.imported(args.list, _pairs(args.column, "--column"), _pairs(args.kind, "--kind"))
        except BadLines as faults:
            sys.stderr.writelines(f"{line}\n" for line in faults.lines[:MOST_TOLD])
            sys.stderr.write(f"{args.list}: {len(faults.lines)} bad lines; nothing is written\n")
            return 2
        _write(args.out, register.csv_of(found))
        kinds = Counter(one.kind for one in found.extensions)
        counts = ", ".join(f"{kinds[kind]} {kind}" for kind in KINDS if kinds[kind])
        sys.stdout.write(f"{args.out}: {len(found.extensions)} extensions{': ' if counts else ''}{counts}\n")
        return 0
    coverage = _compared(args.config, clock.utc_ns())
    sys.stdout.writelines(f"{line}\n" for line in summary(coverage))
    if args.out is not None:
        _write(args.out, csv_of(coverage))
    return 1 if coverage.wrong else 0


def _compared(config: Path, now_ns: int) -> Coverage:
    """The coverage, without the units' present reports, which only the page has."""
    settings = pages.read_settings(config)
    desk = settings.desk
    if desk.db is None or desk.serve.extensions is None:
        raise BadInput(f"{config}: {'db' if desk.db is None else 'serve.extensions'} is missing")
    known = Register.load(Path(desk.serve.extensions))
    table = Departments([]) if desk.serve.lines is None else Departments.load(Path(desk.serve.lines), settings.zone)
    engine = database.open_reader(desk.db)
    try:
        with engine.connect() as db:
            return compare(db, known, table.filled(known.departments, known.trunks), now_ns)
    except SQLAlchemyError as error:
        raise BadInput(f"db: {database.reason(error)}") from None
    finally:
        engine.dispose()


def _pairs(words: Sequence[str], option: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words:
        left, equals, right = word.rpartition("=")
        if not equals or not left.strip():
            raise BadInput(f"{option} {word}: NAME=VALUE expected")
        found[left.strip()] = right.strip()
    return found


def _write(path: Path, data: bytes) -> None:
    try:
        replace_durably(path, data)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
