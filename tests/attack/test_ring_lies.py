# SPDX-License-Identifier: Apache-2.0
"""A compromised capture owns the ring that the recorder reads: it can truncate it, and write any slot."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from linetap.recorder.cards import CardFollower, Cards
from linetap.ring import SLOT_FRAMES, RingReader, RingWriter
from linetap.ring.layout import CRC_FROM, HEADER, HEADER_BYTES, allocate, bell_path, boot_id, ring_path, slot_dtype
from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock, parse_rfc3339
from linetap_core.errors import DeviceFault
from unit_rig import make_unit

LINES, SECONDS, SLOTS = 2, 2, 200
NUMBERS = ("flags", "frame", "frames", "mono_ns", "utc_ns")
ODD = [0, 1, -1, 79, 80, 81, 10**15, -(10**15), (1 << 62) - 1, 1 << 62, (1 << 63) - 1, -(1 << 63)]

# The recorder's reading, in a separate process: SIGBUS would end this one.
READS_ON = """
import os, sys
from pathlib import Path
from linetap.ring import RingReader
reader = RingReader(Path(sys.argv[1]), 1)
print("ready", flush=True)
sys.stdin.readline()
read = [reader.read(25) for _ in range(300)]
stretch = reader.stretch(0, 0, 800)
print(sum(batch is not None for batch in read), [cause for _, _, cause in stretch.gaps])
"""


def written(run_dir: Path, slots: int = 50) -> RingWriter:
    writer = RingWriter(run_dir, 1, list(range(1, LINES + 1)), SECONDS, 8000)
    for _ in range(slots):
        write(writer)
    return writer


def write(writer: RingWriter) -> None:
    off = np.zeros((LINES, 10), np.bool_)
    audio = np.zeros((LINES, SLOT_FRAMES), np.int16)
    writer.write(audio, off, off, off, np.zeros(LINES, np.int16), None, None, SYSTEM.monotonic_ns(), SYSTEM.utc_ns())


@pytest.mark.parametrize("size", [0, 100, HEADER_BYTES, HEADER_BYTES + 10 * slot_dtype(LINES).itemsize + 7])
def test_a_ring_that_is_made_shorter_ends_no_reader(run_dir: Path, size: int) -> None:
    writer = written(run_dir)
    command = [sys.executable, "-c", READS_ON, str(run_dir)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as reads:  # type: ignore[call-overload]
        assert reads.stdout.readline() == "ready\n"
        os.truncate(ring_path(run_dir, 1), size)
        said, complaint = reads.communicate("\n", timeout=120)
    writer.close()
    assert (reads.returncode, complaint) == (0, "")
    assert said.startswith("0 ['ring_overtaken']")


def lie(run_dir: Path, number: int, **fields: int) -> None:
    """Slot `number` with these fields, and a valid CRC."""
    dtype = slot_dtype(LINES)
    at = HEADER_BYTES + number % SLOTS * dtype.itemsize
    with ring_path(run_dir, 1).open("r+b") as file:
        file.seek(at)
        slot = np.frombuffer(file.read(dtype.itemsize), dtype, 1).copy()
        for name, value in fields.items():
            slot[name] = np.array(value).astype(slot.dtype[name], casting="unsafe")
        raw = slot.tobytes()
        slot["crc"] = zlib.crc32(raw[CRC_FROM:])
        file.seek(at)
        file.write(slot.tobytes())


def lie_of_the_head(run_dir: Path, head: int) -> None:
    fields: Any = HEADER.fields
    with ring_path(run_dir, 1).open("r+b") as file:
        file.seek(fields["head"][1])
        file.write(head.to_bytes(8, "little"))


@pytest.mark.parametrize(
    "fields",
    [
        {"flags": 1, "frames": 10**15}, {"flags": 1, "frames": -80}, {"frame": 10**15}, {"frame": 0},
        {"mono_ns": 1 << 62}, {"mono_ns": -1}, {"utc_ns": (1 << 63) - 1}, {"utc_ns": -1},
    ],
)  # fmt: skip
def test_what_no_clock_explains_is_not_believed(run_dir: Path, fields: dict[str, int]) -> None:
    writer = written(run_dir)
    reader = RingReader(run_dir, 1)
    write(writer)
    lie(run_dir, 50, **fields)
    with pytest.raises(DeviceFault, match="impossible") as fault:
        reader.read(25)
    assert fault.value.code == "ring_lies"
    reader.close()
    writer.close()


def test_a_clock_of_another_century_is_no_lie(run_dir: Path) -> None:
    """A machine's clock may be wrong by any time that its kernel accepts."""
    writer = written(run_dir)
    reader = RingReader(run_dir, 1)
    write(writer)
    lie(run_dir, 50, utc_ns=parse_rfc3339("2232-04-01T00:00:00Z"))
    batch = reader.read(25)
    assert batch is not None
    assert batch.utc_ns == parse_rfc3339("2232-04-01T00:00:00Z")
    reader.close()
    writer.close()


