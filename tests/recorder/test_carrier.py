# SPDX-License-Identifier: Apache-2.0
"""A fax or a modem on the line: neither notice nor recording, until a voice follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from call_rig import Story
from sounds import digits, fax, frames, ringback, talk

from anchors import spandsp
from linetap.config.schema import Config
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_core.codecs.g711 import peak_of
from unit_rig import save_notice

WHISTLE_S, WHISTLE = 0.6, 6.2  # length, and begin: the notice has begun
TALK = 7.1
NOTICE = "이 통화는 상담 품질 향상과 직원 보호를 위하여 녹음됩니다. 원하지 않으시면 말씀해 주십시오."


Sound = npt.NDArray[Any]


def quiet(seconds: float) -> Sound:
    return np.zeros(frames(seconds))


def announced(config: Config) -> Config:
    """A configuration whose notice is a voice of five seconds."""
    save_notice(Path(config.notices) / "ko.wav", Voices(default_folder()).say(NOTICE, "ko", "staff"))
    return config


def incoming(config: Config, seconds: float = 24) -> Story:
    return Story(config, seconds, noise_peak=30).ring(0.5, 1.5).ring(3.5, 4.5).off_hook(5.0, seconds - 2)


def ansam(seconds: float) -> Sound:
    """ITU-T V.8: 2100 Hz, amplitude-modulated by a fifth 15 times a second, with phase reversals every 450 ms."""
    at = np.arange(frames(seconds)) / 8000
    turned = 1 - 2 * (at // 0.45 % 2)
    swelling = peak_of(-14.0) * (1 + 0.2 * np.sin(2 * np.pi * 15 * at)) * turned
    return np.asarray(swelling * np.sin(2 * np.pi * 2100 * at))


@pytest.mark.parametrize("hz", [1100.0, 1300.0, 2100.0, 2225.0])
def test_a_whistle_and_then_talk_is_a_call(config: Config, hz: float) -> None:
    story = incoming(config).sound(WHISTLE, fax(hz, WHISTLE_S)).sound(TALK, talk(12))
    record = story.tell().records[0]
    assert (record.disposition, record.why) == ("recorded", "")
    assert record.notice is not None
    last = record.notices[-1]
    assert last.ended_at is not None
    assert story.vault.opened


def test_a_whistle_before_anybody_answered_keeps_no_call_from_being_one(config: Config) -> None:
    story = Story(config, 30, noise_peak=30).off_hook(1.0, 28.0)
    story.sound(2.0, digits("0212345678")).sound(5.0, ringback(2)).sound(9.6, fax(1100, WHISTLE_S))
    record = story.sound(11.0, talk(14)).tell().records[0]
    assert (record.disposition, record.direction) == ("recorded", "out")
    assert record.answered_at is not None


def test_what_a_fax_sends_is_no_voice(config: Config) -> None:
    negotiation, page = spandsp.sent("v21", 1.6), spandsp.sent("v29", 6)
    session = [fax(2100, 2.8), quiet(0.1), negotiation, quiet(0.6), negotiation * 0.5, quiet(0.1), page * 0.4]
    story = incoming(config).sound(WHISTLE, np.concatenate([*session, quiet(0.3), negotiation]))
    record = story.tell().records[0]
    assert (record.disposition, record.why) == ("fax", "fax_answer")
    assert story.vault.opened == []


MODEMS: dict[str, tuple[Callable[[], Sound], str]] = {
    "Bell 103": (lambda: fax(2225, 2.0), "modem_answer"),
    "V.22 with a guard tone": (lambda: spandsp.sent("v22", 6), "modem_answer"),
    "V.25, calling": (lambda: np.tile(np.concatenate([fax(1300, 0.6), quiet(1.7)]), 3), "modem_calling"),
    "V.8": (lambda: ansam(3.0), "modem_v8"),
}


@pytest.mark.parametrize("name", MODEMS)
def test_a_modem_is_neither_announced_nor_recorded(config: Config, name: str) -> None:
    send, why = MODEMS[name]
    story = incoming(announced(config)).sound(WHISTLE, send())
    record = story.tell().records[0]
    assert (record.disposition, record.why) == ("modem", why)
    assert story.vault.opened == []
    playing = [batch.frame for batch in story.followed if batch.notice[:, 0].any()]
    assert max(playing) + 320 <= (WHISTLE + 0.7) * 8000


def test_the_modem_that_follows_an_answer_tone_gives_the_call_its_name(config: Config) -> None:
    """V.25 answers with 2100 Hz like a fax; then V.22 identifies it."""
    sound = np.concatenate([fax(2100, 3.3), quiet(0.075), spandsp.sent("v22", 5)])
    record = incoming(config).sound(WHISTLE, sound).tell().records[0]
    assert (record.disposition, record.why) == ("modem", "modem_answer")


def test_the_same_over_a_restart_in_the_middle(config: Config) -> None:
    story = incoming(config).sound(WHISTLE, fax(2100, WHISTLE_S)).sound(TALK + 0.6, talk(12))
    while story.step(4) and story.followed[-1].frame < (TALK + 0.3) * 8000:
        pass
    story.restart()
    assert story.tell().records[0].disposition == "recorded"


CALLING = np.tile(np.concatenate([fax(1100, 0.5), quiet(3.0)]), 4)


@pytest.mark.parametrize("begins", [5.9, 6.3, 7.1, 8.0])
@pytest.mark.parametrize("kind", ["calling", "answer"])
def test_a_fax_under_our_own_notice_is_found(config: Config, kind: str, begins: float) -> None:
    """12 dB weaker than telephones send it, and 4 dB below the notice's own echo."""
    sound = CALLING if kind == "calling" else fax(2100, 3.0)
    story = incoming(announced(config)).sound(begins, sound * 10 ** (-12 / 20))
    record = story.tell(4).records[0]
    assert (record.disposition, record.why) == ("fax", f"fax_{kind}")
    assert story.vault.opened == []


def test_our_own_notice_and_who_speaks_over_it_are_no_fax(config: Config) -> None:
    record = incoming(announced(config)).sound(5.3, talk(14)).tell().records[0]
    assert record.disposition == "recorded"
    assert len(record.notices) == 1
