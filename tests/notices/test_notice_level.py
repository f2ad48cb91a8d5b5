# SPDX-License-Identifier: Apache-2.0
"""The level of a notice on a line, and the tone before it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from linetap import learned
from linetap.boardchoice import open_card
from linetap.capture.player import LineGains, Player
from linetap.config.numbers import NoticeNumbers, ProofNumbers
from linetap.config.schema import Config, Recording
from linetap.learned import Learned, LearnedWatch
from linetap.notices import Notice, load_notices, notices_of
from linetap.notices.defaults import make_default_notices
from linetap.notices.level import PEAK, gain_db, level_of, limited, raised
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap.recorder.signals.notice.proof import prove
from linetap.ring import RATE_HZ
from unit_rig import make_unit

NUMBERS, POLICY = NoticeNumbers(), Recording()
AT = "2026-11-24T22:56:00.123Z"
DRAWN_DB = -7.0  # echo level, board/frontend.py


@pytest.fixture(scope="module")
def notice(tmp_path_factory: pytest.TempPathFactory) -> Notice:
    return make_default_notices(tmp_path_factory.mktemp("notices"), ANNOUNCEMENTS)[0]


def gain(notice: Notice, echo_db: float | None) -> float:
    return gain_db(notice.samples, Learned(echo_db=echo_db, learned_at=AT), POLICY, NUMBERS)


@pytest.mark.parametrize(
    ("echo_db", "wanted"),
    [(None, 0.0), (-0.8, 0.0), (2.0, 0.0), (-4.8, 4.0), (-6.8, 6.0), (DRAWN_DB, 6.0), (-30.0, 6.0)],
)
def test_the_gain_makes_up_what_the_line_takes_within_its_bounds(
    notice: Notice, echo_db: float | None, wanted: float
) -> None:
    assert gain(notice, echo_db) == wanted


def test_a_line_that_was_never_learnt_is_played_to_as_ever(notice: Notice) -> None:
    assert gain_db(notice.samples, None, POLICY, NUMBERS) == 0.0
    assert raised(notice.samples, 0.0) is notice.samples


@pytest.mark.parametrize("by_db", [3.0, 6.0, 9.0])
def test_a_raised_notice_is_louder_and_never_beyond_the_codec(notice: Notice, by_db: float) -> None:
    louder = raised(notice.samples, by_db)
    assert np.abs(louder.astype(int)).max() <= PEAK
    assert by_db - 1.5 <= level_of(louder, RATE_HZ) - level_of(notice.samples, RATE_HZ) <= by_db + 0.01
    assert len(louder) == notice.frames


def test_a_peak_is_turned_down_without_a_step() -> None:
    sine = (12_000 * np.sin(2 * np.pi * 500 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.int16)
    sine[4000:4400] *= 2
    louder = raised(sine, 9.0).astype(float)
    assert np.abs(np.diff(louder, 2)).max() < 1.2 * (2 * np.pi * 500 / RATE_HZ) ** 2 * PEAK * 1.5


def test_a_raised_notice_is_proven_at_its_own_level(notice: Notice) -> None:
    heard = np.rint(raised(notice.samples, 6.0) * 10 ** (DRAWN_DB / 20)).astype(np.int16)
    captured = np.concatenate([np.zeros(240, np.int16), heard, np.zeros(RATE_HZ, np.int16)])
    proof = prove(captured, notice.samples, ProofNumbers(echo_db=DRAWN_DB + 6.0))
    assert proof.proof == "full"
    assert proof.level_db == pytest.approx(DRAWN_DB + 6.0, abs=1.5)


# --- the limit -------------------------------------------------------------------------------------------------------


def tone(seconds: float, amplitude: float, hz: float = 1000.0) -> npt.NDArray[np.int16]:
    return np.rint(amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.int16)


SECOND = np.ones(RATE_HZ, np.int16)
WORST = {
    "full scale": tone(12, 32_767),
    "a square wave": np.where(tone(12, 1, 300) >= 0, 32_767, -32_768).astype(np.int16),
    "noise": np.random.default_rng(3).integers(-32_768, 32_768, 12 * RATE_HZ).astype(np.int16),
    "loud for four seconds of twelve": np.concatenate([tone(4, 3_000), tone(4, 32_767), tone(4, 3_000)]),
    "shorter than three seconds": tone(1, 32_767),
    "direct current": 12 * RATE_HZ * [32_767],
}


def three_seconds_dbm0(samples: npt.NDArray[np.int16]) -> float:
    """The level of the loudest three seconds, by direct summation: a sine of full scale is +3.14 dBm0."""
    power = np.square(np.concatenate([0 * SECOND, 0 * SECOND, samples, 0 * SECOND, 0 * SECOND]) / 32768.0)
    means = [power[begin : begin + 3 * RATE_HZ].mean() for begin in range(0, len(power) - 3 * RATE_HZ + 1, 80)]
    return float(10 * np.log10(max(means) / 0.5)) + 3.14


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("by_db", [0.0, 6.0])
def test_no_file_and_no_gain_brings_more_onto_a_line_than_it_may_get(name: str, by_db: float) -> None:
    """With a sound at full scale, 12 dB above the notices, for any settings of capture."""
    played = limited(raised(np.array(WORST[name], np.int16), by_db), NUMBERS.most_mean_dbm0)
    assert three_seconds_dbm0(played) <= NUMBERS.most_mean_dbm0 + 0.001
    if name != "shorter than three seconds":
        assert three_seconds_dbm0(played) > NUMBERS.most_mean_dbm0 - 0.1, "no quieter than it has to be"


def test_a_shipped_notice_is_played_as_it_is_with_every_gain(notice: Notice) -> None:
    loud = raised(notice.samples, NUMBERS.most_gain_db)
    assert limited(loud, NUMBERS.most_mean_dbm0) is loud


def test_the_limit_is_what_the_drawn_card_makes_the_permitted_level_of() -> None:
    """-9 dBm on 600 ohm (47 CFR 68.308), by the row of hardware/README.md: the card's output for -16 dBm0 and 6 dB."""
    text = (Path(__file__).parents[2] / "hardware" / "README.md").read_text()
    (highest,) = re.findall(r"raised as far as it may be, 600 ohm \| <= -9 dBu \| -[0-9.]+ to (-[0-9.]+) dBu", text)
    card_db = float(highest) - (NUMBERS.tone_dbm0 + NUMBERS.most_gain_db)
    assert -10 <= NUMBERS.most_mean_dbm0 + card_db <= -9


