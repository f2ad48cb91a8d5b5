# SPDX-License-Identifier: Apache-2.0
"""A card's meter on a stage: the program of a real meter in real time, on simulated wires and a real terminal."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from linetap.board.meter import protocol as wire
from linetap.board.meter.protocol import Deframer, encode
from linetap.board.wires import CAPACITY_MS, Wires
from linetap.ring import I16
from linetap_bench.stage.cable import VARIABLE, reports
from linetap_bench.stage.stage import meter_program
from linetap_core.clock import NS_PER_MS, NS_PER_S, SYSTEM

LIMIT_S = 60.0
STEPS = 19_997  # the voltage of a millisecond, in 0.01 V from -100 V, tells which one it is


def volts_of(ms: np.ndarray[tuple[int], np.dtype[np.int64]], line: int) -> I16:
    made: I16 = ((ms + 1000 * line) % STEPS - 10_000).astype(np.int16)
    return made


class Meter:
    """The process and the other end of its terminal. Wires of two lines, written for the next fifteen seconds."""

    def __init__(self, run_dir: Path, *faults: str, written: bool = True) -> None:
        self.wires = Wires.create(run_dir / "w", 2)
        self.from_ms = SYSTEM.monotonic_ns() // NS_PER_MS - 100
        if written:
            ms = np.arange(self.from_ms, self.from_ms + CAPACITY_MS - 1000)
            none = np.zeros((2, len(ms)), np.bool_)
            self.wires.put(self.from_ms, none, none, none, np.stack([volts_of(ms, line) for line in range(2)]))
        port = run_dir / "meter"
        words = [str(meter_program()), "--wires", str(run_dir / "w"), "--port", str(port), *faults]
        self.process = subprocess.Popen(words)
        self.until(port.is_symlink, "the terminal is there")
        self._terminal = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._frames = Deframer()
        self.sequences: list[int] = []
        self.times: list[int] = []  # of the samples, us
        self.volts: list[list[int]] = []  # of all channels

    @property
    def noise(self) -> int:
        return self._frames.noise

    def until(self, true: object, what: str) -> None:
        deadline = SYSTEM.monotonic_ns() + round(LIMIT_S * NS_PER_S)
        while not true():  # type: ignore[operator]
            assert SYSTEM.monotonic_ns() < deadline, f"not within {LIMIT_S:g} s: {what}"
            SYSTEM.sleep(0.005)

    def told(self, data: bytes) -> None:
        os.write(self._terminal, data)

    def heard(self, samples: int) -> None:
        """Reads until there are so many more samples."""
        wanted = len(self.times) + samples
        self.until(lambda: self._read() >= wanted, "samples")

    def _read(self) -> int:
        try:
            data = os.read(self._terminal, 65_536)
        except BlockingIOError:
            data = b""
        for code, sequence, payload in self._frames.feed(data):
            self.sequences.append(sequence)
            if code == wire.SAMPLES.code:
                at_us, n, channels = wire.SAMPLES.head.unpack_from(payload)
                each = np.frombuffer(payload[wire.SAMPLES.size :], "<i2").reshape(n, channels)
                self.times += [at_us + i * wire.SAMPLE_US for i in range(n)]
                self.volts += each.tolist()
        return len(self.times)

    def measured_ms(self) -> list[int]:
        """The millisecond of each sample, by line 1's voltage."""
        return [self.from_ms + (row[0] + 10_000 - self.from_ms) % STEPS for row in self.volts]

    def close(self) -> None:
        os.close(self._terminal)
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        assert self.process.wait(LIMIT_S) == 0


@contextmanager
def running(run_dir: Path, *faults: str, written: bool = True) -> Iterator[Meter]:
    meter = Meter(run_dir, *faults, written=written)
    try:
        yield meter
    finally:
        meter.close()


def test_it_measures_each_millisecond_of_the_wires_once(run_dir: Path) -> None:
    with running(run_dir) as meter:
        meter.heard(1000)
        read_ms = SYSTEM.monotonic_ns() // NS_PER_MS
    ms = meter.measured_ms()
    assert ms == list(range(ms[0], ms[0] + len(ms)))
    assert [at - meter.times[0] for at in meter.times] == [1000 * (at - ms[0]) for at in ms]
    assert meter.from_ms <= ms[0] < ms[-1] <= read_ms, "no voltage before its time"
    assert [row[1] for row in meter.volts] == volts_of(np.array(ms), 1).tolist()
    assert not np.array(meter.volts)[:, 2:].any(), "channels without a line"
    assert meter.sequences == list(range(meter.sequences[0], meter.sequences[0] + len(meter.sequences)))
    assert not (run_dir / "meter").is_symlink(), "it ends like an unplugged adapter"


def test_lines_that_no_exchange_writes_have_no_voltage(run_dir: Path) -> None:
    with running(run_dir, written=False) as meter:
        meter.heard(100)
    assert not np.array(meter.volts).any()


def test_it_has_the_faults_that_are_asked_for(run_dir: Path) -> None:
    with running(run_dir, "--drift-ppm", "20000", "--lost", "0.3", "--noise", "0.3") as meter:
        meter.heard(1500)
    ms = meter.measured_ms()
    frames = meter.sequences[-1] - meter.sequences[0] + 1
    assert 0.2 < 1 - len(meter.sequences) / frames < 0.4
    assert meter.noise > 0
    assert (meter.times[-1] - meter.times[0]) / (ms[-1] - ms[0]) == pytest.approx(1020, abs=1)


def test_a_command_reaches_the_cards_relays_and_expires(run_dir: Path) -> None:
    with running(run_dir) as meter:
        meter.told(encode(wire.RELAYS, 0, 0b10, wire.RELAY_EXPIRY_MS))
        meter.until(lambda: meter.wires.relays.tolist() == [0, 1], "the relay is closed")
        meter.until(lambda: meter.wires.relays.tolist() == [0, 0], "without another command it is open")


def test_a_meter_that_was_held_up_leaves_out_what_it_missed(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second; later samples have their time. And it reports that, so that a failed test is run again."""
    late = tmp_path / "lateness"
    late.touch()
    monkeypatch.setenv(VARIABLE, str(late))
    with running(run_dir) as meter:
        meter.heard(200)
        meter.process.send_signal(signal.SIGSTOP)
        stopped_ns = SYSTEM.monotonic_ns()
        SYSTEM.sleep(1.0)
        stood_ms = (SYSTEM.monotonic_ns() - stopped_ns) / NS_PER_MS
        meter.process.send_signal(signal.SIGCONT)
        meter.heard(400)
    ms = meter.measured_ms()
    steps = np.diff(ms)
    assert steps.max() > 900, "the samples of a second are left out"
    assert (np.diff(meter.times) == 1000 * steps).all(), "before and after, each sample has its time"
    worst = max(reports(late), key=lambda each: each.late_ms)
    assert worst.who == "the meter"
    assert worst.late_ms > stood_ms - 100


def test_without_wires_it_says_so(run_dir: Path) -> None:
    words = [str(meter_program()), "--wires", str(run_dir / "w"), "--port", str(run_dir / "meter")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (2, f"meter: {run_dir / 'w'}: no simulated lines here\n")
    (run_dir / "w").write_bytes(bytes(8192))
    assert subprocess.run(words, capture_output=True, timeout=LIMIT_S, check=False).returncode == 2
