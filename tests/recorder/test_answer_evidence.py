# SPDX-License-Identifier: Apache-2.0
"""The sounds before the answer of a Korean city hall's outgoing calls, played by the exchange: each on its own line,
through the real detectors and the call table, compared with the truth.
"""

from __future__ import annotations

from typing import Any

import pytest
from day_rig import FAR, Told, began_in_time, follow, notices_in, ring, sound

from linetap.config.schema import Recording
from linetap_bench.script.callkeys import CallSound, Network

OFFICE = "어제 그 서류 결재 올라갔습니까? 아니요, 아직 과장님 책상 위에 있습니다."
HOLD = "잠시만 기다려 주십시오. 연결 중입니다."
NO_NUMBER = "지금 거신 번호는 없는 번호입니다. 다시 확인하시고 걸어 주시기 바랍니다."
GREETING = "안녕하십니까, 은행 고객센터입니다. 상담원 연결은 일 번, 계좌 조회는 이 번을 눌러 주십시오."
OFF_HOOK = "수화기가 잘못 놓여 있습니다. 확인하여 주시기 바랍니다."
MOBILE = Network(codec="gsm", delay_ms=90, noise_dbm0=-54.0)


def near(play: Any, at_s: float, dbm0: float, **keys: Any) -> CallSound:
    return sound(play, at_s, by="near", dbm0=dbm0, **keys)


def out(progress_s: float, **keys: Any) -> dict[str, Any]:
    """Answered this long after the last digit, with speech."""
    said = {"talk": ["여보세요.", "안녕하세요, 문의하신 건으로 전화드렸습니다.", "아, 네. 기다리고 있었습니다."]}
    more = {"first_speaker": "caller", "talk_after_s": 0.6, "talk_s": 11.0, "network": MOBILE}
    return {"digits": FAR, "progress_s": progress_s} | said | more | keys


def silent(progress_s: float, **keys: Any) -> dict[str, Any]:
    """The same without the exchange's ringback."""
    return out(progress_s, ringback=False, **keys)


def nobody(progress_s: float, **keys: Any) -> dict[str, Any]:
    return {"digits": FAR, "progress_s": progress_s, "outcome": "unanswered"} | keys


