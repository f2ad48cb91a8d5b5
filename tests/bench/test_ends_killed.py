# SPDX-License-Identifier: Apache-2.0
"""The bench's reading of the lines' log: loops open at a kill, for too long, twice, or on a wrong line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from linetap_bench.exchange.feed import Played
from linetap_bench.exchange.releasing import Released
from linetap_bench.figures import Row
from linetap_bench.measure.endskilled import BYSTANDER, LOOPS, ROUNDS, VICTIMS, Kills, judge, rows, script_of
from linetap_bench.script.script import load_script
from linetap_bench.script.timing import times_of


def loop(line: int, opened_ms: int, for_ms: int = 1700) -> Released:
    return Released(line, opened_ms, opened_ms + for_ms, "released")


def killed(**moments: int) -> Kills:
    kills = Kills()
    for victim, at_ms in moments.items():
        kills.at_ms[victim].append(at_ms)
    return kills


def played(*loops: Released, left_open: list[int] | None = None) -> Played:
    return Played(rate_hz=8000, lines=[1, 2, 8], releases=list(loops), left_open=left_open or [])


def figures(kills: Kills, log: Played) -> list[Row]:
    return rows(kills, judge(kills, log))


def test_a_loop_counts_for_the_kill_during_which_it_was_open() -> None:
    found = judge(killed(meter=2000, capture=30_000), played(loop(1, 1000), loop(2, 1990), loop(1, 30_001)))
    assert (found.open_then["meter"], found.open_then["capture"]) == (2, 0)
    assert (sum(found.too_long.values()), found.again, found.wrong_line, found.longest_ms) == (0, 0, 0, 1700)


def test_every_fault_of_a_line_misses_its_row() -> None:
    kills = killed(recorder=2000)
    assert [row.meets_target for row in figures(kills, played(loop(1, 1500)))] == [True] * 6 + [False], (
        "only the few kills"
    )
    for log, missed in (
        (played(loop(1, 1500, 3001)), 0),
        (played(loop(1, 1500), left_open=[2]), 0),
        (played(loop(1, 1500), loop(1, 4000)), 5),
        (played(loop(BYSTANDER, 1500)), 5),
    ):
        assert not figures(kills, log)[missed].meets_target


def test_the_next_victim_is_the_one_with_the_fewest_loops_until_all_have_enough() -> None:
    kills = Kills()
    kills.held |= {"recorder": 30, "capture": 7, "meter": 9, "reporter and panel": 8, "power": 8}
    assert kills.next_victim == "capture"
    kills.held |= dict.fromkeys(VICTIMS, 100)
    assert kills.next_victim is None


def test_the_script_has_loops_enough_for_every_victim(tmp_path: Path) -> None:
    path = tmp_path / "calls.toml"
    path.write_text(script_of(ROUNDS))
    script = load_script(path)
    assert sum(bool(call.keys) for call in script.call) >= LOOPS * len(VICTIMS)
    assert {call.line for call in script.call if not call.keys} == {BYSTANDER}
    by_line = [call for call in script.call if call.line == 1]
    assert all(times_of(a).end < times_of(b).start for a, b in pairwise(by_line))
