# SPDX-License-Identifier: Apache-2.0
"""Memory, descriptors and threads of the recorder over hours of short calls on eight lines: none of them grows.

Its caches are bounded (4,096 events and leaves, 512 calls of an index segment). Until these limits are reached it
grows, here in half an hour and at a city hall in a day; the measurement is after that.
"""

from __future__ import annotations

import os
from pathlib import Path

import growth
import pytest
from growth import Held
from world import World

from linetap_core.clock import NS_PER_S, SYSTEM

MINUTES = int(os.environ.get("LINETAP_SOAK_MINUTES", "1"))
LINES, CALL_EVERY_S, STAGGER_S = 8, 10.0, 1.2
WARM_CALLS = 1500  # with three leaves and six events each: all limits are reached
LEAST_MINUTES = 45
SAMPLE_S = 10.0


def script(seconds: float) -> str:
    """Each line is called again two seconds after its previous call."""
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
    samples = list[Held]()
    with World(tmp_path / "world", path) as world:
        world.start("capture")
        pid = world.start("recorder").process.pid
        begun_ns = SYSTEM.monotonic_ns()
        while world.exchange.process.poll() is None:
            at_s = (SYSTEM.monotonic_ns() - begun_ns) / NS_PER_S
            samples.append(growth.held(pid, at_s, len(world.records())))
            print(f"{at_s:7.0f} s  {samples[-1][1:]}", flush=True)
            SYSTEM.sleep(SAMPLE_S)
    warm = [each for each in samples if each.calls >= WARM_CALLS]
    assert len(warm) > 60, f"{samples[-1].calls} calls are too few to tell"
    grown = growth.an_hour(warm, "anonymous_kb")
    print(f"{samples[-1].calls} calls in {seconds / 60:.0f} min: {grown:.0f} kB an hour")
    assert grown <= growth.MOST_KB_AN_HOUR
    growth.assert_no_more(warm)
