# SPDX-License-Identifier: Apache-2.0
"""`linetap tones learn`: played tones are learned correctly, and unusable recordings are refused with one line."""

from __future__ import annotations

import json
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from linetap.commission.tones.recording import MeasuredTone, measure
from linetap.config.numbers import KR_TONES
from linetap.config.profile import Profile
from linetap.recorder.signals.events import ToneHeard
from linetap.recorder.signals.tones.detector import ToneDetector
from linetap.ring import I16, RATE_HZ
from linetap_bench.sounds.synth import F64, Hum, Noise, Tones, click, dtmf
from linetap_bench.sounds.voices import MADE_DBM0, Voices
from linetap_core.cli import main
from linetap_core.evidence.keys import keys
from unit_rig import save_wav

SOX_TIMEOUT_S = 120
HERE = Path("memory.wav")  # the name of a recording without a file
EUROPE = {
    "dial": ((425.0,), ()),
    "ringback": ((425.0,), (1000, 4000)),
    "busy": ((425.0,), (480, 480)),
    "congestion": ((425.0,), (240, 240)),
    "call_waiting": ((425.0,), (200, 600, 200, 3000)),
    "unobtainable": ((950.0,), (330, 1000)),
}


def frames(ms: float) -> int:
    return round(ms * RATE_HZ / 1000)


def tone(hz: Sequence[float], dbm0: float, ms: float) -> F64:
    """Sines of `hz`, each at `dbm0`."""
    return Tones([(f, dbm0) for f in hz], frames(ms)).render(0, frames(ms))


def cadenced(hz: Sequence[float], dbm0: float, elements_ms: Sequence[float], times: int) -> F64:
    if not elements_ms:
        return tone(hz, dbm0, 4000)
    parts = [np.zeros(frames(ms)) if i % 2 else tone(hz, dbm0, ms) for i, ms in enumerate(elements_ms)]
    return np.concatenate(parts * times)


