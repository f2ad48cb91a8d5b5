# SPDX-License-Identifier: Apache-2.0
"""Proof of a notice from the captured audio: lines that carried it, lines that did not, and half of each."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linetap.config.numbers import ProofNumbers
from linetap.notices import load_notices
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap.recorder.signals.notice.echofit import fit, sound_of
from linetap.recorder.signals.notice.proof import Proof, prove
from linetap.ring import I16, RATE_HZ
from linetap_bench.measure.proof import LEVELS_DB, Outcomes, curves, run_trials
from linetap_bench.measure.proofsets import DEAF, HEARD, TAIL, Material, material

NUMBERS = ProofNumbers()
ECHO = 10 ** (NUMBERS.echo_db / 20)


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> list[I16]:
    folder = tmp_path_factory.mktemp("notices")
    make_default_notices(folder, ANNOUNCEMENTS)
    return [notice.samples for notice in load_notices(folder).values()]


@pytest.fixture(scope="module")
def notice(spoken: list[I16]) -> I16:
    return spoken[-1]


@pytest.fixture(scope="module")
def made(spoken: list[I16], tmp_path_factory: pytest.TempPathFactory) -> Material:
    return material(tmp_path_factory.mktemp("voices"), spoken)


@pytest.fixture(scope="module")
def outcomes(spoken: list[I16], made: Material) -> Outcomes:
    return run_trials(spoken, made, seed=1, deaf_n=360, heard_n=220, half_n=40)


def line_of(notice: I16, gain: float, delay: int = 240, noise: float = 3.0, seed: int = 0) -> I16:
    """The line returns the notice with `gain` after `delay` frames; `noise` is rms."""
    line = np.random.default_rng(seed).standard_normal(len(notice) + TAIL) * noise
    line[delay : delay + len(notice)] += gain * notice[: len(line) - delay]
    return np.clip(np.rint(line), -32768, 32767).astype(np.int16)


def words(said: list[Proof]) -> list[str]:
    return [proof.proof for proof in said]


@pytest.mark.parametrize("kind", DEAF)
def test_no_deaf_line_proves_anything(outcomes: Outcomes, kind: str) -> None:
    assert words(outcomes.deaf[kind]) == ["absent"] * 30


@pytest.mark.parametrize("kind", HEARD)
def test_a_heard_notice_is_proven_whole(outcomes: Outcomes, kind: str) -> None:
    assert words(outcomes.heard[kind]) == ["full"] * 20


def test_a_part_of_it_is_partial(outcomes: Outcomes) -> None:
    assert words(outcomes.half) == ["partial"] * 40


def test_the_curves_have_a_line_for_each_kind(outcomes: Outcomes) -> None:
    text = curves(outcomes)
    for name in (*(f"deaf, {kind}" for kind in DEAF), *(f"heard, {kind}" for kind in HEARD), "all deaf", "all heard"):
        assert any(line.split("  ")[1] == name for line in text.splitlines()[1:] if line.startswith("  ")), name


@pytest.mark.parametrize("curve", ["share of", "how far below"])
def test_the_working_point_is_marked_and_tells_what_the_proof_said(outcomes: Outcomes, curve: str) -> None:
    lines = curves(outcomes).splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith(curve))
    place = next(n for n, point in enumerate(lines[first].split()[::-1]) if point.endswith("*"))
    told = [float(line.split()[::-1][place]) for line in lines[first + 1 :] if line.startswith("  all")][:2]
    full = [
        100 * np.mean([word == "full" for proofs in said.values() for word in words(proofs)])
        for said in (outcomes.deaf, outcomes.heard)
    ]
    assert told == pytest.approx([full[0], 100 - full[1]], abs=0.01)


def test_more_level_forgiven_is_more_said_full(outcomes: Outcomes) -> None:
    false, missed = (
        [float(cell) for cell in line.split()[-len(LEVELS_DB) :]] for line in curves(outcomes).splitlines()[-2:]
    )
    assert false == sorted(false)
    assert missed == sorted(missed, reverse=True)
    assert missed[0] > 20 > missed[-1]


def test_a_leak_into_a_quiet_line_correlates_perfectly_and_is_no_proof(notice: I16) -> None:
    proof = prove(line_of(notice, 10 ** (-50 / 20), noise=0.0), notice, NUMBERS)
    assert (proof.proof, proof.score) == ("absent", 0.0)
    assert proof.level_db == pytest.approx(-50, abs=1)


@pytest.mark.parametrize(("below_db", "word"), [(0, "full"), (19, "full"), (23, "absent"), (-19, "full")])
def test_what_is_heard_depends_on_the_line_that_was_calibrated(notice: I16, below_db: int, word: str) -> None:
    numbers = msgspec.structs.replace(NUMBERS, echo_db=-25.0)
    proof = prove(line_of(notice, 10 ** ((-25 - below_db) / 20)), notice, numbers)
    assert proof.proof == word
    assert proof.level_db == pytest.approx(-25 - below_db, abs=0.5)


@pytest.mark.parametrize("delay_ms", [0, 1, 60, 200, 400])
def test_any_delay_up_to_the_longest(notice: I16, delay_ms: int) -> None:
    assert prove(line_of(notice, ECHO, delay_ms * 8), notice, NUMBERS).proof == "full"


def test_an_echo_that_comes_too_late_is_another_notice(notice: I16) -> None:
    line = np.concatenate([line_of(notice, 0.0), np.zeros(TAIL, np.int16)])
    line[450 * 8 :][: len(notice)] += (ECHO * notice[: len(line) - 450 * 8]).astype(np.int16)
    assert prove(line, notice, NUMBERS).proof == "absent"


@pytest.mark.parametrize(("shift_ms", "word"), [(4, "full"), (12, "partial")])
def test_a_second_half_that_slipped(notice: I16, shift_ms: int, word: str) -> None:
    half, shift = len(notice) // 8000 * 4000, shift_ms * 8
    line = line_of(notice, ECHO)
    line[240 + half + shift :] = line[240 + half : -shift].copy()
    assert prove(line, notice, NUMBERS).proof == word


def test_the_error_bar_is_right_where_there_is_nothing(notice: I16) -> None:
    """On noise the gains scatter by their own error; a block with a real response would be 1 above zero."""
    size, delay, rng = 2000, 100, np.random.default_rng(4)
    blocks = np.arange(0, len(notice) - size, size)
    played = np.zeros(len(notice) + TAIL, np.float32)
    played[: len(notice)] = notice
    sound, delays = sound_of(played, blocks, size, (200, 3600)), np.full(len(blocks), float(delay))
    lines = (rng.standard_normal((60, len(played))) * 300).astype(np.float32)
    deviations = np.concatenate([fit(line, sound, delays).deviations for line in lines])
    assert deviations.std() == pytest.approx(1, abs=0.2)
    assert deviations.mean() < 0.7


def test_a_reversed_line_turns_the_wave_over(notice: I16) -> None:
    proof = prove(line_of(notice, -ECHO), notice, NUMBERS)
    assert proof.proof == "full"
    assert proof.level_db == pytest.approx(-6.0, abs=0.2)


def test_a_notice_that_drops_out_all_the_time_is_not_whole(notice: I16) -> None:
    chopped = notice * (np.arange(len(notice)) % 2000 < 1000)
    assert prove(line_of(chopped, ECHO), notice, NUMBERS).proof != "full"


def test_a_call_that_ended_early_proves_what_it_had(notice: I16) -> None:
    line = line_of(notice, ECHO)
    scores = []
    for share, word in ((0.0, "absent"), (0.1, "absent"), (0.5, "partial"), (0.8, "partial"), (1.0, "full")):
        proof = prove(line[: int(len(line) * share)], notice, NUMBERS)
        assert proof.proof == word, share
        scores.append(proof.score)
    assert scores == sorted(scores)
    assert scores[2] == pytest.approx(0.5, abs=0.12)


def test_a_little_more_audio_than_needed_changes_nothing(notice: I16) -> None:
    line = line_of(notice, ECHO)
    more = np.concatenate([line, np.full(700, 9000, np.int16)])
    assert prove(more, notice, NUMBERS) == prove(line, notice, NUMBERS)


def test_neither_input_is_touched(notice: I16) -> None:
    line, played = line_of(notice, ECHO), notice.copy()
    line.setflags(write=False)
    played.setflags(write=False)
    assert prove(line, played, NUMBERS) == prove(line.copy(), notice, NUMBERS)


@pytest.mark.parametrize(
    ("blocks", "heard", "word"),
    [(2, 2, "full"), (3, 1, "absent"), (4, 1, "absent"), (4, 2, "partial"), (8, 2, "absent"), (8, 3, "partial")],
)
def test_few_blocks_prove_nothing(notice: I16, blocks: int, heard: int, word: str) -> None:
    """On a deaf line one is found by chance now and then, and two of many."""
    short = notice[2000:][: blocks * 2000]
    line = line_of(np.where(np.arange(len(short)) < heard * 2000, short, 0), ECHO)
    assert prove(line, short, NUMBERS).proof == word


@example(n=15_614, m=15_604, wave="full noise", of="noise")  # two of eight blocks are found
@settings(max_examples=40)
@given(
    n=st.integers(0, 3 * RATE_HZ),
    m=st.integers(0, 2 * RATE_HZ),
    wave=st.sampled_from(["silence", "dc", "square", "click", "full noise"]),
    of=st.sampled_from(["silence", "dc", "square", "noise"]),
)
def test_nothing_raises_and_nothing_is_nan(n: int, m: int, wave: str, of: str) -> None:
    square = np.where(np.arange(3 * RATE_HZ) % 16 < 8, 32767, -32768).astype(np.int16)
    noise = np.random.default_rng(0).integers(-32768, 32768, 3 * RATE_HZ).astype(np.int16)
    click = np.where(np.arange(3 * RATE_HZ) == 900, square, 0).astype(np.int16)
    waves = {"silence": square * 0, "dc": np.full_like(square, -32768), "square": square, "noise": noise[::-1],
             "click": click, "full noise": noise}  # fmt: skip
    proof = prove(waves[wave][:n], waves[of][:m], NUMBERS)
    assert 0 <= proof.score <= 1
    assert proof.level_db is None or np.isfinite(proof.level_db)
    if wave != of and of != "square":  # five lines of a spectrum are too few to distinguish from noise
        # Of three blocks two are found by chance, once in 750 lines of noise: such a notice may count as half heard.
        assert proof.proof in (("absent", "partial") if m <= 3 * 2000 else ("absent",))
