# SPDX-License-Identifier: Apache-2.0
"""Caller ID before the first ring: EN 300 659-1's alerting signals, and digits with and without delimiting letters.

The messages are sent by libspandsp and minimodem, if installed, and by our own transmitter.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from call_rig import Story
from msgspec.structs import replace
from sounds import digits

from anchors import spandsp
from anchors.programs import minimodem_sent
from fsk_rig import amplitude, bits_of, fsk, message, parameter
from linetap.config.schema import Config
from linetap.recorder.signals.caller.fsk import TONES_HZ, Modem
from linetap.ring import RATE_HZ
from linetap_bench.sounds.synth import F64, Tones
from linetap_core.records import Caller

NUMBER = "0212345678"
MDMF = 0x80
RAW = message(MDMF, parameter(0x01, b"11242256") + parameter(0x02, NUMBER.encode()) + parameter(0x07, b"KIM"))
SAID = 5.0  # begin of the message
MODEMS: tuple[Modem, ...] = ("bell202", "v23")
Sender = Callable[[Modem, Path], F64]


def _own(modem: Modem, _: Path) -> F64:
    return np.trim_zeros(fsk(bits_of(RAW), modem, np.random.default_rng(5)).astype(np.float64))


def _spandsp(modem: Modem, _: Path) -> F64:
    return np.trim_zeros(spandsp.adsi_sent(modem, RAW).astype(np.float64))


def _minimodem(modem: Modem, folder: Path) -> F64:
    """minimodem's samples; it only sends octets, so the 180 marks between seizure and message are a sine."""
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    seizure = np.trim_zeros(minimodem_sent(modem, b"\x55" * 30, folder / "a").astype(np.float64))
    said = np.trim_zeros(minimodem_sent(modem, RAW, folder / "b").astype(np.float64))
    mark = Tones([(TONES_HZ[modem][0], 0.0)], 1200).render(0, 1200) / amplitude(0.0) * np.abs(said).max()
    sound = np.concatenate([seizure, mark, said])
    sound *= amplitude(-14.0) / np.abs(sound).max()
    return sound


SENDERS = [
    pytest.param(_own, id="own"),
    pytest.param(
        _spandsp, id="spandsp", marks=pytest.mark.skipif(not spandsp.installed(), reason="libspandsp is not installed")
    ),
    pytest.param(
        _minimodem, id="minimodem",
        marks=pytest.mark.skipif(shutil.which("minimodem") is None, reason="no minimodem here"),
    ),
]  # fmt: skip


def caller(story: Story) -> Caller | None:
    return story.tell().records[-1].caller


def story_of(config: Config, seconds: float = 16.0) -> Story:
    return Story(config, seconds, noise_peak=30)


def alert() -> F64:
    """The dual tone alerting signal: 2130 and 2750 Hz, 100 ms."""
    return Tones([(2130.0, -15.0), (2750.0, -15.0)], 800).render(0, 800)


@pytest.mark.parametrize("modem", MODEMS)
@pytest.mark.parametrize("sender", SENDERS)
@pytest.mark.parametrize("alerted_by", ["nothing", "tones", "reversal", "reversal and tones", "pulse", "short pulse"])
def test_a_message_before_the_first_ring(
    config: Config, tmp_path: Path, modem: Modem, sender: Sender, alerted_by: str
) -> None:
    sound = sender(modem, tmp_path)
    story = story_of(config)
    if "tones" in alerted_by:
        story.sound(SAID - 0.16, alert())
    if "reversal" in alerted_by:
        story.reverse(SAID - 0.5, 16.0)
    if "pulse" in alerted_by:
        began = SAID - 0.9
        story.ring(began, began + (0.1 if "short" in alerted_by else 0.25))
    story.sound(SAID, sound)
    first = SAID + len(sound) / RATE_HZ + 0.3
    story.ring(first, first + 1.0).ring(first + 3.0, first + 4.0).off_hook(first + 4.2, 14.0)
    assert caller(story) == Caller(number=NUMBER, name="KIM", by=modem)


def test_the_caller_is_known_when_the_first_burst_is_answered(config: Config, tmp_path: Path) -> None:
    sound = _own("v23", tmp_path)
    first = SAID + len(sound) / RATE_HZ + 0.25
    story = story_of(config).sound(SAID, sound).ring(first, first + 0.6).off_hook(first + 0.6, 14.0)
    assert caller(story) == Caller(number=NUMBER, name="KIM", by="v23")


def test_a_broken_message_before_it_does_not_hide_the_good_one_behind(config: Config, tmp_path: Path) -> None:
    broken = bytearray(RAW)
    broken[12] ^= 4
    bad = np.trim_zeros(fsk(bits_of(bytes(broken)), "v23", np.random.default_rng(6)).astype(np.float64))
    story = story_of(config).sound(2.0, bad).sound(6.5, _own("v23", tmp_path))
    story.ring(4.5, 5.5).ring(9.0, 10.0).off_hook(10.5, 14.0)
    assert caller(story) == Caller(number=NUMBER, name="KIM", by="v23")


def test_what_was_said_in_the_call_before_is_not_meant(config: Config, tmp_path: Path) -> None:
    """Another caller's number, from a call that ended a second before this one rings."""
    story = story_of(config, 26.0).off_hook(1.0, 6.5).sound(3.0, _own("v23", tmp_path))
    story.ring(9.0, 10.0).ring(12.0, 13.0).off_hook(13.2, 20.0)
    assert caller(story) is None


@pytest.mark.parametrize("sent", [NUMBER, f"{NUMBER}C", f"{NUMBER}#", "2145", f"D{NUMBER}C", f"A{NUMBER}#"])
@pytest.mark.parametrize("dbm0", [-12.0, -31.0])
def test_digits_with_and_without_letters_around(config: Config, sent: str, dbm0: float) -> None:
    story = story_of(config).sound(1.5, digits(sent, dbm0)).ring(4.8, 5.8).ring(7.8, 8.8).off_hook(9.0, 14.0)
    assert caller(story) == Caller(number="2145" if sent == "2145" else NUMBER, by="dtmf")


def test_digits_between_the_bursts(config: Config) -> None:
    story = story_of(config).ring(1.0, 2.0).sound(2.3, digits("2145#", -12.0)).ring(4.0, 5.0).off_hook(5.2, 12.0)
    assert caller(story) == Caller(number="2145", by="dtmf")


@pytest.mark.parametrize("sent", ["12", "*98", "12B45", "#"])
def test_digits_that_are_no_number(config: Config, sent: str) -> None:
    story = story_of(config).sound(1.5, digits(sent, -12.0)).ring(4.8, 5.8).ring(7.8, 8.8).off_hook(9.0, 14.0)
    assert caller(story) is None


def test_two_trains_are_not_one_number(config: Config) -> None:
    story = story_of(config).sound(0.5, digits("99", -12.0)).sound(3.0, digits("2145", -12.0))
    story.ring(4.8, 5.8).ring(7.8, 8.8).off_hook(9.0, 14.0)
    assert caller(story) == Caller(number="2145", by="dtmf")


def test_digits_are_none_where_fsk_is_configured(config: Config) -> None:
    v23 = replace(config, line=[replace(line, caller_id="v23") for line in config.line])
    story = story_of(v23).sound(1.5, digits(NUMBER, -12.0)).ring(4.8, 5.8).ring(7.8, 8.8).off_hook(9.0, 14.0)
    assert caller(story) is None
