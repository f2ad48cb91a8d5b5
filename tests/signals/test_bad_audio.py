# SPDX-License-Identifier: Apache-2.0
"""Faulty audio of real lines: the detectors report nothing, and detect the next digit unaffected."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from dtmf_rig import tone
from linetap.config.profile import KR_PSTN
from linetap.recorder.detectors import CardDetectors
from linetap.recorder.signals.events import Event
from linetap.ring import I16, RATE_HZ, Batch

SLOT, SLOTS = 80, 4
FULL = 32767
Audio = Callable[[int], I16]


def square(n: int) -> I16:
    return np.where(np.arange(n) // 4 % 2, FULL, -FULL).astype(np.int16)


def slow_square(n: int) -> I16:
    return np.where(np.arange(n) // 80 % 2, FULL, -FULL - 1).astype(np.int16)


def steady(value: int) -> Audio:
    return lambda n: np.full(n, value, np.int16)


def clicks(n: int) -> I16:
    """48 V across the codec's input, each time the loop opens or closes."""
    audio = np.zeros(n, np.int16)
    for at in range(300, n, 2000):
        audio[at : at + 40] = (FULL * np.exp(-np.arange(40) / 12)[: n - at]).astype(np.int16)
    return audio


def white(n: int) -> I16:
    return np.random.default_rng(4).integers(-FULL, FULL, n).astype(np.int16)


BAD = {
    "full-scale square wave": square,
    "50 Hz square wave": slow_square,
    "DC at full scale": steady(FULL),
    "a stuck -1": steady(-1),
    "digital silence": steady(0),
    "48 V clicks": clicks,
    "white noise at full scale": white,
}


def batches(audio: I16, lost: tuple[int, int] | None = None) -> list[Batch]:
    """One line in batches of four slots; `lost`: slots (first, end) that are a gap."""
    found: list[Batch] = []
    for first in range(0, len(audio) - SLOT * SLOTS + 1, SLOT * SLOTS):
        piece = audio[None, first : first + SLOT * SLOTS]
        bits = np.zeros((1, 10 * SLOTS), np.bool_)
        whole = Batch(
            seq=0, frame=first, frames=SLOT * SLOTS, mono_ns=0, utc_ns=0, gap=None, hook=~bits, ring=bits,
            polarity=bits, volts=np.full((1, SLOTS), 800, np.int16), notice=np.zeros((SLOTS, 1), np.uint32),
            notice_frame=np.zeros((SLOTS, 1), np.int32), flags=np.zeros(SLOTS, np.uint32), audio=piece,
        )  # fmt: skip
        slot = first // SLOT
        if lost is not None and lost[0] <= slot < lost[1]:
            whole = dataclasses.replace(whole, gap="overrun", hook=bits[:, :0], audio=piece[:, :0])
        found.append(whole)
    return found


def heard(audio: I16, lost: tuple[int, int] | None = None) -> list[Event]:
    detectors = CardDetectors([KR_PSTN])
    with np.errstate(all="raise", under="ignore"):
        return [event for batch in batches(audio, lost) for event in detectors.follow(batch)[0]]


def digit(key: str) -> I16:
    quiet = np.zeros(RATE_HZ // 2)
    return np.concatenate([quiet, tone(key, 80), quiet]).astype(np.int16)


@pytest.mark.parametrize("name", BAD)
def test_bad_audio_is_nothing_and_the_digit_after_it_is_detected(name: str) -> None:
    audio = np.concatenate([BAD[name](3 * RATE_HZ), digit("5")])
    events = [event for event in heard(audio) if event.name not in ("voice", "channel")]
    assert [(event.name, event.text) for event in events if event.name != "sound"] == [("digit", "5")]
    assert {event.text for event in events if event.name == "sound"} <= {"tone", "noise", "silence"}


@pytest.mark.parametrize("name", BAD)
def test_a_digit_under_it_is_that_digit_or_none(name: str) -> None:
    tones = np.tile(digit("8"), 3)
    audio = np.clip(tones.astype(np.int32) + BAD[name](len(tones)), -FULL - 1, FULL).astype(np.int16)
    assert {event.text for event in heard(audio) if event.name == "digit"} <= {"8"}


def test_a_gap_in_the_middle_of_a_digit_makes_no_other_digit_and_no_second_one() -> None:
    audio = np.concatenate([digit("4"), digit("7"), digit("1")])
    middle = (len(digit("4")) + RATE_HZ // 2 + 320) // SLOT // SLOTS * SLOTS  # of the 7
    digits = [event.text for event in heard(audio, (middle, middle + SLOTS)) if event.name == "digit"]
    assert digits in (["4", "7", "1"], ["4", "1"])


def test_a_gap_as_long_as_a_pause_joins_no_tones() -> None:
    audio = np.concatenate([digit("4"), digit("4")])
    first = RATE_HZ // SLOT // SLOTS * SLOTS - SLOTS
    assert [event.text for event in heard(audio, (first, first + 2 * SLOTS)) if event.name == "digit"] == ["4", "4"]
