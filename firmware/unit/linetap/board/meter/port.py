# SPDX-License-Identifier: Apache-2.0
"""A serial port that never blocks the capture loop, which reads and writes only what is possible at once.

Opening and closing may block on a device (a hanging USB adapter, a UART that drains), so each runs in a separate thread
that then ends. A thread never uses a port that the loop has.

An empty terminal is not read: even a non-blocking read or poll would wait for the kernel's worker that fetches bytes
from the driver (Linux, n_tty.c: tty_buffer_flush_work). The worker has an ordinary priority: capture would lose audio
while other work displaces it (decision 0202).
"""

from __future__ import annotations

import contextlib
import logging
import os
import termios
import threading

import serial

from linetap.board.meter.protocol import BAUD
from linetap_core.clock import NS_PER_MS

MOST_READ = 16_384  # per call: half a second of samples
RETRY_MS = 500

log = logging.getLogger("linetap.meter")


class SerialPort:
    """The port; opened again as often as needed, since the device may disappear and return."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._serial: serial.Serial | None = None
        self._opening: threading.Thread | None = None
        self._opened: serial.Serial | None = None  # set by the thread; moved to the loop once the thread has ended
        self._why = ""
        self._logged = ""
        self._retry_ns = 0

    def ready(self, now_ns: int) -> bool:
        """Returns whether the port is open; opens it otherwise."""
        if self._serial is not None:
            return True
        if self._opening is not None:
            if self._opening.is_alive():
                return False
            self._opening = None
            self._serial, self._opened = self._opened, None
            self._log_reason()
            return self._serial is not None
        if now_ns >= self._retry_ns:
            self._retry_ns = now_ns + RETRY_MS * NS_PER_MS
            self._opening = threading.Thread(target=self._open, name="meter-open", daemon=True)
            self._opening.start()
        return False

    def _open(self) -> None:
        with contextlib.suppress(OSError):  # else the thread would inherit the loop's real-time priority
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        try:
            port = serial.Serial(self._path, BAUD, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError) as error:  # pyserial's errors are OSErrors
            self._why = str(error)
            return
        os.set_blocking(port.fileno(), False)
        self._why, self._opened = "", port

    def _log_reason(self) -> None:
        """Logs each new reason once."""
        if self._why and self._why != self._logged:
            log.error("meter_absent: %s: %s; sound alone decides", self._path, self._why)
        elif self._serial is not None:
            log.info("%s: the line meter's port is open", self._path)
        self._logged = self._why

    def read(self) -> bytes:
        """Returns the bytes that have arrived, possibly none. A lost port is closed."""
        if self._serial is None:
            return b""
        try:
            return os.read(self._serial.fd, MOST_READ) if self._serial.in_waiting else b""
        except BlockingIOError:
            return b""
        except OSError as error:
            self.lose(str(error))
            return b""

    def write(self, data: bytes) -> None:
        """Writes as much as possible; the rest is lost, like a frame lost on the wire."""
        if self._serial is None:
            return
        try:
            os.write(self._serial.fd, data)
        except BlockingIOError:
            return
        except OSError as error:
            self.lose(str(error))

    def lose(self, why: str) -> None:
        """Closes the port, which is opened again later."""
        if self._serial is None:
            return
        port, self._serial = self._serial, None
        log.error("meter_lost: %s: %s; sound alone decides", self._path, why)
        threading.Thread(target=_close, args=(port,), name="meter-close", daemon=True).start()

    def close(self) -> None:
        if self._serial is not None:
            port, self._serial = self._serial, None
            _close(port)


def _close(port: serial.Serial) -> None:
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(port.fd, termios.TCIOFLUSH)  # else the kernel may wait 30 s to drain the port
    with contextlib.suppress(OSError):
        port.close()