@pytest.mark.parametrize("slots", [1, 8, RingReader.LEAST_SLOTS - 1])
def test_a_ring_shorter_than_a_readers_distance_keeps_nobody_busy(run_dir: Path, slots: int) -> None:
    """In it a reader was overtaken again after each gap: without end, and with a line in the log each time."""
    written(run_dir, 1).close()
    allocate(ring_path(run_dir, 1), 1, list(range(1, LINES + 1)), slots, 8000, boot_id())
    with pytest.raises(DeviceFault, match="another shape") as fault:
        RingReader(run_dir, 1)
    assert fault.value.code == "ring_foreign"


@pytest.mark.parametrize("head", [51 + 10**6, 1 << 62, (1 << 64) - 1])
def test_a_head_that_no_clock_explains_keeps_nobody_busy(run_dir: Path, head: int) -> None:
    writer = written(run_dir)
    reader = RingReader(run_dir, 1)
    lie_of_the_head(run_dir, head)
    with pytest.raises(DeviceFault, match="impossible"):
        reader.read(25)
    reader.close()
    writer.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lies=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(NUMBERS), st.sampled_from(ODD)), max_size=5),
    head=st.none() | st.integers(0, (1 << 64) - 1),
)
@example(lies=[(0, "frames", 81)], head=102)  # one frame more than a slot has
def test_whatever_stands_in_it_the_follower_goes_on(
    tmp_path: Path, run_dir: Path, lies: list[tuple[int, str, int]], head: int | None
) -> None:
    """No exception, no more frames than the clock permits; then honest slots are followed again."""
    if not (tmp_path / "unit.key").exists():
        make_unit(tmp_path, run_dir, lines=LINES)
    ring_path(run_dir, 1).unlink(missing_ok=True)
    writer = written(run_dir)
    follower = CardFollower(make_unit(tmp_path, run_dir, lines=LINES).config, 1, SYSTEM, None)
    follower.attach()
    for _ in range(10):
        write(writer)
    for number, name, value in lies:
        lie(run_dir, 50 + number, **{name: value})
    if head is not None:
        lie_of_the_head(run_dir, head)
    frames = 0
    for _ in range(300):
        if follower.ready() and (found := follower.read()) is not None:
            frames += found[0].frames
            follower.stretch(1, found[0].frame, found[0].frame + min(found[0].frames, 800))
    assert 0 <= frames <= 80 * 8000
    if follower.reader is not None:
        follower.reader.close()
    writer.close()


def put(path: Path, kind: str) -> None:
    """Something else in the place of a file of capture's."""
    path.unlink()
    match kind:
        case "file":
            path.touch()
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to("/etc/passwd")
        case "loop":
            path.symlink_to(path)
        case "fifo":
            os.mkfifo(path)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "loop", "fifo"])
@pytest.mark.parametrize("name", [ring_path, bell_path])
def test_another_kind_of_file_ends_no_recorder(
    tmp_path: Path, run_dir: Path, name: Callable[[Path, int], Path], kind: str
) -> None:
    clock = ManualClock(monotonic_ns=SYSTEM.monotonic_ns())
    cards = Cards(make_unit(tmp_path, run_dir, lines=LINES).config, clock, {})
    written(run_dir).close()
    good = name(run_dir, 1).with_name("good")
    os.link(name(run_dir, 1), good)
    put(name(run_dir, 1), kind)
    cards.wait(0)
    assert (cards.followers[1].reader is None) == ((name, kind) != (bell_path, "fifo")), "another FIFO is as good"
    if name(run_dir, 1).is_dir() and not name(run_dir, 1).is_symlink():
        name(run_dir, 1).rmdir()
    good.replace(name(run_dir, 1))
    clock.advance(2 * NS_PER_S)
    cards.wait(0)
    assert cards.followers[1].reader is not None
    put(ring_path(run_dir, 1), kind)
    clock.advance(2 * NS_PER_S)
    cards.wait(0)
    assert cards.followers[1].reader is not None, "the one that it had"


def test_a_new_ring_again_and_again_costs_no_descriptors(tmp_path: Path, run_dir: Path) -> None:
    clock = ManualClock(monotonic_ns=SYSTEM.monotonic_ns())
    cards = Cards(make_unit(tmp_path, run_dir, lines=LINES).config, clock, {})
    counts = []
    for _ in range(20):
        ring_path(run_dir, 1).unlink(missing_ok=True)
        written(run_dir, 5).close()
        clock.advance(2 * NS_PER_S)
        cards.wait(0)
        assert cards.followers[1].reader is not None
        counts.append(len(os.listdir("/proc/self/fd")))
    assert counts[-1] == counts[1]


def test_a_ring_that_was_given_up_stays_replaced_until_somebody_has_seen_it(tmp_path: Path, run_dir: Path) -> None:
    """The look for a new ring may come between; what begins at frame 0 then is not the old ring's."""
    clock = ManualClock(monotonic_ns=SYSTEM.monotonic_ns())
    writer, follower = written(run_dir), CardFollower(make_unit(tmp_path, run_dir, lines=LINES).config, 1, clock, None)
    follower.attach()
    write(writer)
    lie(run_dir, 50, flags=1, frames=10**15)
    assert follower.read() is None
    assert follower.replaced
    writer.close()
    ring_path(run_dir, 1).unlink()
    written(run_dir, 5).close()
    clock.advance(2 * NS_PER_S)
    follower.attach()
    assert follower.reader is not None
    assert follower.replaced
