# SPDX-License-Identifier: Apache-2.0
"""Answers once detected too late or too early in the bench's days, each a class of its own: through the real detectors,
played by the exchange.
"""

from __future__ import annotations

from typing import Any

import pytest
from day_rig import FAR, Told, began_in_time, follow, nobody, notices_in, ring, sound

from linetap.config.schema import Recording
from linetap_bench.script.callkeys import Network

HERE = "이 주소가 도로명으로 어떻게 되는지 좀 찾아 주세요. 네, 지금 보고 있습니다."
WHO, OFFICE = "여보세요? 누구세요?", ["안녕하세요, 시청 세무과입니다.", "재산세 고지서를 아직 받지 못했습니다."]


def out(progress_s: float, said: str, after_s: float, dbm0: float, network: Network, **keys: Any) -> dict[str, Any]:
    """Answered this long after the last digit, with speech after a further delay."""
    talk = {"talk": [said, *OFFICE], "first_speaker": "caller", "talk_after_s": after_s, "caller_dbm0": dbm0}
    return {"digits": FAR, "progress_s": progress_s, "talk_s": 9.0, "network": network} | talk | keys


def song(play: Any, at_s: float, dbm0: float, which: int, codec: Any) -> dict[str, Any]:
    sounds = [sound(play, at_s, dbm0=dbm0, which=which)]
    return {"ringback": False, "sound": sounds, "early": Network(codec=codec)}


ANSWERED: dict[str, dict[str, Any]] = {
    "a word behind music": out(
        11.6, "네.", 1.1, -25.4, Network(delay_ms=22, noise_dbm0=-64.6), **song("music", 0.96, -22.7, 3, "opus")),
    "a word, and music that was short": out(
        4.6, "네.", 0.9, -24.5, Network(codec="g723", delay_ms=212, noise_dbm0=-64.5),
        **song("music", 0.5, -18.0, 6, "gsm")),
    "music with notes like the bursts of a ringback": out(
        15.2, "여보세요.", 0.6, -23.0, Network(codec="g723", delay_ms=183, noise_dbm0=-64.9),
        **song("music", 1.65, -22.5, 0, "gsm")),
    "a song in the key of the exchange's ringback": out(
        18.8, "네, 말씀하세요.", 0.5, -18.6, Network(codec="opus", delay_ms=105, noise_dbm0=-55.7),
        **song("song", 2.2, -13.1, 6, "opus")),
    "behind the only ring of an unknown PBX, faint, by another network": out(
        3.4, "여보세요.", 1.0, -29.8, Network(codec="opus", delay_ms=142, noise_dbm0=-54.5), ringback=False,
        sound=[ring([400.0], [1000, 2000], 0.7, dbm0=-22.5)]),
    "behind the only ring of another": out(
        2.55, WHO, 1.0, -27.3, Network(codec="gsm", delay_ms=60, noise_dbm0=-63.5), ringback=False,
        sound=[ring([375.0, 425.0], [800, 2200], 0.88, dbm0=-18.2)]),
    "staff talks behind the first ring": out(
        10.9, "네.", 0.7, -21.3, Network(codec="gsm", delay_ms=133, noise_dbm0=-52.1), ringback_after_s=1.7,
        sound=[sound("speech", 2.2, by="near", speaker="staff", text=HERE, dbm0=-17.6, for_s=2.7)]),
    "staff talks over the edge of a ring": out(
        14.6, WHO, 1.0, -22.0, Network(delay_ms=14, noise_dbm0=-67.0), ringback_after_s=0.7,
        sound=[sound("speech", 3.85, by="near", speaker="staff", text=HERE, dbm0=-19.7, for_s=3.0)]),
    "faint behind 12 s of silence": out(
        12.75, "네, 말씀하세요.", 0.6, -27.6, Network(codec="g723", delay_ms=76, noise_dbm0=-56.2), ringback=False),
}  # fmt: skip
GOES_ON: dict[str, dict[str, Any]] = {
    f"{play} pauses for {pause_s} s": nobody(14.0, sound=[
        sound(play, 1.0, which=4, for_s=5.0), sound(play, 6.0 + pause_s, which=4)])
    for play in ("music", "song") for pause_s in (0.3, 0.7)
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    return follow(ANSWERED | GOES_ON, notices_in(tmp_path_factory), Recording())


@pytest.mark.parametrize("name", ANSWERED)
def test_the_notice_begins_behind_the_answer_and_within_3_s(told: dict[str, Told], name: str) -> None:
    call = told[name]
    began_in_time(call)


@pytest.mark.parametrize("name", GOES_ON)
def test_music_that_pauses_and_goes_on_is_no_answer(told: dict[str, Told], name: str) -> None:
    assert told[name].begun_ms == []