ANSWERED: dict[str, tuple[dict[str, Any], str]] = {  # the event, and the expected evidence of the answer
    "ringback, answered in its pause": (out(6.0), "tone"),
    "ringback, answered within a burst": (out(7.6), "tone"),
    "polarity at the answer": (out(7.0, polarity=True), "polarity"),
    "polarity at seizure": (out(9.2, seizure=True), "tone"),
    "colour ring": (silent(13.0, sound=[sound("music", 1.5, dbm0=-18.0)]), "sound"),
    "colour ring, sung": (silent(12.0, sound=[sound("song", 1.2, dbm0=-16.0, which=2)]), "sound"),
    "jingle before ringback": (out(9.0, ringback_after_s=3.0, sound=[sound("jingle", 0.8)]), "tone"),
    "please hold before ringback": (out(13.0, ringback_after_s=6.0, sound=[sound("announcement", 1.0, text=HOLD)]),
                                    "tone"),
    "1588 answers at once": (silent(1.5, digits="15881234", talk_s=22.0, talk_after_s=11.0, sound=[
        sound("announcement", 0.3, after="answer", text=GREETING, for_s=9.0, alone=True)]), "sound"),
    "22 s of silence": (silent(22.0), "sound"),
    "22 s of silence, then ringback": (out(27.2, ringback_after_s=22.0), "tone"),
    "second dial tone": (out(8.0, digits="9" + FAR, pause_after=1, pause_s=2.0, second_dial=True), "tone"),
    "pause of 9.5 s in dialling": (out(8.0, pause_after=4, pause_s=9.5), "tone"),
    "unknown PBX, 1 s and 4 s": (silent(14.0, sound=[ring([425.0], [1000, 4000])]), "sound"),
    "unknown PBX, double ring": (silent(11.5, sound=[ring([400.0, 450.0], [400, 200, 400, 2000])]), "tone"),
    "ringback's tones in another cadence": (silent(16.0, sound=[ring([440.0, 480.0], [2000, 4000])]), "sound"),
    "colleagues at -36 dBm0 while it rings": (out(13.0, sound=[
        near("speech", at, -36.0, speaker="colleague", text=OFFICE) for at in (1.0, 6.0)]), "tone"),
    "cough while it rings": (out(11.0, sound=[near("cough", 3.6, -18.0), near("cough", 6.5, -22.0)]), "tone"),
    "keyboard while it rings": (out(10.0, sound=[near("keyboard", 0.5, -26.0)]), "tone"),
    "pick-up": (silent(0.6, digits="*7"), "code"),
    "hotline": (silent(5.0, digits="", dial_tone=False, sound=[ring([440.0, 480.0], [1000, 2000], 0.8)]), "tone"),
}  # fmt: skip
UNANSWERED: dict[str, dict[str, Any]] = {
    "ringback for long": nobody(26.0, sound=[near("speech", 2.0, -36.0, speaker="colleague", text=OFFICE)]),
    "unknown ringback for long": nobody(24.0, ringback=False, sound=[ring([425.0], [1000, 4000])]),
    "colour ring for long": nobody(26.0, ringback=False, sound=[sound("music", 1.0, which=3)]),
    "busy of an unknown PBX": nobody(14.0, ringback=False, sound=[ring([450.0], [350, 350])]),
    "number not in service": nobody(12.0, ringback=False, sound=[sound("announcement", 1.0, text=NO_NUMBER),
                                                               ring([480.0, 620.0], [500, 500], 8.0)]),
    "number not in service, tones first": nobody(13.0, ringback=False, sound=[
        sound("sit", 1.0), sound("announcement", 2.2, text=NO_NUMBER), ring([480.0, 620.0], [500, 500], 9.0)]),
    "handset off its cradle": nobody(27.0, digits="", dial_tone=False, sound=[
        sound("tone", 0.2, after="off_hook", hz=[350.0, 440.0], for_s=8.0, dbm0=-13.0),
        sound("announcement", 9.0, after="off_hook", text=OFF_HOOK), sound("howler", 15.0, after="off_hook")]),
    "given up in dialling": nobody(5.0, digits="0102", ringback=False),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """All situations at once, each on its own line."""
    wanted = {name: keys for name, (keys, _) in ANSWERED.items()} | UNANSWERED
    return follow(wanted, notices_in(tmp_path_factory), Recording())


@pytest.mark.parametrize("name", ANSWERED)
def test_the_notice_begins_behind_the_answer_and_within_3_s(told: dict[str, Told], name: str) -> None:
    call = told[name]
    began_in_time(call)
    (record,) = call.records
    assert record.disposition == "recorded"
    assert record.answered_by == ANSWERED[name][1]
    assert record.answer
    assert record.answer.evidence
    assert record.answer.confidence in ("certain", "high", "low")


@pytest.mark.parametrize("name", UNANSWERED)
def test_nobody_is_announced_to_who_has_not_answered(told: dict[str, Told], name: str) -> None:
    call = told[name]
    assert call.begun_ms == []
    (record,) = call.records
    assert (record.disposition, record.answered_by) == ("unanswered", None)


NO_SIGN = {"no sign of an answer": silent(50.0)}  # 30 s of silence and more


def test_a_time_is_no_answer_and_the_message_states_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    call = follow(NO_SIGN, notices_in(tmp_path_factory), Recording())["no sign of an answer"]
    (record,) = call.records
    assert (record.disposition, record.why, record.answered_by) == ("recorded", "answer_unknown", "unknown")
    assert record.answer
    assert (record.answer.confidence, record.answer.evidence) == ("none", ["time"])


def test_policy_may_wait_for_evidence(tmp_path_factory: pytest.TempPathFactory) -> None:
    policy = Recording(on_unknown_answer="wait")
    call = follow(NO_SIGN, notices_in(tmp_path_factory), policy)["no sign of an answer"]
    assert call.answer_ms is not None
    assert all(at >= call.answer_ms for at in call.begun_ms)
    assert call.records[0].answered_by == "sound"
