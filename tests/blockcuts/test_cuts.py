# SPDX-License-Identifier: Apache-2.0
"""Power cuts below the file system of a whole unit, and kills of its recorder, with calls on all lines.

`LINETAP_CUTS`, `LINETAP_ROTTEN` and `LINETAP_KILLS` replace the full counts of the long tests.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from disk import require
from life import Life, Lived
from trials import ROTTEN, UNTOUCHED, ZEROED, Trials

import soak_table
from linetap_core.clock import NS_PER_S, SYSTEM

SAMPLE_S, SAMPLE_CUTS = 13, 8
LIFE_S = 90
CUTS, BROKEN, KILLS = 1000, 300, 1000


@pytest.mark.timeout(400)
def test_a_few_cuts_lose_nothing_silently(tmp_path: Path) -> None:
    require()
    trials = Trials()
    kinds = [UNTOUCHED, UNTOUCHED, ZEROED, UNTOUCHED, ROTTEN]
    trials.of(Life(tmp_path, SAMPLE_S, seed=8, kills=0.3).run(SAMPLE_CUTS), lambda number: kinds[number % len(kinds)])
    print(f"\n{trials}")
    assert not trials.faults, "\n".join(trials.faults)
    assert sum(row.recovered for row in trials.rows.values())


@pytest.mark.soak
def test_a_thousand_cuts(tmp_path: Path) -> None:
    _many(tmp_path, 1000, int(os.environ.get("LINETAP_CUTS", CUTS)), [UNTOUCHED], _cuts)


@pytest.mark.soak
def test_cuts_with_one_rotten_file(tmp_path: Path) -> None:
    _many(tmp_path, 2000, int(os.environ.get("LINETAP_ROTTEN", BROKEN)), [ROTTEN, ROTTEN, ZEROED], _cuts)


@pytest.mark.soak
def test_a_thousand_kills(tmp_path: Path) -> None:
    """The recorder is killed about once a second during its calls; each life ends with a power cut."""
    _many(tmp_path, 3000, int(os.environ.get("LINETAP_KILLS", KILLS)), [UNTOUCHED], _kills)


def _cuts(folder: Path, seed: int, left: int) -> tuple[Lived, int]:
    lived = Life(folder, LIFE_S, seed, kills=0.15).run(left)
    return lived, len(lived.cuts)


def _kills(folder: Path, seed: int, left: int) -> tuple[Lived, int]:
    lived = Life(folder, LIFE_S, seed, kills=1.0, cuts_a_kill=0).run(1, most_kills=left)
    return lived, lived.kills


def _many(
    tmp_path: Path, seed: int, wanted: int, kinds: list[str], live: Callable[[Path, int, int], tuple[Lived, int]]
) -> None:
    """Repeats `live` until `wanted` cuts or kills are done, or the soak's time is over."""
    require()
    end_ns = SYSTEM.monotonic_ns() + int(os.environ.get("LINETAP_SOAK_MINUTES", "60")) * 60 * NS_PER_S
    trials, done = Trials(), 0
    while done < wanted and SYSTEM.monotonic_ns() < end_ns:
        seed += 1
        folder = tmp_path / str(seed)
        folder.mkdir()
        lived, more = live(folder, seed, wanted - done)
        known = len(trials.faults)
        trials.of(lived, lambda number: kinds[number % len(kinds)])
        done += more
        shutil.rmtree(folder)
        head = f"life {seed}: {done} of {wanted}, {len(trials.faults)} faults"
        print(head, *trials.faults[known:], sep="\n", flush=True)
    print(f"\n{trials}")
    for name, row in sorted(trials.rows.items()):
        count = {kind: len(texts) for kind, texts in row.faults.items()}
        wrong = sum(count.get(kind, 0) for kind in ("never", "understated", "wrong", "failed"))
        lost, doubled = count.get("lost", 0) + count.get("orphan", 0), count.get("doubled", 0)
        soak_table.add(f"power cut at block level, {name}", row.trials, lost, doubled, wrong)
    if trials.kills:
        soak_table.add("recorders killed (judged in the rows of their cuts)", trials.kills)
    assert not trials.faults, "\n".join(trials.faults)
