# SPDX-License-Identifier: Apache-2.0
"""The services' log: systemd's journal in its own protocol, where that is what listens; standard error elsewhere.

A line that begins with a code (`broker_absent: ...`) has it as a field and a MESSAGE_ID made of it, so that `journalctl
--namespace=linetap LINETAP_CODE=broker_absent` finds every one. Standard error under systemd is a stream: a journal
that stands still would hold up capture with it. A datagram that nobody takes is lost instead, and counted in the next.

The journal drops what is too much of a service, whatever it is (journald@linetap.conf.d). Who can make another say one
thing again and again (the panel at the recorder's door, the broker) would silence it so: of each kind of line there is
a bound, below the journal's.
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
MOST_OF_A_KIND, WINDOW_S = 60, 30  # lines with the same words; the journal takes 500 of a service in that time
_MOST_KINDS = 1000  # that are counted at once: they are written in the code, and that has a few hundred
_CODE = re.compile(r"([a-z]+(?:_[a-z0-9]+)+): ")
_IDS = uuid.UUID("6b1d4a0e-7f0c-4c55-9a44-0d6e7a1f2c31")  # of linetap: a MESSAGE_ID is the code's UUID within it (v5)
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def handler_for(service: str) -> logging.Handler:
    handler = JournalHandler(service) if _journal_listens() else _stderr()
    handler.addFilter(Bounded())
    return handler


def message_id(code: str) -> str:
    """Of an event's code, as `journalctl MESSAGE_ID=` wants it: 32 hexadecimal digits, for ever the same."""
    return uuid.uuid5(_IDS, code).hex


def code_of(record: logging.LogRecord, text: str) -> str | None:
    """`extra={"code": ...}`, for codes of one word, or what the text begins with."""
    found = _CODE.match(text)
    code: str | None = getattr(record, "code", found[1] if found else None)
    return code


class Bounded(logging.Filter):
    """Of each kind MOST_OF_A_KIND in WINDOW_S. The last of them says that more are left out, the next one how many."""

    def __init__(self, clock: Clock = SYSTEM) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[str, str], tuple[int, int]] = {}  # since when, and how many

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
            return _with(record, f" ({left_out} more of these before it were left out)")
        if count == MOST_OF_A_KIND - 1:
            return _with(record, f" (more of these are left out for {WINDOW_S} s)")
        return True


def _with(record: logging.LogRecord, more: str) -> logging.LogRecord:
    """A copy: other handlers have the record as it is."""
    told = copy.copy(record)
    told.msg, told.args = record.getMessage() + more, None
    return told


class JournalHandler(logging.Handler):
    """One datagram a record (systemd.io/JOURNAL_NATIVE_PROTOCOL); never waits."""

    def __init__(self, service: str, path: str = SOCKET) -> None:
        super().__init__()
        self._service, self._path = service, path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
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
    """With its length, since it may have more than one line."""
    data = value.encode("utf-8", "replace")[:MOST_BYTES]
    return name.encode("ascii") + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"


def _text(record: logging.LogRecord) -> str:
    """A traceback too, where there is one."""
    return logging.Formatter().format(record)


def _priority(level: int) -> int:
    """As syslog counts."""
    return next((priority for least, priority in _PRIORITIES if level >= least), 7)


def _journal_listens() -> bool:
    """systemd.exec(5): $JOURNAL_STREAM is device and inode of what standard error was when we were started."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _stderr() -> logging.Handler:
    """With the priorities of sd-daemon(3), for whatever else hands it on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrefixFormat())
    return handler


class _PrefixFormat(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"<{_priority(record.levelno)}>{record.name.removeprefix('linetap.')}: {super().format(record)}"
