# SPDX-License-Identifier: Apache-2.0
"""The recorder's side of the ring: a cursor of its own, and any stretch of the past that is still in the ring.

The ring is copied by pread(2) and never mapped: its writer can shorten the file, which would end a reader with a
mapping by SIGBUS. With pread(2) missing bytes are zeros: incomplete slots, and a head that does not move.

All data from capture is untrusted. A slot with a correct CRC may still have impossible frames or times. A ring with
such a slot is given up (`ring_lies`), like a ring of another shape.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linetap.ring.batch import Batch, Stretch, assemble, batch_of, gap_batch
from linetap.ring.layout import (
    CRC_FROM,
    GAP_CAUSES,
    GAP_OVERRUN,
    GAP_RESTART,
    HEADER,
    HEADER_BYTES,
    I16,
    MAGIC,
    NS_PER_FRAME,
    SLOT_FRAMES,
    VERSION,
    bell_path,
    boot_id,
    read_header,
    ring_path,
    slot_dtype,
)
from linetap_core.clock import NS_PER_S, SYSTEM, Clock
from linetap_core.errors import DeviceFault

_FIELDS: Any = HEADER.fields
_HEAD_AT = _FIELDS["head"][1]
_CACHED_SLOTS = 200  # at most 2 s of all lines: longer stretches are requested only once, after a disk stall
_BELL_READS = 16  # 64 KiB, as much as a FIFO holds
_SLACK_NS = 60 * NS_PER_S  # lead of frames over the machine's clock that is tolerated, beyond that of a codec 1 % fast
# The year 2232: Linux lets nobody set a later time (TIME_SETTOD_SEC_MAX in its time64.h). An earlier limit would end
# the recording where the battery of a clock fails.
_LATEST_NS = 8_277_292_036 * NS_PER_S


def _opened(path: Path, is_kind: Callable[[int], bool]) -> int:
    """A descriptor. OSError where it is a link or of another kind: capture may have put anything there."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not is_kind(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "another kind of file expected", str(path))
    return fd


class Copied:
    """A ring read by copies. `slots(low, high)` copies the present slots. OSError if the file cannot be opened."""

    def __init__(self, path: Path, lines: int, count: int) -> None:
        self.path, self._count = path, count
        self._dtype = slot_dtype(lines)
        fields: Any = self._dtype.fields
        self._seq_at, self._frame_at, self._frames_at = (fields[name][1] for name in ("seq", "frame", "frames"))
        self._fd = _opened(path, stat.S_ISREG)
        self.inode = os.fstat(self._fd).st_ino

    @property
    def head(self) -> int:
        """The number of slots written so far."""
        return self._number(_HEAD_AT)

    def slots(self, low: int, high: int) -> npt.NDArray[Any]:
        found = np.zeros(high - low, self._dtype)
        size, raw, at = self._dtype.itemsize, memoryview(found.view(np.uint8)), 0
        while at < len(found):
            index = (low + at) % self._count
            piece = min(len(found) - at, self._count - index)
            os.preadv(self._fd, [raw[at * size : (at + piece) * size]], HEADER_BYTES + index * size)
            at += piece
        return found

    def seq(self, number: int) -> int:
        """The present `seq` of slot `number`: its number + 1 while it is in the ring."""
        return self._number(self._at(number) + self._seq_at)

    def seqs(self, low: int, high: int) -> npt.NDArray[np.uint64]:
        return np.array([self.seq(number) for number in range(low, high)], np.uint64)

    def frame(self, number: int) -> int:
        return self._number(self._at(number) + self._frame_at, signed=True)

    def end(self, number: int) -> int:
        """The frame after slot `number`."""
        return self.frame(number) + self._number(self._at(number) + self._frames_at, signed=True)

    def close(self) -> None:
        os.close(self._fd)

    def _at(self, number: int) -> int:
        return HEADER_BYTES + number % self._count * self._dtype.itemsize

    def _number(self, at: int, signed: bool = False) -> int:
        return int.from_bytes(os.pread(self._fd, 8, at), "little", signed=signed)


