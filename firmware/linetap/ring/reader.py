# SPDX-License-Identifier: Apache-2.0
"""The recorder's side of the ring: its own cursor, and any stretch of the past that the ring still holds."""

from __future__ import annotations

import contextlib
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from linetap.errors import DeviceFault
from linetap.ring.batch import Batch, Stretch, assemble, batch_of, gap_batch
from linetap.ring.layout import (
    CRC_FROM,
    GAP_CAUSES,
    GAP_OVERRUN,
    GAP_RESTART,
    I16,
    MAGIC,
    NS_PER_FRAME,
    SLOT_FRAMES,
    VERSION,
    Mapped,
    bell_path,
    boot_id,
    read_header,
    ring_path,
    slot_dtype,
)

_BELL_READS = 16  # 64 KiB, as much as a FIFO holds


class RingReader:
    """The recorder's side: its own cursor, and any stretch of the past that the ring still holds."""

    GUARD_SLOTS = 8  # never read what the writer is about to overwrite
    PATIENCE = 200  # looks at a slot that is not whole before it is given up as lost

    def __init__(self, run_dir: Path, card: int) -> None:
        """DeviceFault `ring_absent` or `ring_foreign` when there is no ring of this boot and version."""
        path, bell = ring_path(run_dir, card), bell_path(run_dir, card)
        header = read_header(path)
        if header is None or not bell.exists():
            raise DeviceFault("ring_absent", f"{path}: no ring; capture@{card} has not started")
        if header["magic"] != MAGIC or header["version"] != VERSION or header["boot"] != boot_id():
            raise DeviceFault("ring_foreign", f"{path}: a ring of another version or boot; restart capture@{card}")
        self.line_numbers = [int(n) for n in header["line_numbers"][: int(header["lines"])]]
        self.lines = len(self.line_numbers)
        if not 1 <= self.lines == int(header["lines"]) or int(header["slot_bytes"]) != slot_dtype(self.lines).itemsize:
            raise DeviceFault("ring_foreign", f"{path}: a ring of another shape; restart capture@{card}")
        self.ring_id = int(header["ring_id"])
        self._count = int(header["slots"])
        try:
            self._map = Mapped(path, self.lines, self._count, writable=False)
        except (OSError, ValueError) as error:  # it was taken away or made shorter meanwhile
            raise DeviceFault("ring_absent", f"{path}: {error}; restart capture@{card}") from None
        slots = self._map.slots
        self._seqs, self._flags, self._frames, self._audio = (slots[n] for n in ("seq", "flags", "frame", "audio"))
        self._bell = os.open(bell, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        self.cursor = self._map.head
        self._next_frame = self._end_of_last()
        self._looks = 0
        self._asked = (0, 0)  # by the last `stretch`
        self._of_all: I16 = np.empty((self.lines, 0), np.int16)  # what was copied last of all lines, and from where on
        self._of_all_from = self._of_all_end = 0

    def _end_of_last(self) -> int:
        """Frame behind the slot before the cursor: where a gap begins if the very first read finds it overtaken."""
        if self.cursor == 0:
            return 0
        last = self._map.slots[(self.cursor - 1) % self._count]
        return int(last["frame"] + last["frames"])

    def fileno(self) -> int:
        """Readable when the doorbell rang."""
        return self._bell

    def silence_bell(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BELL_READS):  # and not until it is empty: who rings without end would keep us here
                if not os.read(self._bell, 4096):
                    break

    def replaced(self) -> bool:
        """Whether capture has made a new ring of another shape under the same name."""
        try:
            return self._map.path.stat().st_ino != self._map.inode
        except FileNotFoundError:
            return True

    def seek(self, cursor: int, next_frame: int) -> None:
        """Go on where an earlier recorder stopped."""
        self.cursor = min(cursor, self._map.head)
        self._next_frame = next_frame

    def rewind(self, slots: int) -> None:
        """Go back so many slots, or as far as the ring still holds them."""
        oldest = max(0, self._map.head - self._count + 2 * self.GUARD_SLOTS)
        earlier = max(self.cursor - slots, oldest)
        if earlier < self.cursor:
            self.cursor = earlier
            self._next_frame = int(self._map.slots["frame"][earlier % self._count])

    def lag(self) -> int:
        """Slots written and not yet read."""
        return self._map.head - self.cursor

    def read(self, most: int) -> Batch | None:
        """The next whole slots, at most `most`, or one gap; None when there is nothing new."""
        head = self._map.head
        if head - self.cursor > self._count - self.GUARD_SLOTS:
            return self._overtaken(head)
        wanted = min(head - self.cursor, most)
        if wanted <= 0:
            return None
        slots = self._copy(self.cursor, self.cursor + wanted)
        whole = self._whole(slots)
        if whole == 0:
            return self._not_whole(head)
        self._looks = 0
        gaps = np.flatnonzero(slots["flags"][:whole] & (GAP_OVERRUN | GAP_RESTART))
        if len(gaps) and gaps[0] == 0:
            return self._gap(slots[0])
        batch = batch_of(slots[: gaps[0] if len(gaps) else whole], self.cursor)
        self.cursor += batch.frames // SLOT_FRAMES
        self._next_frame = batch.frame + batch.frames
        return batch

    def stretch(self, line_index: int, first: int, end: int) -> Stretch:
        """Audio of one line from frame `first` up to `end`; what the ring no longer holds is gap `ring_overtaken`.

        Only frames that `read` has passed, or that are known to be written, may be asked for.
        """
        begin = self._of_all_from
        if begin <= first and end <= self._of_all_end:
            return Stretch(self._of_all[line_index, first - begin : end - begin], [])
        head = self._map.head
        oldest = max(0, head - self._count + self.GUARD_SLOTS)
        low = self._slot_at(first, oldest, head)
        high = min(self._slot_at(end - 1, low, head) + 1, head)
        plain = self._plain(line_index, low, high, first, end)
        if plain is not None:
            return Stretch(plain, [])
        fields = ["seq", "flags", "frame", "frames"]
        info = np.concatenate([self._map.slots[fields][part] for part in self._parts(low, high)])
        audio = np.concatenate([self._map.slots["audio"][part, line_index] for part in self._parts(low, high)])
        live = np.concatenate([self._map.slots["seq"][part] for part in self._parts(low, high)])
        valid = live == np.arange(low + 1, high + 1, dtype=np.uint64)
        return assemble(info, audio, valid, first, end)

    def _plain(self, line_index: int, low: int, high: int, first: int, end: int) -> I16 | None:
        """A copy of what was asked for, where these slots hold all of it, hold no gap, and lie one behind the other.

        They are overwritten from the first on, so that the first tells whether any was during the copy. Whoever asks
        for the same frames of a second line will ask for all the others too: they are copied together then.
        """
        again, self._asked = (first, end) == self._asked, (first, end)
        a, b = low % self._count, (high - 1) % self._count + 1
        if b <= a:
            return None
        begin, frames = int(self._frames[a]), (b - a) * SLOT_FRAMES
        if begin > first or begin + frames < end or int(self._frames[b - 1]) != begin + frames - SLOT_FRAMES:
            return None
        if (self._flags[a:b] & (GAP_OVERRUN | GAP_RESTART)).any():
            return None
        lines = slice(0, self.lines) if again else slice(line_index, line_index + 1)
        samples: I16 = self._audio[a:b, lines].transpose(1, 0, 2).copy().reshape(-1, frames)
        if self._seqs[a] != low + 1 or self._seqs[b - 1] != high:
            return None
        if again:
            self._of_all, self._of_all_from, self._of_all_end = samples, begin, begin + frames
        one: I16 = samples[line_index if again else 0, first - begin : end - begin]
        return one

    def _parts(self, low: int, high: int) -> list[slice]:
        a, b = low % self._count, (high - 1) % self._count + 1
        return [slice(a, b)] if a < b else [slice(a, self._count), slice(0, b)]

    def _slot_at(self, frame: int, low: int, high: int) -> int:
        """The last slot in [low, high) that begins at or before `frame`, else `low`."""
        if high > low:  # without a gap in between it is found at once
            last = int(self._frames[(high - 1) % self._count])
            guess = max(low, high - 1 - max(0, last - frame + SLOT_FRAMES - 1) // SLOT_FRAMES)
            begin = int(self._frames[guess % self._count])
            if begin <= frame < begin + SLOT_FRAMES:
                return guess
        left, right = low, high
        while right - left > 1:
            middle = (left + right) // 2
            if int(self._frames[middle % self._count]) <= frame:
                left = middle
            else:
                right = middle
        return left

    def _copy(self, low: int, high: int) -> npt.NDArray[Any]:
        return np.concatenate([self._map.slots[part] for part in self._parts(low, high)])

    def _whole(self, slots: npt.NDArray[Any]) -> int:
        """How many of the copied slots, from the first, are whole and were not overtaken during the copy."""
        live = np.concatenate([self._map.slots["seq"][p] for p in self._parts(self.cursor, self.cursor + len(slots))])
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
        """The slot's stores are still on their way, or it is being overwritten: look again, but not for ever."""
        self._looks += 1
        if self._looks <= self.PATIENCE or self.cursor + 1 >= head:
            return None
        self._looks = 0
        return self._skip_to(self.cursor + 1, "ring_damaged")

    def _overtaken(self, head: int) -> Batch | None:
        return self._skip_to(head - self._count // 2, "ring_overtaken")

    def _skip_to(self, cursor: int, cause: str) -> Batch:
        slot = self._map.slots[cursor % self._count]
        frame, mono_ns, utc_ns = int(slot["frame"]), int(slot["mono_ns"]), int(slot["utc_ns"])
        start = self._next_frame
        ago = (frame - start) * NS_PER_FRAME
        batch = gap_batch(self.lines, self.cursor, start, frame - start, mono_ns - ago, utc_ns - ago, cause)
        self.cursor = cursor
        self._next_frame = frame
        return batch

    def close(self) -> None:
        os.close(self._bell)
        del self._seqs, self._flags, self._frames, self._audio
        self._map.close()
