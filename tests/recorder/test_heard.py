# SPDX-License-Identifier: Apache-2.0
"""Signals of the lines are stored in the call record, and not in the parts readable without a key."""

from __future__ import annotations

import json

import numpy as np
import pytest
from call_rig import Story
from msgspec.structs import replace
from sounds import digits, fax

from fsk_rig import bits_of, fsk, message, parameter
from linetap.config.schema import Config
from linetap.recorder.signals.caller.fsk import Modem
from linetap_core.evidence.calls import sealed
from linetap_core.records import Caller, CallRecord

NUMBER = "0212345678"
MDMF = 0x80
BODY = parameter(0x01, b"11242256") + parameter(0x02, NUMBER.encode()) + parameter(0x07, b"KIM")


def rung(config: Config, octets: bytes, modem: Modem = "bell202") -> CallRecord:
    """Two bursts with a message between them, and an answer."""
    story = Story(config, 14).ring(0.5, 1.5).ring(3.5, 4.5).off_hook(5.0, 11.0)
    sound = fsk(bits_of(octets), modem, np.random.default_rng(5))
    line = story.card._audio[0]
    line[8000 * 1 : 8000 * 4] = np.random.default_rng(1).normal(0, 20, 24_000)
    line[12_400 : 12_400 + len(sound)] += sound
    return story.tell().records[0]


@pytest.mark.parametrize("modem", ["bell202", "v23"])
def test_number_and_name_between_the_rings_stand_in_the_record(config: Config, modem: Modem) -> None:
    record = rung(config, message(MDMF, BODY), modem)
    assert record.caller == Caller(number=NUMBER, name="KIM", by=modem)


def test_they_are_not_in_the_public_record(config: Config) -> None:
    record = rung(config, message(MDMF, BODY))
    assert NUMBER.encode() in sealed.whole_json(record)
    assert NUMBER.encode() not in sealed.public_json(record)
    assert b"KIM" not in sealed.public_json(record)


def test_a_message_with_a_wrong_checksum_is_unreadable_and_no_number(config: Config) -> None:
    broken = bytearray(message(MDMF, BODY))
    broken[15] ^= 1
    assert rung(config, bytes(broken)).caller == Caller(by="bell202", unreadable=True)


def test_a_line_that_does_not_ask_hears_nothing(config: Config) -> None:
    off = replace(config, line=[replace(line, caller_id="off") for line in config.line])
    assert rung(off, message(MDMF, BODY)).caller is None


def test_a_fax_gets_neither_notice_nor_recording(config: Config) -> None:
    story = Story(config, 14).ring(0.5, 1.5).ring(3.5, 4.5).off_hook(5.0, 11.0)
    line = story.card._audio[0]
    line[:] = 0
    line[41_000:70_000] = np.round(4000 * np.sin(2 * np.pi * 2100 * np.arange(29_000) / 8000))
    kept = story.tell()
    assert (kept.records[0].disposition, kept.records[0].why) == ("fax", "fax_answer")
    assert kept.opened == []


TONE_S = 5.7  # the line has been off-hook for 0.7 s, and the notice is playing


@pytest.mark.parametrize("hz", [1100.0, 2100.0])
def test_a_notice_is_off_the_line_300_ms_after_a_fax_tone_began(config: Config, hz: float) -> None:
    story = Story(config, 16, noise_peak=30).ring(0.5, 1.5).ring(3.5, 4.5).off_hook(5.0, 13.0)
    record = story.sound(TONE_S, fax(hz, 2.6)).tell().records[0]
    assert record.disposition == "fax"
    playing = [batch.frame for batch in story.followed if batch.notice[:, 0].any()]
    assert max(playing) + 320 <= (TONE_S + 0.3) * 8000
    assert min(playing) < TONE_S * 8000
    assert story.vault.opened == []


def test_a_whistle_of_200_ms_only_puts_the_notice_off(config: Config) -> None:
    story = Story(config, 16, noise_peak=30).ring(0.5, 1.5).ring(3.5, 4.5).off_hook(5.0, 13.0)
    record = story.sound(TONE_S, fax(2100, 0.2)).tell().records[0]
    assert (record.disposition, [notice.proof for notice in record.notices]) == ("recorded", ["none", "full"])


def test_digits_before_the_first_ring_say_who_calls(config: Config) -> None:
    story = Story(config, 14, noise_peak=30).ring(3.5, 4.5).ring(6.5, 7.0).off_hook(7.0, 11.0)
    record = story.sound(1.0, digits("D0212345678C", -12.0)).tell().records[0]
    assert record.caller == Caller(number=NUMBER, by="dtmf")


def test_the_desk_sees_that_somebody_is_dialling(config: Config) -> None:
    story = Story(config, 8).off_hook(1.0, 6.0)
    line = story.card._audio[0]
    line[:] = 0
    t = np.arange(800) / 8000
    line[16_000:16_800] = np.round(5000 * (np.sin(2 * np.pi * 770 * t) + np.sin(2 * np.pi * 1336 * t)))
    seen = []
    while story.step(10):
        seen.append(story.recorder.line_states()[0].state)
    assert [state for state, before in zip(seen, ["", *seen], strict=False) if state != before] == [
        "idle",
        "off_hook",
        "dialling",
        "idle",
    ]
    assert story.vault.records[0].dialled == "5"


def test_a_call_without_caller_id_has_none(config: Config) -> None:
    story = Story(config, 14).ring(0.5, 1.5).ring(3.5, 4.5).off_hook(5.0, 11.0)
    assert story.tell().records[0].caller is None
    assert json.loads(sealed.whole_json(story.vault.records[0]))["caller"] is None
