# SPDX-License-Identifier: Apache-2.0
"""A reader and a meter with real defects; the test controls the clock."""

from __future__ import annotations

import numpy as np
import pytest

from linetap.board.meter import protocol as wire
from linetap.board.meter.limits import LimitArrays
from linetap.board.meter.protocol import encode
from linetap.board.meter.reader import GONE_MS, SILENT_MS
from linetap_bench.exchange.meter import Faults
from linetap_core.clock import NS_PER_MS
from meter_rig import (
    BATCH_MS,
    BEHIND_MS,
    PLAIN,
    MeterRig,
    edges,
    hundredths,
    ringing,
    second,
    steps,
    volts_at,
)

CALL = steps((0, -48), (1, -8), (2, -48))
IDLE = steps((0, -48))


def test_a_call_is_seen_when_it_is() -> None:
    rig = MeterRig(volts_at(IDLE, CALL), 2)
    heard = rig.heard(3)
    assert edges(heard.hook[0]) == []
    assert edges(heard.hook[1]) == [(1.0, True), (2.0, False)]
    assert rig.reader.state.connected
    assert rig.reader.state.frames_lost == rig.reader.state.restarts == 0


def test_volts_are_those_at_the_end_of_the_period() -> None:
    rig = MeterRig(volts_at(steps(*((s / 1000, -48 + s / 100) for s in range(2000)))))
    volts = rig.heard(1).volts[0]
    for period in range(20, 90):
        at_ms = round(second(10 * period + 9) * 1000)
        assert volts[period] == hundredths(-48 + at_ms / 100)


@pytest.mark.parametrize("ppm", [-100, -37, 100])
@pytest.mark.parametrize("deaf_ms", [0.0, 3.0])
def test_a_clock_that_drifts(ppm: float, deaf_ms: float) -> None:
    """For a minute of hook changes every 300 ms, each of them dated within 2 ms."""
    levels = [(0.3 * k, -8.0 if k % 2 else -48.0) for k in range(200)]
    rig = MeterRig(volts_at(steps(*levels)), faults=Faults(drift_ppm=ppm, deaf_ms=deaf_ms, jitter_ms=2), seed=3)
    found = edges(rig.heard(59.8).hook[0])[1:]
    want = [(at, volts > -20) for at, volts in levels[2:]]
    assert len(found) == len(want)
    for (at, level), (true, wanted) in zip(found, want, strict=True):
        assert level == wanted
        assert round(abs(at - true), 6) <= 0.002 + (0.003 if true < 10 else 0.0)
    assert abs(rig.reader.drift_ppm - ppm) < 25


def test_a_clock_that_has_run_for_years() -> None:
    rig = MeterRig(volts_at(CALL), beginning_us=10 * 365 * 86_400 * 1_000_000)
    assert edges(rig.heard(3).hook[0]) == [(1.0, True), (2.0, False)]


@pytest.mark.parametrize("channels", [1, 8])
def test_samples_of_five_seconds_that_arrive_at_once(channels: int) -> None:
    """More than the store has. A terminal's own buffer has 4,096 bytes, but the reader does not rely on it."""
    rig = MeterRig(volts_at(*[CALL] * channels), channels)
    rig.run(0.5)
    rig.clock.advance(5000 * NS_PER_MS)
    rig.reader.poll()
    rig.run(1)
    assert rig.reader.state.connected


def test_lost_frames_are_counted_and_bridged() -> None:
    rig = MeterRig(volts_at(ringing(-48, 75, 20, 4, 5), CALL), 2, Faults(lost=0.1), seed=5)
    heard = rig.heard(6)
    (on, _), (off, _) = edges(heard.hook[1])
    assert abs(on - 1) <= 0.006
    assert abs(off - 2) <= 0.006
    assert not heard.hook[0].any()
    assert 60 <= rig.reader.state.frames_lost <= 220


