# SPDX-License-Identifier: Apache-2.0
"""The log of the services: systemd's journal by its native protocol if it is running, standard error otherwise.

A line that begins with a code (`broker_absent: ...`) has that code as a field and a MESSAGE_ID derived from it, so that
`journalctl --namespace=linetap LINETAP_CODE=broker_absent` finds all of them. Standard error under systemd is a stream:
a journal that hangs would block capture. A datagram that cannot be sent is dropped instead, and counted in the next
one.

The journal limits the rate of each service, whatever the lines are (journald@linetap.conf.d). Anyone able to make a
service log the same line repeatedly (the panel at the recorder's socket, the broker) could thereby suppress its other
lines: each kind of line is limited here, below the journal's limit.
"""

from __future__ import annotations

import copy
import logging
import os
import re
import socket
import sys
import uuid

from linetap_core.clock import NS_PER_S, SYSTEM, Clock

SOCKET = "/run/systemd/journal/socket"
MOST_BYTES = 32 << 10
MOST_OF_A_KIND, WINDOW_S = 60, 30  # lines of the same kind; the journal accepts 500 from a service in that time
_MOST_KINDS = 1000  # kinds counted at once: the code has a few hundred
_CODE = re.compile(r"([a-z]+(?:_[a-z0-9]+)+): ")
_IDS = uuid.UUID("6b1d4a0e-7f0c-4c55-9a44-0d6e7a1f2c31")  # namespace: a MESSAGE_ID is the code's UUID in it (v5)
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def handler_for(service: str) -> logging.Handler:
    handler = JournalHandler(service) if _journal_listens() else _stderr()
    handler.addFilter(RateLimit())
    return handler


def message_id(code: str) -> str:
    """The MESSAGE_ID of an event's code, for `journalctl MESSAGE_ID=`: 32 hexadecimal digits that never change."""
    return uuid.uuid5(_IDS, code).hex


def code_of(record: logging.LogRecord, text: str) -> str | None:
    """The code of a log record: from `extra={"code": ...}`, for codes of one word, or from the beginning of its
    text.
    """
    found = _CODE.match(text)
    code: str | None = getattr(record, "code", found[1] if found else None)
    return code


class RateLimit(logging.Filter):
    """Passes MOST_OF_A_KIND lines of each kind in WINDOW_S. The last one announces that more are dropped, and the first
    one afterwards has their number.
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[int, int]] = {}  # start of the window, and lines in it

    def filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        kind, now_ns = (record.name, str(record.msg)), self._clock.monotonic_ns()
        since_ns, count = self._kinds.get(kind, (now_ns, 0))
        left_out = 0
        if now_ns - since_ns >= WINDOW_S * NS_PER_S:
            since_ns, left_out, count = now_ns, max(0, count - MOST_OF_A_KIND), 0
        if len(self._kinds) >= _MOST_KINDS and kind not in self._kinds:
            self._kinds.clear()
        self._kinds[kind] = since_ns, count + 1
        if count >= MOST_OF_A_KIND:
            return False
        if left_out:
            return _with_text(record, f" ({left_out} more of these before it were left out)")
        if count == MOST_OF_A_KIND - 1:
            return _with_text(record, f" (more of these are left out for {WINDOW_S} s)")
        return True


def _with_text(record: logging.LogRecord, more: str) -> logging.LogRecord:
    """A copy with another text, because other handlers need the record unchanged."""
    longer = copy.copy(record)
    longer.msg, longer.args = record.getMessage() + more, None
    return longer


def _datagrams() -> socket.socket:
    if sys.platform == "win32":
        raise OSError("there is no journal on Windows")
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


class JournalHandler(logging.Handler):
    """Sends one datagram for each record (systemd.io/JOURNAL_NATIVE_PROTOCOL); never blocks."""

    def __init__(self, service: str, path: str = SOCKET) -> None:
        super().__init__()
        self._service, self._path = service, path
        self._socket = _datagrams()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = _text(record)
        fields = {
            "MESSAGE": text,
            "PRIORITY": str(_priority(record.levelno)),
            "SYSLOG_IDENTIFIER": "linetap",
            "LINETAP_SERVICE": self._service,
            "LINETAP_LOGGER": record.name,
        }
        if code := code_of(record, text):
            fields |= {"LINETAP_CODE": code, "MESSAGE_ID": message_id(code)}
        if self._lost:
            fields["LINETAP_LOST"] = str(self._lost)
        try:
            self._socket.sendto(b"".join(_field(*pair) for pair in fields.items()), self._path)
            self._lost = 0
        except OSError:
            self._lost += 1

    def close(self) -> None:
        self._socket.close()
        super().close()


def _field(name: str, value: str) -> bytes:
    """A field with its length, because its value may contain line ends."""
    data = value.encode("utf-8", "replace")[:MOST_BYTES]
    return name.encode("ascii") + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _text(record: logging.LogRecord) -> str:
    """The message, with its traceback if there is one."""
    return logging.Formatter().format(record)


def _priority(level: int) -> int:
    """The level as syslog's priority."""
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)


def _journal_listens() -> bool:
    """Whether standard error goes to the journal: systemd.exec(5) sets $JOURNAL_STREAM to its device and inode."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _stderr() -> logging.Handler:
    """A handler that writes the priorities of sd-daemon(3), for programs that forward the lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrefixFormat())
    return handler


class _PrefixFormat(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{_priority(record.levelno)}>{record.name.removeprefix('linetap.')}: {super().format(record)}"
