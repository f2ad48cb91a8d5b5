# SPDX-License-Identifier: Apache-2.0
"""Memory, descriptors and threads of the recorder over hours of short calls on eight lines: none of them grows.

What it remembers has bounds (4,096 events and leaves, 512 calls of an index segment). Until these are reached it grows,
here in half an hour and at a city hall in a day; what is measured is the time after that.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from world import World

from linetap.clock import NS_PER_S, SYSTEM

MINUTES = int(os.environ.get("LINETAP_SOAK_MINUTES", "1"))
LINES, CALL_EVERY_S, STAGGER_S = 8, 10.0, 1.2
WARM_CALLS = 1500  # of three leaves and six events each: all bounds are reached
LEAST_MINUTES = 45
MOST_KB_AN_HOUR = 1024
SAMPLE_S = 10.0


def script(seconds: float) -> str:
    """Each line is called again two seconds after its call before."""
    calls = [
        f'[[call]]\nline = {line}\nstart_s = {1.0 + STAGGER_S * (line - 1) + CALL_EVERY_S * n:.1f}\ndirection = "in"\n'
        f"rings = 1\ntalk_s = 3.0\n"
        for line in range(1, LINES + 1)
        for n in range(int(seconds / CALL_EVERY_S))
    ]
    return f"lines = {LINES}\nduration_s = {seconds + 15:.1f}\n" + "".join(calls)


@pytest.mark.soak
@pytest.mark.timeout(60 * max(MINUTES, LEAST_MINUTES) + 600)
def test_the_recorder_does_not_grow(tmp_path: Path) -> None:
    seconds = 60.0 * max(MINUTES, LEAST_MINUTES)
    path = tmp_path / "script.toml"
    path.write_text(script(seconds))
    samples = list[tuple[float, int, int, int, int]]()
    with World(tmp_path / "world", path) as world:
        world.start("capture")
        pid = world.start("recorder").process.pid
        begun_ns = SYSTEM.monotonic_ns()
        while world.exchange.process.poll() is None:
            at_s = (SYSTEM.monotonic_ns() - begun_ns) / NS_PER_S
            samples.append((at_s, anonymous_kb(pid), descriptors(pid), threads(pid), len(world.records())))
            print(f"{at_s:7.0f} s  {samples[-1][1:]}", flush=True)
            SYSTEM.sleep(SAMPLE_S)
    warm = np.array([each for each in samples if each[4] >= WARM_CALLS])
    assert len(warm) > 60, f"{samples[-1][4]} calls are too few to tell"
    growth = slope(warm[:, 0], warm[:, 1]) * 3600
    print(f"{samples[-1][4]} calls in {seconds / 60:.0f} min: {growth:.0f} kB an hour")
    assert growth <= MOST_KB_AN_HOUR
    for column, what in ((2, "descriptors"), (3, "threads")):
        half = len(warm) // 2
        assert warm[half:, column].max() <= warm[:half, column].max(), f"more {what} than before"


def slope(x: np.ndarray, y: np.ndarray) -> float:
    """Theil and Sen: the median of all slopes, which no single jump moves."""
    above, below = np.triu_indices(len(x), 1)
    return float(np.median((y[below] - y[above]) / (x[below] - x[above])))


def anonymous_kb(pid: int) -> int:
    """What is the process's own: no file, no shared memory."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
