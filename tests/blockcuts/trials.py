# SPDX-License-Identifier: Apache-2.0
"""The trials of a life, and the table of their results.

A trial mounts the disk of a cut, may damage it on purpose, starts the recorder and judges the vault.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from boot import BootFailed, boot
from disk import after_cut
from life import Cut, Lived
from oracle import Judged, Oracle

COLUMNS = ("lost", "orphan", "doubled", "never", "understated", "wrong", "failed")
UNTOUCHED, ZEROED, ROTTEN = "nothing", "both journal halves zeroed", "one bit of one file"


def zero_journals(vault: Path, _chance: random.Random) -> str:
    for path in (vault / "journal").glob("?.journal"):
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
    return "both journals"


def rot(vault: Path, chance: random.Random) -> str:
    """Flips one bit in a small file that recovery reads, as failing flash does; returns its place."""
    found = [*vault.glob("journal/?.journal"), *vault.glob("[0-9]*/*/*/*/open.journal")]
    found += [path for name in ("clock.json", "outbox/confirmed.json", "outbox/places.json") for path in [vault / name]]
    path = chance.choice([path for path in found if path.exists() and path.stat().st_size])
    data = bytearray(path.read_bytes())
    used = len(data.rstrip(b"\0")) or 1
    at = chance.randrange(used)
    data[at] ^= 1 << chance.randrange(8)
    with path.open("r+b") as file:
        file.write(data)
    return f"{path.relative_to(vault)} at {at} of {used}"


BREAKS: dict[str, Callable[[Path, random.Random], str] | None] = {
    UNTOUCHED: None, ZEROED: zero_journals, ROTTEN: rot,
}  # fmt: skip


@dataclass
class Row:
    trials: int = 0
    calls: int = 0
    recovered: int = 0
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    last: list[tuple[float, float]] = field(default_factory=list)
    unbounded_ends: list[tuple[float, float]] = field(default_factory=list)

    def add(self, judged: Judged, what: str) -> None:
        self.trials += 1
        self.calls += judged.calls
        self.recovered += judged.recovered
        self.last += judged.last
        self.unbounded_ends += judged.unbounded_ends
        for kind, text in judged.faults:
            self.faults[kind].append(f"{what}: {text}")


class Trials:
    def __init__(self) -> None:
        self.rows: dict[str, Row] = defaultdict(Row)
        self.kills = 0

    def of(self, lived: Lived, breaks: Callable[[int], str]) -> None:
        """Runs a trial for each cut. `breaks`: the number of a cut -> a name of BREAKS."""
        oracle = Oracle(lived)
        self.kills += lived.kills
        place = lived.folder / "after"
        for number, cut in enumerate(lived.cuts):
            broken = breaks(number)
            self._one(lived, oracle, cut, broken, place, next_boot=number % 2 == 1)
            cut.image.unlink()

    def _one(self, lived: Lived, oracle: Oracle, cut: Cut, broken: str, place: Path, *, next_boot: bool) -> None:
        chance = random.Random(cut.seed)
        what = f"cut {cut.seed}, {'next' if next_boot else 'same'} boot, {broken}"
        try:
            with after_cut(cut.image, place):
                if (deed := BREAKS[broken]) is not None:
                    what += f" ({deed(place, chance)})"
                run_dir = Path(f"{lived.config.run_dir}-{cut.seed}")
                boot(lived.config, place, run_dir, cut.mono_ns, next_boot=next_boot)
                judged = oracle.judge(place, cut, whole_journal=broken == UNTOUCHED)
        except BootFailed as error:
            judged = Judged([("failed", str(error))])
        killed = "" if cut.dead_ms is None else ", recorder killed"
        self.rows[f"{broken}{killed}"].add(judged, what)

    @property
    def faults(self) -> list[str]:
        return [f"{kind}: {text}" for row in self.rows.values() for kind, texts in row.faults.items() for text in texts]

    def __str__(self) -> str:
        head: list[object] = ["broken on purpose", "cuts", "calls", "recovered", *COLUMNS]
        lines: list[list[object]] = [
            [name, row.trials, row.calls, row.recovered, *(len(row.faults[c]) for c in COLUMNS)]
            for name, row in sorted(self.rows.items())
        ]
        widths = [max(len(str(line[n])) for line in [head, *lines]) for n in range(len(head))]
        table = [
            "  ".join(str(word).ljust(width) if not n else str(word).rjust(width)
                      for n, (word, width) in enumerate(zip(line, widths, strict=True)))
            for line in [head, *lines]
        ]  # fmt: skip
        return "\n".join([*table, f"recorders killed: {self.kills}", *self._distribution()])

    def _distribution(self) -> list[str]:
        out = []
        for name, row in sorted(self.rows.items()):
            for kind, pairs in (("at most", row.last), ("unbounded", row.unbounded_ends)):
                if pairs:
                    parts = [_spread([pair[n] for pair in pairs]) for n in (0, 1)]
                    over = _spread([stated - missing for missing, stated in pairs])
                    out.append(f"{name}, {len(pairs)} ends stated '{kind}': missing {parts[0]}, stated {parts[1]}, "
                               f"stated less missing {over} (ms: least, median, 95 %, most)")  # fmt: skip
        return out


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return " / ".join(f"{ordered[round(part * (len(ordered) - 1))]:.0f}" for part in (0, 0.5, 0.95, 1))
