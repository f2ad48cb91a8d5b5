# SPDX-License-Identifier: Apache-2.0
"""A recorder killed repeatedly with -9 during a call of three minutes."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ringtap import RingTap
from world import World, as_recorded, cable_slips, place_in

import soak_table
from linetap.ring import I16, RATE_HZ
from linetap_bench.stage.stage import UNIT
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.signing import signers
from linetap_core.records import Gap
from linetap_desk.vaultproofs.verifyvault import verify_vault

KILLS = 10
MOST_CALLS = 1000
SCRIPT = Path(__file__).parents[1] / "scenarios" / "killtest.toml"


@pytest.mark.timeout(400)
def test_ten_kills_in_a_call_of_three_minutes_lose_and_double_no_sample(tmp_path: Path) -> None:
    _kill_and_compare(tmp_path, random.Random(5))


@pytest.mark.soak
def test_kills_for_as_long_as_asked(tmp_path: Path) -> None:
    end_ns = SYSTEM.monotonic_ns() + int(os.environ["LINETAP_SOAK_MINUTES"]) * 60 * NS_PER_S
    chance = random.Random()
    for number in range(MOST_CALLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        _kill_and_compare(folder, chance)
        shutil.rmtree(folder)
        if SYSTEM.monotonic_ns() > end_ns:
            break


def _kill_and_compare(folder: Path, chance: random.Random) -> None:
    with World(folder, SCRIPT) as world:
        world.start("capture")
        tap = RingTap(world.run_dir, 0)
        recorder = world.start("recorder")
        world.until(lambda: world.line_is(1, "recording"), "the call is recorded")
        for number in range(KILLS):
            world.until(lambda: _kinds(world)["start"] > number, "its start is in the log")  # noqa: B023 - asked at once
            SYSTEM.sleep(chance.uniform(2.0, 25.0))
            world.kill(recorder)
            SYSTEM.sleep(chance.uniform(0.0, 2.0))
            recorder = world.start("recorder")
        world.until(lambda: world.exchange.process.poll() == 0, "the exchange has hung up", 240)
        world.until(lambda: len(world.records()) == 1, "the call is sealed")
        world.until(lambda: _is_whole(world), "the vault agrees with its log")
        (record,) = world.records()
        assert record.audio is not None
        heard, passed = world.audio(record), as_recorded(tap.audio())
        played, lines = world.played()
    assert (played.underruns, played.overruns) == (0, 0), "the exchange itself has failed"
    assert record.disposition == "recorded"
    assert {gap.cause for gap in record.audio.gaps} <= {"overrun"}, "capture was starved, or the kills have cost audio"
    assert record.audio.samples == len(heard) > 170 * 8000
    at = place_in(heard, passed)
    assert np.array_equal(heard, passed[at : at + len(heard)]), "not what went through the ring"
    slips = sum(cable_slips(piece, as_recorded(lines[1])) for piece in _between(record.audio.gaps, heard))
    names = [event["event"] for event in world.events()]
    assert names == ["started", "answered", "notice", "ended", "sealed"]
    assert [event["seq"] for event in world.events()] == [2, 3, 4, 5, 6]
    soak_table.add("recorder killed in one call", KILLS)
    print(f"{KILLS} kills, {len(record.audio.parts)} parts, {len(heard)} samples, none missing, none doubled")
    for gap in record.audio.gaps:
        print(f"{gap.ms:.0f} ms of silence where this machine starved capture")
    if slips:
        print(f"the sound server passed over {slips} periods of the cable: this machine was busy")


def _between(gaps: list[Gap], heard: I16) -> list[I16]:
    """The audio in the place of a gap that is not silence."""
    ends = [(round(gap.at_s * RATE_HZ), round((gap.at_s + gap.ms / 1000) * RATE_HZ)) for gap in gaps]
    starts = [0, *(end for _, end in ends)]
    return [heard[a:b] for a, b in zip(starts, [*(first for first, _ in ends), len(heard)], strict=True)]


def _is_whole(world: World) -> bool:
    """Checks by `linetap verify`: one call, opened and closed once, and every start of a recorder in the log."""
    unit_key = (world.folder / "unit.key.pub").read_text()
    found = list(verify_vault(world.config.vault_path, signers.parse(f"{UNIT} {unit_key}")))
    kinds = _kinds(world)
    once = (kinds["open"], kinds["close"], kinds["start"]) == (1, 1, KILLS + 1)
    return once and sum(verdict.counts for verdict in found) == 2 and all(verdict.good for verdict in found)


def _kinds(world: World) -> Counter[str]:
    """The number of leaves of each kind in the log, without one that is being written."""
    whole, _, _ = (world.config.vault_path / "log" / LEAVES).read_bytes().rpartition(b"\n")
    return Counter(json.loads(line)["kind"] for line in whole.splitlines())
