# SPDX-License-Identifier: Apache-2.0
"""Unanswered calls, each of them once counted as answered on the bench: through the real detectors, played by the
exchange.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from day_rig import Told, follow, nobody, notices_in, ring, sound

from linetap.config.profile import KR_PSTN
from linetap.config.schema import Recording
from linetap.recorder.calls.evidence.voices import Speech
from linetap.recorder.calls.evidence.windows import HALF, Window
from linetap_bench.script.callkeys import Network

NO_NUMBER = "지금 거신 번호는 없는 번호입니다. 다시 확인하시고 걸어 주시기 바랍니다."
SIT_HZ = (950.0, 1400.0, 1800.0)
UNANSWERED: dict[str, dict[str, Any]] = {
    "busy of an unknown PBX, beats of 0.2 s": nobody(16.7, sound=[ring([425.0], [200, 200], 0.83, dbm0=-17.0)]),
    "the same, fainter": nobody(15.7, digits="01031098066", sound=[ring([425.0], [200, 200], 1.34, dbm0=-24.4)]),
    "no such number behind digits like a tune": nobody(9.0, digits="07710225874", sound=[
        sound("announcement", 0.72, text=NO_NUMBER, dbm0=-22.1)], early=Network(codec="gsm", noise_dbm0=-66.0)),
    "another behind others": nobody(9.0, digits="05559877639", sound=[
        sound("announcement", 0.72, text=NO_NUMBER, dbm0=-22.1)], early=Network(codec="gsm", noise_dbm0=-66.0)),
    "its tones behind digits like a tune": nobody(10.0, digits="01832588830", sound=[
        sound("sit", 0.85, dbm0=-18.0), sound("announcement", 2.05, prompt="ss-noservice", dbm0=-18.0)]),
    "its tones behind others": nobody(10.0, digits="01686933701", sound=[
        sound("sit", 1.25, dbm0=-18.0), sound("announcement", 2.45, prompt="ss-noservice", dbm0=-18.0)]),
    **{f"{name} of its tones is missing, announced {first} s behind the digits": nobody(first + 8, sound=[
        *(ring([hz], [330, 9000], round(first + 0.33 * n, 2), dbm0=-18.0, for_s=0.33)
          for n, hz in enumerate(SIT_HZ) if n != missing),
        sound("announcement", first + 1.2, text=NO_NUMBER, dbm0=-20.0)])
       for missing, name in enumerate(("first", "second", "third")) for first in (0.8, 7.4)},
    "all circuits busy, and the line sounds otherwise than under the digits": nobody(9.0, digits="0279416235", sound=[
        sound("announcement", 0.64, prompt="all-circuits-busy-now", dbm0=-14.2)],
        early=Network(codec="gsm", noise_dbm0=-60.0)),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    return follow(UNANSWERED, notices_in(tmp_path_factory), Recording())


@pytest.mark.parametrize("name", UNANSWERED)
def test_who_has_not_answered_is_not_announced_to(told: dict[str, Told], name: str) -> None:
    call = told[name]
    assert call.begun_ms == []
    (record,) = call.records
    assert (record.disposition, record.answered_by) == ("unanswered", None)


@pytest.mark.parametrize(("step_db", "turn", "alone"), [(3.0, False, False), (5.5, True, False), (9.0, True, True)])
def test_phrases_of_one_announcer_are_no_two_voices_where_nothing_rang(step_db: float, turn: bool, alone: bool) -> None:
    """Recorded announcers continue up to 6.6 dB louder or fainter after a pause."""
    speech, at = Speech(), 0
    for dbm0 in [-70.0] * 10 + [-20.0] * 12 + [-70.0] * 10 + [-20.0 - step_db] * 12:
        speech.follow(Window(at, dbm0, np.zeros(1, np.float32), ()), KR_PSTN.answer, toned=False)
        at += HALF
    assert (speech.turn is not None, speech.far_turn is not None) == (turn, alone)
