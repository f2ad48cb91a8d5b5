# SPDX-License-Identifier: Apache-2.0
"""Computes the alerts that a unit raises at constant line voltages, with the unit's own hook decider and alert rules.

The lines are idle for some time, then their handsets are lifted and somebody talks. All lines are lines of one unit,
which takes little longer than one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from linetap.board.meter.decide import Decider
from linetap.board.meter.limits import LimitArrays, limits_of
from linetap.config.profile import KR_PSTN
from linetap.config.schema import Line
from linetap.learned import Learned
from linetap.recorder.signals.health.linehealth import LineHealth
from linetap.recorder.signals.health.rules import FRAMES, SECONDS, SLOTS
from linetap.ring import I16, Batch
from linetap_bench.sounds.synth import rms_of

IDLE_S, CALL_S = 70.0, 30.0
LONG_S = 620.0  # a line that is permanently off-hook is reported after ten minutes
QUIET_DBM0, VOICE_DBM0 = -68.0, -20.0
BLOCK_MS = round(SECONDS * 1000)
IDLE_V, LIFTED_V = 48.0, 9.6


def learned(polarity: int) -> Learned:
    """The learned values of a sound card (`linetap line learn`); -1: tip below ring at rest."""
    return Learned(on_hook_v=IDLE_V, off_hook_v=LIFTED_V, reversed=polarity > 0, learned_at="2026-01-01T00:00:00Z")


class Case(NamedTuple):
    """The voltages of a line, what was learned of it, and whether its audio is captured."""

    idle_v: float
    lifted_v: float
    known: Learned | None
    heard: bool


def alerts(cases: Sequence[Case], idle_s: float = IDLE_S) -> dict[Case, dict[str, float]]:
    """Alert -> seconds after the fault, or after the handset was lifted if it is raised only then, of each case."""
    each = list(dict.fromkeys(cases))
    if not each:
        return {}
    count = len(each)
    limits = LimitArrays([limits_of(KR_PSTN.meter, KR_PSTN.health.cut_v, case.known) for case in each])
    decider = Decider(limits, [KR_PSTN.meter] * count)
    lines = [Line(number=i, channel=i) for i in range(1, count + 1)]
    known = {line.number: case.known for line, case in zip(lines, each, strict=True) if case.known}
    health = LineHealth(lines, [KR_PSTN] * count, known)
    found: dict[Case, dict[str, float]] = {case: {} for case in each}
    heard = np.array([case.heard for case in each])
    idle, lifted = [case.idle_v for case in each], [case.lifted_v for case in each]
    for volts, lasts_s, talks in ((idle, idle_s, False), (lifted, CALL_S, True)):
        audio = np.where((heard & talks)[:, None], _noise(VOICE_DBM0), _noise(QUIET_DBM0))
        for second, batch in _batches(decider, volts, lasts_s, audio):
            health.follow(batch, batch.hook.any(axis=1), np.full(count, talks))
            for i, raised in enumerate(found.values()):
                for code in health.troubles(i):
                    raised.setdefault(code, second)
    return found


def _batches(decider: Decider, volts: Sequence[float], lasts_s: float, audio: I16) -> Iterator[tuple[float, Batch]]:
    samples = np.repeat(np.array([[round(each * 100)] for each in volts], np.int16), BLOCK_MS, axis=1)
    none = np.zeros((SLOTS, len(volts)), np.uint32)
    for i in range(round(lasts_s / SECONDS)):
        hook, ring, polarity = decider.push(samples)
        yield (i + 1) * SECONDS, Batch(
            seq=0, frame=0, frames=FRAMES, mono_ns=0, utc_ns=0, gap=None, hook=hook, ring=ring, polarity=polarity,
            volts=samples[:, :SLOTS], notice=none, notice_frame=none.astype(np.int32), flags=none, audio=audio,
        )  # fmt: skip


def _noise(dbm0: float) -> I16:
    samples: I16 = np.rint(np.random.default_rng(0).standard_normal((1, FRAMES)) * rms_of(dbm0)).astype(np.int16)
    return samples
