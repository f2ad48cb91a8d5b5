# SPDX-License-Identifier: Apache-2.0
"""Calls that nobody answers, each of them once taken for answered on the bench: through the real ears, as the exchange
plays them."""

from __future__ import annotations

from typing import Any

import pytest
from day_rig import Told, follow, nobody, notices_in, ring, sound

from linetap.bench.callsounds import Network
from linetap.config.schema import Recording

NO_NUMBER = "지금 거신 번호는 없는 번호입니다. 다시 확인하시고 걸어 주시기 바랍니다."
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
