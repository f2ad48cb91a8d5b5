# SPDX-License-Identifier: Apache-2.0
"""Frequencies, levels and cadences, measured in the rendered audio, independent of the tables that made it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scripts import SILENT, call, timeline_of

from linetap.board.frontend import CAPTURED_DB
from linetap.ring import I16
from linetap_bench.sounds import voices as voices_module
from linetap_bench.sounds.voices import MADE_DBM0, Voices
from linetap_core.codecs.g711 import FULL_SCALE_DBM0
from linetap_core.errors import DeviceFault

DIALS = SILENT + call(direction="out", digits="1590", rings=2, talk_s=2.0, ends="far", busy_s=5.0, bounce_ms=0)
ON, DIALLED = 1000, 1000 + 1200 + 3 * 180 + 90
RINGBACK = DIALLED + 1200
ANSWER = RINGBACK + 3000 + 1000 + 600
BUSY = ANSWER + 1000 + 2000


@pytest.fixture(scope="module")
def dialled(tmp_path_factory: pytest.TempPathFactory) -> I16:
    line = timeline_of(tmp_path_factory.mktemp("dialled"), DIALS)
    audio: I16 = line.audio(0, line.duration_ms * 8)[0]
    return audio


def dbm0(samples: npt.NDArray[np.int16]) -> float:
    """The level of all samples; a full-scale sine has FULL_SCALE_DBM0."""
    power = float((samples.astype(float) ** 2).mean())
    return 10 * float(np.log10(power * 2 / 32767**2 + 1e-12)) + FULL_SCALE_DBM0


def peaks(samples: I16, count: int) -> list[float]:
    """The strongest frequencies, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 65536))
    found = []
    for _ in range(count):
        at = int(spectrum.argmax())
        found.append(at * 8000 / 65536)
        width = 65536 * 4 // len(samples)
        spectrum[max(0, at - width) : at + width] = 0
    return sorted(found)


def at(audio: I16, first_ms: int, end_ms: int) -> I16:
    piece: I16 = audio[first_ms * 8 : end_ms * 8]
    return piece