def test_a_notice_that_is_held_down_is_still_proven(notice: Notice) -> None:
    loud = np.clip(notice.samples * 10.0, -32_768, 32_767).astype(np.int16)
    held = limited(loud, NUMBERS.most_mean_dbm0)
    heard = np.rint(held * 10 ** (DRAWN_DB / 20)).astype(np.int16)
    captured = np.concatenate([np.zeros(240, np.int16), heard, np.zeros(RATE_HZ, np.int16)])
    assert prove(captured, loud, ProofNumbers(echo_db=DRAWN_DB)).proof == "full"


def test_capture_plays_nothing_above_it(tmp_path: Path, run_dir: Path) -> None:
    config = make_unit(tmp_path, run_dir).config
    loud = {name: with_samples(each, tone(4, 32_767)) for name, each in notices_of(config).items()}
    player = Player(
        config.card_number(1), config.lines_of(1), loud, open_card(config, 1, LearnedWatch(Path(config.learned)))
    )
    player.set_shift(0, playback_restarted=False)
    assert player.play(1, "ko", 1000) is None
    assert three_seconds_dbm0(played_on(player, 1)) <= NUMBERS.most_mean_dbm0 + 0.001
    player.set_samples(1, "ko", tone(4, 32_767))
    player.finish(10**9)
    assert player.play(1, "ko", 100_000) is None
    assert three_seconds_dbm0(played_on(player, 1, 100_000)) <= NUMBERS.most_mean_dbm0 + 0.001


