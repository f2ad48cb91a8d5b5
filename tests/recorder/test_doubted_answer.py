# SPDX-License-Identifier: Apache-2.0
"""A voice without ringback may be the network's: the notice plays, the call is recorded and flagged, and the record
states the notice as heard only if two ends talk after it.
"""

from __future__ import annotations

from typing import Any

import pytest
from day_rig import FAR, Told, follow, notices_in, sound

from linetap.config.schema import Recording
from linetap_bench.script.callkeys import Network

FAINT = Network(codec="gsm", delay_ms=90, noise_dbm0=-54.0)
LATE = "고객이 전화를 받지 않아 음성 사서함으로 연결됩니다. 잠시 후 다시 걸어 주시기 바랍니다."
TALK = ["여보세요.", "문의하신 건으로 전화드렸습니다.", "아, 네. 기다리고 있었습니다.", "서류가 한 장 빠졌습니다."]


def nothing_rings(answered_s: float, **keys: Any) -> dict[str, Any]:
    call = {"digits": FAR, "progress_s": answered_s, "ringback": False, "talk": TALK, "first_speaker": "caller"}
    return call | {"talk_after_s": 0.6, "talk_s": 24.0, "network": FAINT} | keys


CALLS: dict[str, dict[str, Any]] = {
    "the network says so late, twice": {
        "digits": FAR, "progress_s": 30.0, "outcome": "unanswered", "ringback": False,
        "sound": [sound("announcement", at, text=LATE, dbm0=-18.0) for at in (9.0, 17.0)],
    },
    "a single tone, and the network": {
        "digits": FAR, "progress_s": 22.0, "outcome": "unanswered", "ringback": False,
        "sound": [sound("tone", 1.0, hz=[425.0], for_s=1.0, dbm0=-18.0), sound("announcement", 3.0, text=LATE)],
    },
    "two ends": nothing_rings(12.0, staff_dbm0=-12.0, caller_dbm0=-26.0),
    "two ends, longer than what is held back": nothing_rings(12.0, staff_dbm0=-12.0, caller_dbm0=-26.0, talk_s=42.0),
    "two ends that are alike": nothing_rings(12.0, staff_dbm0=-18.0, caller_dbm0=-18.0),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    return follow(CALLS, notices_in(tmp_path_factory), Recording())


@pytest.mark.parametrize(
    ("name", "proof", "why"),
    [
        ("the network says so late, twice", "early", "answer_unknown"),
        ("a single tone, and the network", "early", "answer_unknown"),
        ("two ends", "full", ""),
        ("two ends, longer than what is held back", "full", ""),
        ("two ends that are alike", "early", "answer_unknown"),
    ],
)
def test_what_the_record_says_of_a_voice_where_nothing_rang(
    told: dict[str, Told], name: str, proof: str, why: str
) -> None:
    (record,) = told[name].records
    assert (record.disposition, record.answered_by, record.why) == ("recorded", "sound", why)
    (notice,) = record.notices
    assert (notice.proof, notice.began_after_answer) == (proof, proof == "full")
