# SPDX-License-Identifier: Apache-2.0
"""A city hall's day of calls; `./build.sh bench day` says more of it."""

from __future__ import annotations

from pathlib import Path

from linetap.config.schema import Recording
from linetap.notices import load_notices
from linetap_bench.day.command import Bench
from linetap_bench.day.confusion import Table
from linetap_bench.measure.row import Row
from linetap_bench.voices import Voices

SEED, CALLS = 1, 1000


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:  # noqa: ARG001
    results = Table()
    Bench(Voices(voices), load_notices(notices), Recording()).day(SEED, CALLS, results)
    return results.rows()