def line(*sounds: F64, noise_dbm0: float = -60.0, hum_dbm0: float = -45.0, key: int = 1) -> I16:
    """The sounds one after the other, with half a second of the idle line before and after."""
    still = np.zeros(RATE_HZ // 2)
    whole = np.concatenate([still, *sounds, still])
    whole += Noise((key,), noise_dbm0, len(whole)).render(0, len(whole))
    whole += Hum(hum_dbm0, len(whole)).render(0, len(whole))
    samples: I16 = np.clip(np.rint(whole), -32768, 32767).astype(np.int16)
    return samples


def learn(folder: Path, tones: dict[str, I16], *words: str) -> int:
    for name, audio in tones.items():
        save_wav(folder / f"{name}.wav", audio[None])
    files = [f"{name}={folder / f'{name}.wav'}" for name in tones]
    return main(["tones", "learn", "--name", "pbx", *files, "-o", str(folder / "profile.toml"), *words])


def learnt(folder: Path) -> Profile:
    (profile,) = tomllib.loads((folder / "profile.toml").read_text())["profile"]
    return msgspec.convert(profile, Profile)


def recognised(audio: I16, profile: Profile) -> set[str]:
    padded = np.pad(audio, (0, RATE_HZ))
    return {e.tone for e in ToneDetector(1, profile).follow(padded[None], 0) if isinstance(e, ToneHeard)}


def close(heard: MeasuredTone, hz: Sequence[float], elements_ms: Sequence[float]) -> bool:
    return (
        len(heard.hz) == len(hz)
        and all(abs(a - b) <= 1 for a, b in zip(heard.hz, hz, strict=True))
        and len(heard.elements_ms) == len(elements_ms)
        and all(abs(a - b) <= 5 for a, b in zip(heard.elements_ms, elements_ms, strict=True))
    )


CADENCES = {
    "korea's busy": ((480.0, 620.0), (500, 500)),
    "korea's ringback": ((440.0, 480.0), (1000, 2000)),
    "two bursts": ((450.0,), (200, 100, 200, 1500)),
    "400/400": ((425.0,), (400, 400)),
    "250/250": ((425.0,), (250, 250)),
    "triple bursts": ((950.0, 1400.0), (330, 100, 330, 100, 330, 1000)),
    "british ringback": ((400.0, 450.0), (400, 200, 400, 2000)),
    "a near pair": ((400.0, 433.0), (750, 750)),
    "without a pause": ((350.0, 440.0), ()),
    "odd": ((613.0,), (180, 735)),
}


@pytest.mark.parametrize("name", CADENCES)
def test_what_was_played_is_measured(name: str) -> None:
    """Tones of -10 to -35 dBm0, +-1.5 % in frequency, noise 20 dB below the tone, hum, beginning in mid-burst."""
    hz, elements = CADENCES[name]
    for key, (dbm0, off) in enumerate([(-10.0, 0.015), (-22.0, -0.015), (-35.0, 0.0037), (-35.0, -0.015)]):
        sent = [f * (1 + off) for f in hz]
        sound = cadenced(sent, dbm0, elements, 4)[frames(90) :]
        heard = measure("busy", HERE, line(sound, noise_dbm0=dbm0 - 20, hum_dbm0=-40, key=key))
        assert close(heard, sent, elements), (dbm0, off, heard.line())
        assert all(abs(level - dbm0) < 1 for level in heard.dbm0)
        assert heard.spread_ms < 10


def test_clicks_a_digit_and_speech_around_it_change_nothing(tmp_path_factory: pytest.TempPathFactory) -> None:
    said = Voices(tmp_path_factory.getbasetemp() / "voices").say("Good morning, how may I help you?", "en", "staff")
    speech: F64 = said.astype(np.float64) * 10 ** ((-15 - MADE_DBM0) / 20)
    for hz, elements in CADENCES.values():
        sound = cadenced(hz, -25, elements, 4)
        clicks = click((7,))
        for ms in (630, 1710, 2333):
            at = min(frames(ms), len(sound) - clicks.length)
            sound[at : at + clicks.length] += clicks.render(0, clicks.length)
        digit = dtmf("5", frames(90)).render(0, frames(90))
        heard = measure("busy", HERE, line(speech, digit, np.zeros(frames(300)), sound, np.zeros(frames(250)), speech))
        assert close(heard, hz, elements), heard.line()


def test_one_tone_with_a_harmonic_is_one_and_a_pair_an_octave_apart_is_two() -> None:
    on = tone((425,), -20, 500)
    distorted = np.concatenate([on + tone((850,), -31, 500), np.zeros(frames(500))] * 4)
    assert close(measure("busy", HERE, line(distorted)), (425,), (500, 500))
    pair = np.concatenate([on + tone((850,), -24, 500), np.zeros(frames(500))] * 4)
    assert close(measure("busy", HERE, line(pair)), (425, 850), (500, 500))
    square = np.sign(cadenced((425,), -20, (500, 500), 4)) * 12000
    assert close(measure("busy", HERE, line(square)), (425,), (500, 500))


def test_a_break_of_some_milliseconds_is_no_pause() -> None:
    sound = cadenced((425,), -20, (500, 500), 4)
    for ms in (200, 1250, 2100, 3180):
        sound[frames(ms) : frames(ms + 30)] = 0
    assert close(measure("busy", HERE, line(sound)), (425,), (500, 500))


def test_the_dial_tone_before_it_is_not_busy() -> None:
    """Every recording of busy begins with a dial tone, which is longer and shares a frequency with ringback."""
    dial, digit = tone((350, 440), -15, 5000), dtmf("5", frames(90)).render(0, frames(90))
    for hz, elements in (((440.0, 480.0), (1000, 2000)), ((480.0, 620.0), (500, 500)), ((350.0, 440.0), (250, 250))):
        audio = line(dial, digit, np.zeros(frames(400)), cadenced(hz, -20, elements, 4))
        assert close(measure("busy", HERE, audio), hz, elements)
        assert close(measure("dial", HERE, audio), (350, 440), ())


def sox(path: Path, hz: Sequence[float], elements_ms: Sequence[int], times: int, *effects: str) -> None:
    """Writes tones with sox, which changes the levels of sines when it mixes them."""
    command = ["sox", "-r", str(RATE_HZ), "-n", "-c", "1", "-b", "16", "-e", "signed", "-t", "raw", "-", "synth"]
    parts = [np.zeros(frames(700), np.int16)]
    for i, ms in enumerate(list(elements_ms) * times):
        if i % 2:
            parts.append(np.zeros(frames(ms), np.int16))
            continue
        sines = [word for f in hz for word in ("sine", "mix", str(f))]
        sines[1:2] = []  # the first sine has no sine to mix with
        made = subprocess.run(
            [*command, str(ms / 1000), *sines, "gain", "-n", "-18", *effects],
            capture_output=True, timeout=SOX_TIMEOUT_S, check=True,
        )  # fmt: skip
        parts.append(np.frombuffer(made.stdout, dtype=np.int16))
    save_wav(path, np.concatenate(parts)[None])


def test_tones_of_another_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sox(tmp_path / "busy.wav", (400.0,), (375, 375), 5)
    sox(tmp_path / "ringback.wav", (400.0, 450.0), (400, 200, 400, 2000), 4)
    files = [f"{name}={tmp_path / name}.wav" for name in ("busy", "ringback")]
    assert main(["tones", "learn", "--name", "pbx", "--alone", *files]) == 0
    (profile,) = tomllib.loads(capsys.readouterr().out)["profile"]
    ringback, busy = profile["tone"]
    assert (busy["cadence_ms"], busy["known_after"]) == ([375, 375], 6)
    assert busy["hz"] == pytest.approx([400], abs=0.3)
    assert (ringback["cadence_ms"], ringback["known_after"]) == ([400, 200, 400, 2000], 1)
    assert ringback["hz"] == pytest.approx([400, 450], abs=0.3)


# --- the profile ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def europe(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, I16]]:
    folder = tmp_path_factory.mktemp("europe")
    tones = {name: line(cadenced(hz, -18, elements, 5), key=3) for name, (hz, elements) in EUROPE.items()}
    assert learn(folder, tones) == 0
    return folder, tones


def test_each_tone_is_recognised_and_no_other(europe: tuple[Path, dict[str, I16]]) -> None:
    """All tones have 425 Hz; one is a ringback longer than the minimum of a dial tone."""
    profile = learnt(europe[0])
    for name, audio in europe[1].items():
        assert recognised(audio, profile) == {name}
    assert {shape.name: shape.known_after for shape in profile.tone[:6]} == {
        "dial": 0, "ringback": 1, "busy": 6, "congestion": 6, "unobtainable": 2, "call_waiting": 3,
    }  # fmt: skip


def test_koreas_tones_are_still_those_of_calls_to_the_outside(europe: tuple[Path, dict[str, I16]]) -> None:
    profile = learnt(europe[0])
    for shape in KR_TONES:
        assert recognised(line(cadenced(shape.hz, -18, shape.cadence_ms, 5)), profile) == {shape.name}


def test_alone_leaves_koreas_out(tmp_path: Path) -> None:
    assert learn(tmp_path, {"busy": line(cadenced((425,), -18, (400, 400), 5))}, "--alone") == 0
    assert [shape.name for shape in learnt(tmp_path).tone] == ["busy"]
    assert "Korea's were left out" in (tmp_path / "profile.toml").read_text()


def test_a_tone_like_koreas_takes_its_place(tmp_path: Path) -> None:
    """A PBX's busy tone with the cadence of Korea's congestion is busy. The detector cannot separate 3 Hz."""
    audio = line(cadenced((483, 622), -18, (300, 200), 7))
    assert learn(tmp_path, {"busy": audio}) == 0
    profile = learnt(tmp_path)
    assert recognised(audio, profile) == {"busy"}
    names = [shape.name for shape in profile.tone]
    assert names == ["busy", "dial", "ringback", "busy", "unobtainable", "call_waiting"]


def test_frequencies_that_are_one_to_the_detector_become_one(tmp_path: Path) -> None:
    tones = {
        "ringback": line(cadenced((428,), -18, (1000, 4000), 3)),
        "busy": line(cadenced((424,), -18, (400, 400), 5)),
        "congestion": line(cadenced((483, 624), -18, (700, 700), 5)),
    }
    assert learn(tmp_path, tones) == 0
    profile = learnt(tmp_path)
    hz = {shape.hz for shape in profile.tone}
    assert (426.0,) in hz
    assert not hz & {(424.0,), (428.0,), (480.0, 620.0)}
    for name, audio in tones.items():
        assert recognised(audio, profile) == {name}
    assert recognised(line(cadenced((483, 624), -18, (500, 500), 5)), profile) == {"busy"}


def test_a_ringback_that_begins_like_busy_waits_for_its_second_burst(tmp_path: Path) -> None:
    tones = {
        "ringback": line(cadenced((425,), -18, (400, 200, 400, 2000), 4)),
        "busy": line(cadenced((425,), -18, (400, 400), 5)),
    }
    assert learn(tmp_path, tones) == 0
    assert next(shape for shape in learnt(tmp_path).tone if shape.name == "ringback").known_after == 2
    for name, audio in tones.items():
        assert recognised(audio, learnt(tmp_path)) == {name}


def unit_with(folder: Path, profile: Path) -> Path:
    """A unit's configuration whose first line has the learned profile."""
    public = [keys.new_identity().recipient for _ in range(2)]
    unit = folder / "unit.toml"
    given = ["--lines", "2", "--custodian", public[0], "--epoch", public[1], "-o", str(unit)]
    assert main(["config", "init", "tower-3", *given]) == 0
    text = unit.read_text().replace("channel = 1\n", 'channel = 1\nprofile = "pbx"\n')
    unit.write_text(text + profile.read_text())
    return unit


def test_config_check_takes_it(
    tmp_path: Path, europe: tuple[Path, dict[str, I16]], capsys: pytest.CaptureFixture[str]
) -> None:
    unit = unit_with(tmp_path, europe[0] / "profile.toml")
    assert main(["config", "check", str(unit)]) == 0, capsys.readouterr().err


def test_signals_takes_it_from_its_file_and_from_the_configuration(
    tmp_path: Path, europe: tuple[Path, dict[str, I16]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = europe[0]
    unit = unit_with(tmp_path, folder / "profile.toml")
    audio = ["signals", "--audio", str(folder / "busy.wav")]
    for words in (["--profile", str(folder / "profile.toml")], ["--profile", "pbx", "--config", str(unit)]):
        capsys.readouterr()
        assert main([*audio, *words]) == 0
        told = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
        assert {each["tone"] for each in told if each["kind"] == "tone"} == {"busy"}
    assert main(audio) == 0
    assert '"kind":"tone"' not in capsys.readouterr().out
    for words, said in (
        (["--profile", "pbx"], "--profile pbx: there is kr-pstn; --config names the file with others"),
        (["--profile", "abx", "--config", str(unit)], f"{unit}: no profile 'abx'; there are kr-pstn, pbx"),
        (["--profile", str(unit)], f"{unit}:"),
        (["--profile", str(tmp_path / "none.toml")], "none.toml: No such file"),
    ):
        assert main([*audio, *words]) == 2
        assert said in capsys.readouterr().err


def test_what_was_heard_is_reported_in_a_line_a_tone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert learn(tmp_path, {"busy": line(cadenced((425,), -18, (400, 400), 5))}) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith("busy: 425.0 Hz at -18.0 dBm0, 400/400 ms, +-")
    assert told[1:] == [f"{tmp_path / 'profile.toml'}: written"]


def test_a_channel_of_several(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    busy = line(cadenced((425,), -18, (400, 400), 5))
    save_wav(tmp_path / "lines.wav", np.stack([np.zeros_like(busy), busy]))
    command = ["tones", "learn", "--name", "pbx", f"busy={tmp_path / 'lines.wav'}"]
    assert main([*command, "--line", "2"]) == 0
    capsys.readouterr()
    for words, said in (
        ((), "2 channels; --line 1 to --line 2 selects one"),
        (("--line", "3"), "no channel 3"),
        (("--line", "0"), "no channel 0"),
        (("--line", "1"), "no steady tone"),
    ):
        assert main([*command, *words]) == 2
        assert said in capsys.readouterr().err


# --- refusals -------------------------------------------------------------------------------------------------

BUSY = line(cadenced((425,), -18, (400, 400), 5))
MODULATED = np.tile([1.0] * frames(500) + [0.0] * frames(500), 5) * tone((400,), -10, 5000)
MODULATED *= 1 + 0.8 * np.cos(2 * np.pi * 60 / RATE_HZ * np.arange(len(MODULATED)))
IMPOSSIBLE: dict[str, tuple[I16, str]] = {
    "nothing": (np.zeros(RATE_HZ * 3, np.int16), "no steady tone between 300 and 3400 Hz in 3.0 s"),
    "a stuck value": (np.full(RATE_HZ * 3, -32768, np.int16), "no steady tone"),
    "too short": (np.zeros(20, np.int16), "no steady tone"),
    "hum": (line(np.zeros(RATE_HZ * 3), hum_dbm0=-20), "the hum of the mains is louder than any tone"),
    "noise": (line(np.zeros(RATE_HZ * 3), noise_dbm0=-20), "no steady tone"),
    "one burst": (line(tone((425,), -18, 1000), np.zeros(RATE_HZ * 4)), "425 Hz on, off, on for 1000 ms"),
    "a period and a half": (line(cadenced((425,), -18, (400, 400), 2)), "two whole periods, better four"),
    "not two periods of two bursts": (
        line(cadenced((425,), -18, (200, 100, 200, 1500), 1), cadenced((425,), -18, (200, 100, 200), 1)),
        "for 200, 100, 200, 1500, 200, 100, ... ms, which is not two periods",
    ),
    "not two periods of three bursts": (
        line(cadenced((425,), -18, (250, 100, 250, 100, 250, 1000), 2)[: -frames(1000)]),
        "for 250, 100, 250, 100, 250, 1000, ... ms, which is not two periods",
    ),
    "a warble": (
        line(cadenced((425,), -18, (80, 60), 3)),
        "425 Hz on, off, on for 80, 60, 80, 60, 80 ms, which is not",
    ),
    "no cadence": (
        line(*(cadenced((425,), -18, (on, off), 1) for on, off in ((300, 900), (700, 200), (150, 450), (900, 300)))),
        "which is not two periods of any cadence",
    ),
    "three frequencies": (line(MODULATED), "340, 400, 460 Hz at once; one frequency or two"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_is_no_tone_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio, said = IMPOSSIBLE[name]
    assert learn(tmp_path, {"busy": audio}) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"{tmp_path / 'busy.wav'}: busy: ")
    assert said in told
    assert told.count("\n") == 1
    assert not (tmp_path / "profile.toml").exists()


def test_speech_alone_is_no_tone(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = Voices(tmp_path_factory.getbasetemp() / "voices").say("Good morning, how may I help you?", "en", "staff")
    assert learn(tmp_path, {"busy": line(*[said.astype(np.float64)] * 3)}) == 2
    assert "expected" in capsys.readouterr().err


def test_every_recording_that_is_wrong_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert learn(tmp_path, {"dial": IMPOSSIBLE["hum"][0], "busy": BUSY, "ringback": IMPOSSIBLE["one burst"][0]}) == 2
    assert [words.split(": ")[1] for words in capsys.readouterr().err.splitlines()[-2:]] == ["dial", "ringback"]


@pytest.mark.parametrize("other", [(400, 400), (440, 370)])
def test_two_tones_that_are_one_are_both_named(
    other: tuple[int, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert learn(tmp_path, {"busy": BUSY, "congestion": line(cadenced((427,), -18, other, 5))}) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert "congestion and busy are one tone to the detector" in told
    assert "busy.wav" in told
    assert "congestion.wav" in told


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (line(cadenced((425,), -18, (400, 400), 3)[: -frames(350)]), "3 and one burst more expected"),
        (line(cadenced((425,), -40, (400, 400), 5), noise_dbm0=-70, hum_dbm0=-70), "it is too faint; above -37 dBm0"),
        (line(cadenced((425,), -18, (90, 200), 8)), "it has bursts of 90 ms"),
        (line(cadenced((480, 620), 16, (500, 500), 5)), "it is clipped; recorded at a lower level expected"),
    ],
    ids=["few", "faint", "quick", "clipped"],
)
def test_what_the_detector_does_not_recognise_is_no_profile(
    audio: I16, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert learn(tmp_path, {"busy": audio}) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"{tmp_path / 'busy.wav'}: busy is not recognised with this profile: ")
    assert said in told
    assert not (tmp_path / "profile.toml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--name", "pbx", "busy"], "busy: TONE=FILE.wav expected"),
        (["--name", "pbx", "howl=a.wav"], "TONE one of dial, ringback"),
        (["--name", "pbx", "busy=a.wav", "dial=a.wav"], "dial=a.wav: the file is given already, as busy"),
        (["--name", "pbx", "busy=/no/such.wav"], "/no/such.wav: No such file"),
        (["--name", "pbx", "busy=/dev"], "/dev: Is a directory"),
        (["--name", "kr-pstn", "busy=a.wav"], "is built in"),
        (["--name", 'x"y', "busy=a.wav"], "1 to 40 of a-z"),
    ],
)
def test_arguments_that_are_wrong(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tones", "learn", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"RIFF", bytes(100)], ids=["empty", "cut off", "zeros"])
def test_what_is_no_wav_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    (tmp_path / "busy.wav").write_bytes(content)
    assert main(["tones", "learn", "--name", "pbx", f"busy={tmp_path / 'busy.wav'}"]) == 2
    assert "busy.wav: not a WAV file" in capsys.readouterr().err


def test_an_existing_file_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "profile.toml").write_text("mine")
    assert learn(tmp_path, {"busy": BUSY}) == 2
    assert "profile.toml: exists and is not overwritten; another name expected" in capsys.readouterr().err
    assert (tmp_path / "profile.toml").read_text() == "mine"
