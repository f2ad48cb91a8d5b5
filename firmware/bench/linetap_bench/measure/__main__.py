# SPDX-License-Identifier: Apache-2.0
"""Prints the table and writes it as JSON to build/bench/. Names on the command line select rows."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap_bench.figures import Row, table
from linetap_bench.measure import (
    accuracy,
    cluster,
    custody,
    desk,
    deskload,
    desklogins,
    deskphone,
    deskreaders,
    detectors,
    ends,
    fetch,
    fleet,
    journal,
    log,
    noticeheard,
    proof,
    replay,
    search,
    searchcentral,
    services,
    terminal,
)
from linetap_core.clock import SYSTEM, rfc3339
from linetap_core.errors import LinetapError

PROJECT = Path(__file__).resolve().parents[4]
FOLDER = PROJECT / "build" / "bench"
VOICES = PROJECT / "build" / "voices"
MEASUREMENTS: dict[str, Callable[[Path, Path, Path], list[Row]]] = {
    "replay": replay.measure,
    "boot": services.measure_boot,
    "busy": services.measure_busy,
    "capture": services.measure_capture,
    "meter": terminal.measure,
    "notice": noticeheard.measure,
    "load": services.measure_load,
    "proof": proof.measure,
    "ears": detectors.measure,
    "ends": ends.measure,
    "imports": services.measure_imports,
    "journal": journal.measure,
    "accuracy": accuracy.measure,
    "day": replay.measure_day,
    "log": log.measure,
    "find": search.measure_find,
    "fetch": fetch.measure,
    "fleet": fleet.measure,
    "cluster": cluster.measure,
    "search": search.measure,
    "search-central": searchcentral.measure,
    "desk": desk.measure,
    "desk-load": deskload.measure,
    "desk-flood": deskload.measure_flood,
    "desk-readers": deskreaders.measure,
    "desk-logins": desklogins.measure,
    "desk-phone": deskphone.measure,
    "custody": custody.measure,
}


ONLY_NAMED = ("cluster",)  # needs root, and packages that no other row needs


class Report(msgspec.Struct, kw_only=True):
    at: str
    machine: str
    cores: int
    rows: list[Row]


def main() -> int:
    parser = argparse.ArgumentParser(prog="linetap bench", description="The benchmarks, each against its target.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(MEASUREMENTS)} (default: all but {', '.join(ONLY_NAMED)})",
    )
    names = parser.parse_args().names or [name for name in MEASUREMENTS if name not in ONLY_NAMED]
    if unknown := set(names) - MEASUREMENTS.keys():
        parser.error(f"no measurement {', '.join(sorted(unknown))}; there are {', '.join(MEASUREMENTS)}")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    make_default_notices(FOLDER / "notices", ANNOUNCEMENTS)
    rows: list[Row] = []
    for name in names:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        folder = FOLDER / name
        folder.mkdir()
        try:
            rows += MEASUREMENTS[name](folder, VOICES, FOLDER / "notices")
        except LinetapError as error:
            print(f"bench: {name}: {error}", file=sys.stderr)
            return error.exit_status
    report = Report(at=rfc3339(SYSTEM.utc_ns()), machine=platform.platform(), cores=os.cpu_count() or 0, rows=rows)
    (FOLDER / "bench.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
