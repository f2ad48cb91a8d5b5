# SPDX-License-Identifier: Apache-2.0
"""Coverage as lines of text, and as a CSV with every extension of the register."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from linetap_desk.coverage.compare import SEEN_DAYS, STATES, Coverage
from linetap_desk.protection.sheet import BOM, safe

COLUMNS = ("extension", "department", "kind", "state", "unit", "line", "last_call")
MOST_NAMED = 20


def summary(coverage: Coverage) -> Iterator[str]:
    """The first line is the measure: of the staff's telephones those of which a call was seen."""
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
            one.extension.number, safe(one.extension.department), one.extension.kind, one.state, unit, line or "",
            one.last or "",
        ])  # fmt: skip
    return BOM + out.getvalue().encode()
