# SPDX-License-Identifier: Apache-2.0
"""Lines fed to a real recorder as fast as it can follow: its ring, its clock, and capture's answers.

The recorder is a unit's process, with its own ring file and vault. Its clock (hastened.c) follows the frames in the
ring, so that six hours of calls are six hours for all its threads; only the disk has its real speed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import random
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import msgspec

from linetap.config import Config
from linetap.notices import notices_of
from linetap.recorder.replay.card import ReplayCard
from linetap.ring import NS_PER_FRAME, RATE_HZ, SLOT_MS, Batch, RingWriter
from linetap.ring.layout import SLOT_FRAMES, bell_path
from linetap.sockets import Listener
from linetap_bench.day.recorder import rendered
from linetap_bench.script.callkeys import Call, Keys
from linetap_bench.script.scriptkeys import Script
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices
from linetap_core import rundir
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.records import CaptureCommand, PlayNotice

LINES = 8
STEP_SLOTS = 12  # twice this is the recorder's greatest lag, and a notice is requested half a second ahead
LIMIT_S = 120.0  # limit of a recorder for one step, on a machine with other work
SAID = ("네, 시청 민원실입니다. 무엇을 도와드릴까요?", "어제 신청한 건축 허가가 어떻게 되었는지 궁금합니다.")
_BREAK_S = 5.0  # between two calls of a line
_IDLE_S = 25.0  # at the end of the tape: all calls are over, and it can restart


class Tape:
    """A stretch of calls on eight lines, rendered once and played repeatedly."""

    def __init__(self, seconds: float, folder: Path, seed: int = 17) -> None:
        calls = list(_drawn(seconds - _IDLE_S, random.Random(seed)))
        self.talks = sum(times_of(call).talk_to > times_of(call).talk_from for call in calls)
        script = Script(lines=LINES, seed=seed, call=calls, duration_s=seconds)
        self.audio, self.levels = rendered(script, list(range(1, LINES + 1)), Voices(folder))

    @property
    def seconds(self) -> float:
        return float(self.audio.shape[1] / RATE_HZ)


def _drawn(seconds: float, chosen: random.Random) -> Iterator[Call]:
    for line in range(1, LINES + 1):
        at_s = 1.0 + 0.7 * line
        while True:
            call = _call(line, at_s, chosen)
            at_s = times_of(call).end / 1000 + _BREAK_S
            if at_s > seconds:
                break
            yield call


def _call(line: int, at_s: float, chosen: random.Random) -> Call:
    kind, talk_s = chosen.random(), chosen.choice((5.0, 9.0, 14.0, 25.0, 60.0))
    talk = [*SAID] if talk_s < 60 else [*SAID, *SAID[::-1]]
    incoming = Call(line=line, start_s=at_s, direction="in", rings=1, talk=talk, talk_s=talk_s)
    digits = chosen.choice(("0212345678", "01098765432", "16441234"))
    outgoing = msgspec.structs.replace(incoming, direction="out", digits=digits)
    if kind < 0.08:
        return msgspec.structs.replace(incoming, outcome="unanswered", rings=3)
    if kind < 0.14:
        return msgspec.structs.replace(outgoing, outcome="busy")
    if kind < 0.24 and talk_s > 10:
        return msgspec.structs.replace(incoming, flash_at_s=[5.0])
    if kind < 0.34 and talk_s > 10:
        return msgspec.structs.replace(incoming, keys=[Keys(at_s=8.0, digits="**9")])
    return outgoing if kind < 0.65 else incoming


class HastenedClock:
    """The file of hastened.c; `environment` for the process that uses this clock."""

    def __init__(self, folder: Path) -> None:
        shim, path = folder / "hastened.so", folder / "elapsed"
        source = Path(__file__).with_name("hastened.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True, timeout=60)
        self.began_utc_ns, self.began_mono_ns = SYSTEM.utc_ns(), SYSTEM.monotonic_ns()
        path.write_bytes(struct.pack("=3q", 0, self.began_utc_ns, self.began_mono_ns))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 24)
        self._now = memoryview(self._memory).cast("q")
        self.environment = {"LD_PRELOAD": str(shim), "LINETAP_TEST_HASTENED": str(path)}

    def to(self, elapsed_ns: int) -> None:
        """Sets the clock, which never goes back."""
        self._now[0] = max(self._now[0], elapsed_ns)

    def close(self) -> None:
        self._now.release()
        self._memory.close()


class FastLines:
    """Capture's side of one card for the recorder; made before the recorder starts."""

    def __init__(self, config: Config, clock: HastenedClock, tape: Tape) -> None:
        card = config.card[0]
        self._config, self._clock, self._tape = config, clock, tape
        self._lines = config.lines_of(card.number)
        numbers = [line.number for line in self._lines]
        self._ring = RingWriter(config.run_path, card.number, numbers, card.ring_s, RATE_HZ)
        self._bell = os.open(bell_path(config.run_path, card.number), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._listener = Listener(rundir.socket_path(config.run_path, card.number))
        self._notices = notices_of(config)

    @property
    def elapsed_s(self) -> float:
        return self._ring.next_frame / RATE_HZ

    def play(self, living: object = None) -> Iterator[float]:
        """Plays the tape once; yields the total elapsed time after each step. `living` tests whether the
        recorder runs.
        """
        begins, audio, levels = self._ring.next_frame, self._tape.audio.copy(), self._tape.levels
        card = ReplayCard(self._lines, audio, levels, self._notices, self._clock.began_utc_ns, set())
        while (batch := card.next(STEP_SLOTS)) is not None:
            self._write(batch)
            self._wait_until_heard(living)
            self._listen(card, begins)
            yield self.elapsed_s

    def _write(self, batch: Batch) -> None:
        for slot in range(batch.frames // SLOT_FRAMES):
            at_ns = self._ring.next_frame * NS_PER_FRAME
            frames, ms = (
                slice(slot * SLOT_FRAMES, (slot + 1) * SLOT_FRAMES),
                slice(slot * SLOT_MS, (slot + 1) * SLOT_MS),
            )
            self._ring.write(
                batch.audio[:, frames], batch.hook[:, ms], batch.ring[:, ms], batch.polarity[:, ms],
                batch.volts[:, slot], batch.notice[slot], batch.notice_frame[slot],
                self._clock.began_mono_ns + at_ns, self._clock.began_utc_ns + at_ns,
            )  # fmt: skip
        self._clock.to(self._ring.next_frame * NS_PER_FRAME)

    def _wait_until_heard(self, living: object) -> None:
        """Waits until the recorder has acknowledged the doorbell: it has followed all slots before this step. During
        its other work its clock runs at normal speed.
        """
        begun_ns, written_ns = SYSTEM.monotonic_ns(), self._ring.next_frame * NS_PER_FRAME
        unheard = bytearray(4)
        while True:
            fcntl.ioctl(self._bell, termios.FIONREAD, unheard)
            if not int.from_bytes(unheard, "little"):
                return
            waited_ns = SYSTEM.monotonic_ns() - begun_ns
            assert waited_ns < LIMIT_S * NS_PER_S, "the recorder follows no more"
            assert not callable(living) or living(), "the recorder has ended"
            self._clock.to(written_ns + waited_ns)
            SYSTEM.sleep(0.0005)

    def _listen(self, card: ReplayCard, begins: int) -> None:
        for _, data in self._listener.poll():
            match msgspec.json.decode(data, type=CaptureCommand):
                case PlayNotice(line=line, notice=notice, at_frame=at_frame):
                    card.play(line, notice, at_frame - begins)
                case asked:
                    card.stop(asked.line)

    def close(self) -> None:
        self._listener.close()
        os.close(self._bell)
        self._ring.close()