@pytest.mark.parametrize(
    ("levels", "changed"),
    [([(0, -48), (1, -8), (2, -48)], [1000]), ([(0, -8), (0.975, -48), (0.985, -8), (2, -48)], [975, 985])],
    ids=["a lifted handset", "a break whose end is told before it is known to have lasted"],
)
def test_where_samples_are_lost_the_meters_own_edges_say_when(
    levels: list[tuple[float, float]], changed: list[int]
) -> None:
    rig = MeterRig(volts_at(steps(*levels)))
    rig.run(0.92)
    sent_until = rig.meter.sent_until

    def without_samples(now_ns: int) -> bytes:
        data = sent_until(now_ns)
        frames = [frame for frame in data.split(b"\xc0") if frame and frame[0] != wire.SAMPLES.code]
        return b"".join(b"\xc0" + frame + b"\xc0" for frame in frames)

    rig.meter.sent_until = without_samples  # type: ignore[method-assign]
    rig.run(0.08)
    rig.clock.advance(8 * NS_PER_MS)
    rig.reader.poll()
    rig.meter.sent_until = sent_until  # type: ignore[method-assign]
    rig.clock.advance(5 * NS_PER_MS)
    rig.reader.poll()  # the samples after the hole have arrived, and no later messages
    heard = rig.heard(0.2)
    begins_ms = 1000 + 13 - BEHIND_MS
    found = np.flatnonzero(np.diff(heard.hook[0].astype(int))) + begins_ms + 1
    assert found.tolist() == changed


def test_noise_and_damage_cost_the_frames_they_hit_and_no_more() -> None:
    rig = MeterRig(volts_at(CALL), faults=Faults(noise=0.3, damaged=0.05), seed=6)
    (on, _), (off, _) = edges(rig.heard(4).hook[0])
    assert abs(on - 1) <= 0.006
    assert abs(off - 2) <= 0.006
    assert rig.reader.noise > 100
    assert rig.reader.state.restarts == 0