def bursts(audio: I16, first_ms: int, end_ms: int, threshold_dbm0: float) -> list[tuple[int, int]]:
    """(first, end) in ms of parts louder than the threshold, in frames of 10 ms."""
    loud = np.array([dbm0(at(audio, ms, ms + 10)) > threshold_dbm0 for ms in range(first_ms, end_ms, 10)])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    return [(first_ms + a * 10, first_ms + b * 10) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def near(measured: list[float], wanted: list[float], by: float) -> bool:
    return len(measured) == len(wanted) and all(abs(a - b) <= by for a, b in zip(measured, wanted, strict=True))


def test_dial_tone_until_the_first_digit(dialled: I16) -> None:
    assert near(peaks(at(dialled, ON + 200, ON + 1150), 2), [350, 440], 1)
    assert dbm0(at(dialled, ON + 200, ON + 1150)) == pytest.approx(-13, abs=0.2)
    assert dbm0(at(dialled, ON + 60, ON + 140)) < -45  # not yet
    assert dbm0(at(dialled, DIALLED + 100, RINGBACK)) < -60


def test_dtmf_digits(dialled: I16) -> None:
    pairs = [[697, 1209], [770, 1336], [852, 1477], [941, 1336]]
    for i, pair in enumerate(pairs):
        first = ON + 1200 + i * 180
        assert near(peaks(at(dialled, first, first + 90), 2), [float(hz) for hz in pair], 6)
        assert dbm0(at(dialled, first + 10, first + 80)) == pytest.approx(-5.9, abs=0.3)
        assert dbm0(at(dialled, first + 95, first + 175)) < -60


def test_ringback_cadence(dialled: I16) -> None:
    assert near(peaks(at(dialled, RINGBACK + 50, RINGBACK + 950), 2), [440, 480], 1)
    assert bursts(dialled, RINGBACK - 500, ANSWER, -40) == [
        (RINGBACK, RINGBACK + 1000),
        (RINGBACK + 3000, RINGBACK + 4000),
    ]


def test_busy_cadence_after_the_far_end_has_gone(dialled: I16) -> None:
    assert near(peaks(at(dialled, BUSY + 20, BUSY + 480), 2), [480, 620], 2)
    assert dbm0(at(dialled, BUSY + 20, BUSY + 480)) == pytest.approx(-16, abs=0.3)
    found = bursts(dialled, BUSY - 200, BUSY + 4990, -40)
    assert found == [(BUSY + 1000 * i, BUSY + 1000 * i + 500) for i in range(5)]


def test_noise_and_hum_have_their_levels(tmp_path: Path) -> None:
    noisy = timeline_of(tmp_path, SILENT.replace("noise_dbm0 = -90", "noise_dbm0 = -40")).audio(0, 80000)[0]
    assert dbm0(noisy) == pytest.approx(-40, abs=0.2)
    humming = timeline_of(tmp_path, SILENT.replace("hum_dbm0 = -90", "hum_dbm0 = -30")).audio(0, 80000)[0]
    assert dbm0(humming) == pytest.approx(-30, abs=0.2)
    assert near(peaks(humming, 3), [60, 180, 300], 0.5)


def test_a_card_captures_its_lines_as_the_drawing_says(tmp_path: Path) -> None:
    lines = "".join(f"[[line]]\nnumber = {n}\nnoise_dbm0 = -40.0\nhum_dbm0 = -90.0\n" for n in range(1, 9))
    audio = timeline_of(tmp_path, lines, 8).audio(0, 80000)
    levels = [dbm0(line) + 40 for line in audio]
    assert (levels[0], levels[7]) == pytest.approx((CAPTURED_DB.low, CAPTURED_DB.high), abs=0.2)


def test_ringing_fills_the_scale_and_is_cut_off(tmp_path: Path) -> None:
    audio = timeline_of(tmp_path, call(rings=1, outcome="unanswered")).audio(0, 2200 * 8)[0]
    burst = at(audio, 1050, 1950)
    assert near(peaks(burst, 1), [20], 1)
    assert (np.abs(burst.astype(int)) >= 32767).mean() > 0.9
    assert dbm0(at(audio, 2050, 2150)) < -50


def test_two_people_speak_in_turn_at_their_levels(tmp_path: Path) -> None:
    said_by = [text for text, _ in _people()]
    levels = {"staff_dbm0": -12.0, "caller_dbm0": -26.0}
    text = SILENT + call(rings=1, talk_s=6.0, talk_after_s=0.5, talk=said_by, bounce_ms=0, **levels)
    audio = timeline_of(tmp_path, text).audio(0, 10000 * 8)[0]
    begin = 2600 + 500
    assert dbm0(at(audio, begin - 400, begin)) < -60
    said = [len(Voices(tmp_path / "voices").say(t, "ko", who)) // 8 for t, who in _people()]
    staff = at(audio, begin, begin + said[0])
    caller = at(audio, begin + said[0] + 350, min(begin + said[0] + 350 + said[1], begin + 6000))
    assert dbm0(staff) - dbm0(caller) == pytest.approx(14, abs=2.5)
    assert dbm0(at(audio, begin + said[0] + 50, begin + said[0] + 300)) < -60  # they alternate


def _people() -> list[tuple[str, voices_module.Speaker]]:
    return [("안녕하세요, 시청입니다", "staff"), ("네, 안녕하세요", "caller")]


def test_speech_is_in_the_telephone_band_and_at_its_level(tmp_path: Path) -> None:
    speech = Voices(tmp_path).say("네, 시청 민원실입니다. 무엇을 도와드릴까요?", "ko", "staff")
    power = np.abs(np.fft.rfft(speech.astype(float))) ** 2
    hz = np.fft.rfftfreq(len(speech), 1 / 8000)
    assert power[(hz < 200) | (hz > 3700)].sum() / power.sum() < 0.01
    assert power[(hz > 1000) & (hz < 3000)].sum() / power.sum() > 0.01
    assert dbm0(speech) == pytest.approx(MADE_DBM0, abs=3)
    assert len(list(tmp_path.glob("*.npy"))) == 1
    assert np.array_equal(Voices(tmp_path).say("네, 시청 민원실입니다. 무엇을 도와드릴까요?", "ko", "staff"), speech)


def test_without_espeak_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceFault, match=r"apt install espeak-ng$") as caught:
        Voices(tmp_path).say("네", "ko", "staff")
    assert caught.value.code == "no_speech"
    assert not list(tmp_path.iterdir())