class RingReader:
    """Reads the ring from a cursor of its own."""

    GUARD_SLOTS = 8  # never read slots that the writer is about to overwrite
    LEAST_SLOTS = 2 * GUARD_SLOTS  # in a shorter ring a reader would be overtaken again wherever it continues
    MOST_INCOMPLETE_READS = 200  # of an incomplete slot, which is then given up as lost

    def __init__(self, run_dir: Path, card: int, clock: Clock = SYSTEM) -> None:
        """DeviceFault `ring_absent` or `ring_foreign` without a ring of this boot and version."""
        path, bell = ring_path(run_dir, card), bell_path(run_dir, card)
        header = read_header(path)
        if header is None or not os.path.exists(bell):
            raise DeviceFault("ring_absent", f"{path}: no ring; capture@{card} has not started")
        if header["magic"] != MAGIC or header["version"] != VERSION or header["boot"] != boot_id():
            raise DeviceFault("ring_foreign", f"{path}: a ring of another version or boot; restart capture@{card}")
        self.line_numbers = [int(n) for n in header["line_numbers"][: int(header["lines"])]]
        self.lines = len(self.line_numbers)
        fits = 1 <= self.lines == int(header["lines"]) and int(header["slots"]) >= self.LEAST_SLOTS
        if not fits or int(header["slot_bytes"]) != slot_dtype(self.lines).itemsize:
            raise DeviceFault("ring_foreign", f"{path}: a ring of another shape; restart capture@{card}")
        self.ring_id = int(header["ring_id"])
        self._count = int(header["slots"])
        try:
            self._ring = Copied(path, self.lines, self._count)
            try:
                self._bell = _opened(bell, stat.S_ISFIFO)
            except OSError:
                self._ring.close()
                raise
        except OSError as error:  # it was removed meanwhile, or is something else
            raise DeviceFault("ring_absent", f"{path}: {error}; restart capture@{card}") from None
        self.cursor = self._ring.head
        self._next_frame = self._ring.end(self.cursor - 1) if self.cursor else 0
        self._clock, self._began_ns = clock, self._written_ns(clock.monotonic_ns())
        self._began_head, self._began_frame = self.cursor, self._next_frame
        self._incomplete_reads = 0
        self._asked = (0, 0)  # frames requested by the last `stretch`
        self._cached: I16 = np.empty((self.lines, 0), np.int16)  # the last copy of all lines, with its frames
        self._cached_from = self._cached_end = 0

    def _written_ns(self, now_ns: int) -> int:
        """The time of the newest slot. A capture that has been away since then writes a gap from there on."""
        newest = self.newest()
        return newest[1] if newest is not None and 0 <= newest[1] <= now_ns else now_ns

    def fileno(self) -> int:
        """The descriptor that is readable after the doorbell."""
        return self._bell

    def silence_bell(self) -> None:
        """Empties the doorbell."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BELL_READS):  # bounded: an endless writer would otherwise hold the reader
                if not os.read(self._bell, 4096):
                    break

    def replaced(self) -> bool:
        """Whether capture has made a new ring of another shape under the same name."""
        try:
            return self._ring.path.stat().st_ino != self._ring.inode
        except OSError:  # gone, or a loop of links
            return True

    def seek(self, cursor: int, next_frame: int) -> None:
        """Continues where an earlier recorder stopped."""
        self.cursor = min(cursor, self._ring.head)
        self._next_frame = next_frame

    def rewind(self, slots: int) -> None:
        """Moves the cursor back by `slots`, or to the oldest slot in the ring."""
        oldest = max(0, self._ring.head - self._count + 2 * self.GUARD_SLOTS)
        earlier = max(self.cursor - slots, oldest)
        if earlier < self.cursor:
            self.cursor = earlier
            self._next_frame = self._ring.frame(earlier)

    def newest(self) -> tuple[int, int] | None:
        """The first frame of the newest slot, and its monotonic time; None: no slot was written yet."""
        head = self._ring.head
        if not head:
            return None
        slot = self._ring.slots(head - 1, head)[0]
        return int(slot["frame"]), int(slot["mono_ns"])

    def lag(self) -> int:
        """The number of slots that are not read yet."""
        return self._ring.head - self.cursor

    def read(self, most: int) -> Batch | None:
        """The next whole slots, at most `most`, or one gap; None: no new slot.

        DeviceFault `ring_lies`: the ring's content is impossible and cannot be trusted.
        """
        head, expected, now_ns = self._ring.head, self._next_frame, self._clock.monotonic_ns()
        possible = (now_ns - self._began_ns) * 101 // 100 + _SLACK_NS  # the most frames since the beginning
        honest = head <= self._began_head + possible // (SLOT_FRAMES * NS_PER_FRAME)
        batch = self._next(head, most) if honest else None
        if batch is not None:
            latest = self._began_frame + possible // NS_PER_FRAME
            honest = (
                batch.frame == expected <= batch.frame + batch.frames <= latest
                and 0 <= batch.mono_ns <= now_ns + _SLACK_NS and 0 <= batch.utc_ns < _LATEST_NS
            )  # fmt: skip
        if not honest:
            raise DeviceFault("ring_lies", f"{self._ring.path}: impossible frames or times in it; restart capture")
        return batch

    def _next(self, head: int, most: int) -> Batch | None:
        if head - self.cursor > self._count - self.GUARD_SLOTS:
            return self._overtaken(head)
        wanted = min(head - self.cursor, most)
        if wanted <= 0:
            return None
        slots = self._ring.slots(self.cursor, self.cursor + wanted)
        whole = self._count_whole(slots)
        if whole == 0:
            return self._not_whole(head)
        self._incomplete_reads = 0
        gaps = np.flatnonzero(slots["flags"][:whole] & (GAP_OVERRUN | GAP_RESTART))
        if len(gaps) and gaps[0] == 0:
            return self._gap(slots[0])
        batch = batch_of(slots[: gaps[0] if len(gaps) else whole], self.cursor)
        self.cursor += batch.frames // SLOT_FRAMES
        self._next_frame = batch.frame + batch.frames
        return batch

    def stretch(self, line_index: int, first: int, end: int) -> Stretch:
        """The audio of one line from frame `first` up to `end`; audio no longer in the ring is a gap `ring_overtaken`.

        Only frames that `read` has passed, or that are known to be written, may be requested.
        """
        begin = self._cached_from
        if begin <= first and end <= self._cached_end:
            return Stretch(self._cached[line_index, first - begin : end - begin], [])
        head = self._ring.head
        oldest = max(0, head - self._count + self.GUARD_SLOTS)
        low = self._slot_at(first, oldest, head)
        high = min(self._slot_at(end - 1, low, head) + 1, head)
        slots = self._ring.slots(low, max(high, low + 1))
        plain = self._plain(slots, line_index, low, first, end)
        if plain is not None:
            return Stretch(plain, [])
        valid = self._ring.seqs(low, low + len(slots)) == np.arange(low + 1, low + len(slots) + 1, dtype=np.uint64)
        return assemble(slots, slots["audio"][:, line_index], valid, first, end)

    def _plain(self, slots: npt.NDArray[Any], line_index: int, low: int, first: int, end: int) -> I16 | None:
        """The requested audio, if these slots contain all of it and no gap.

        Slots are overwritten from the first on, so the first shows whether any was overwritten during the copy. A
        second request for the same frames means that all lines will be requested: all are then converted together.
        """
        again, self._asked = (first, end) == self._asked, (first, end)
        begin, frames = int(slots["frame"][0]), len(slots) * SLOT_FRAMES
        if begin > first or begin + frames < end or int(slots["frame"][-1]) != begin + frames - SLOT_FRAMES:
            return None
        if (slots["flags"] & (GAP_OVERRUN | GAP_RESTART)).any():
            return None
        if self._ring.seq(low) != low + 1 or self._ring.seq(low + len(slots) - 1) != low + len(slots):
            return None
        again = again and len(slots) <= _CACHED_SLOTS
        lines = slice(0, self.lines) if again else slice(line_index, line_index + 1)
        samples: I16 = slots["audio"][:, lines].transpose(1, 0, 2).reshape(-1, frames)
        if again:
            self._cached, self._cached_from, self._cached_end = samples, begin, begin + frames
        one: I16 = samples[line_index if again else 0, first - begin : end - begin]
        return one

    def _slot_at(self, frame: int, low: int, high: int) -> int:
        """The last slot in [low, high) that begins at or before `frame`, else `low`."""
        if high > low:  # without a gap in between, the first guess is correct
            last = self._ring.frame(high - 1)
            guess = max(low, high - 1 - max(0, last - frame + SLOT_FRAMES - 1) // SLOT_FRAMES)
            begin = self._ring.frame(guess)
            if begin <= frame < begin + SLOT_FRAMES:
                return guess
        left, right = low, high
        while right - left > 1:
            middle = (left + right) // 2
            if self._ring.frame(middle) <= frame:
                left = middle
            else:
                right = middle
        return left

    def _count_whole(self, slots: npt.NDArray[Any]) -> int:
        """The number of copied slots, from the first, that are whole and were not overwritten during the copy."""
        live = self._ring.seqs(self.cursor, self.cursor + len(slots))
        size = slots.dtype.itemsize
        raw = memoryview(slots.tobytes())
        for i in range(len(slots)):
            expected = self.cursor + i + 1
            crc = zlib.crc32(raw[i * size + CRC_FROM : (i + 1) * size])
            if slots["seq"][i] != expected or live[i] != expected or slots["crc"][i] != crc:
                return i
        return len(slots)

    def _gap(self, slot: Any) -> Batch:
        cause = next(text for flag, text in GAP_CAUSES.items() if int(slot["flags"]) & flag)
        batch = gap_batch(
            self.lines, self.cursor, int(slot["frame"]), int(slot["frames"]), int(slot["mono_ns"]),
            int(slot["utc_ns"]), cause,
        )  # fmt: skip
        self.cursor += 1
        self._next_frame = batch.frame + batch.frames
        return batch

    def _not_whole(self, head: int) -> Batch | None:
        """Handles an incomplete slot, which is being written or overwritten: it is read again, with a limit."""
        self._incomplete_reads += 1
        if self._incomplete_reads <= self.MOST_INCOMPLETE_READS or self.cursor + 1 >= head:
            return None
        self._incomplete_reads = 0
        return self._skip_to(self.cursor + 1, "ring_damaged")

    def _overtaken(self, head: int) -> Batch | None:
        return self._skip_to(head - self._count // 2, "ring_overtaken")

    def _skip_to(self, cursor: int, cause: str) -> Batch:
        slot = self._ring.slots(cursor, cursor + 1)[0]
        frame, mono_ns, utc_ns = int(slot["frame"]), int(slot["mono_ns"]), int(slot["utc_ns"])
        start = self._next_frame
        ago = (frame - start) * NS_PER_FRAME
        batch = gap_batch(self.lines, self.cursor, start, frame - start, mono_ns - ago, utc_ns - ago, cause)
        self.cursor = cursor
        self._next_frame = frame
        return batch

    def close(self) -> None:
        os.close(self._bell)
        self._ring.close()
