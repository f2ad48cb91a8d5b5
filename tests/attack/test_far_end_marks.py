# SPDX-License-Identifier: Apache-2.0
"""A caller who dials the staff's codes: as loud as possible, as loud as the staff's own telephone, or from an identical
one.

None of these marks a call, keeps it longer, or has a notice played. Undecidable cases are flagged.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recorder"))

from call_rig import Story
from sounds import NEAR_DBM0, digits, frames, ringback, talk

from linetap.config.schema import Config, RetentionClass
from linetap_bench.sounds.synth import DTMF_COLUMNS_HZ, DTMF_KEYS, DTMF_ROWS_HZ, F64, Tones
from linetap_core.codecs.g711 import decode, encode
from linetap_core.records import CallRecord
from unit_rig import make_unit

LEVELS = [-27.0, -20.0, -14.0, -8.0, -2.0, 2.0, 3.0]
OWN_S = 30.0  # the staff's own call is over by then


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    config = make_unit(tmp_path, run_dir).config
    classes = [RetentionClass(name="standard", days=60), RetentionClass(name="abuse", days=365)]
    return msgspec.structs.replace(config, retention=msgspec.structs.replace(config.retention, classes=classes))


def telephone(text: str, dbm0: float = NEAR_DBM0, twist_db: float = 2.0, off_percent: float = 0.3) -> F64:
    """Digits of one telephone: its oscillator is slightly off, and its column louder than its row."""
    pitch, parts = 1 + off_percent / 100, []
    for digit in text:
        row, column = divmod(DTMF_KEYS.index(digit), 4)
        tones = [
            (DTMF_ROWS_HZ[row] * pitch, dbm0 - twist_db / 2),
            (DTMF_COLUMNS_HZ[column] * pitch, dbm0 + twist_db / 2),
        ]
        parts += [Tones(tones, frames(0.09)).render(0, frames(0.09)), np.zeros(frames(0.1))]
    return np.concatenate(parts)


def through_codec(x: F64) -> F64:
    pcm = np.clip(np.rint(x), -32768, 32767).astype(np.int16)
    return decode(encode(pcm)).astype(np.float64)


def call_in(config: Config, pressed: F64, own: F64 | None = None, at_s: float = 8) -> CallRecord:
    """An incoming call in which `pressed` is heard; before it, the staff have dialled `own` in an outgoing call."""
    began = 0.0 if own is None else OWN_S
    story = Story(config, began + 24, noise_peak=30)
    if own is not None:
        story.off_hook(1, 26).sound(2, own).sound(6, ringback(1)).sound(9.5, talk(6))
    story.ring(began + 0.5, began + 1.4).off_hook(began + 1.5, began + 20).sound(began + 3.2, talk(2))
    return story.sound(began + at_s, pressed).tell().records[-1]


def of_nobody(record: CallRecord) -> bool:
    assert record.disposition == "recorded"
    assert record.retention is not None
    kinds = {mark.kind for mark in record.marks}
    return (
        "abuse" not in kinds
        and "notice_code" not in kinds
        and record.retention.class_ == "standard"
        and len(record.notices) == 1
    )


@pytest.mark.parametrize("code", ["**9", "**1"])
@pytest.mark.parametrize("dbm0", LEVELS)
def test_where_the_staff_have_dialled_nothing_no_level_makes_it_theirs(config: Config, dbm0: float, code: str) -> None:
    assert of_nobody(call_in(config, digits(code, dbm0)))


@pytest.mark.parametrize("code", ["**9", "**1"])
@pytest.mark.parametrize("dbm0", LEVELS)
def test_a_far_telephone_behind_a_codec_is_none_of_ours(config: Config, dbm0: float, code: str) -> None:
    """Also at our own telephone's level: its oscillator differs, or its codec is detected."""
    own = telephone("0312345678")
    assert of_nobody(call_in(config, through_codec(telephone(code, dbm0, 1.0, -0.1)), own))
    assert of_nobody(call_in(config, through_codec(telephone(code, dbm0)), own))


@pytest.mark.parametrize(("twist_db", "off_percent"), [(-4.0, 0.3), (2.0, 0.0), (2.0, 0.6), (6.0, 0.3)])
def test_another_oscillator_at_the_same_level_is_another_telephone(
    config: Config, twist_db: float, off_percent: float
) -> None:
    record = call_in(config, telephone("**9", NEAR_DBM0, twist_db, off_percent), telephone("0312345678"))
    assert of_nobody(record)
    assert [mark.kind for mark in record.marks] == ["mark_far"]


def test_what_cannot_be_known_is_reported(config: Config) -> None:
    record = call_in(config, digits("**9"))
    assert [mark.kind for mark in record.marks] == ["mark_uncertain"]


@pytest.mark.parametrize("under_dbm0", [None, -20.0, -12.0])
def test_the_staff_s_own_telephone_marks_under_whatever_the_caller_shouts(
    config: Config, under_dbm0: float | None
) -> None:
    pressed = telephone("**9")
    if under_dbm0 is not None:
        pressed = pressed + talk(len(pressed) / 8000, under_dbm0)[: len(pressed)]
    record = call_in(config, pressed, telephone("0312345678"))
    assert [mark.kind for mark in record.marks] == ["abuse"]
    assert record.retention is not None
    assert record.retention.class_ == "abuse"


def test_what_a_far_end_dials_while_it_is_called_teaches_nothing(config: Config) -> None:
    """It answers before the answer is detected, and dials at will: only the first digits of a call are learnt."""
    own = np.concatenate([telephone("0312345678"), np.zeros(4000), digits("55555555", -2.0)])
    assert of_nobody(call_in(config, digits("**9", -2.0), own))


WITHIN_THE_NOTICE_S = [2.1, 2.3, 2.5]  # it plays from 2.0 to 3.1 s


@pytest.mark.parametrize("at_s", WITHIN_THE_NOTICE_S)
def test_the_staff_s_own_telephone_marks_while_our_notice_plays(config: Config, at_s: float) -> None:
    record = call_in(config, telephone("**9"), telephone("0312345678"), at_s)
    assert [mark.kind for mark in record.marks] == ["abuse"]


@pytest.mark.parametrize("at_s", WITHIN_THE_NOTICE_S)
@pytest.mark.parametrize("dbm0", [NEAR_DBM0 - 2, NEAR_DBM0, NEAR_DBM0 + 2])
def test_a_codec_is_heard_beneath_our_notice(config: Config, dbm0: float, at_s: float) -> None:
    """The same telephone as the staff's, but at the far end: the notice's echo does not hide the codec."""
    assert of_nobody(call_in(config, through_codec(telephone("**9", dbm0)), telephone("0312345678"), at_s))


@pytest.mark.parametrize("dbm0", [NEAR_DBM0 - 2, NEAR_DBM0, NEAR_DBM0 + 2])
def test_a_codec_is_heard_in_the_pauses_of_a_voice(config: Config, dbm0: float) -> None:
    pressed = through_codec(telephone("**9", dbm0))
    said = talk(len(pressed) / 8000, -24.0)[: len(pressed)]
    said[: len(pressed) // 2] = 0
    assert of_nobody(call_in(config, pressed + said, telephone("0312345678")))
