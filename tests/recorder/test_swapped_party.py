# SPDX-License-Identifier: Apache-2.0
"""Another party joins a recorded call without dialling: by call waiting, by a transfer at the far end, or perhaps by a
colleague.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from call_rig import Kept, Story
from sounds import call_waiting, dial, digits, frames, music, ringback, talk

from linetap.config.schema import Config
from linetap.recorder.signals.sound.classes import spectrum_steadiness
from linetap.ring import RATE_HZ
from linetap_bench.exchange.linesounds import coded
from linetap_bench.sounds.synth import F64, pair
from linetap_core.records import CallRecord


def recorded(config: Config, end_s: float = 36) -> Story:
    """A citizen calls; the notice plays from 2.0 to 3.1 s."""
    return Story(config, 40, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, end_s).sound(3.5, talk(4))


def announced_again(kept: Kept) -> tuple[CallRecord, list[tuple[int, int]]]:
    (record,) = kept.records
    assert record.disposition == "recorded"
    assert len(record.notices) == 2
    return record, list(kept.withheld[record.call_id])


def test_who_speaks_behind_a_flash_is_announced_to_and_not_written_before(config: Config) -> None:
    """The beep of call waiting was inaudible under a voice."""
    record, withheld = announced_again(recorded(config).on_hook(12, 12.6).sound(13.2, talk(10)).tell())
    ((first, last),) = withheld
    assert 12 * RATE_HZ <= first <= 12.1 * RATE_HZ < 15 * RATE_HZ < last < 16 * RATE_HZ
    assert record.party_unknown is True


def test_nothing_behind_the_flash_reaches_the_vault_before_that_is_known(config: Config) -> None:
    kept = recorded(config, 13.9).on_hook(12, 12.6).sound(13.0, talk(0.8)).tell()
    (record,) = kept.records
    assert max(kept.permitted[record.call_id]) <= 12.1 * RATE_HZ


def test_one_beep_beneath_the_notice_counts(config: Config) -> None:
    story = Story(config, 40, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 36)
    one = pair((350.0, 440.0), -16.0, frames(0.25)).render(0, frames(0.25))
    announced_again(story.sound(2.2, one).on_hook(4.0, 4.6).sound(5.2, talk(10)).tell())


def test_a_flash_while_the_notice_plays_has_it_play_again(config: Config) -> None:
    story = Story(config, 40, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 36)
    announced_again(story.on_hook(2.3, 2.8).sound(4.0, talk(10)).tell())


def test_a_flash_under_the_notices_last_word_is_known_behind_it_and_needs_no_voice(config: Config) -> None:
    announced_again(Story(config, 40, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 36).on_hook(2.9, 3.5).tell())


def test_whoever_waits_for_dial_tone_is_not_spoken_to(config: Config) -> None:
    story = recorded(config).on_hook(12, 12.6).sound(12.7, talk(1.0)).sound(13.8, dial(5.0))
    kept = story.sound(19.2, digits("0312345678")).sound(23, ringback(1)).sound(27, talk(6)).tell()
    record, _ = announced_again(kept)
    assert record.also_dialled == ["0312345678"]
    assert record.party_unknown is msgspec.UNSET


def test_two_beeps_and_a_flash_are_certain(config: Config) -> None:
    record, _ = announced_again(
        recorded(config).sound(10, call_waiting()).on_hook(12, 12.6).sound(13.2, talk(9)).tell()
    )
    assert record.party_unknown is msgspec.UNSET


def test_who_speaks_behind_the_far_end_s_music_is_announced_to(config: Config) -> None:
    story = Story(config, 40, noise_peak=30).off_hook(1, 36).sound(2, digits("0312345678")).sound(5, ringback(1))
    record, withheld = announced_again(story.sound(9, talk(4)).sound(16, music(4)).sound(20.5, talk(10)).tell())
    assert record.party_unknown is True
    ((first, last),) = withheld
    assert 20 * RATE_HZ < first < 21 * RATE_HZ < last < 22 * RATE_HZ


def test_who_sings_has_the_notice_play_a_few_times_at_most(config: Config) -> None:
    story = Story(config, 120, noise_peak=30).off_hook(1, 115).sound(2, digits("0312345678")).sound(5, ringback(1))
    story.sound(9, talk(4))
    for n in range(8):
        story.sound(16 + 12 * n, music(4)).sound(20.5 + 12 * n, talk(6))
    (record,) = story.tell().records
    assert len(record.notices) == 4


@pytest.mark.parametrize(("end_s", "unknown"), [(14, msgspec.UNSET), (30, True)])
def test_a_long_call_of_a_colleague_may_have_had_another_party(config: Config, end_s: float, unknown: object) -> None:
    story = Story(config, 40, noise_peak=30).ring(3.5, 4.5).off_hook(5, end_s).sound(1.0, digits("D2345C"))
    (record,) = story.sound(7, talk(end_s - 8)).tell().records
    assert (record.disposition, record.why, record.party_unknown) == ("skipped", "internal", unknown)


def through(samples: F64, coder: str, scratch: Path) -> F64:
    pcm = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return coded(pcm, coder, scratch).astype(np.float64)  # type: ignore[arg-type]


@pytest.mark.parametrize("coder", ["g711", "gsm", "opus"])
def test_a_codec_leaves_music_its_notes_and_gives_a_voice_none(tmp_path: Path, coder: str) -> None:
    """A faint voice behind a codec that `sound` classifies as music triggers no notice."""
    heard = through(music(1.5), coder, tmp_path / "a").astype(np.int16)
    kept = spectrum_steadiness(heard)
    assert kept is not None
    assert kept > 0.9
    for dbm0 in (-30.0, -16.0):
        said = through(talk(7.0, dbm0), coder, tmp_path / "b").astype(np.int16)
        parts = [spectrum_steadiness(said[n : n + 12_000]) for n in range(0, len(said) - 12_000, 4_000)]
        assert max(part for part in parts if part is not None) < 0.75


def test_silence_keeps_no_notes() -> None:
    assert spectrum_steadiness(np.zeros(12_000, np.int16)) is None
    assert spectrum_steadiness(np.zeros(100, np.int16)) is None
