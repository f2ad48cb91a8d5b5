# SPDX-License-Identifier: Apache-2.0
"""Calls in Opus, whole, killed and cut off: ffmpeg plays stock age's output, with every sample in its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from journal_rig import CALL_ID, FIRST, Recorder

from codec_rig import lag, voice
from linetap.recorder.vault.callfolder.encoding import LineEncoder
from linetap.recorder.vault.journal import store
from linetap.ring import I16, RATE_HZ, Stretch
from linetap_core.codecs.registry import codec_named
from linetap_core.errors import DeviceFault
from linetap_core.records import CallRecord
from linetap_desk.proofs import callfolder
from linetap_desk.release import opening
from linetap_desk.unsealing import checkedcall
from linetap_desk.unsealing.callproof import Basis
from sealing_rig import run
from unit_rig import PLAIN, Unit, make_unit

OPUS = codec_named("opus")
SPOKEN = np.resize(voice(24 * RATE_HZ, 7), 100 * RATE_HZ)
END = rfc = "2026-11-24T22:57:00.000Z"
FLUSHED = "non monotonically increasing dts to muxer"  # ffmpeg's message for every Ogg Opus file at its end
HOLE = (FIRST + 9 * RATE_HZ + 40, 500)


class Line:
    """A line with a hole; audio older than `oldest` is overwritten."""

    oldest = 0

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        assert line == 1
        samples, gaps = SPOKEN[first:end].copy(), []
        for frame, frames, cause in ((*HOLE, "overrun"), (0, self.oldest, "ring_overtaken")):
            a, b = max(frame, first), min(frame + frames, end)
            if a < b:
                samples[a - first : b - first] = 0
                gaps.append((a, b - a, cause))
        return Stretch(samples, gaps)


class NoRing:
    def stretch(self, line: int, first: int, end: int) -> Stretch:
        raise DeviceFault("ring_absent", f"line {line}, {first} to {end}")


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    return make_unit(tmp_path, run_dir, recording=msgspec.structs.replace(PLAIN, codec="opus"))


def end_call(recorder: Recorder, samples: int) -> CallRecord:
    record = CallRecord(
        call_id=CALL_ID, unit="floor-03", line=1, direction="in", disposition="recorded",
        answered_at="2026-11-24T22:56:00.123Z", ended_at=END, ended_by="on_hook", duration_s=samples / RATE_HZ,
    )  # fmt: skip
    recorder.vault.close(CALL_ID, FIRST + samples, record)
    assert recorder.vault.step()
    return recorder.record()


def after_cut(recorder: Recorder) -> Recorder:
    for path in recorder.unit.config.run_path.rglob("*"):
        if path.is_file():
            path.unlink()
    again = Recorder(recorder.unit, NoRing())
    assert again.vault.step()
    return again


def stream_of(recorder: Recorder) -> bytes:
    """The stream, by the users' recipe with only stock `age`."""
    folder, unit = recorder.folder(), recorder.unit
    recipe = (
        f"age -d -i {unit.epoch} key.age | age -d -i {unit.custodian} > {unit.folder}/call.key;"
        f" for p in audio.*.age; do age -d -i {unit.folder}/call.key $p; done"
    )
    return run(["sh", "-c", recipe], cwd=folder).stdout


def played(recorder: Recorder) -> I16:
    """The audio by ffmpeg from a pipe, at 8 kHz, without an error."""
    done = run(["ffmpeg", "-v", "error", "-xerror", "-i", "-", "-f", "s16le", "-"], stdin=stream_of(recorder))
    said = [line for line in done.stderr.decode().splitlines() if FLUSHED not in line]
    assert (done.returncode, said) == (0, [])
    assert len(done.stdout) % 12 == 0
    return np.frombuffer(done.stdout, "<i2")[::6]


def opened(recorder: Recorder) -> I16:
    """The audio by `linetap open`."""
    unit = recorder.unit
    checked = checkedcall.require_verified(recorder.folder(), Basis(callfolder.load_signers(unit.signers)))
    output = unit.folder / "call.wav"
    opening.open_call(checked, [unit.epoch, unit.custodian], None, output)
    return np.frombuffer(output.read_bytes()[44:], "<i2")


def spoken(samples: int) -> I16:
    said = SPOKEN[FIRST : FIRST + samples].copy()
    said[HOLE[0] - FIRST : sum(HOLE) - FIRST] = 0
    return said


def check(recorder: Recorder, record: CallRecord) -> int:
    """Asserts that ffmpeg and linetap play the record's samples, each at its time and once; returns the number."""
    assert record.audio is not None
    assert record.audio.codec == "opus"
    samples = record.audio.samples
    for heard, slack in ((opened(recorder), 0), (played(recorder), 1)):
        assert len(heard) == samples
        for begin in range(0, samples - 8000, 4000):
            late, like = lag(heard[begin : begin + 8000], spoken(samples)[begin : begin + 8000])
            assert abs(late) <= slack, f"{late} samples late at {begin}"
            assert like > 0.75, f"something else lies at {begin}"
    assert [(gap.at_s, gap.ms) for gap in record.audio.gaps if gap.cause == "overrun"] == [
        (round((HOLE[0] - FIRST) / RATE_HZ, 6), HOLE[1] / 8)
    ]
    return samples


