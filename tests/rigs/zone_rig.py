# SPDX-License-Identifier: Apache-2.0
"""Zone data of a test, compiled by zic like a distribution's, and coreutils' date for comparison."""

from __future__ import annotations

import os
import subprocess
import zoneinfo
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linetap_core import zones

LIMIT_S = 120
# A fictitious rule: a winter with an additional hour, in force when a call of November ends in January.
SUMMER_IN_WINTER = "Rule\tX\t2026\tonly\t-\tDec\t1\t0:00\t1:00\tD\nRule\tX\t2027\tonly\t-\tMar\t1\t0:00\t0\tS\n"
SOURCES = {
    "Asia/Seoul": "9:00",
    "Asia/Tokyo": "9:00",
    "America/New_York": "-5:00",
}


class ZoneData:
    """A folder of zone data, the only one while it is `in_use`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def compile(self, name: str, summer: bool = False) -> None:
        rule = "X" if summer else "-"
        source = self.folder.with_suffix(".source")
        source.write_text(f"{SUMMER_IN_WINTER if summer else ''}Zone\t{name}\t{SOURCES[name]}\t{rule}\tX\n")
        other = self.folder.with_suffix(".new")
        subprocess.run(["/usr/sbin/zic", "-d", str(other), str(source)], check=True, timeout=LIMIT_S)
        self.put(name, (other / name).read_bytes())

    def put(self, name: str, data: bytes) -> None:
        """Installs a file like a package: a new file replaces the old."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".dpkg-new")
        temporary.write_bytes(data)
        temporary.replace(path)

    def midnight(self, name: str, day_after: str) -> str:
        """24:00 of the day before `day_after`, by glibc and coreutils."""
        done = subprocess.run(
            ["date", "-u", "-d", f'TZ="{self.folder / name}" {day_after} 00:00', "+%Y-%m-%dT%H:%M:%S.000Z"],
            env=os.environ | {"TZDIR": str(self.folder)}, capture_output=True, text=True, check=True, timeout=LIMIT_S,
        )  # fmt: skip
        return done.stdout.strip()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        before, read = zoneinfo.TZPATH, dict(zones._read)
        zoneinfo.reset_tzpath([str(self.folder)])
        zones._read.clear()
        zones._korea.cache_clear()
        try:
            yield
        finally:
            zoneinfo.reset_tzpath(before)
            zones._read.clear()
            zones._read.update(read)
