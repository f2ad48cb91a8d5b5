# SPDX-License-Identifier: Apache-2.0
"""Arbitrary bytes as a package; and the waveform and audio of a recording on the page."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path
from zoneinfo import ZoneInfo

import custody_rig
import numpy as np
import pytest
from markupsafe import escape

from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.records import NoticeRecord
from linetap_desk.custody import case, moments, sound
from linetap_desk.custody.package import private_folder, unpack
from linetap_desk.inputs import ustar
from linetap_desk.inputs.ustar import BadPackage
from linetap_desk.proofs import callfolder
from linetap_desk.release.opening import Unlocked
from linetap_desk.unsealing import checkedcall
from linetap_desk.unsealing.callproof import Basis
from linetap_desk.web.pages import Pages
from release_rig import Desk
from sealing_rig import CALL_ID, Rig, noise, record
from tar_rig import REG, archive, sized

GOOD = ("request.json", REG, b"{}")
HOSTILE: dict[str, tuple[bytes, str]] = {
    "above": (archive(("../request.json", REG, b"x")), "does not belong"),
    "a drive": (archive(("C:request.json", REG, b"x")), "does not belong"),
    "another stream": (archive(("request.json:x", REG, b"x")), "does not belong"),
    "backslashes": (archive((f"calls\\{CALL_ID}\\key.age", REG, b"x")), "does not belong"),
    "a trailing dot": (archive(("request.json.", REG, b"x")), "does not belong"),
    "a device of Windows": (archive(("inner/CON.age", REG, b"x")), "does not belong"),
    "absolute": (archive(("/request.json", REG, b"x")), "does not belong"),
    "above in a call": (archive((f"calls/{CALL_ID}/../../x", REG, b"x")), "does not belong"),
    "another file of a call": (archive((f"calls/{CALL_ID}/run.sh", REG, b"x")), "does not belong"),
    "symlink": (archive(("request.json", tarfile.SYMTYPE, b"/etc/passwd")), "no regular file"),
    "hard link": (archive(GOOD, ("roles.json", tarfile.LNKTYPE, b"request.json")), "no regular file"),
    "device": (archive(("request.json", tarfile.CHRTYPE, b"")), "no regular file"),
    "long name": (archive(("calls/" + "x" * 200, REG, b"x"), form=tarfile.GNU_FORMAT), "not a USTAR archive"),
    "pax": (archive(("요청.json", REG, b"x"), form=tarfile.PAX_FORMAT), "no regular file"),
    "twice": (archive(GOOD, GOOD), "twice"),
    "too large": (sized("allowed_signers", (1 << 20) + 1), "at most"),
    "cut short": (archive(GOOD)[:600], "cut short"),
    "a closing that is too large": (sized(f"closing/{CALL_ID}.json", (12 << 10) + 1), "at most"),
    "a closing of no call": (archive(("closing/x.json", REG, b"x")), "does not belong"),
    "empty": (b"", "cut short"),
    "not a tar": (b"\x1f\x8b" + bytes(2000), "not a USTAR archive"),
    "no request": (bytes(1024), "no request.json"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_does_not_belong_is_refused(tmp_path: Path, kind: str) -> None:
    data, says = HOSTILE[kind]
    folder = tmp_path / "in" / "side"
    folder.mkdir(parents=True)
    with pytest.raises(BadPackage, match=says):
        unpack(io.BytesIO(data), folder)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and folder not in path.parents]
    assert outside == []


def test_the_whole_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ustar, "LIMIT_BYTES", 4096)
    with pytest.raises(BadPackage, match="more than"):
        unpack(io.BytesIO(archive(GOOD, ("allowed_signers", REG, bytes(4000)))), tmp_path)
    folders = archive(*((f"calls/{n}", tarfile.DIRTYPE, b"") for n in range(9)))
    with pytest.raises(BadPackage, match="more than"):
        unpack(io.BytesIO(folders), tmp_path / "more")


def test_a_good_one_lies_in_a_private_folder_that_goes(desk: Desk, call: Path) -> None:
    members = custody_rig.released(desk, call)
    with private_folder() as folder:
        package = unpack(io.BytesIO(custody_rig.pack(members)), folder)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder.is_relative_to("/dev/shm")
        assert package.inner(CALL_ID).exists()
        for name, data in members.items():
            assert (folder / name).read_bytes() == data
    assert not folder.exists()


@pytest.mark.parametrize("gone", [f"inner/{CALL_ID}.age", f"calls/{CALL_ID}/"])
def test_half_a_package_is_none(desk: Desk, call: Path, tmp_path: Path, gone: str) -> None:
    members = custody_rig.released(desk, call)
    kept = {name: data for name, data in members.items() if not name.startswith(gone)}
    with pytest.raises(BadPackage, match=CALL_ID):
        unpack(io.BytesIO(custody_rig.pack(kept)), tmp_path)


def tone(hz: float, seconds: float) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    samples = 8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * 8000)) / 8000)
    return samples.astype(np.int16)


@pytest.mark.parametrize("speed", [0.5, 0.75, 1.25, 1.5, 2.0])
def test_another_speed_keeps_the_pitch(speed: float) -> None:
    out = np.frombuffer(b"".join(sound.played(tone(437, 4), 0, speed)), "<i2")
    assert len(out) / 8000 == pytest.approx(4 / speed, abs=0.1 / speed)
    spectrum = np.abs(np.fft.rfft(out))
    assert np.argmax(spectrum) * 8000 / len(out) == pytest.approx(437, abs=3)


def test_the_speed_of_speech_is_the_recording_itself() -> None:
    pcm = tone(437, 1.3)
    assert b"".join(sound.played(pcm, 800, 1.0)) == pcm[800:].astype("<i2").tobytes()
    for speed in sound.SPEEDS:
        assert len(b"".join(sound.played(pcm[:100], 0, speed))) <= 400  # too short for a frame, and no fault


def test_peaks() -> None:
    pcm = np.zeros(10_000, np.int16)
    pcm[5000] = -32124  # the loudest there is
    found = sound.peaks(pcm, 100)
    assert (len(found), found[50], sum(found)) == (100, 127, 127)
    assert sound.peaks(pcm[:3]) == [0, 0, 0]
    assert sound.peaks(pcm[:0]) == []


def test_where_the_first_sample_lies_in_time() -> None:
    whole = record(80_000)
    assert moments.began_ns(whole, 80_000) == parse_rfc3339("2026-11-24T22:56:00.123Z")
    whole.ended_at = "2026-11-24T22:56:20.000Z"
    assert moments.began_ns(whole, 80_000) == parse_rfc3339("2026-11-24T22:56:10Z")
    whole.notices = [
        NoticeRecord(id="hall", started_at="2026-11-24T22:56:04.000Z", ended_at="2026-11-24T22:56:09.200Z")
    ]
    assert moments.began_ns(whole, 80_000) == parse_rfc3339("2026-11-24T22:56:09.200Z")
    assert moments.moments(whole, 80_000) == []  # the notice was over
    began = moments.began_ns(whole, 128_000)
    assert began == parse_rfc3339("2026-11-24T22:56:04Z")
    assert [(one.from_s, one.to_s) for one in moments.moments(whole, 128_000)] == [(0.0, 5.2)]
    assert began % NS_PER_S == 0


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "", "soon"])
def test_a_signed_record_with_times_that_are_none_is_opened(at: str) -> None:
    """By a compromised unit: the call's id has its beginning, and no notice is marked."""
    whole = record(80_000)
    whole.ended_at = at
    whole.notices = [NoticeRecord(id="hall", started_at=at, ended_at=at)]
    assert moments.began_ns(whole, 80_000) == parse_rfc3339("2026-11-24T22:56:00.123Z")
    assert moments.moments(whole, 80_000) == []
    whole.ended_at = "2026-11-24T22:56:20.000Z"
    assert moments.began_ns(whole, 80_000) == parse_rfc3339("2026-11-24T22:56:10Z")
    assert moments.moments(whole, 80_000) == []


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59Z", "2026-11-24T22:56:20", "soon", "<b>"])
def test_a_page_shows_a_time_that_is_none(at: str) -> None:
    assert Pages(ZoneInfo("Asia/Seoul")).when(at) == escape(at)


def test_a_sealed_record_with_numbers_that_are_none_is_refused(tmp_path: Path) -> None:
    """Only the opened meta.age has them."""
    rig = Rig.make(tmp_path)
    folder, whole = rig.create(), record(200)
    folder.write(noise(200))
    whole.dialled = 119  # type: ignore[assignment]
    folder.seal(whole, rig.sign)
    call = checkedcall.require_verified(folder.path, Basis(callfolder.load_signers(rig.signers_file)))
    unlocked = Unlocked(call, [rig.epoch_file, rig.custodian_files[0]], None)
    with pytest.raises(Refusal, match=r"meta\.age is no record"):
        case._opened_call(unlocked)


def test_a_recording_longer_than_the_time_of_its_end_begins_with_the_first_second() -> None:
    whole = record(80_000)
    whole.ended_at = "1970-01-01T00:00:00Z"
    assert moments.began_ns(whole, 80_000) == 0
