# SPDX-License-Identifier: Apache-2.0
"""Pulse-dialled numbers with the prefix of a number answered without ringback (1XX): a digit's clicks are no voice,
neither after the previous digit nor before the digit is known.
"""

from __future__ import annotations

import pytest
from day_rig import Told, began_in_time, follow, notices_in

from linetap.config.schema import Recording
from linetap_bench.script.callkeys import Network

LINE = Network(codec="g711", delay_ms=11, noise_dbm0=-68.15)
DIALLED = ("1295789", "1990000", "1101234", "01295789")
CALLS = {f"{digits} at {start}": (digits, start) for digits in DIALLED for start in (2.85, 2.87, 2.9, 2.93)}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    said = {"talk": ["네.", "네, 주민센터입니다."], "first_speaker": "caller", "talk_s": 8.0, "talk_after_s": 0.9}
    line = {"dialling": "pulse", "progress_s": 11.65, "ringback_after_s": 1.2, "network": LINE, "caller_dbm0": -29.5}
    calls = {name: {"digits": digits, "start_s": start} | line | said for name, (digits, start) in CALLS.items()}
    return follow(calls, notices_in(tmp_path_factory), Recording())


@pytest.mark.parametrize("name", CALLS)
def test_the_notice_plays_at_the_answer_and_not_during_dialling(told: dict[str, Told], name: str) -> None:
    call = told[name]
    (record,) = call.records
    assert record.dialled == CALLS[name][0]
    assert (record.disposition, record.answered_by) == ("recorded", "tone")
    began_in_time(call)
