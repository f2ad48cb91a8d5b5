# SPDX-License-Identifier: Apache-2.0
"""The ring: a reader gets the written slots, or a located gap; never half a slot, never another ring's."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap.ring import (
    GAP_OVERRUN,
    GAP_RESTART,
    I16,
    NO_VOLTS,
    NS_PER_FRAME,
    SLOT_FRAMES,
    UNDERRUN,
    Batch,
    Bits,
    RingReader,
    RingWriter,
    bell_path,
    ring_path,
    slot_dtype,
)
from linetap.ring.layout import HEADER
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.errors import DeviceFault

LINES = [3, 4, 9]
SECONDS = 1  # 100 slots
SLOTS = 100
HELD = SLOTS - RingReader.GUARD_SLOTS
START_NS = 5_000_000_000
UTC_NS = 1_700_000_000_000_000_000


class Writer:
    """A RingWriter whose contents identify their slot."""

    def __init__(self, run_dir: Path, rate_hz: int = 8000) -> None:
        self.ring = RingWriter(run_dir, 1, LINES, SECONDS, rate_hz)
        self.frame = self.ring.next_frame

    def audio_slot(self, flags: int = 0) -> None:
        mono = START_NS + self.frame * NS_PER_FRAME
        bits = level_bits(self.frame)
        tags = np.array([0, 7, 8], np.uint32)
        places = np.array([0, self.frame, -5], np.int32)
        volts = np.array([self.frame % 100, NO_VOLTS, -4800], np.int16)
        self.ring.write(
            sound(self.frame, SLOT_FRAMES), bits, ~bits, bits[:, ::-1], volts, tags, places, mono, mono + UTC_NS, flags
        )
        self.frame += SLOT_FRAMES

    def gap(self, frames: int, flag: int = GAP_OVERRUN) -> None:
        mono = START_NS + self.frame * NS_PER_FRAME
        self.ring.write_gap(frames, mono, mono + UTC_NS, flag)
        self.frame += frames


def sound(first: int, frames: int) -> I16:
    n = np.arange(first, first + frames)
    return np.stack([n, n * 3, -n]).astype(np.int16)


def level_bits(frame: int) -> Bits:
    n = np.arange(frame // 8, frame // 8 + 10)
    return np.stack([n % 2 == 0, n % 3 == 0, n % 7 == 0])


@contextmanager
def both(run_dir: Path) -> Iterator[tuple[Writer, RingReader]]:
    writer = Writer(run_dir)
    reader = RingReader(run_dir, 1)
    yield writer, reader
    reader.close()
    writer.ring.close()


def check_audio(batch: Batch) -> None:
    """Asserts that a batch equals Writer's content at its frames, to the bit."""
    assert batch.gap is None
    assert (batch.audio == sound(batch.frame, batch.frames)).all()
    starts = range(batch.frame, batch.frame + batch.frames, SLOT_FRAMES)
    bits = np.concatenate([level_bits(start) for start in starts], axis=1)
    assert (batch.hook == bits).all()
    assert (batch.ring == ~bits).all()
    assert (batch.polarity == np.concatenate([level_bits(start)[:, ::-1] for start in starts], axis=1)).all()
    assert batch.volts.tolist() == [
        [start % 100 for start in starts], [NO_VOLTS] * len(starts), [-4800] * len(starts)
    ]  # fmt: skip
    assert batch.notice.tolist() == [[0, 7, 8]] * len(starts)
    assert batch.notice_frame.tolist() == [[0, start, -5] for start in starts]
    assert batch.mono_ns == START_NS + batch.frame * NS_PER_FRAME
    assert batch.utc_ns_at(batch.frame + 8) == batch.mono_ns + UTC_NS + 1_000_000


