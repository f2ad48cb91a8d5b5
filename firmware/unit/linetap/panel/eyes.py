# SPDX-License-Identifier: Apache-2.0
"""What the panel reads, and its findings. It depends on no service: it runs the same checks on the same files."""

from __future__ import annotations

from dataclasses import replace

from linetap import checks
from linetap.checks import Judgement, Services, Watch, take_snapshot
from linetap.checks.judgement import told_before
from linetap.checks.watch import Seen
from linetap.config.schema import Config
from linetap_core.clock import Clock
from linetap_core.records import PanelState


class Eyes:
    """`look` once a tick; `now`: the judgement as it is."""

    def __init__(self, config: Config, clock: Clock, grace_ms: int) -> None:
        self._config, self._clock = config, clock
        self._watch = Watch(config, clock, grace_ms)
        now_ns = clock.monotonic_ns()
        self._judge = checks.judge(told_before(config, clock, "panel", PanelState), now_ns)

    @property
    def now(self) -> Judgement:
        return self._judge.now

    def look(self, own: PanelState, unwritten: str | None) -> Services:
        """`own`: what this panel says of itself, as others may be unable to read it; `unwritten`: and why."""
        now_ns = self._clock.monotonic_ns()
        me = Seen(own, "alive", unwritten=unwritten)
        if not self._judge.is_due(now_ns):
            return replace(self._watch.look(), panel=me)
        snapshot = take_snapshot(self._config, self._watch, self._clock)
        services = replace(snapshot.services, panel=me)
        self._judge.look(replace(snapshot, services=services), now_ns)
        return services
