# SPDX-License-Identifier: Apache-2.0
"""A walk test in the recorder: its start, its observations, and its report.

A walk test acts on no call. Its only effect is that the requested line is announced even while it is at fault, so that
its repair can be shown.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from linetap.config.schema import Config
from linetap.recorder.vault.writer import VaultWriter
from linetap.recorder.walk.turn import Observation
from linetap.recorder.walk.walk import Walk, worst
from linetap_core import __version__
from linetap_core.clock import NS_PER_S, S_PER_DAY, Clock, rfc3339
from linetap_core.records import CallRecord, Refused, StartWalk, StopWalk, Walking, WalkState
from linetap_core.vaultformat.walkreport import WalkReport

# Each test leaves a permanent report, leaf and events. Line by line, the largest unit needs 128.
MOST_A_DAY = 200

log = logging.getLogger("linetap.recorder")


class WalkedLines(Protocol):
    """The walk test's interface to core.Recorder."""

    def set_walk_line(self, line: int | None) -> None: ...
    def observation(self, line: int, mono_s: float) -> Observation: ...


class Guide:
    """The walk test. Call `turn` once for every turn of the main thread; no method waits."""

    def __init__(
        self,
        config: Config,
        config_sha256: str,
        clock: Clock,
        core: WalkedLines,
        vault: VaultWriter,
        held: Callable[[], set[str]],
        walk: Walk | None,
    ) -> None:
        """`held`: calls that wait for their SMDR line. `walk`: an unfinished walk test of an earlier recorder."""
        self._config, self._sha256, self._clock = config, config_sha256, clock
        self._core, self._vault, self._held = core, vault, held
        self.walk = walk
        self._begun_s: deque[float] = deque(maxlen=MOST_A_DAY)
        if walk is not None and not walk.fits(config):
            log.error("walk_lost: the configured lines have changed; start the walk test again")
            self.walk = None

    def turn(self) -> bool:
        """Observes the line, passes a finished report to the vault; returns whether the checkpoint must be written."""
        walk = self.walk
        if walk is None:
            return False
        mono_s, utc_ns = self._now()
        before = walk.ended_by, walk.reported, walk.tested_line
        if walk.ended_by is None:
            self._observe(walk, mono_s, utc_ns)
        elif not walk.reported:  # the end is in the checkpoint by now: a repeated report would be equal
            walk.wait_for_seals(self._vault.closing() | self._held(), mono_s)
            if not walk.unsealed:
                self._vault.walked(self._report(walk))
                walk.reported = True
        elif walk.is_past(mono_s):
            self.walk = None
        self._core.set_walk_line(walk.tested_line)
        return self.walk is None or before != (walk.ended_by, walk.reported, walk.tested_line)

    @property
    def unreported(self) -> bool:
        """Whether the vault still lacks the report."""
        return self.walk is not None and not self.walk.reported

    def call_over(self, record: CallRecord) -> None:
        """Receives the record of every call that ends."""
        if self.walk is not None and self.walk.turn is not None:
            self.walk.turn.call_over(record)

    def state(self) -> WalkState | None:
        return self.walk.state(self._now()[0]) if self.walk is not None else None

    def _observe(self, walk: Walk, mono_s: float, utc_ns: int) -> None:
        walk.observe(self._config, lambda line: self._core.observation(line, mono_s), mono_s, utc_ns)

    def carry_out(self, command: StartWalk | StopWalk) -> Refused | Walking:
        """Executes the command; returns the answer for the client."""
        running = self.walk is not None and self.walk.ended_by is None
        if isinstance(command, StartWalk):
            why = "a walk test is running already" if running else self._start(command)
        else:
            why = None if self.stop() else "no walk test is running"
        if why is not None:
            return Refused(0, why)
        assert self.walk is not None
        return Walking(rfc3339(self.walk.began_ns))

    def stop(self) -> bool:
        """Stops a running walk test; returns whether there was one."""
        if self.walk is None or self.walk.ended_by is not None:
            return False
        mono_s, utc_ns = self._now()
        self.walk.end("stopped", self._config, mono_s, utc_ns)
        return True

    def _start(self, command: StartWalk) -> str | None:
        known = {line.number for line in self._config.line}
        if unknown := set(command.lines) - known:
            return f"there is no line {min(unknown)}"
        if self.walk is not None and not self.walk.reported:
            return "the report of the last walk test is not stored yet"
        mono_s, utc_ns = self._now()
        if len(self._begun_s) == MOST_A_DAY and mono_s - self._begun_s[0] < S_PER_DAY:
            return f"{MOST_A_DAY} walk tests were begun within a day"
        self._begun_s.append(mono_s)
        lines = sorted(set(command.lines) or known)
        self.walk = Walk(by=command.by, began_ns=utc_ns, began_s=mono_s, waiting=lines)
        log.info("walk_begun: by %s, %d lines", command.by, len(lines))
        return None

    def _report(self, walk: Walk) -> WalkReport:
        assert walk.ended_by is not None
        assert walk.ended_at is not None
        return WalkReport(
            unit=self._config.unit, version=__version__, config_sha256=self._sha256, by=walk.by,
            began_at=rfc3339(walk.began_ns), ended_at=walk.ended_at, ended_by=walk.ended_by,
            passed=bool(walk.done) and worst(walk.done) != "red", lines=walk.done,
        )  # fmt: skip

    def _now(self) -> tuple[float, int]:
        return self._clock.monotonic_ns() / NS_PER_S, self._clock.utc_ns()