def test_what_is_written_is_read(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        assert reader.read(10) is None
        for _ in range(5):
            writer.audio_slot()
        writer.audio_slot(UNDERRUN)
        assert reader.lag() == 6
        first, second = reader.read(4), reader.read(4)
        assert first is not None
        assert second is not None
        check_audio(first)
        check_audio(second)
        assert (first.frames, second.frames) == (320, 160)
        assert second.flags.tolist() == [0, UNDERRUN]
        assert reader.read(4) is None


def test_gaps_come_alone(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        writer.audio_slot()
        writer.gap(5521)
        writer.gap(77, GAP_RESTART)
        writer.audio_slot()
        batches = [reader.read(10) for _ in range(4)]
        assert [(b.frame, b.frames, b.gap) for b in batches if b] == [
            (0, 80, None), (80, 5521, "overrun"), (5601, 77, "capture_restart"), (5678, 80, None)
        ]  # fmt: skip
        assert batches[1] is not None
        assert batches[1].audio.shape == (3, 0)
        assert batches[1].mono_ns == START_NS + 80 * NS_PER_FRAME
        assert batches[3] is not None
        check_audio(batches[3])


def test_bell_rings_once_a_slot_and_never_holds_the_writer_up(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        for _ in range(3):
            writer.audio_slot()
        assert os.read(reader.fileno(), 100) == b"\a\a\a"
        with contextlib.suppress(BlockingIOError):  # until the FIFO is full
            while True:
                os.write(writer.ring._bell, b"\a" * 4096)
        writer.audio_slot()
        reader.silence_bell()
        with pytest.raises(BlockingIOError):
            os.read(reader.fileno(), 1)


@pytest.mark.parametrize("byte", [8, 12, 16, 40, 80, 100, 150, -1])
def test_a_slot_with_a_wrong_byte_is_not_returned(run_dir: Path, byte: int) -> None:
    with both(run_dir) as (writer, reader):
        for _ in range(4):
            writer.audio_slot()
        size = slot_dtype(3).itemsize
        with ring_path(run_dir, 1).open("r+b") as file:
            file.seek(4096 + 2 * size + byte % size)
            there = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([there ^ 1]))
        whole = reader.read(10)
        assert whole is not None
        assert whole.frames == 2 * SLOT_FRAMES
        reads = [reader.read(10) for _ in range(RingReader.MOST_INCOMPLETE_READS + 1)]
        assert reads[:-1] == [None] * RingReader.MOST_INCOMPLETE_READS
        lost = reads[-1]
        assert lost is not None
        assert (lost.frame, lost.frames, lost.gap) == (160, 80, "ring_damaged")
        after = reader.read(10)
        assert after is not None
        check_audio(after)
        assert after.frame == 240


def test_a_slot_being_written_is_waited_for(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        writer.audio_slot()
        writer.audio_slot()
        seqs = writer.ring._map.slots["seq"]
        seqs[1] = 0
        first = reader.read(10)
        assert first is not None
        assert first.frames == SLOT_FRAMES
        assert reader.read(10) is None
        seqs[1] = 2
        second = reader.read(10)
        assert second is not None
        check_audio(second)


def test_an_overtaken_reader_gets_a_placed_gap(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        for _ in range(10):
            writer.audio_slot()
        first = reader.read(4)
        assert first is not None
        for _ in range(200):
            writer.audio_slot()
        gap = reader.read(64)
        assert gap is not None
        assert (gap.gap, gap.frame) == ("ring_overtaken", 320)
        assert gap.mono_ns == START_NS + 320 * NS_PER_FRAME
        after = reader.read(64)
        assert after is not None
        assert after.frame == gap.frame + gap.frames
        check_audio(after)


def test_a_restarted_reader_goes_on_where_it_was(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        for _ in range(10):
            writer.audio_slot()
        reader.read(4)
        again = RingReader(run_dir, 1)
        again.seek(reader.cursor, 320)
        batch = again.read(3)
        assert batch is not None
        assert batch.frame == 320
        check_audio(batch)
        again.close()


def test_takeover_after_a_restart(run_dir: Path) -> None:
    first = Writer(run_dir, 48000)
    assert not first.ring.resumed
    assert first.ring.end_mono_ns is None
    for _ in range(3):
        first.audio_slot()
    reader = RingReader(run_dir, 1)
    reader.seek(0, 0)
    first.ring._map.slots["seq"][3] = 0  # killed while writing the next slot
    second = Writer(run_dir, 48000)
    assert second.ring.resumed
    assert (second.ring.next_frame, second.ring.next_device_frame) == (240, 1440)
    assert second.ring.end_mono_ns == START_NS + 240 * NS_PER_FRAME
    second.gap(1000, GAP_RESTART)
    second.audio_slot()
    assert second.ring.next_device_frame == 6 * (240 + 1000 + 80)
    batches = [reader.read(10) for _ in range(3)]
    assert [(b.frame, b.frames, b.gap) for b in batches if b] == [
        (0, 240, None), (240, 1000, "capture_restart"), (1240, 80, None)
    ]  # fmt: skip
    assert not reader.replaced()
    for opened in (reader, first.ring, second.ring):
        opened.close()


def test_a_capture_that_was_away_for_longer_than_its_reader_is_there_is_believed(run_dir: Path) -> None:
    """A codec is away for ten minutes, and the recorder begins in the last of them."""
    writer, away = Writer(run_dir), 600 * 8000
    for _ in range(3):
        writer.audio_slot()
    clock = ManualClock(monotonic_ns=START_NS + (away - 60 * 8000) * NS_PER_FRAME)
    with contextlib.closing(RingReader(run_dir, 1, clock)) as reader:
        clock.advance(60 * NS_PER_S)
        writer.gap(away - 240, GAP_RESTART)
        writer.audio_slot()
        found = [reader.read(25), reader.read(25)]
    writer.ring.close()
    assert [(b.frame, b.frames, b.gap) for b in found if b] == [
        (240, away - 240, "capture_restart"), (away, 80, None)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "seconds", "rate_hz"), [([3, 4], 1, 8000), ([3, 4, 8], 1, 8000), (LINES, 2, 8000), (LINES, 1, 48000)]
)
def test_another_shape_is_another_ring(run_dir: Path, lines: list[int], seconds: int, rate_hz: int) -> None:
    with both(run_dir) as (_, reader):
        other = RingWriter(run_dir, 1, lines, seconds, rate_hz)
        assert not other.resumed
        assert reader.replaced()
        fresh = RingReader(run_dir, 1)
        assert fresh.line_numbers == lines
        assert fresh.ring_id != reader.ring_id
        fresh.close()
        other.close()


def test_a_ring_without_its_bell_is_no_ring(run_dir: Path) -> None:
    Writer(run_dir).ring.close()
    bell_path(run_dir, 1).unlink()
    with pytest.raises(DeviceFault) as caught:
        RingReader(run_dir, 1)
    assert caught.value.code == "ring_absent"


@pytest.mark.parametrize(("at", "what"), [(0, b"XX"), (8, b"\x63"), (40, b"another-boot")])
def test_a_foreign_ring_is_refused_and_replaced(run_dir: Path, at: int, what: bytes) -> None:
    Writer(run_dir).ring.close()
    with ring_path(run_dir, 1).open("r+b") as file:
        offset = {0: 0, 8: 8, 40: HEADER.fields["boot"][1]}[at]  # type: ignore[index]
        file.seek(offset)
        file.write(what)
    with pytest.raises(DeviceFault, match="another version or boot") as caught:
        RingReader(run_dir, 1)
    assert caught.value.code == "ring_foreign"
    fresh = Writer(run_dir)
    assert not fresh.ring.resumed
    fresh.ring.close()


def test_no_ring_is_reported(run_dir: Path) -> None:
    with pytest.raises(DeviceFault, match="no ring") as caught:
        RingReader(run_dir, 1)
    assert caught.value.code == "ring_absent"
    ring_path(run_dir, 1).parent.mkdir()
    ring_path(run_dir, 1).write_bytes(b"cut short")
    with pytest.raises(DeviceFault, match="no ring"):
        RingReader(run_dir, 1)


def test_a_disk_is_refused(tmp_path: Path) -> None:
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, timeout=120, check=True)
    if kind.stdout.strip() == "tmpfs":
        pytest.skip("the temporary folder of this machine is in RAM")
    with pytest.raises(DeviceFault, match="must be on tmpfs") as caught:
        RingWriter(tmp_path, 1, LINES, SECONDS, 8000)
    assert caught.value.code == "ring_on_disk"


def test_a_full_tmpfs_is_reported_at_once() -> None:
    if os.getuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    point = Path(tempfile.mkdtemp(prefix="linetap-test-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", point], capture_output=True, timeout=120, check=False
    )
    try:
        if mounted.returncode != 0:
            pytest.skip("this machine does not let root mount")
        with pytest.raises(OSError, match="No space") as caught:
            RingWriter(point, 1, LINES, 120, 8000)
        assert caught.value.errno == errno.ENOSPC
    finally:
        subprocess.run(["umount", point], timeout=120, check=False, capture_output=True)
        shutil.rmtree(point, ignore_errors=True)


def test_stretch_over_the_wrap_and_over_gaps(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        for _ in range(150):
            writer.audio_slot()
        writer.gap(100)
        for _ in range(20):
            writer.audio_slot()
        first, end = 120 * SLOT_FRAMES + 13, 160 * SLOT_FRAMES + 7
        plain = reader.stretch(1, first, 140 * SLOT_FRAMES)
        assert plain.gaps == []
        assert (plain.samples == sound(first, 140 * SLOT_FRAMES - first)[1]).all()
        broken = reader.stretch(1, first, end)
        assert broken.gaps == [(150 * SLOT_FRAMES, 100, "overrun")]
        expected = sound(first, end - first)[1]
        expected[150 * SLOT_FRAMES - first :][:100] = 0
        assert (broken.samples == expected).all()


def test_stretch_of_all_lines_in_turn_and_of_pieces_of_it(run_dir: Path) -> None:
    """Like the journal: every line for the same frames, one of them in two pieces, and then for the next."""
    with both(run_dir) as (writer, reader):
        for _ in range(120):
            writer.audio_slot()
        for first in range(3001, 7500, 2000):
            middle, end = first + 777, first + 2000
            for line, spans in ((0, [(first, end)]), (1, [(first, end)]), (0, [(first, middle), (middle, end)]),
                                (1, [(first - 99, middle), (middle, end + 99)])):  # fmt: skip
                for begin, until in spans:
                    got = reader.stretch(line, begin, until)
                    assert got.gaps == []
                    assert (got.samples == sound(begin, until - begin)[line]).all()


def test_a_long_stretch_of_all_lines_is_not_kept(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a disk had stalled for half a minute it would occupy megabytes, until the next request."""
    monkeypatch.setattr("linetap.ring.reader._CACHED_SLOTS", 20)
    with both(run_dir) as (writer, reader):
        for _ in range(90):
            writer.audio_slot()
        for line in range(len(LINES)):
            got = reader.stretch(line, 800, 6400)
            assert (got.samples == sound(800, 5600)[line]).all()
        assert reader._cached.shape[1] == 0
        for line in range(len(LINES)):
            assert (reader.stretch(line, 800, 2000).samples == sound(800, 1200)[line]).all()
        assert reader._cached.shape[1] == 1200


def test_stretch_says_what_the_ring_no_longer_holds(run_dir: Path) -> None:
    with both(run_dir) as (writer, reader):
        for _ in range(250):
            writer.audio_slot()
        oldest = (250 - HELD) * SLOT_FRAMES
        got = reader.stretch(0, oldest - 500, oldest + 160)
        assert got.gaps == [(oldest - 500, 500, "ring_overtaken")]
        assert not got.samples[:500].any()
        assert (got.samples[500:] == sound(oldest, 160)[0]).all()


ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 130)),
    st.tuples(st.just("gap"), st.integers(1, 20_000)),
    st.tuples(st.just("read"), st.integers(1, 70)),
    st.tuples(st.just("restart"), st.integers(1, 3000)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTIONS, max_size=25))
def test_a_reader_sees_every_frame_once_or_a_gap(actions: list[tuple[str, int]]) -> None:
    """Compared with a model: the lengths of all slots. Batches join without hole or overlap and equal the written
    content.
    """
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="linetap-test-") as folder:
        writer = Writer(Path(folder))
        reader = RingReader(Path(folder), 1)
        gaps: dict[int, tuple[int, str]] = {}
        reached = 0
        for action, number in [*actions, ("read", 70), ("read", 70)]:
            if action == "write":
                for _ in range(number):
                    writer.audio_slot()
            elif action == "gap":
                gaps[writer.frame] = (number, "overrun")
                writer.gap(number)
            elif action == "restart":
                writer.ring.close()
                written = writer.frame
                writer = Writer(Path(folder))
                assert writer.frame == written
                gaps[writer.frame] = (number, "capture_restart")
                writer.gap(number, GAP_RESTART)
            else:
                slots_behind = reader.lag()
                batch = reader.read(number)
                assert (batch is None) == (slots_behind == 0)
                if batch is None:
                    continue
                assert batch.frame == reached
                reached += batch.frames
                if batch.gap == "ring_overtaken":
                    assert slots_behind > HELD
                elif batch.gap:
                    assert gaps[batch.frame] == (batch.frames, batch.gap)
                else:
                    check_audio(batch)
                    assert batch.frames <= number * SLOT_FRAMES
        reader.close()
        writer.ring.close()
