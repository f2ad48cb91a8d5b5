# SPDX-License-Identifier: Apache-2.0
"""Ringback, an answering machine's announcement, and its beep: the later listener is notified after it. The beep may
come after our notice, across its end, or during it, and staff may speak soon after it, or hang up.
"""

from __future__ import annotations

from typing import Any

import pytest
from day_rig import FAR, Told, follow, notices_in, ring, sound

from linetap.config.schema import Recording
from linetap_bench.day.recorder import start_of
from linetap_bench.script.callkeys import Keys, Network
from linetap_core.clock import NS_PER_MS, parse_rfc3339

MAILBOX = "고객이 전화를 받지 않아 음성 사서함으로 연결됩니다. 삐 소리 후 말씀하십시오."
MESSAGE = ["안녕하세요. 시청 민원실입니다. 메시지 들으시면 전화 주십시오."]
MOBILE = Network(codec="gsm", loss_percent=1.0, delay_ms=90, noise_dbm0=-55.0)


def mailbox(beep_s: float, beep_ms: int = 600, hz: float = 1000.0, **keys: Any) -> dict[str, Any]:
    """Three rings up to 8 s after the last digit, the announcement, and the beep."""
    sounds = [
        ring([440.0, 480.0], [1000, 2000], for_s=7.0),
        sound("announcement", 8.6, text=MAILBOX, for_s=min(beep_s - 9.0, 6.0)),
        sound("tone", 0.2, after="answer", hz=[hz], for_s=beep_ms / 1000, dbm0=-16.0),
    ]
    call = {"digits": FAR, "ringback": False, "progress_s": beep_s - 0.2, "sound": sounds, "network": MOBILE}
    speaks = {"talk": MESSAGE, "first_speaker": "staff", "talk_s": 9.0, "talk_after_s": 0.2 + beep_ms / 1000 + 0.4}
    return call | speaks | keys


# The notice is on the line from 11.3 to 15.7 s.
BEEPS = {f"at {tenth / 10} s": mailbox(tenth / 10) for tenth in range(115, 175, 5)} | {
    "across the notice's end, and a breath later the message": mailbox(15.6, talk_after_s=1.0),
    "low, and half a second": mailbox(17.0, 500, 800.0),
    "high, and long": mailbox(17.0, 1200, 1400.0),
    "a clean line": mailbox(14.0, network=Network()),
    "staff hangs up at the beep": mailbox(17.0, talk=[], talk_s=0.2, talk_after_s=0.8),
    "staff hangs up at the beep beneath the notice": mailbox(14.2, talk=[], talk_s=1.4, talk_after_s=0.8),
}
HELD = sound("music", 0.4, after="answer", for_s=8.0, alone=True, dbm0=-16.0)
VOICE = {"talk": ["여보세요. 네, 말씀하세요. 지금 통화 가능합니다. 어디시라고요?"], "first_speaker": "caller"}
NONE: dict[str, dict[str, Any]] = {
    "a low tone": {"sound": [sound("tone", 9.0, after="answer", hz=[440.0], for_s=0.6, dbm0=-16.0)]},
    "keys": {"keys": [Keys(at_s=9.0, digits="1", dbm0=-9.0)]},
    "a tone that lasts": {"sound": [sound("tone", 9.0, after="answer", hz=[1000.0], for_s=2.4, dbm0=-16.0)]},
    **{f"a voice beneath the notice, {dbm0} dBm0": VOICE | {"caller_dbm0": dbm0} for dbm0 in (-28.0, -14.0)},
    **{f"music {n} beneath the notice": {"sound": [HELD], "talk_after_s": 9.0} | VOICE for n in range(1)},
}


def answered(**keys: Any) -> dict[str, Any]:
    call = {"digits": FAR, "progress_s": 6.0, "network": MOBILE, "talk": ["여보세요."], "talk_after_s": 0.5}
    return call | {"first_speaker": "caller", "talk_s": 12.0} | keys


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    wanted = BEEPS | {name: answered(**keys) for name, keys in NONE.items()}
    return follow(wanted, notices_in(tmp_path_factory), Recording())


@pytest.mark.parametrize("name", BEEPS)
def test_only_a_notice_behind_the_beep_is_heard(told: dict[str, Told], name: str) -> None:
    call = told[name]
    assert call.answer_ms is not None
    (record,) = call.records
    begun = [((parse_rfc3339(each.started_at or "") - start_of(0)) // NS_PER_MS, each) for each in record.notices]
    before = [each for at, each in begun if at < call.answer_ms]
    behind = [each for at, each in begun if at >= call.answer_ms]
    assert [(each.began_after_answer, each.proof) for each in before] == [(False, "early")] * len(before)
    if "hangs up" not in name:
        assert [(each.began_after_answer, each.proof) for each in behind] == [(True, "full")]


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_beep_has_no_second_notice(told: dict[str, Told], name: str) -> None:
    (record,) = told[name].records
    assert [each.began_after_answer for each in record.notices] == [True]
