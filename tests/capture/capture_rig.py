# SPDX-License-Identifier: Apache-2.0
"""A cable with its far end, and capture processes on it: real jackd, real libasound, real pyalsaaudio."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from linetap.board.simulated import Wires, wires_path
from linetap.config.schema import Board, Card, Config, Keys, Line, Recording
from linetap.ring import Batch, RingReader
from linetap.sockets import SocketClient
from linetap_bench.stage.jack import JackCable
from linetap_bench.stage.processes import Child
from linetap_bench.stage.starvation import StarvedProcesses
from linetap_core.clock import SYSTEM
from linetap_core.records import CaptureCommand, CaptureState
from linetap_core.rundir import socket_path
from linetap_core.service import read_state

HERE = Path(__file__).parent
LIMIT_S = 120.0


def until[T](what: Callable[[], T | None], doing: str, limit_s: float = LIMIT_S) -> T:
    """The first answer of `what` that is not None or False; polls until the limit."""
    deadline = SYSTEM.monotonic_ns() + round(limit_s * 1e9)
    while SYSTEM.monotonic_ns() < deadline:
        answer = what()
        if answer is not None and answer is not False:
            return answer
        SYSTEM.sleep(0.01)
    raise AssertionError(f"{doing}: not within {limit_s} s")


@contextmanager
def cable_in_ram(rate_hz: int, patient: bool = True) -> Iterator[JackCable]:
    """Eight channels in a separate folder, shared by a module's tests: starting a cable takes a second."""
    folder = Path(tempfile.mkdtemp(prefix="linetap-test-", dir="/dev/shm"))
    try:
        with laid_cable(folder, 8, rate_hz, patient=patient) as cable:
            yield cable
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def laid_cable(
    folder: Path, channels: int, rate_hz: int, survives: bool = True, patient: bool = True
) -> Iterator[JackCable]:
    """A cable whose far end plays; with `survives` the far end must still play when the block ends."""
    with JackCable(folder, channels, rate_hz, patient=patient) as cable:
        ready = folder / "ready"
        log = (folder / "far_end.log").open("wb")
        command = [sys.executable, str(HERE / "far_end.py"), str(rate_hz), str(channels), str(ready)]
        far_end = subprocess.Popen(command, env=os.environ | cable.env, stdout=log, stderr=log)
        try:
            until(ready.exists, "the far end starts")
            yield cable
            assert not survives or far_end.poll() is None, (folder / "far_end.log").read_text()
        finally:
            end(far_end)
            log.close()


def unit(run_dir: Path, cable: JackCable, **card: object) -> Config:
    """Eight lines on card 1, line 8 exempt, over `cable`."""
    notices = run_dir / "notices"
    if not notices.exists():
        notices.mkdir(parents=True)
        for number, name in enumerate(("one", "two")):
            write_wav(notices / f"{name}.wav", notice_noise(number))
    fields: dict[str, object] = {
        "capture_pcm": cable.unit_capture, "playback_pcm": cable.unit_playback, "rate_hz": 8000, "ring_s": 120,
    }  # fmt: skip
    return Config(
        unit="test",
        run_dir=str(run_dir),
        notices=str(notices),
        board=Board(kind="simulated"),
        keys=Keys(custodians=["age1x"], overflow_epoch="age1x"),
        recording=Recording(notice="one", mark_notice="two"),
        card=[msgspec.convert(fields | card, Card)],
        line=[Line(number=10 + n, channel=n, exempt=n == 8) for n in range(1, 9)],
    )


def notice_noise(number: int, frames: int = 8000) -> npt.NDArray[np.int16]:
    """A notice that can be located in a capture to the frame: band noise, different for each number."""
    rng = np.random.default_rng(100 + number)
    spectrum = np.zeros(frames // 2 + 1, np.complex128)
    low, high = 300 * frames // 8000, 3400 * frames // 8000
    spectrum[low:high] = np.exp(2j * np.pi * rng.random(high - low))
    sound = np.fft.irfft(spectrum, frames)
    return np.rint(sound * 3000 / sound.std()).astype(np.int16)


def write_wav(path: Path, samples: npt.NDArray[np.int16]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, len(samples), "NONE", ""))
        file.writeframes(samples.tobytes())


class Unit:
    """A capture process of `config` on `cable`."""

    def __init__(self, config: Config, cable: JackCable) -> None:
        self.config = config
        self.run_dir = config.run_path
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._log = self.run_dir / f"capture-{SYSTEM.monotonic_ns()}.log"
        file = self.run_dir / "config.json"
        file.write_bytes(msgspec.json.encode(config))
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "capture_process.py"), str(file), "1"],
                env=os.environ | cable.env, stdout=log, stderr=log,
            )  # fmt: skip
        self._caller = SocketClient(socket_path(self.run_dir, 1))
        self._starved = StarvedProcesses([Child("capture", self.process, self._log)])

    def state(self) -> CaptureState | None:
        """The service's last state, None before the first."""
        state = read_state(self.run_dir, "capture@1", CaptureState)
        return state if state is not None and state.pid == self.process.pid else None

    def captured(self, periods: int) -> CaptureState:
        """The service's state once it has captured that many periods."""

        def there() -> CaptureState | None:
            assert self.process.poll() is None, self.said()
            state = self.state()
            return state if state is not None and state.progress >= periods else None

        return until(there, f"{periods} periods captured")

    def send(self, command: CaptureCommand) -> None:
        self._caller.send(msgspec.json.encode(command))

    def answers(self) -> list[bytes]:
        return self._caller.answers()

    def leave(self) -> None:
        """Closes the recorder's end of the socket, as when a recorder dies."""
        self._caller.close()

    def relays(self) -> list[int]:
        wires = Wires.attach(wires_path(self.run_dir, 1))
        try:
            return [int(relay) for relay in wires.relays]
        finally:
            wires.close()

    def said(self) -> str:
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Unit:
        self._starved.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._starved.__exit__()
        self._caller.close()
        end(self.process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends the process by SIGTERM, then SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(LIMIT_S)


def ring_of(run_dir: Path) -> list[Batch]:
    """All slots of the ring."""
    reader = RingReader(run_dir, 1)
    reader.seek(0, 0)
    found: list[Batch] = []
    try:
        while (batch := reader.read(64)) is not None:
            found.append(batch)
        return found
    finally:
        reader.close()


def positions(batch: Batch) -> npt.NDArray[np.int64]:
    """The number of the far end's sample in each frame of an audio batch (8 kHz only)."""
    low, high = batch.audio[0].astype(np.int64), batch.audio[1].astype(np.int64)
    numbers: npt.NDArray[np.int64] = (high << 15) | (low & 0x7FFF)
    return numbers


_SEIZE, _INTERRUPT, _DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000


@contextmanager
def main_thread_frozen(pid: int) -> Iterator[None]:
    """Stops only a process's main thread: JACK's thread in it continues to fill the ALSA ring, as hardware would."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    if libc.ptrace(_SEIZE, pid, None, None) or libc.ptrace(_INTERRUPT, pid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(pid, _WALL)
    try:
        yield
    finally:
        libc.ptrace(_DETACH, pid, None, None)
