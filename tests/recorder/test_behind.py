# SPDX-License-Identifier: Apache-2.0
"""A recorder that lags behind its rings: on a machine that is too slow, after a start over a full ring, or after days
without a codec.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from call_rig import Story
from sounds import dial, digits, music, talk
from walk_rig import Walked, Wire

from linetap.config.schema import Config
from linetap.recorder.calls.line import LineCalls
from linetap.recorder.cards import BATCH_SLOTS
from linetap.ring import RATE_HZ, SLOT_MS, gap_batch
from linetap_core.clock import NS_PER_S
from linetap_core.records import RecorderState
from linetap_core.service import read_state
from unit_rig import make_unit

BEHIND = 20 * BATCH_SLOTS


def test_who_is_behind_tells_how_far_after_every_batch(tmp_path: Path, run_dir: Path) -> None:
    """Otherwise its watchdog would end it during its work, which it would then have to repeat."""
    with Walked(make_unit(tmp_path, run_dir, lines=2).config, [Wire(), Wire()]) as unit:
        unit.turn()
        for _ in range(BEHIND):
            unit._slot()
        told = []
        for _ in range(3):
            unit.clock.advance(NS_PER_S)  # the duration of the batch
            unit.service.turn()
            state = read_state(run_dir, "recorder", RecorderState)
            assert state is not None
            told.append((state.progress, state.ring_lag_ms))
        steps = [progress - told[0][0] for progress, _ in told]
        assert steps == [0, 1, 2]
        assert [lag for _, lag in told] == [(BEHIND - n * BATCH_SLOTS) * SLOT_MS for n in (1, 2, 3)]


def lifted(config: Config) -> Story:
    """A handset off its cradle, with dial tone."""
    return Story(config, 10, noise_peak=30).off_hook(1, 10).sound(1.2, dial(8.8))


def waiting(config: Config) -> Story:
    """An outgoing call with music in place of ringback."""
    story = Story(config, 14, noise_peak=30).off_hook(1, 14).sound(1.2, dial(0.8)).sound(2.1, digits("0312345678"))
    return story.sound(5, music(9))


def beeping(config: Config) -> Story:
    """A call that is recorded, with a recording beep."""
    changed = msgspec.structs.replace(config.recording, beep_every_s=1)
    config = msgspec.structs.replace(config, recording=changed)
    return Story(config, 10, noise_peak=30).ring(0.5, 1.4).off_hook(1.5, 10).sound(4, talk(5))


@pytest.mark.parametrize("line", [lifted, waiting, beeping])
def test_days_without_a_codec_are_followed_at_once(
    config: Config, line: Callable[[Config], Story], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the recorder's watchdog would end it in this batch, and so every later recorder."""
    story, handled = line(config), 0
    story.tell()
    last, handle = story.followed[-1], LineCalls._handle

    def counts(self: LineCalls, event: object) -> None:
        nonlocal handled
        handled += 1
        handle(self, event)  # type: ignore[arg-type]

    monkeypatch.setattr(LineCalls, "_handle", counts)
    frame, days = last.frame + last.frames, 4 * 86_400 * RATE_HZ
    gap = gap_batch(len(last.hook), 0, frame, days, last.mono_ns, last.utc_ns, "capture_restart")
    story.recorder.follow(1, gap)
    assert handled < 20
    assert all(end is None or end <= frame for _, end, _ in story.vault.closed), "no recording of days of silence"