@pytest.mark.parametrize("samples", [100_000, 399_999, 8 * RATE_HZ * 8 + 13])
def test_a_call_is_as_long_as_it_was(unit: Unit, samples: int) -> None:
    recorder = Recorder(unit, Line())
    recorder.begin()
    for second in range(1, samples // RATE_HZ + 1):
        recorder.talk(second, begin=second - 1)
        assert recorder.vault.step()
    record = end_call(recorder, samples)
    assert check(recorder, record) == samples
    assert record.audio is not None
    assert len(record.audio.parts) == 1


def test_a_recorder_that_was_killed_goes_on_behind_its_whole_chunks(unit: Unit) -> None:
    """It uses the call's codec, whatever the present configuration."""
    recorder = Recorder(unit, Line())
    recorder.begin()
    recorder.talk(40)
    for _ in range(8):
        assert recorder.vault.step()
    config = msgspec.structs.replace(unit.config, recording=PLAIN)
    again = Recorder(replace(unit, config=config), Line())
    again.note()
    assert again.vault.step()
    again.talk(45, begin=40)
    record = end_call(again, 45 * RATE_HZ + 77)
    assert check(again, record) == 45 * RATE_HZ + 77
    assert record.audio is not None
    assert [part.samples for part in record.audio.parts] == [162_508, 45 * RATE_HZ + 77 - 162_508]


@pytest.mark.parametrize("seconds", [0.5, 5.25, 20.25, 33.0, 64.25])
def test_a_power_cut_costs_a_page_at_most(unit: Unit, seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal has the audio missing in chunks, for all of the 20 seconds that fill a chunk."""
    monkeypatch.setattr(store, "SHARE_BYTES", 1 << 17)  # for two lines; 8 MiB are for 32
    recorder = Recorder(unit, Line())
    recorder.begin()
    for step in range(int(seconds * 4)):
        recorder.talk((step + 1) / 4, begin=step / 4)
        assert recorder.vault.step()
    again = after_cut(recorder)
    record = again.record()
    assert record.audio is not None
    assert record.ended_by == "power"
    kept = record.audio.samples
    assert 0 <= seconds * RATE_HZ - kept < OPUS.unit + OPUS.delay
    assert record.audio.gaps[-1].at_s == round(kept / RATE_HZ, 6)
    if seconds > 10:
        assert check(again, record) == kept
    else:
        assert len(played(again)) == len(opened(again)) == kept


def test_where_the_journal_has_lost_some_silence_takes_its_place(unit: Unit) -> None:
    recorder = Recorder(unit, Line())
    recorder.begin()
    recorder.talk(8)
    for path in sorted(recorder.journal.folder.iterdir()):  # a bad sector in its middle
        data = bytearray(path.read_bytes())
        if (end := len(data.rstrip(b"\0"))) > 8000:
            data[end // 2 : end // 2 + 3000] = bytes(3000)
            path.write_bytes(data)
    again = after_cut(recorder)
    record = again.record()
    assert record.audio is not None
    lost = [gap for gap in record.audio.gaps if gap.cause == "power"]
    assert len(lost) == 2
    heard = opened(again)
    assert len(heard) == len(played(again)) == record.audio.samples
    begin, end = round(lost[0].at_s * RATE_HZ), round((lost[0].at_s + lost[0].ms / 1000) * RATE_HZ)
    assert np.abs(heard[begin + 400 : end - 400]).max() < 60
    behind = slice(end + 800, end + 800 + 16_000)
    assert lag(heard[behind], spoken(len(heard))[behind])[0] == 0


def test_what_the_ring_has_overtaken_is_a_gap_and_no_more(unit: Unit) -> None:
    line = Line()
    recorder = Recorder(unit, line)
    recorder.begin()
    line.oldest = FIRST + 3000
    recorder.talk(12)
    assert recorder.vault.step()
    record = end_call(recorder, 12 * RATE_HZ)
    assert record.audio is not None
    assert [(gap.at_s, gap.ms, gap.cause) for gap in record.audio.gaps] == [
        (0.0, 375.0, "ring_overtaken"),
        (round((HOLE[0] - FIRST) / RATE_HZ, 6), HOLE[1] / 8, "overrun"),
    ]
    assert len(opened(recorder)) == len(played(recorder)) == 12 * RATE_HZ


def test_a_gap_is_reported_with_the_units_that_it_is_in() -> None:
    """A page is complete when the encoder has 52 samples of the next one, to which their gap belongs."""

    def with_a_gap(first: int, end: int) -> Stretch:
        a, b = max(1220, first), min(1260, end)
        return Stretch(np.zeros(end - first, np.int16), [(a, b - a, "overrun")] if a < b else [])

    encoder = LineEncoder(OPUS, 0)
    assert encoder.encode_up_to(OPUS.unit, with_a_gap)
    assert encoder.position == 1228
    assert encoder.take_gaps() == [(1220, 8, "overrun")]
    assert encoder.take_gaps() == []
    assert encoder.encode_up_to(2 * OPUS.unit, with_a_gap)
    assert encoder.take_gaps() == [(1228, 32, "overrun")]
