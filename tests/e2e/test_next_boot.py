# SPDX-License-Identifier: Apache-2.0
"""Recorder and capture killed at once during a call, with the content of RAM."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from ringtap import RingTap
from world import World, as_recorded, place_in

from linetap.ring import RATE_HZ

SCRIPT = Path(__file__).parents[1] / "scenarios" / "killtest.toml"
SPOKEN_S = 14  # a chunk is full after 8.2
LATE_S = 4  # without a journal it is more; the benchmark shows that it is less than one second


@pytest.mark.timeout(400)
def test_the_next_boot_seals_the_call_up_to_the_last_second(tmp_path: Path) -> None:
    with World(tmp_path, SCRIPT, patient=False) as world:
        capture = world.start("capture")
        tap = RingTap(world.run_dir, 0)
        recorder = world.start("recorder")
        world.until(lambda: world.line_is(1, "recording"), "the call is recorded")
        begun = tap.frames
        world.until(lambda: tap.frames > begun + SPOKEN_S * RATE_HZ, "somebody has spoken")
        heard = tap.frames
        world.kill(recorder)
        world.kill(capture)
        passed = as_recorded(tap.audio())
        for path in world.run_dir.iterdir():
            if path.name.startswith(("audio", "recorder", "capture", "calls", "journal")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        world.start("recorder")
        world.until(lambda: len(world.records()) == 1, "the call is sealed")
        (record,) = world.records()
        kept, names = world.audio(record), [event["event"] for event in world.events()]
    assert record.audio is not None
    assert (record.ended_by, record.disposition, record.direction) == ("power", "recorded", "in")
    assert [gap.cause for gap in record.audio.gaps] == ["power"]
    at = place_in(kept, passed)
    assert np.array_equal(kept, passed[at : at + len(kept)])
    assert at + len(kept) > heard - LATE_S * RATE_HZ
    assert names == ["started", "answered", "notice", "ended", "sealed"]
    lost_ms = (len(passed) - at - len(kept)) / 8
    print(f"{lost_ms:.0f} ms of {len(kept) / RATE_HZ:.1f} s lost, {len(record.audio.parts)} parts")
