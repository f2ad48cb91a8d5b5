# SPDX-License-Identifier: Apache-2.0
"""One call of every kind in the bench's day, each on its own line, through the recorder's detectors and call table,
compared with the truth. The requirements are those of a day with any seed.
"""

from __future__ import annotations

import msgspec
import pytest
from day_rig import notices_in

from linetap.config.schema import Recording
from linetap_bench.day import recorder
from linetap_bench.day.draw import DayCall
from linetap_bench.day.judge import Verdict, judge, records_of
from linetap_bench.day.mix import MIX, calls_of_day, script_of
from linetap_bench.sounds.voices import Voices, default_folder

SEED = 11
# A transfer by a colleague changes nothing on the two wires: docs/what-a-tap-cannot-know.md.
NOT_SEEN = {"in: transferred by a colleague"}
NOT_KNOWN = {"in: staff marks it"}  # on a line without any dialling so far: the record has `mark_uncertain`


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[DayCall, Verdict]]:
    """The calls by kind."""
    voices, notices = Voices(default_folder()), notices_in(tmp_path_factory)
    found: dict[str, tuple[DayCall, Verdict]] = {}
    for first in range(0, len(MIX), recorder.LINES):
        calls = [_one(kind, line, voices) for line, kind in enumerate([*MIX][first : first + recorder.LINES], 1)]
        lines = [each.call.line for each in calls]
        audio, levels = recorder.rendered(script_of(calls, SEED), lines, voices)
        config = recorder.config_of(lines, Recording())
        records, _ = recorder.follow(config, audio, levels, notices, 0, {})
        by_call = records_of(calls, records, recorder.start_of(0))
        found |= {each.truth.kind: (each, judge(each, by_call[each.number], recorder.start_of(0))) for each in calls}
    return found


def _one(kind: str, line: int, voices: Voices) -> DayCall:
    (drawn,) = calls_of_day(SEED, 1, voices, [kind])
    return msgspec.structs.replace(drawn, number=line, call=msgspec.structs.replace(drawn.call, line=line))


@pytest.mark.parametrize("kind", MIX)
def test_the_record_is_true(told: dict[str, tuple[DayCall, Verdict]], kind: str) -> None:
    call, verdict = told[kind]
    assert verdict.records == 1, verdict.summary
    faults = {"lost", "full_wrongly", "unanswered", "against_policy", "repeated"}.intersection(verdict.faults)
    assert not faults, verdict.summary
    assert verdict.mark == (kind in NOT_KNOWN), verdict.summary
    if kind not in NOT_SEEN:
        assert not verdict.unrecorded, verdict.summary
        assert verdict.announced == ("in time" if call.truth.expected == "recorded" else ""), verdict.summary
