# SPDX-License-Identifier: Apache-2.0
"""Notices from any WAV file, at one level. test_shipped_notices.py tests linetap's own."""

from __future__ import annotations

import struct
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from linetap.notices import load_notice, load_notices
from linetap.notices.importer import LEVEL_DBM0, import_notice
from linetap.notices.level import SILENCE_DBM0, active_level_dbm0, level_of
from linetap_core.cli import main
from linetap_core.errors import BadInput

F64 = npt.NDArray[np.float64]
TEXT = "이 통화는 녹음됩니다."


def sine(hz: float, seconds: float, rate_hz: int, peak: float) -> F64:
    """Samples from -1 to 1."""
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)


def save(path: Path, samples: F64, rate_hz: int, width: int = 2) -> Path:
    """`samples`: (frames,) or (frames, channels)."""
    full = 2.0 ** (8 * width - 1)
    whole = np.clip(np.rint(samples * full), -full, full - 1).astype(np.int64)
    channels = samples.shape[1] if samples.ndim == 2 else 1
    if width == 1:
        data = (whole + 128).astype(np.uint8).tobytes()
    else:
        data = whole.ravel().astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate_hz)
        file.writeframes(data)
    return path


def spectrum_peak_hz(samples: npt.NDArray[np.int16]) -> float:
    power = np.abs(np.fft.rfft(samples.astype(float) * np.hanning(len(samples))))
    return float(np.argmax(power) * 8000 / len(samples))


def test_level_of_a_full_scale_sine() -> None:
    assert active_level_dbm0(sine(1000, 1, 8000, 1.0), 8000) == pytest.approx(3.14, abs=0.01)
    assert active_level_dbm0(sine(1000, 1, 8000, 0.1), 8000) == pytest.approx(3.14 - 20, abs=0.01)


def test_pauses_do_not_lower_the_level() -> None:
    speech = sine(1000, 1, 8000, 0.1)
    pause = sine(50, 3, 8000, 0.0005)
    assert active_level_dbm0(np.concatenate([pause, speech, pause]), 8000) == pytest.approx(-16.86, abs=0.05)


def test_level_of_nothing() -> None:
    assert active_level_dbm0(np.zeros(8000), 8000) == SILENCE_DBM0
    assert active_level_dbm0(np.zeros(0), 8000) == SILENCE_DBM0


@pytest.mark.parametrize(
    ("samples", "kept", "said"),
    [
        (np.zeros(0), 1.0, "silent"),
        (np.zeros(16_000), 1.0, "silent"),
        (sine(1000, 2, 8000, 0.0005), 1.0, "silent"),
        (sine(1000, 2, 8000, 0.2), 0.5, "cut short"),
    ],
    ids=["empty", "silence", "hiss", "half a file"],
)
def test_a_file_that_nobody_would_hear_is_no_notice(tmp_path: Path, samples: F64, kept: float, said: str) -> None:
    """Copied into the folder without the import, or cut by a full disk: it would be played, and calls recorded."""
    path = save(tmp_path / "ko.wav", samples, 8000)
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * kept)])
    with pytest.raises(BadInput, match=said):
        load_notices(tmp_path)


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate(tmp_path: Path, rate_hz: int) -> None:
    path = save(tmp_path / "hall.wav", sine(1000, 2, rate_hz, 0.2), rate_hz)
    notice = import_notice(path, TEXT, tmp_path / "notices")
    assert notice.frames == pytest.approx(16_000, abs=1)
    assert spectrum_peak_hz(notice.samples) == pytest.approx(1000, abs=1)
    assert level_of(notice.samples, 8000) == pytest.approx(LEVEL_DBM0, abs=0.1)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_width_and_channel_count(tmp_path: Path, width: int, channels: int) -> None:
    mono = sine(700, 1, 16_000, 0.4)
    path = save(tmp_path / "hall.wav", np.column_stack([mono] * channels), 16_000, width)
    notice = import_notice(path, TEXT, tmp_path / "notices")
    assert notice.frames == 8000
    assert spectrum_peak_hz(notice.samples) == pytest.approx(700, abs=1)
    assert level_of(notice.samples, 8000) == pytest.approx(LEVEL_DBM0, abs=0.1)
    error = notice.samples[400:-400] - notice.samples[400:-400].astype(float).max() * mono[800:-800:2] / 0.4
    assert np.abs(error).max() < (150 if width == 1 else 60)


def test_channels_are_mixed(tmp_path: Path) -> None:
    both = np.column_stack([sine(500, 1, 8000, 0.3), sine(1500, 1, 8000, 0.3)])
    notice = import_notice(save(tmp_path / "hall.wav", both, 8000), TEXT, tmp_path / "n")
    power = np.abs(np.fft.rfft(notice.samples.astype(float)))
    assert power[500] == pytest.approx(power[1500], rel=0.01)


