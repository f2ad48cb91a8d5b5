# SPDX-License-Identifier: Apache-2.0
"""A resource of the recorder is withheld for thirty seconds during a call: an answer of the disk (every write hangs and
none fails, as on a flash card during garbage collection), descriptors, memory. It costs no sample.

Without memory a process may end, as if killed by the kernel; it is restarted, as by systemd. Without descriptors
nothing new can be written: a new call is refused audibly, as on a full disk.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from ringtap import RingTap
from world import World, as_recorded, place_in

from frozen_disk import disk, frozen, needs_root
from linetap_core.clock import NS_PER_S, SYSTEM

WITHHELD_S = 30
ROOM_BYTES = 1 << 20  # of memory: less than one more thread's stack
SCRIPT = """lines = 8
duration_s = 70.0
[[call]]
line = 1
start_s = 1.0
direction = "in"
rings = 1
talk_s = 50.0
dense_dbm0 = -20.0
[[call]]
line = 2
start_s = 20.0
direction = "in"
rings = 1
talk_s = 10.0
dense_dbm0 = -20.0
"""

pytestmark = [pytest.mark.timeout(200), pytest.mark.soak, needs_root]


@pytest.mark.parametrize("withheld", ["disk", "descriptors", "memory"])
def test_a_withheld_resource_costs_no_sample_and_no_service(tmp_path: Path, withheld: str) -> None:
    """One call is being recorded; another arrives, gets its notice, and ends meanwhile."""
    script = tmp_path / "script.toml"
    script.write_text(SCRIPT)
    changes = {"reserve_mb = 256": "reserve_mb = 4"}
    with disk(tmp_path / "world" / "vault"), World(tmp_path / "world", script, changes) as world:
        world.start("capture")
        taps = [RingTap(world.run_dir, line) for line in (0, 1)]
        recorders = [world.start("recorder")]

        def is_so(what: Callable[[], bool]) -> Callable[[], bool]:
            def look() -> bool:
                if recorders[-1].process.poll() is not None:
                    world.children.children.remove(recorders[-1])
                    recorders.append(world.start("recorder"))
                return what()

            return look

        world.until(lambda: world.line_is(1, "recording"), "the first call is recorded")
        end_ns = SYSTEM.monotonic_ns() + WITHHELD_S * NS_PER_S
        with withhold(withheld, world.config.vault_path, recorders[0].process.pid):
            if withheld != "descriptors":
                world.until(is_so(lambda: world.line_is(2, "recording")), "the second call is announced and goes on")
            world.until(is_so(lambda: SYSTEM.monotonic_ns() >= end_ns), "it is withheld no longer")
        world.until(is_so(lambda: len(world.records()) == 2), "both calls are sealed")
        if withheld != "memory":
            assert len(recorders) == 1, (world.folder / "logs" / "recorder.log").read_text()
        for record, tap in zip(sorted(world.records(), key=lambda each: each.line), taps, strict=True):
            if withheld == "descriptors" and record.line == 2 and record.disposition != "recorded":
                assert record.why == "disk_error"
                continue
            assert record.disposition == "recorded"
            assert record.audio is not None
            assert {gap.cause for gap in record.audio.gaps} <= {"overrun"}, "this machine starves capture, nothing else"
            heard, passed = world.audio(record), as_recorded(tap.audio())
            at = place_in(heard, passed)
            assert np.array_equal(heard, passed[at : at + len(heard)]), "not what went through the ring"
        numbers = [event["seq"] for event in world.events()]
        assert numbers == list(range(2, len(numbers) + 2))


@contextlib.contextmanager
def withhold(what: str, vault: Path, pid: int) -> Iterator[None]:
    if what == "disk":
        with frozen(vault):
            yield
        return
    if what == "descriptors":
        limit, least = resource.RLIMIT_NOFILE, max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir()) + 1
    else:
        limit = resource.RLIMIT_AS
        least = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize() + ROOM_BYTES
    before = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (least, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            resource.prlimit(pid, limit, before)
