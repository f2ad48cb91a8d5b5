# SPDX-License-Identifier: Apache-2.0
"""The service panel: shows state files on LEDs, ten times a second, independent of the other services."""

from __future__ import annotations

from dataclasses import replace

from linetap import checks
from linetap.board.interface import UNIT_LEDS, PanelBoard
from linetap.boardchoice import open_panel
from linetap.checks import Judgement, Services, Watch, take_snapshot
from linetap.checks.judgement import alerts_before
from linetap.checks.watch import GRACE_MS, Seen
from linetap.config.schema import Config
from linetap.panel.button import Button, Presses
from linetap.panel.legend import Blinker, Night
from linetap.panel.state import STARTING, Display, shown, state_of
from linetap_core.clock import NS_PER_MS, SYSTEM, Clock
from linetap_core.errors import LinetapError
from linetap_core.records import Fault, PanelState
from linetap_core.service import START_AGAIN, StateFile, Stop, lock_of, start_logging
from linetap_core.wire.legend import STEP_MS


class Panel:
    """The panel. Each tick, every STEP_MS, reads the files, sets the LEDs, and writes the state file if it is due."""

    def __init__(self, config: Config, board: PanelBoard, clock: Clock, grace_ms: int = GRACE_MS) -> None:
        self._board, self._clock = board, clock
        self._findings = Findings(config, clock, grace_ms)
        self._file = StateFile(config.run_path, "panel", clock)
        self._blinker, self._button, self._presses = Blinker(), Button(), Presses(config)
        self._night = Night(config.panel, config.retention.zone)
        self._started_ns = clock.monotonic_ns()
        self._ticks = 0
        self._shown: Display | None = None
        self._leds = dict.fromkeys(UNIT_LEDS, False)

    def tick(self) -> Display:
        """Runs a tick; returns the display. DeviceFault if the LEDs can no longer be driven."""
        before = self._shown
        services = self._findings.update(self._state(before or STARTING, self._leds), self._file.unwritten)
        now_ms = self._clock.monotonic_ns() // NS_PER_MS
        removal: str | None = self._presses.removal.update(services.recorder, now_ms)
        also = {removal} if removal else set()
        now = self._presses.shown(shown(self._findings.now, services, self._clock.monotonic_ns(), also))
        self._ticks += 1
        pressed = self._board.button()
        if (press := self._button.update(pressed, now_ms)) is not None:
            recorder = services.recorder.state
            self._presses.act(press, now, recorder.walk if recorder is not None else None, now_ms)
            now = self._presses.shown(now)
        self._shown = now
        leds = self._blinker.leds(now.patterns, now_ms, self._button.held_ms(pressed, now_ms), now.identify)
        if not pressed and (lit := self._presses.call_lit(now_ms)) is not None:
            leds["call"] = lit
        self._board.dim(self._night.percent(self._clock.utc_ns()))
        self._board.show(leds)
        self._leds = leds
        if now != before or self._file.due():
            self._file.write(self._state(now, leds))
        return now

    @property
    def outdated(self) -> bool:
        """Whether the configuration was replaced."""
        return self._file.outdated

    def close(self) -> None:
        self._presses.close()

    def end(self, asked: bool) -> None:
        """Writes the last state, after a requested end or a replaced configuration."""
        self._file.ending = asked
        self._file.write(self._state(self._shown or STARTING, self._leds))

    def fail(self, error: LinetapError) -> None:
        """Writes the fault that ended the panel into the last state file."""
        last = self._state(self._shown or STARTING, dict.fromkeys(UNIT_LEDS, False))
        last.fault = Fault(error.code, str(error))
        self._file.write(last)

    def _state(self, now: Display, leds: dict[str, bool]) -> PanelState:
        return state_of(now, leds, self._ticks, self._started_ns, alerts=self._findings.now.alerts)


def run(config: Config, clock: Clock = SYSTEM) -> int:
    """Runs until stopped. DeviceFault, BadInput or AlreadyRunning if the panel cannot run."""
    stop = Stop()
    log = start_logging("panel")
    with lock_of(config.run_path, "panel"):
        board = open_panel(config)
        panel = Panel(config, board, clock)
        shown = ""
        try:
            while not (stop.requested or panel.outdated):
                now = panel.tick()
                if now.condition != shown:
                    shown = now.condition
                    log.info("shows %s", shown)
                clock.sleep(STEP_MS / 1000)
            panel.end(stop.requested)
        except LinetapError as error:
            panel.fail(error)
            raise
        finally:
            panel.close()
            board.close()
    return START_AGAIN if panel.outdated and not stop.requested else 0


# --- Findings ---------------------------------------------------------------------------------------------------------


class Findings:
    """The panel's findings, from the same checks on the same files as the reporter's. Call `update` once a tick."""

    def __init__(self, config: Config, clock: Clock, grace_ms: int) -> None:
        self._config, self._clock = config, clock
        self._watch = Watch(config, clock, grace_ms)
        now_ns = clock.monotonic_ns()
        self._judge = checks.judge(alerts_before(config, clock, "panel", PanelState), now_ns)

    @property
    def now(self) -> Judgement:
        return self._judge.now

    def update(self, own: PanelState, unwritten: str | None) -> Services:
        """Updates the findings. `own`: this panel's state; `unwritten`: why its file cannot be written, or None."""
        now_ns = self._clock.monotonic_ns()
        me = Seen(own, "alive", unwritten=unwritten)
        if not self._judge.is_due(now_ns):
            return replace(self._watch.services(), panel=me)
        snapshot = take_snapshot(self._config, self._watch, self._clock)
        services = replace(snapshot.services, panel=me)
        self._judge.judge(replace(snapshot, services=services), now_ns)
        return services