def test_what_is_above_the_telephone_band_does_not_fold_back(tmp_path: Path) -> None:
    mixed = sine(1000, 1, 48_000, 0.1) + sine(7000, 1, 48_000, 0.1)
    notice = import_notice(save(tmp_path / "hall.wav", mixed, 48_000), TEXT, tmp_path / "n")
    power = np.abs(np.fft.rfft(notice.samples.astype(float) * np.hanning(8000)))
    assert power[1000 - 2 : 1003].max() > 300 * power[1010:].max()


def test_an_imported_notice_is_loaded_by_capture(tmp_path: Path) -> None:
    made = import_notice(save(tmp_path / "Hall_2.wav", sine(500, 1, 8000, 0.3), 8000), f" {TEXT}\n", tmp_path / "n")
    loaded = load_notices(tmp_path / "n")
    assert loaded.keys() == {"hall_2"}
    assert (loaded["hall_2"].text, loaded["hall_2"].tag) == (TEXT, made.tag)
    assert np.array_equal(loaded["hall_2"].samples, made.samples)
    assert sorted(path.name for path in (tmp_path / "n").iterdir()) == ["hall_2.txt", "hall_2.wav"]


# --- refused -------------------------------------------------------------------------------------------------


def refused(path: Path, folder: Path, text: str = TEXT, notice_id: str | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        import_notice(path, text, folder, notice_id)
    assert not folder.exists() or not list(folder.iterdir())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_clipped(tmp_path: Path, width: int) -> None:
    path = save(tmp_path / "loud.wav", sine(300, 1, 16_000, 1.5), 16_000, width)
    assert refused(path, tmp_path / "n").startswith(f"{path}: clipped")


def test_clipped_in_one_channel_only(tmp_path: Path) -> None:
    both = np.column_stack([sine(300, 1, 8000, 0.1), sine(300, 1, 8000, 1.5)])
    assert "clipped" in refused(save(tmp_path / "loud.wav", both, 8000), tmp_path / "n")


@pytest.mark.parametrize("rate_hz", [8000, 48_000])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_full_scale_alone_is_not_clipped(tmp_path: Path, rate_hz: int, width: int) -> None:
    import_notice(save(tmp_path / "loud.wav", sine(437, 1, rate_hz, 0.9999), rate_hz, width), TEXT, tmp_path / "n")


def test_silent(tmp_path: Path) -> None:
    for peak in (0.0, 0.001):
        path = save(tmp_path / "quiet.wav", sine(500, 1, 8000, peak), 8000)
        assert refused(path, tmp_path / "n").startswith(f"{path}: silent")
    import_notice(save(tmp_path / "quiet.wav", sine(500, 1, 8000, 0.004), 8000), TEXT, tmp_path / "n")


def test_length(tmp_path: Path) -> None:
    path = save(tmp_path / "long.wav", sine(500, 60.001, 11_025, 0.1), 11_025)
    assert refused(path, tmp_path / "n").startswith(f"{path}: longer than 60 s")
    assert import_notice(save(path, sine(500, 60, 11_025, 0.1), 11_025), TEXT, tmp_path / "n").frames == 480_000
    load_notice(tmp_path / "n" / "long.wav")


def test_peaks_that_would_clip_at_the_level(tmp_path: Path) -> None:
    samples = sine(500, 2, 8000, 0.02)
    samples[4000] = 0.9
    assert "its peaks would clip by" in refused(save(tmp_path / "click.wav", samples, 8000), tmp_path / "n")


def test_no_sound_in_it(tmp_path: Path) -> None:
    assert "there is no sound in it" in refused(save(tmp_path / "none.wav", np.zeros(0), 8000), tmp_path / "n")


def _riff(form: int, channels: int, rate_hz: int, bits: int, data: bytes) -> bytes:
    block = channels * bits // 8
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, form, channels, rate_hz, rate_hz * block % (1 << 32), block, bits)
    body = b"WAVE" + head + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it ends within its header"),
        (b"RIFF\x00", "it ends within its header"),
        (b"hello, this is no sound at all", "not a WAV file"),
        (_riff(3, 1, 8000, 32, np.zeros(800, "<f4").tobytes()), "-c:a pcm_s16le"),
        (_riff(7, 1, 8000, 8, b"\xff" * 800), "-c:a pcm_s16le"),
        (_riff(1, 1, 0, 16, b"\0" * 800), "0 Hz; 4000 to 192000 Hz expected"),
        (_riff(1, 1, 4_000_000_000, 16, b"\0" * 800), "Hz; 4000 to 192000 Hz expected"),
        (_riff(1, 9, 8000, 16, b"\0" * 1800), "9 channels; 1 to 8 expected"),
        (_riff(1, 1, 8000, 64, b"\0" * 800), "64 bits a sample"),
        (_riff(1, 1, 8000, 16, b"\1\0" * 800)[:-100], "cut short: 800 samples by its header, 750 present"),
        (_riff(1, 0, 8000, 16, b"\0" * 800), "not a WAV file"),
    ],
)
def test_not_a_wav_file(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "hall.wav"
    path.write_bytes(data)
    text = refused(path, tmp_path / "n")
    assert text.startswith(str(path))
    assert says in text


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.wav", tmp_path / "n") == f"{tmp_path / 'no.wav'}: No such file or directory"
    assert refused(tmp_path, tmp_path / "n", notice_id="x") == f"{tmp_path}: Is a directory"


def test_ids_and_texts(tmp_path: Path) -> None:
    path = save(tmp_path / "시청.wav", sine(500, 1, 8000, 0.3), 8000)
    assert "--id gives one" in refused(path, tmp_path / "n")
    assert "--id gives one" in refused(path, tmp_path / "n", notice_id="../hall")
    assert "text of 0 characters" in refused(path, tmp_path / "n", text=" \n", notice_id="hall")
    import_notice(path, TEXT, tmp_path / "n", "hall")
    with pytest.raises(BadInput, match="there is a notice 'hall' already"):
        import_notice(path, TEXT, tmp_path / "n", "hall")
    import_notice(path, "another", tmp_path / "n", "hall", replace=True)
    assert load_notices(tmp_path / "n")["hall"].text == "another"


# --- the command ----------------------------------------------------------------------------


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--folder", str(tmp_path / "n")]
    path = save(tmp_path / "hall.wav", sine(500, 1.5, 44_100, 0.3), 44_100)
    assert main(["notice", "import", str(path), "--text", TEXT, *folder]) == 0
    assert main(["notice", "list", *folder]) == 0
    assert capsys.readouterr().out == f"hall\t1.50 s\t-16.0 dBm0\t{TEXT}\n" * 2
    out = tmp_path / "out.wav"
    assert main(["notice", "export", "hall", "-o", str(out), *folder]) == 0
    assert out.read_bytes() == (tmp_path / "n" / "hall.wav").read_bytes()
    probe = [
        "ffprobe",
        "-v",
        "error",
        "-show_entries",
        "stream=codec_name,sample_rate,channels",
        "-of",
        "csv=p=0",
        str(out),
    ]
    assert subprocess.run(probe, capture_output=True, timeout=120, check=True, text=True).stdout == "pcm_s16le,8000,1\n"
    capsys.readouterr()
    for arguments, says in (
        (["export", "hall", "-o", str(out)], f"{out}: exists and is not overwritten; another name expected\n"),
        (["export", "wall", "-o", str(out)], f"{tmp_path / 'n'}: no notice 'wall'; there are hall\n"),
        (["export", "../hall", "-o", str(out)], f"{tmp_path / 'n'}: no notice '../hall'; there are hall\n"),
    ):
        assert main(["notice", *arguments, *folder]) == 2
        assert capsys.readouterr().err == says
    assert main(["notice", "list", "--folder", str(tmp_path / "none")]) == 2


def test_the_folder_that_a_configuration_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Other errors of the configuration do not matter: it is only valid after its notices exist."""
    (tmp_path / "unit.toml").write_text('notices = "spoken"\n')
    path = save(tmp_path / "hall.wav", sine(500, 1.5, 8000, 0.3), 8000)
    assert main(["notice", "import", str(path), "--text", TEXT, "--config", str(tmp_path / "unit.toml")]) == 0
    assert (tmp_path / "spoken" / "hall.wav").is_file()
    (tmp_path / "unit.toml").write_text("notices = 7\n")
    assert main(["notice", "list", "--config", str(tmp_path / "unit.toml")]) == 2
    assert "notices = 7" in capsys.readouterr().err


def test_an_export_that_the_disk_does_not_take_leaves_no_half_file(tmp_path: Path) -> None:
    """Otherwise the same command would be refused when there is room again."""
    path, folder = save(tmp_path / "hall.wav", sine(500, 1.5, 44_100, 0.3), 44_100), tmp_path / "n"
    import_notice(path, TEXT, folder, "hall")
    out = tmp_path / "out.wav"
    words = [sys.executable, "-m", "linetap", "notice", "export", "hall", "--folder", str(folder), "-o", str(out)]
    full = subprocess.run(["prlimit", "--fsize=4096", *words], capture_output=True, text=True, check=False, timeout=60)
    assert (full.returncode, full.stderr) == (2, f"{out}: File too large\n")
    assert not out.exists()
    assert subprocess.run(words, check=False, capture_output=True, timeout=60).returncode == 0
