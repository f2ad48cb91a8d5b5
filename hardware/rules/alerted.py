# SPDX-License-Identifier: Apache-2.0
"""Computes the alerts that a unit raises at constant line voltages, with the unit's own hook decider and alert rules.

The line is idle for some time, then its handset is lifted and somebody talks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

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


@cache
def alerts(
    idle_v: float, lifted_v: float, known: Learned | None, heard: bool, idle_s: float = IDLE_S
) -> dict[str, float]:
    """Alert -> seconds after the fault, or after the handset was lifted if it is raised only then."""
    decider = Decider(LimitArrays([limits_of(KR_PSTN.meter, KR_PSTN.health.cut_v, known)]), [KR_PSTN.meter])
    health = LineHealth([Line(number=1, channel=1)], [KR_PSTN], {1: known} if known else {})
    found: dict[str, float] = {}
    for volts, lasts_s, talks in ((idle_v, idle_s, False), (lifted_v, CALL_S, True)):
        audio = _noise(VOICE_DBM0 if talks and heard else QUIET_DBM0)
        for second, batch in _batches(decider, volts, lasts_s, audio):
            health.follow(batch, batch.hook.any(axis=1), np.array([talks]))
            for code in health.troubles(0):
                found.setdefault(code, second)
    return found


def _batches(decider: Decider, volts: float, lasts_s: float, audio: I16) -> Iterator[tuple[float, Batch]]:
    samples = np.full((1, BLOCK_MS), round(volts * 100), np.int16)
    none = np.zeros((SLOTS, 1), np.uint32)
    for i in range(round(lasts_s / SECONDS)):
        hook, ring, polarity = decider.push(samples)
        yield (i + 1) * SECONDS, Batch(
            seq=0, frame=0, frames=FRAMES, mono_ns=0, utc_ns=0, gap=None, hook=hook, ring=ring, polarity=polarity,
            volts=samples[:, :SLOTS], notice=none, notice_frame=none.astype(np.int32), flags=none, audio=audio,
        )  # fmt: skip


def _noise(dbm0: float) -> I16:
    samples: I16 = np.rint(np.random.default_rng(0).standard_normal((1, FRAMES)) * rms_of(dbm0)).astype(np.int16)
    return samples
