# SPDX-License-Identifier: Apache-2.0
"""The meter's program in C as a receiver: commands, damaged ones too, and the end of their effect."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
import pytest

from cmeter_rig import AT_A_TIME, LINES, LOOP_CLOSED, CMeter, payloads, program
from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import Deframer, encode
from linetap.ring import I16
from linetap_bench.exchange.meter import Meter
from linetap_core.clock import NS_PER_MS
from meter_rig import START_NS, MeterRig, edges, steps, volts_at

IDLE_ROW = [-4800] * LINES
CALL = steps((0, -48), (1, -8), (2, -48))


def nothing(_first_ms: int, n: int) -> I16:
    return np.full((LINES, n), -4800, np.int16)


@pytest.fixture
def meter() -> Iterator[CMeter]:
    with CMeter(program(), nothing) as each:
        yield each


def idle(meter: CMeter, first: int, end: int) -> None:
    for number in range(first, end):
        meter.sample(number, IDLE_ROW)


def beat(stamp: int, sequence: int = 0) -> bytes:
    return encode(wire.BEAT, sequence, stamp)


def relays(mask: int, expiry_ms: int) -> bytes:
    return encode(wire.RELAYS, 0, mask, expiry_ms)


def test_a_beat_comes_back_with_the_time_at_which_it_came(meter: CMeter) -> None:
    meter.told(beat(0xC0DB_C0DB_0011_2233), 123_456_789_012)
    (payload,) = payloads(meter.answers.frames(), wire.BEATEN)
    assert wire.BEATEN.head.unpack(payload) == (0xC0DB_C0DB_0011_2233, 123_456_789_012)


def test_a_payload_may_grow_and_a_type_be_unknown(meter: CMeter) -> None:
    meter.told(encode(wire.BEAT, 0, 7, each=b"later") + bytes([wire.END, 0x7F, wire.END]), 1000)
    unknown = wire.Frame("later", 0x99, "linetap", "<B", "", "", struct.Struct("<B"))
    meter.told(encode(unknown, 1, 5) + encode(wire.SAMPLES, 2, 0, 1, 1, each=bytes(2)) + beat(8), 2000)
    assert [payload[0] for payload in payloads(meter.answers.frames(), wire.BEATEN)] == [7, 8]


@pytest.mark.parametrize("seed", range(8))
def test_what_comes_of_noise_and_damage_is_what_linetap_would_take(seed: int, meter: CMeter) -> None:
    """Whole, truncated and repeated frames, flipped bits, noise between; half of it escapes and ends, the
    worst case.
    """
    random = np.random.default_rng(seed)
    line = b""
    for stamp in range(400):
        data = bytearray(beat(stamp, stamp))
        what = int(random.integers(6))
        if what == 0:
            data[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        elif what == 1:
            del data[int(random.integers(len(data))) :]
        elif what == 2:
            data += random.bytes(int(random.integers(400)))
        elif what == 3:
            data += bytes(random.choice([0xC0, 0xDB, 0xDC, 0xDD], int(random.integers(500))).tolist())
        elif what == 4:
            data += encode(wire.LIMITS, 0, int(random.integers(256)), each=random.bytes(int(random.integers(160))))
            data += encode(wire.LIGHTS, 0, int(random.integers(256)), each=random.bytes(int(random.integers(160))))
        line += data
    heard = [payload[:8] for code, _, payload in Deframer().feed(line) if code == wire.BEAT.code]
    meter.told(line, 1000)
    assert [payload[:8] for payload in payloads(meter.answers.frames(), wire.BEATEN)] == heard
    assert 150 < len(heard) < 400
    idle(meter, 2, 20)
    assert payloads(meter.answers.frames(), wire.SAMPLES)


def test_a_megabyte_of_garbage_leaves_it_as_it_was(meter: CMeter) -> None:
    random = np.random.default_rng(9)
    for _ in range(256):
        meter.told(random.bytes(4096), 1000)
    assert payloads(meter.answers.frames(), wire.BEATEN) == []
    meter.told(bytes([wire.END]) + beat(5), 2000)
    assert len(payloads(meter.answers.frames(), wire.BEATEN)) == 1


def test_a_relay_opens_when_nobody_asks_for_it_again(meter: CMeter) -> None:
    assert meter.answers.relays == [(0, 0)]
    for at_ms in range(10, 1000, 100):
        meter.told(relays(0b101, wire.RELAY_EXPIRY_MS), at_ms * 1000)
        idle(meter, at_ms, at_ms + 100)
    idle(meter, 1010, 2000)
    assert meter.answers.relays[1:] == [(10_000, 0b101), ((910 + wire.RELAY_EXPIRY_MS) * 1000, 0)]


def test_no_command_is_believed_for_longer(meter: CMeter) -> None:
    meter.told(relays(1, 65535), 1000)
    idle(meter, 1, 2000)
    assert meter.answers.relays[1:] == [(1000, 1), (1000 + wire.RELAY_EXPIRY_MS * 1000, 0)]
    bench = Meter(nothing, LINES, START_NS)
    bench.receive(relays(1, 65535), START_NS)
    assert bench.relays(START_NS + (wire.RELAY_EXPIRY_MS - 1) * NS_PER_MS) == 1
    assert bench.relays(START_NS + wire.RELAY_EXPIRY_MS * NS_PER_MS) == 0


def test_a_relay_opens_at_once_on_command_and_at_a_start(meter: CMeter) -> None:
    meter.told(relays(0b11, 500) + relays(0b10, 500) + relays(0, 0), 1000)
    meter.told(relays(0xFFFF_FF01, 500), 2000)
    meter.restart(START_NS, 2)
    assert [mask for _, mask in meter.answers.relays] == [0, 0b11, 0b10, 0, 1, 0]


def shown(meter: CMeter, line: int, first: int) -> tuple[str, str]:
    """Colour and rhythm of a lamp over a second from sample `first`, which begins a rhythm."""
    lit: dict[int, tuple[int, int]] = {}
    now = meter.answers.lamps[-1][1:] if meter.answers.lamps else (0, 0)
    for number in range(first, first + 8 * wire.LAMP_STEP_MS):
        before = len(meter.answers.lamps)
        meter.told(b"" if number % 100 else beat(number), number * wire.SAMPLE_US)
        meter.sample(number, IDLE_ROW)
        now = meter.answers.lamps[-1][1:] if len(meter.answers.lamps) > before else now
        lit[(number - first) // wire.LAMP_STEP_MS] = now
    steps_ = [(green >> line & 1) * wire.LAMP_GREEN | (red >> line & 1) * wire.LAMP_RED for green, red in lit.values()]
    colour = max(steps_)
    assert set(steps_) <= {0, colour}
    names = {value: name for name, value in wire.COLOURS.items()}
    return names[colour], "".join("1" if step else "0" for step in steps_)


def test_every_lamp_is_lit_as_the_table_says(meter: CMeter) -> None:
    for first, said in ((1000, wire.LEDS[:8]), (2000, wire.LEDS[2:])):
        leds = [wire.LEDS.index(led) for led in said]
        for line in (0, 7):
            meter.told(encode(wire.LIGHTS, 0, len(leds), each=bytes(leds)), first * 1000)
            assert shown(meter, line, first) == wire.LAMPS[said[line]]


def test_lamps_of_a_linetap_that_is_dead_show_a_fault(meter: CMeter) -> None:
    recording = wire.LEDS.index("recording")
    meter.told(beat(1) + encode(wire.LIGHTS, 0, 2, each=bytes([recording, 0])), 1000)
    bench = Meter(nothing, LINES, START_NS)
    bench.receive(beat(1) + encode(wire.LIGHTS, 0, 2, each=bytes([recording, 0])), START_NS + NS_PER_MS)
    idle(meter, 1, 1001)
    assert meter.answers.lamps[-1][1:] == (1, 0)
    assert bench.lamps(START_NS + 1000 * NS_PER_MS) == ["recording", "dark"]
    idle(meter, 1001, 1003)
    assert meter.answers.lamps[-1][1:] == (0, 1)
    assert bench.lamps(START_NS + 1001 * NS_PER_MS) == ["fault", "dark"]
    meter.told(beat(2), 1_003_000)
    idle(meter, 1003, 1005)
    assert meter.answers.lamps[-1][1:] == (1, 0)


def flags(meter: CMeter) -> list[int]:
    return [payload[0] for payload in payloads(meter.answers.frames(), wire.STATUS)]


@pytest.mark.parametrize("code", [0, 16383, 49153, 65535])
def test_a_loop_that_is_cut_or_shorted_is_tamper_and_is_reported_at_once(code: int, meter: CMeter) -> None:
    idle(meter, 1, 20)
    meter.tamper_code = code
    idle(meter, 20, 69)
    assert flags(meter) == [0]
    idle(meter, 69, 70)
    assert flags(meter) == [0, wire.TAMPER]
    meter.tamper_code = LOOP_CLOSED
    idle(meter, 70, 130)
    assert flags(meter) == [0, wire.TAMPER, 0]


def test_a_door_that_shakes_is_not_opened(meter: CMeter) -> None:
    for number in range(1, 240):
        meter.tamper_code = LOOP_CLOSED if number % 40 else 0
        meter.sample(number, IDLE_ROW)
    assert flags(meter) == [0]


def test_a_supply_that_goes_is_reported_within_a_frame(meter: CMeter) -> None:
    idle(meter, 1, 100)
    meter.power_failing = True
    idle(meter, 100, 102)
    assert flags(meter) == [0, wire.POWER_FAIL]


def test_the_simulated_meter_tells_it_at_once_too() -> None:
    meter = Meter(nothing, LINES, START_NS)
    meter.sent_until(START_NS + 300 * NS_PER_MS)
    meter.tamper = True
    frames = Deframer().feed(meter.sent_until(START_NS + 310 * NS_PER_MS))
    assert payloads(frames, wire.STATUS)[0] == bytes([wire.TAMPER])


def test_samples_go_before_edges_where_the_line_is_full(meter: CMeter) -> None:
    """A queue with room for one frame of samples: the samples arrive, the edges do not, and are counted."""
    size = 2 * wire.bytes_of(wire.SAMPLES_A_FRAME, LINES) - 2
    for frame in range(40):
        meter.room(size + 60 if frame == 0 else size)
        for i in range(5):
            number = 1 + frame * 5 + i
            meter.sample(number, [-800 if number // 3 % 2 else -4800] * LINES)
    found = meter.answers.frames()
    assert len(payloads(found, wire.SAMPLES)) == 40
    assert len(payloads(found, wire.EDGE)) < 10
    assert found[-1][1] > len(found) + 100


def test_a_sample_that_was_missed_ends_its_frame(meter: CMeter) -> None:
    for number in (1, 2, 4, 5, 6, 7, 8):
        meter.sample(number, IDLE_ROW)
    heads = [wire.SAMPLES.head.unpack_from(payload) for payload in payloads(meter.answers.frames(), wire.SAMPLES)]
    assert heads == [(1000, 2, LINES), (4000, 5, LINES)]


def rig_with(meter: CMeter, lines: int) -> MeterRig:
    """linetap's own reader, with the program in place of the simulated meter."""
    rig = MeterRig(volts_at(*[CALL] * lines), lines)
    rig.cable.meter = meter
    return rig


