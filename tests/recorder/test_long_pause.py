# SPDX-License-Identifier: Apache-2.0
"""Loud talk in a pause of ringback: of the answering party or of the near end, and the answer a moment later.

During the notice no new burst can be heard, so no record may state the notice as heard if it began only because of such
a voice.
"""

from __future__ import annotations

from typing import Any

import pytest
from day_rig import FAR, Told, began_in_time, follow, notices_in, ring, sound

from linetap.config.schema import Recording
from linetap_bench.script.callkeys import CallSound, Network

OFFICE = "이 주소가 도로명으로 어떻게 되는지 좀 찾아 주세요. 네, 지금 보고 있습니다."
MOBILE = Network(codec="gsm", delay_ms=166, noise_dbm0=-53.6, echo_db=-36.7)


def answered(progress_s: float, **keys: Any) -> dict[str, Any]:
    said = {"talk": ["네.", "안녕하세요, 시청 세무과입니다.", "재산세 고지서를 아직 받지 못했습니다."]}
    more = {"first_speaker": "caller", "talk_after_s": 1.2, "talk_s": 12.0, "network": MOBILE, "staff_dbm0": -17.3}
    return {"digits": FAR, "progress_s": progress_s} | said | more | keys


def staff(at_s: float, for_s: float) -> CallSound:
    return sound("speech", at_s, by="near", speaker="staff", text=OFFICE, dbm0=-16.3, for_s=for_s)


PBX = {"ringback": False}
EUROPE = ring([425.0], [1000, 4000])  # bursts from 1, 6 and 11 s on
EXCHANGE = {  # bursts from 1.9, 4.9 and 7.9 s on: the talk seems to lengthen one, and its pause
    f"the exchange's ringback, talk from {at} s on": answered(8.4, ringback_after_s=1.88, sound=[staff(at, 2.65)])
    for at in (5.0, 5.1, 5.16, 5.3)
}
THIS_END = {
    f"talk from {at} s on, answered at {progress} s": answered(progress, sound=[EUROPE, staff(at, 1.6)]) | PBX
    for at in (7.2, 8.0, 8.6, 9.0, 9.4)
    for progress in (10.4, 11.3)
}
FAR_END = {f"answered at {progress} s": answered(progress, sound=[EUROPE]) | PBX for progress in (7.4, 8.2, 9.0)}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    return follow(EXCHANGE | THIS_END | FAR_END, notices_in(tmp_path_factory), Recording())


@pytest.mark.parametrize("name", EXCHANGE)
def test_a_known_ringback_is_waited_for_whoever_talks(told: dict[str, Told], name: str) -> None:
    began_in_time(told[name])


@pytest.mark.parametrize("name", THIS_END)
def test_what_began_before_the_answer_is_not_called_heard(told: dict[str, Told], name: str) -> None:
    call = told[name]
    (record,) = call.records
    assert record.disposition == "recorded"
    assert call.answer_ms is not None
    for at, notice in zip(call.begun_ms, record.notices, strict=True):
        assert at >= call.answer_ms or (notice.proof, notice.began_after_answer) == ("early", False)


@pytest.mark.parametrize("name", FAR_END)
def test_who_answers_there_is_announced_to(told: dict[str, Told], name: str) -> None:
    assert told[name].records[0].disposition == "recorded"
    began_in_time(told[name])