def with_samples(notice: Notice, samples: npt.NDArray[np.int16]) -> Notice:
    return Notice(notice.id, notice.text, samples, notice.tag)


def played_on(player: Player, line: int, first: int = 0) -> npt.NDArray[np.int16]:
    periods = (player.fill(first + n * 80, 400) for n in range(700))
    return np.concatenate(
        [np.frombuffer(each, np.int16).reshape(-1, 2)[:, line - 1] for each in periods if each is not None]
    )


# --- in capture ------------------------------------------------------------------------------------------------------


def player_of(config: Config) -> Player:
    lines = config.lines_of(1)
    player = Player(
        config.card_number(1), lines, notices_of(config), open_card(config, 1, LearnedWatch(Path(config.learned)))
    )
    player.set_shift(0, playback_restarted=False)
    return player


def loudest(player: Player, line: int, *, plain: bool = False) -> int:
    """The loudest sample played on a line."""
    assert player.play(line, "ko", 1000, plain=plain) is None
    played = [np.frombuffer(filled, np.int16) for n in range(200) if (filled := player.fill(n * 80, 400)) is not None]
    player.finish(10**9)
    return int(np.abs(np.concatenate(played).reshape(-1, 2)[:, line - 1].astype(int)).max())


def test_what_is_learnt_of_a_line_while_capture_runs_is_how_loud_it_plays_there(tmp_path: Path, run_dir: Path) -> None:
    config = make_unit(tmp_path, run_dir).config
    player = player_of(config)
    watch = LearnedWatch(Path(config.learned))
    gains = LineGains(config, config.lines_of(1), player, watch)
    gains.follow()
    before = loudest(player, 1)
    folder = Path(config.learned)
    learned.save(folder, 1, Learned(echo_db=-14.0, learned_at=AT))
    gains.follow()
    assert loudest(player, 1) == before, "the disk may block: a thread reads it"
    watch.poll()
    for _ in range(4):
        gains.follow()
    assert loudest(player, 1) > 1.5 * before
    assert loudest(player, 2) == before  # each line has its own
    assert loudest(player, 1, plain=True) == before  # used by `line learn`
    learned.save(folder, 1, Learned(echo_db=6.0, learned_at=AT))
    os.utime(folder, ns=(0, learned.stamp(folder) + 10**9))  # only in a test is a line learnt twice within 4 ms
    watch.poll()
    for _ in range(4):
        gains.follow()
    assert loudest(player, 1) == before


# --- the tone --------------------------------------------------------------------------------------------------------


def test_a_tone_stands_before_each_notice_and_proves_nothing(tmp_path: Path, run_dir: Path) -> None:
    config = make_unit(tmp_path, run_dir).config
    config = msgspec.structs.replace(config, recording=msgspec.structs.replace(config.recording, notice_tone_ms=200))
    plain, toned = load_notices(Path(config.notices))["ko"], notices_of(config)["ko"]
    assert toned.words_from == (200 + NUMBERS.tone_pause_ms) * RATE_HZ // 1000
    assert (toned.words == plain.samples).all()
    assert toned.tag != plain.tag
    tone = toned.samples[: 200 * RATE_HZ // 1000].astype(float)
    assert np.argmax(np.abs(np.fft.rfft(tone * np.hanning(len(tone)), RATE_HZ))) == pytest.approx(1400, abs=3)
    assert level_of(toned.samples[80:1500], RATE_HZ) == pytest.approx(NUMBERS.tone_dbm0, abs=0.5)


def test_without_one_notices_are_as_they_lie_in_their_folder(tmp_path: Path, run_dir: Path) -> None:
    config = make_unit(tmp_path, run_dir).config
    assert notices_of(config)["ko"].tag == load_notices(Path(config.notices))["ko"].tag