def test_linetap_hears_a_call_through_it() -> None:
    with CMeter(program(), volts_at(*[CALL] * 2)) as meter:
        rig = rig_with(meter, 2)
        heard = rig.heard(3)
        assert edges(heard.hook[1]) == [(1.0, True), (2.0, False)]
        assert rig.reader.state.connected
        assert rig.reader.state.frames_lost == rig.reader.state.restarts == 0
        assert rig.reader.noise == 0


def test_linetap_detects_a_restart_of_it() -> None:
    with CMeter(program(), volts_at(CALL)) as meter:
        rig = rig_with(meter, 1)
        rig.heard(1.5)
        meter.restart(rig.clock.monotonic_ns(), 2)
        found = rig.run(1.5)
        assert rig.reader.state.restarts == 1
        assert found[-1] is not None
        assert not found[-1].hook.any()


def test_edges_come_when_samples_do_not() -> None:
    """For a stretch without samples: the same as from the simulated meter's edges."""
    with CMeter(program(), volts_at(CALL)) as meter:
        rig = rig_with(meter, 1)
        rig.run(0.92)
        whole = meter.sent_until

        def without_samples(now_ns: int) -> bytes:
            frames = [frame for frame in whole(now_ns).split(b"\xc0") if frame and frame[0] != wire.SAMPLES.code]
            return b"".join(b"\xc0" + frame + b"\xc0" for frame in frames)

        meter.sent_until = without_samples  # type: ignore[method-assign]
        rig.run(0.08)
        rig.clock.advance(8 * NS_PER_MS)
        rig.reader.poll()
        meter.sent_until = whole  # type: ignore[method-assign]
        hook = rig.heard(0.2).hook[0]
        assert np.flatnonzero(np.diff(hook.astype(int))).tolist() == [1000 - (1000 + 8 - 40) - 1]


def test_it_keeps_up_with_samples_in_any_number(meter: CMeter) -> None:
    meter.samples(1, np.full((LINES, 3 * AT_A_TIME), -4800, np.int16))
    assert len(payloads(meter.answers.frames(), wire.SAMPLES)) == 3 * AT_A_TIME // wire.SAMPLES_A_FRAME
