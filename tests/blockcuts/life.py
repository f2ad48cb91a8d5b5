# SPDX-License-Identifier: Apache-2.0
"""Calls on all lines of a unit, with power cuts at random moments.

Capture and recorder are real, the exchange is simulated, the disk has a volatile cache. Some cuts follow a kill of the
recorder.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

from disk import Disk
from tap import Tap, Truth

from linetap.config import Config
from linetap_bench.stage.processes import Child
from linetap_bench.stage.stage import Stage
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM
from linetap_core.records import RecorderState
from linetap_core.service import read_state
from unit_rig import save_notice, spoken

LINES = 8
FILL_MS = 120
UP_S = 120
SURE_S = 3  # after so many seconds of recording by a running recorder, a call's audio must survive
TEARS = (512, 4096)
LATE_MS = 3000  # longest time from a recorder's kill to the cut


@dataclass
class Cut:
    """A power cut. `image`: the disk after it.

    `begun`: calls that the recorder reported as recording for SURE_S, while it ran for as long.
    `dead_ms`: the time since the recorder's kill; None while the recorder ran.
    """

    image: Path
    seed: int
    mono_ns: int
    utc_ns: int
    begun: frozenset[str]
    dead_ms: float | None


@dataclass
class Lived:
    folder: Path
    config: Config
    truth: Truth
    cuts: list[Cut] = field(default_factory=list)
    kills: int = 0


def script(seconds: int, seed: int) -> str:
    """A script of short calls, one after the other on every line, with audio that never repeats."""
    chance = random.Random(seed)
    text = [f"lines = {LINES}", f"seed = {seed}", f"duration_s = {seconds}.0"]
    for line in range(1, LINES + 1):
        at = chance.uniform(0.5, 3.0)
        while True:
            talk = chance.choice((chance.uniform(2.5, 6), chance.uniform(6, 14), chance.uniform(14, 30)))
            missed = chance.random() < 0.15
            length = 8.0 if missed else 3.5 + talk
            if at + length + 4 > seconds:
                break
            text += ["[[call]]", f"line = {line}", f"start_s = {at:.2f}", 'direction = "in"', "rings = 1"]
            if missed:
                text.append('outcome = "unanswered"')
            else:
                text += ["talk_after_s = 0.0", f"talk_s = {talk:.2f}", "dense_dbm0 = -20.0"]
            at += length + 1.5 + chance.uniform(2.0, 4.0)
    return "\n".join(text) + "\n"


class Life:
    def __init__(self, folder: Path, seconds: int, seed: int, kills: float, cuts_a_kill: int = 3) -> None:
        """`kills`: the share of kills among kills and cuts; `cuts_a_kill`: the number of cuts after each kill."""
        self._cuts_a_kill = cuts_a_kill
        self.folder, self._seconds, self._chance, self._kills = folder, seconds, random.Random(seed), kills
        self._seed = seed
        self._up_ns = 0  # start of the present recorder
        self._since: dict[str, int] = {}  # call -> time of the first state in which it is recording

    def run(self, most_cuts: int, most_kills: int = 1 << 30) -> Lived:
        """Plays the calls, with at most so many cuts and kills; leaves the images in `folder`."""
        vault = self.folder / "vault"
        with Disk(self.folder, vault) as disk, Stage(self.folder, lines=LINES) as stage:
            self._stage, self._disk = stage, disk
            save_notice(self.folder / "notices" / "ko.wav", spoken(1.0))
            path = self.folder / "calls.toml"
            path.write_text(script(self._seconds, self._seed))
            config = stage.prepare(self.folder / "notices", {"reserve_mb = 256": "reserve_mb = 16"})
            exchange = stage.start_exchange(path, fill_ms=FILL_MS)
            stage.start("capture")
            tap = Tap(stage.run_dir)
            self._recorder = self._start()
            lived = Lived(self.folder, config, Truth.__new__(Truth))
            while exchange.process.poll() is None and len(lived.cuts) < most_cuts and lived.kills < most_kills:
                self._wait(self._chance.uniform(0.05, 0.6))
                if self._chance.random() < self._kills:
                    self._after_kill(lived)
                else:
                    self._cut(lived, None)
            if not lived.cuts:
                self._cut(lived, None)
            stage.children.end(exchange)
            lived.truth = tap.end()
        return lived

    def _after_kill(self, lived: Lived) -> None:
        """Kills the recorder, makes the cuts without one, then starts the next recorder."""
        self._recorder.process.kill()
        killed_ns = SYSTEM.monotonic_ns()
        self._recorder.process.wait(UP_S)
        lived.kills += 1
        self._stage.children.children.remove(self._recorder)
        for after in sorted(self._chance.uniform(0, LATE_MS) for _ in range(self._cuts_a_kill)):
            left_ns = killed_ns + round(after * NS_PER_MS) - SYSTEM.monotonic_ns()
            SYSTEM.sleep(max(0, left_ns) / NS_PER_S)
            self._cut(lived, killed_ns)
        self._recorder = self._start()

    def _cut(self, lived: Lived, killed_ns: int | None) -> None:
        self._look()
        now_ns = SYSTEM.monotonic_ns()
        lived_ns = (now_ns if killed_ns is None else killed_ns) - SURE_S * NS_PER_S
        begun = frozenset(call for call, since_ns in self._since.items() if max(since_ns, self._up_ns) < lived_ns)
        number = len(lived.cuts)
        seed = self._seed * 100_000 + number
        image = self.folder / f"cut-{number:04}.img"
        dead_ms = None if killed_ns is None else (now_ns - killed_ns) / NS_PER_MS
        cut = Cut(image, seed, now_ns, SYSTEM.utc_ns(), begun, dead_ms)
        self._disk.cut(image, seed, self._chance.choice(TEARS))
        lived.cuts.append(cut)

    def _start(self) -> Child:
        begun_ns = SYSTEM.monotonic_ns()
        recorder = self._stage.start("recorder")
        while (state := self._state()) is None or state.mono_ns < begun_ns or not state.progress:
            assert recorder.process.poll() is None, recorder.log_tail()
            assert SYSTEM.monotonic_ns() < begun_ns + UP_S * NS_PER_S, "the recorder does not come up"
            SYSTEM.sleep(0.05)
        self._up_ns = SYSTEM.monotonic_ns()
        return recorder

    def _wait(self, seconds: float) -> None:
        deadline_ns = SYSTEM.monotonic_ns() + round(seconds * NS_PER_S)
        while SYSTEM.monotonic_ns() < deadline_ns:
            self._look()
            SYSTEM.sleep(0.05)

    def _look(self) -> None:
        if (state := self._state()) is not None:
            for line in state.lines:
                if line.state == "recording" and line.call_id:
                    self._since.setdefault(line.call_id, state.mono_ns)

    def _state(self) -> RecorderState | None:
        return read_state(self._stage.run_dir, "recorder", RecorderState)