def test_ten_megabytes_of_garbage_in_the_middle_of_a_call() -> None:
    rig = MeterRig(volts_at(steps((0, -48), (1, -8))))
    rig.run(2)
    random = np.random.default_rng(1)
    for _ in range(10_000_000 // 16_384 + 1):
        rig.cable.inserted = random.bytes(16_384)
        rig.clock.advance(NS_PER_MS)
        rig.reader.poll()
    assert rig.reader.state.restarts == 0
    assert rig.heard(1).hook[0, 100:].all()


def test_frames_that_are_whole_and_make_no_sense() -> None:
    rig = MeterRig(volts_at(steps((0, -48), (1, -8))))
    rig.run(2)
    top = (1 << 64) - 1
    rig.cable.inserted = b"".join(
        [
            encode(wire.SAMPLES, 1, top, 5, 1, each=bytes(10)),
            encode(wire.SAMPLES, 2, top, 5, 1, each=bytes(9)),
            encode(wire.SAMPLES, 3, 0, 0, 0),
            encode(wire.SAMPLES, 4, 5000, 255, 255),
            encode(wire.BEATEN, 5, top, top),
            encode(wire.BEATEN, 6, rig.clock.monotonic_ns(), top),
            encode(wire.BEATEN, 7, 0, 0),
            encode(wire.EDGE, 8, top, 255, 255, 255),
            encode(wire.STATUS, 9, 0),
            encode(wire.RELAYS, 10, 0, 0),
        ]
    )
    rig.run(0.2)
    rig.run(1)
    assert rig.heard(1).hook[0, 100:].all()


def test_a_restart_is_seen_and_the_call_goes_on() -> None:
    rig = MeterRig(volts_at(CALL))
    first = rig.heard(1.5)
    assert edges(first.hook[0]) == [(1.0, True)]
    rig.meter.restart(rig.clock.monotonic_ns())
    found = rig.run(1.5)
    silent = [levels is None for levels in found]
    assert sum(silent) * 10 <= 250
    assert not any(silent[25:])
    assert rig.reader.state.restarts == 1
    assert rig.reader.state.frames_lost == 0
    assert any(levels is not None and levels.hook.all() for levels in found[:40])
    assert not found[-1].hook.any()  # type: ignore[union-attr]


def test_a_restart_whose_hello_is_lost_is_one_restart() -> None:
    rig = MeterRig(volts_at(CALL), beginning_us=77_000_000)
    rig.run(1.2)
    rig.meter.restart(rig.clock.monotonic_ns())
    rig.clock.advance(20 * NS_PER_MS)
    rig.meter.sent_until(rig.clock.monotonic_ns())  # not received
    rig.run(2.5)
    assert rig.reader.state.restarts == 1
    assert rig.reader.state.connected


def test_a_silent_meter_is_no_meter_and_is_one_again() -> None:
    rig = MeterRig(volts_at(CALL))
    rig.run(1.2)
    rig.cable.deaf = True
    found = rig.run(1)
    held = next(i for i, levels in enumerate(found) if levels is None) * 10
    assert SILENT_MS - 2 * BATCH_MS <= held <= SILENT_MS + BATCH_MS
    assert all(levels is None for levels in found[held // 10 :])
    assert not rig.reader.state.connected
    rig.cable.deaf = False
    back = rig.run(0.2)
    assert back[-1] is not None
    assert rig.reader.state.connected


def test_what_has_not_come_yet_is_as_it_was() -> None:
    rig = MeterRig(volts_at(steps((0, -48), (0.5, -8))))
    rig.run(1)
    rig.cable.deaf = True
    (levels, *_) = rig.run(0.04)
    assert levels is not None
    assert levels.hook.all()


def test_a_port_that_says_nothing_is_opened_anew() -> None:
    rig = MeterRig(volts_at(IDLE))
    rig.run(1)
    rig.cable.deaf = True
    rig.run(GONE_MS / 1000 * 2.5)
    assert len(rig.cable.lost) == 2


def test_tamper_and_power_fail() -> None:
    rig = MeterRig(volts_at(IDLE))
    rig.run(0.4)
    assert not rig.reader.state.tamper
    rig.meter.tamper = True
    rig.run(0.4)
    assert rig.reader.state.tamper
    assert not rig.reader.state.power_fail
    rig.meter.tamper, rig.meter.power_fail = False, True
    rig.run(0.4)
    assert not rig.reader.state.tamper
    assert rig.reader.state.power_fail


def test_converters_that_are_not_set() -> None:
    rig = MeterRig(volts_at(IDLE))
    rig.run(0.4)
    assert rig.reader.state.unset == []
    rig.meter.converters = wire.CONVERTER_2
    rig.run(0.4)
    assert rig.reader.state.unset == [2]
    rig.meter.converters = 0
    rig.run(0.4)
    assert rig.reader.state.unset == []


def test_the_meter_is_told_the_limits_again_after_each_start() -> None:
    rig = MeterRig(volts_at(IDLE))
    rig.run(0.2)
    assert rig.meter.limits == [(1600, 2500)]
    rig.meter.limits = []
    rig.meter.restart(rig.clock.monotonic_ns())
    rig.run(0.2)
    assert rig.meter.limits == [(1600, 2500)]
    rig.meter.limits = []
    rig.reader.set_limits(LimitArrays([PLAIN]))
    assert rig.meter.limits == [(1600, 2500)]


def test_beats_stop_with_the_loop() -> None:
    rig = MeterRig(volts_at(IDLE))
    rig.run(2)
    beats = rig.meter.beats
    assert 15 <= beats <= 20
    rig.clock.advance(5000 * NS_PER_MS)  # no levels are requested
    rig.meter.sent_until(rig.clock.monotonic_ns())
    assert rig.meter.beats == beats


def test_a_meter_of_another_kind_is_not_listened_to() -> None:
    rig = MeterRig(volts_at(IDLE), channels=[3])  # the line is on a channel that the meter does not have
    assert all(levels is None for levels in rig.run(1))


def test_lights_go_to_the_channels() -> None:
    rig = MeterRig(volts_at(IDLE, IDLE, IDLE), 3)
    rig.reader.lights([1, 4, 5])
    assert rig.meter.lights == [1, 4, 5]
