# SPDX-License-Identifier: Apache-2.0
"""Whether a process grows: repeated samples of its resources, and their slope."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

MOST_KB_AN_HOUR = 1024


class Held(NamedTuple):
    """Resources at `at_s` of the relevant clock: kB, and numbers. `anonymous_kb` is the process's own memory, without
    files and shared memory.
    """

    at_s: float
    calls: int
    anonymous_kb: int
    pss_kb: int
    rss_kb: int
    descriptors: int
    threads: int


def held(pid: int, at_s: float, calls: int) -> Held:
    rollup = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    sizes = [int(rollup[name].split()[0]) for name in ("Anonymous", "Pss", "Rss")]
    counts = [len(list(Path(f"/proc/{pid}/{kind}").iterdir())) for kind in ("fd", "task")]
    return Held(at_s, calls, *sizes, *counts)


def an_hour(samples: list[Held], column: str) -> float:
    """Theil and Sen: the median of all slopes, insensitive to single jumps; the growth in an hour."""
    x = np.array([each.at_s for each in samples])
    y = np.array([getattr(each, column) for each in samples])
    above, below = np.triu_indices(len(x), 1)
    return float(np.median((y[below] - y[above]) / (x[below] - x[above]))) * 3600


def assert_no_steps(samples: list[Held], column: str) -> None:
    """Compares the last tenth with the first, because a median hides growth in a few steps."""
    tenth = max(1, len(samples) // 10)
    first, last = (
        float(np.median([getattr(each, column) for each in part])) for part in (samples[:tenth], samples[-tenth:])
    )
    hours = (samples[-tenth].at_s - samples[0].at_s) / 3600
    assert last - first <= MOST_KB_AN_HOUR * hours, (
        f"{first:.0f} kB of {column} have become {last:.0f} in {hours:.1f} h"
    )


def assert_no_more(samples: list[Held]) -> None:
    """Descriptors and threads: no more in the second half than in the first."""
    half = len(samples) // 2
    for column in ("descriptors", "threads"):
        first, second = ([getattr(each, column) for each in part] for part in (samples[:half], samples[half:]))
        assert max(second) <= max(first), f"more {column} than before"
