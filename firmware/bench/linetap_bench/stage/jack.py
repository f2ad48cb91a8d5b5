# SPDX-License-Identifier: Apache-2.0
"""A telephone cable in software: the exchange and a unit's capture joined through JACK's dummy backend.

jackd runs as a separate server without hardware; both ends use plain ALSA (`type jack` under `plug`). The exchange's
definitions connect to nothing and the unit's name every connection, because a connection ends with the client that made
it: a capture that is killed and restarted thus finds the cable unchanged. The exchange must first have opened and
started both its directions, otherwise the unit's constructor or first read reports "Input/output error". After an
under- or overrun the exchange prepares its stream again, which loses the cable: it must fill its playback well ahead
(periods=64 is 640 ms), and read its capture in time.

By default jackd is patient: it waits for a client delayed by this machine, so that only time is lost and no period
(decision 0057). But it also waits for a killed client, up to 10 s. Tests that kill or stop a client use an impatient
cable, which skips a late client, as a codec would.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import IO, Self

from linetap.ring import MAX_LINES, SLOT_MS
from linetap_bench.stage.cable import WATCHED, report_late
from linetap_core import absent
from linetap_core.clock import SYSTEM, Clock, ns_of
from linetap_core.errors import DeviceFault

READY_S = 60.0  # jackd needs 0.3 s; a loaded machine far more
END_S = 5.0
_PRIORITY = 70
# libjack's registry has room for 8 servers, and the entry of a killed server is only freed by a server of the same
# name. Names are therefore few and reused, each held by a lock.
_NAMES = 6
CLIENTS = ("exchange_in", "exchange_out", "unit_in", "unit_out")
_PASSED_OVER = re.compile(r"client = exchange_out-\S+ was not finished")
_SHM = Path("/dev/shm")


class JackCable:
    """`with JackCable(folder, 8, 8000) as cable:`; both processes need `cable.env` and their PCM names.

    `patient`: whether it waits for a late client. `unit_loop` is a capture PCM that returns the unit's own
    `unit_playback`, without an exchange: start playback first. DeviceFault `jack_absent` without jackd, `jack_failed`
    if it does not start (the message names its log).
    """

    exchange_playback = "exchange_playback"
    exchange_capture = "exchange_capture"
    unit_playback = "unit_playback"
    unit_capture = "unit_capture"
    unit_loop = "unit_loop"

    def __init__(
        self, folder: Path, channels: int, rate_hz: int, *, patient: bool = True, clock: Clock = SYSTEM
    ) -> None:
        if not 1 <= channels <= MAX_LINES or rate_hz not in (8000, 48000):
            raise ValueError(f"{channels} channels at {rate_hz} Hz; want 1 to {MAX_LINES} at 8000 or 48000")
        self._folder = folder
        self._channels = channels
        self._rate_hz = rate_hz
        self._patient = patient
        self._clock = clock
        self._server = ""
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reported = 0  # characters of jackd's log already reported
        self.config_path = folder / "asound.conf"
        self.log_path = folder / "jackd.log"

    @property
    def env(self) -> dict[str, str]:
        """The additional environment of both ends."""
        return {
            "ALSA_CONFIG_PATH": str(self.config_path),
            "JACK_DEFAULT_SERVER": self._server,
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }

    @property
    def pid(self) -> int:
        """The pid of jackd, for tests that stop it."""
        assert self._process is not None
        return self._process.pid

    @property
    def held_up_ms(self) -> float:
        """The time by which this machine has delayed the server, by its log: audio stood still."""
        return sum(late_periods_ms(self.log_path.read_text(errors="replace")))

    def report_held_up(self) -> None:
        """Reports the delays that jackd has logged since the last report."""
        log = self.log_path.read_text(errors="replace")
        report_log(log[self._reported :])
        self._reported = len(log)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server, self._lock = _claim_name()
        self.config_path.write_text(alsa_configuration(self._channels, self._server))
        ports = str(max(64, 6 * self._channels))
        period = str(self._rate_hz * SLOT_MS // 1000)
        dummy = ["-d", "dummy", "-r", str(self._rate_hz), "-p", period, "-C", "1", "-P", "1"]
        # setpriv: a cable must end with the process that made it, however that process ends.
        waiting = ["--sync"] if self._patient else []
        server = ["jackd", "-n", self._server, *scheduling(), *waiting, "-p", ports, *dummy]
        command = ["setpriv", "--pdeathsig", "TERM", *server]
        with self.log_path.open("wb") as log:
            try:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | self.env
                )
            except FileNotFoundError:
                self._lock.close()
                raise DeviceFault("jack_absent", absent.not_installed("setpriv")) from None
        try:
            self._wait_until_ready()
        except BaseException:  # Ctrl-C must not leave a server behind; the exception is raised again
            self.__exit__()
            raise
        return self

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = self._clock.monotonic_ns() + ns_of(READY_S)
        while not _socket_path(self._server).exists():
            if self._process.poll() is not None or self._clock.monotonic_ns() > deadline:
                lines = self.log_path.read_text(errors="replace").strip().splitlines() or ["no word"]
                raise DeviceFault("jack_failed", f"{self.log_path}: jackd did not start: {lines[0]}")
            self._clock.sleep(0.02)
        WATCHED.append(self.report_held_up)

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
                self._process.send_signal(signal.SIGCONT)  # a test may have stopped it
            try:
                self._process.wait(END_S)
                break
            except subprocess.TimeoutExpired:
                continue
        if self.report_held_up in WATCHED:
            WATCHED.remove(self.report_held_up)
            self.report_held_up()
        _remove_shared_memory(self._server)
        if self._lock is not None:
            self._lock.close()


def late_periods_ms(log: str) -> list[float]:
    """The delay of each period that jackd began late, by its log."""
    return [int(us) / 1000 for us in re.findall(r"XRun = (\d+) usec", log)]


def report_log(log: str) -> None:
    """Reports jackd if it began a period late by more than a period, and the exchange's end if jackd skipped it: then
    its whole process stood still, which ALSA does not detect. The unit's end is the product, and is not reported.
    """
    report_late("the cable", max(late_periods_ms(log), default=0.0) - SLOT_MS)
    report_late("the exchange", SLOT_MS * len(_PASSED_OVER.findall(log)))


def alsa_configuration(channels: int, server: str) -> str:
    """The PCMs of both ends. A port given as a number instead of a name is connected to nothing.

    JACK's clients have the server's name in theirs: a client listens at a socket in /dev/shm that is named after the
    client alone, so that clients of two servers with one name took it from each other while they connected.
    """
    into, out_of, unit_in, unit_out = (f"{client}-{server}" for client in CLIENTS)
    nothing = ["0"] * channels
    to_exchange = [f'"{into}:in_{i:03d}"' for i in range(channels)]
    from_exchange = [f'"{out_of}:out_{i:03d}"' for i in range(channels)]
    own = [f'"{unit_out}:out_{i:03d}"' for i in range(channels)]
    return "\n".join(
        [
            "</usr/share/alsa/alsa.conf>",
            _pcm(JackCable.exchange_playback, out_of, "playback_ports", nothing),
            _pcm(JackCable.exchange_capture, into, "capture_ports", nothing),
            _pcm(JackCable.unit_playback, unit_out, "playback_ports", to_exchange),
            _pcm(JackCable.unit_capture, unit_in, "capture_ports", from_exchange),
            _pcm(JackCable.unit_loop, unit_in, "capture_ports", own),
        ]
    )


def _pcm(name: str, client: str, direction: str, ports: list[str]) -> str:
    listed = " ".join(f"{i} {port}" for i, port in enumerate(ports))
    jack = f'type jack name "{client}" {direction} {{ {listed} }}'
    return f'pcm.{name}_jack {{ {jack} }}\npcm.{name} {{ type plug slave.pcm "{name}_jack" }}\n'


def _claim_name() -> tuple[str, IO[str]]:
    """A free server name of this machine, and its lock. DeviceFault `jack_failed`."""
    for number in range(_NAMES):
        name = f"linetap-{os.getuid()}-{number}"
        lock = (_SHM / f"{name}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _remove_shared_memory(name)  # of a killed server
        return name, lock
    raise DeviceFault("jack_failed", f"{_NAMES} cables are laid on this machine already; end one of them")


def _remove_shared_memory(name: str) -> None:
    for left in _SHM.glob(f"jack_*{name}_*"):
        with contextlib.suppress(OSError):
            left.unlink()


def _socket_path(server: str) -> Path:
    """The socket of jackd 1.9, which exists once it is up."""
    return Path(f"{_SHM}/jack_{server}_{os.getuid()}_0")


def scheduling(priority: int = _PRIORITY) -> list[str]:
    """jackd's options: real-time if this machine allows it, with its clients' threads just below."""
    return ["-R", "-P", str(priority)] if _realtime_allowed() else ["-r"]


def _realtime_allowed() -> bool:
    """Whether real-time scheduling is allowed; a short-lived process tries it, so that ours is unchanged."""
    asked = subprocess.run(["chrt", "-f", str(_PRIORITY), "true"], capture_output=True, timeout=END_S, check=False)
    return asked.returncode == 0
