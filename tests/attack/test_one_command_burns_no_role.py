# SPDX-License-Identifier: Apache-2.0
"""An attacker had a key for a moment, or intercepts commands: no command runs twice, and none blocks a role."""

from __future__ import annotations

import itertools
import random
import re
from pathlib import Path

import msgspec
import pytest

from keeping_rig import Keeper
from linetap_core.clock import NS_PER_MS
from linetap_core.evidence.authorization.command import Envelope
from linetap_core.evidence.authorization.counters import AHEAD_MS, MOST_FAR, MOST_SEEN
from linetap_core.evidence.keys import keys


@pytest.fixture
def unit(run_dir: Path) -> Keeper:
    keeper = Keeper(run_dir, run_dir)
    keeper.take_roles()
    return keeper


def identify(unit: Keeper, seconds: int = 5, **other: object) -> bytes:
    return unit.envelope("identify", "desk", {"seconds": str(seconds)}, **other)


def now_ms(unit: Keeper) -> int:
    return unit.clock.utc_ns() // NS_PER_MS


@pytest.mark.parametrize("counter", [(1 << 62) - 1, 1 << 61, 4_102_444_800_001])
def test_a_far_jump_is_refused_and_the_role_goes_on(unit: Keeper, counter: int) -> None:
    assert unit.command(identify(unit, counter=counter)).code == "command_counter"
    assert unit.command(identify(unit, counter=now_ms(unit))).done
    unit.restart()
    assert unit.command(identify(unit, counter=now_ms(unit) + 1)).done


def test_the_furthest_that_is_taken_burns_nothing_either(unit: Keeper) -> None:
    furthest = now_ms(unit) + AHEAD_MS
    assert unit.command(identify(unit, counter=furthest + 1)).code == "command_counter"
    answers = [unit.command(identify(unit, counter=furthest - turn)).code for turn in range(MOST_SEEN + 10)]
    assert answers == ["done"] * MOST_FAR + ["command_counter"] * (len(answers) - MOST_FAR)
    for turn in range(100):
        assert unit.command(identify(unit, counter=now_ms(unit) + turn)).done
    assert unit.command(identify(unit, counter=furthest - 1)).code in ("command_repeated", "command_counter")


def test_a_unit_that_never_had_the_time_takes_todays_counters(run_dir: Path) -> None:
    unit = Keeper(run_dir, run_dir, at="1970-01-01T00:10:00.000Z")
    unit.synced = False
    unit.take_roles()
    unit.clock.advance(NS_PER_MS)
    assert unit.command(identify(unit, counter=1_800_000_000_000)).done
    assert unit.command(identify(unit, counter=1 << 61)).code == "command_counter"


def test_ones_own_key_cannot_burn_a_colleagues(unit: Keeper) -> None:
    """The two officers of the vault."""
    record = unit.call()
    until = unit.clock.utc_ns() + 10**9
    assert unit.command(unit.envelope("time", "vault", {}, counter=now_ms(unit) + AHEAD_MS)).code != "command_counter"
    answer = unit.command(unit.envelope("time", "vault", {}, by="second", counter=1))
    assert answer.code == "command_malformed", "it came as far as its body"
    assert unit.is_whole(record)
    assert until


def test_a_key_that_follows_a_lost_one_begins_anew(unit: Keeper) -> None:
    for turn in range(3):
        assert unit.command(identify(unit, counter=now_ms(unit) + AHEAD_MS - turn)).done
    unit.people.desk = keys.new_unit_key()
    unit.take_roles(2)
    assert unit.command(identify(unit, counter=5)).done


def test_commands_in_any_order_are_each_done_once(unit: Keeper) -> None:
    sent = [identify(unit, seconds) for seconds in range(1, 31)]
    order = sent * 3
    random.Random(16).shuffle(order)
    done = [data for data in order if unit.command(data).done]
    assert sorted(done) == sorted(sent)
    assert unit.upkeep.commands.refused.count == 60, "each replay is told"


def test_a_replay_after_a_restart_is_one_too(unit: Keeper) -> None:
    sent = [identify(unit, seconds) for seconds in range(1, 6)]
    for data in sent[1::2]:
        assert unit.command(data).done
    unit.restart(boot=True)
    unit.tick()
    assert [unit.command(data).code for data in sent] == [
        "done",
        "command_repeated",
        "done",
        "command_repeated",
        "done",
    ]


def test_signatures_in_another_order_or_fewer_of_them_make_no_new_command(unit: Keeper) -> None:
    body = {"challenge": unit.upkeep.time.challenge, "utc": "2026-11-24T03:00:00.000Z"}
    data = unit.envelope("time", "vault", body, cosigned=("second", "desk"))
    assert unit.command(data).done
    envelope = msgspec.json.decode(data, type=Envelope)
    blocks = re.findall(r"-----BEGIN.*?END SSH SIGNATURE-----\n", envelope.sig, re.DOTALL)
    assert len(blocks) == 3
    for count in (1, 2, 3):
        for chosen in itertools.permutations(blocks, count):
            again = msgspec.json.encode(Envelope(envelope.command, "".join(chosen)))
            assert unit.command(again).code in ("command_repeated", "command_signer")
