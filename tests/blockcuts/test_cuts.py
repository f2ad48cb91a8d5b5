# SPDX-License-Identifier: Apache-2.0
"""Power cuts below the file system of a whole unit, and recorders killed, with calls on all its lines.

`LINETAP_CUTS`, `LINETAP_ROTTEN` and `LINETAP_KILLS`: how many the long tests make, where the full counts are too many.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from disk import require
from life import Life
from trials import ROTTEN, UNTOUCHED, ZEROED, Trials

SAMPLE_S, SAMPLE_CUTS = 13, 8
LIFE_S = 90
CUTS, BROKEN, KILLS = 1000, 300, 1000


@pytest.mark.timeout(180)
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
    _many(tmp_path, int(os.environ.get("LINETAP_CUTS", CUTS)), [UNTOUCHED], 1000)


@pytest.mark.soak
def test_cuts_with_one_rotten_file(tmp_path: Path) -> None:
    _many(tmp_path, int(os.environ.get("LINETAP_ROTTEN", BROKEN)), [ROTTEN, ROTTEN, ZEROED], 2000)


@pytest.mark.soak
def test_a_thousand_kills(tmp_path: Path) -> None:
    """A recorder killed about once a second, all through its calls; at the end the power goes."""
    trials, most = Trials(), int(os.environ.get("LINETAP_KILLS", KILLS))
    seed = 3000
    while trials.kills < most:
        seed += 1
        folder = _folder(tmp_path, seed)
        trials.of(Life(folder, LIFE_S, seed, kills=1.0, cuts_a_kill=0).run(1), lambda _: UNTOUCHED)
        shutil.rmtree(folder)
    print(f"\n{trials}")
    assert not trials.faults, "\n".join(trials.faults)


def _many(tmp_path: Path, cuts: int, kinds: list[str], seed: int) -> None:
    require()
    trials, left = Trials(), cuts
    while left > 0:
        seed += 1
        folder = _folder(tmp_path, seed)
        lived = Life(folder, LIFE_S, seed, kills=0.15).run(left)
        left -= len(lived.cuts)
        trials.of(lived, lambda number: kinds[number % len(kinds)])
        shutil.rmtree(folder)
    print(f"\n{trials}")
    assert not trials.faults, "\n".join(trials.faults)


def _folder(tmp_path: Path, seed: int) -> Path:
    folder = tmp_path / str(seed)
    folder.mkdir()
    return folder
