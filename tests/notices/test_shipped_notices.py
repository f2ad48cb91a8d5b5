# SPDX-License-Identifier: Apache-2.0
"""linetap's own notices: their texts, lengths and levels, and that a site's own are kept."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from linetap.config.numbers import ProofNumbers
from linetap.notices import Notice, load_notices, notices_of
from linetap.notices.defaults import MADE, make_default_notices
from linetap.notices.level import level_of
from linetap.notices.shipped import ANNOUNCEMENTS, LONGEST_END_S, SHIPPED
from linetap.recorder.signals.notice.proof import Proof, prove
from linetap.ring import RATE_HZ
from linetap_core.cli import main
from unit_rig import make_unit

PROJECT = Path(__file__).resolve().parents[2]
NUMBERS = ProofNumbers()
ENDS = [name for name in SHIPPED if name.startswith("end-")]
AFTER_IT = RATE_HZ // 2  # frames that contain the delayed echo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("shipped")
    make_default_notices(path)
    return path


@pytest.fixture(scope="module")
def spoken(folder: Path) -> dict[str, Notice]:
    return load_notices(folder)


def test_all_of_them_are_there_at_one_level_and_within_their_length(spoken: dict[str, Notice]) -> None:
    assert spoken.keys() == SHIPPED.keys()
    assert {name.removesuffix("-en") for name in spoken} - ANNOUNCEMENTS.keys() == {
        "end-abuse", "end-sexual-harassment", "end-threat", "end-overlong", "end-repeated", "warn-overlong",
    }  # fmt: skip
    for name, notice in spoken.items():
        assert notice.text == SHIPPED[name].text
        assert 1.5 < notice.frames / RATE_HZ <= (6 if name in ANNOUNCEMENTS else LONGEST_END_S) <= 12
        assert level_of(notice.samples, RATE_HZ) == pytest.approx(-16, abs=0.1)
        assert np.abs(notice.samples.astype(int)).max() < 32767


@pytest.mark.parametrize("name", ENDS)
def test_an_end_gives_reason_complaint_and_ground_and_ends_with_itself(name: str) -> None:
    """The same text is also used if staff hang up."""
    text = SHIPPED[name].text
    if name.endswith("-en"):
        form = r"[^.]+\. You may complain to the audit office [^.]+\. Under Article 4 of [^.]+, this call ends now\."
    else:
        form = r"[^.]+다\. 이의는 감사부서나 국민신문고에 [^.]+\. 민원처리법( 시행령)? 제4조에 따라 통화를 종료합니다\."
    assert re.fullmatch(form, text)
    assert text.split(".")[0] not in {SHIPPED[other].text.split(".")[0] for other in ENDS if other != name}


# --- the proof tells them apart -------------------------------------------------------------------------------------


def heard_of(played: Notice, wanted: Notice) -> Proof:
    """The proof of one notice on a line that returned another, at -6 dB, 30 ms later."""
    line = np.zeros(wanted.frames + AFTER_IT, np.int16)
    echo = (played.samples * 0.5).astype(np.int16)[: len(line) - 240]
    line[240 : 240 + len(echo)] = echo
    return prove(line, wanted.samples, NUMBERS)


def test_each_is_proved_by_its_own_echo(spoken: dict[str, Notice]) -> None:
    assert {name: heard_of(notice, notice).proof for name, notice in spoken.items()} == dict.fromkeys(spoken, "full")


@pytest.mark.parametrize("wanted", SHIPPED)
def test_none_is_proved_by_the_echo_of_another(spoken: dict[str, Notice], wanted: str) -> None:
    """They share sentences: spoken at one pitch, `end-sexual-harassment` would be three quarters of `end-threat`."""
    for name, notice in spoken.items():
        proof = heard_of(notice, spoken[wanted])
        assert name == wanted or (proof.proof == "absent" and proof.score < 0.15), (name, proof)


# --- a site's own ---------------------------------------------------------------------------------------------------


def digest_ok(folder: Path) -> list[str]:
    """The files that stock sha256sum finds unchanged."""
    said = subprocess.run(
        ["sha256sum", "-c", MADE], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    return [line.split(":")[0] for line in said.stdout.splitlines() if line.endswith(": OK")]


def test_a_notice_of_the_sites_own_is_kept_and_an_older_one_of_ours_is_not(folder: Path, tmp_path: Path) -> None:
    here = tmp_path / "notices"
    shutil.copytree(folder, here)
    assert sorted(digest_ok(here)) == sorted(f"{name}.wav" for name in SHIPPED)
    words = "폭언으로 통화를 종료합니다."
    assert main(["notice", "import", str(folder / "ko.wav"), "--id", "end-abuse", "--replace", "--text", words,
                 "--folder", str(here)]) == 0  # fmt: skip
    (here / "end-threat.txt").write_text("as an earlier version had it\n")
    (here / "end-repeated.wav").unlink()
    run = [sys.executable, "-m", "linetap.notices.defaults", str(here)]
    said = subprocess.run(run, capture_output=True, text=True, timeout=300, check=True)
    assert said.stdout == f"{here / 'end-abuse.wav'}: the site's own, kept\n"
    now = load_notices(here)
    assert now["end-abuse"].text == words
    assert np.array_equal(now["end-abuse"].samples, load_notices(folder)["ko"].samples)
    assert now["end-threat"].text == SHIPPED["end-threat"].text
    assert "end-repeated" in now
    assert "end-abuse.wav" not in digest_ok(here)


def test_notices_of_a_folder_without_the_list_are_the_sites(tmp_path: Path) -> None:
    """As left by an earlier version: they may be a site's own."""
    made = make_default_notices(tmp_path, ["en"])[0]
    (tmp_path / MADE).unlink()
    (tmp_path / "en.txt").write_text("Recorded.\n")
    kept = make_default_notices(tmp_path, ["en"])[0]
    assert (kept.text, kept.tag) == ("Recorded.", made.tag)


def test_a_unit_loads_those_that_its_configuration_names(folder: Path, tmp_path: Path, run_dir: Path) -> None:
    """Fourteen of up to 12 s would occupy 2.2 MB in each capture and in the recorder, twice that with a line's gain."""
    config = msgspec.structs.replace(make_unit(tmp_path, run_dir).config, notices=str(folder))
    assert notices_of(config).keys() == {"ko"}
    recording = msgspec.structs.replace(config.recording, mark_notice="end-abuse")
    lines = [msgspec.structs.replace(config.line[0], notice="en"), *config.line[1:]]
    assert notices_of(msgspec.structs.replace(config, recording=recording, line=lines)).keys() == {
        "ko", "en", "end-abuse",
    }  # fmt: skip
