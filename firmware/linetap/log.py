# SPDX-License-Identifier: Apache-2.0
"""The services' log: systemd's journal in its own protocol, where that is what listens; standard error elsewhere.

A line that begins with a code (`broker_absent: ...`) has it as a field and a MESSAGE_ID made of it, so that `journalctl
--namespace=linetap LINETAP_CODE=broker_absent` finds every one. Standard error under systemd is a stream: a journal
that stands still would hold up capture with it. A datagram that nobody takes is lost instead, and counted in the next.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import uuid

SOCKET = "/run/systemd/journal/socket"
MOST_BYTES = 32 << 10
_CODE = re.compile(r"([a-z]+(?:_[a-z0-9]+)+): ")
_IDS = uuid.UUID("6b1d4a0e-7f0c-4c55-9a44-0d6e7a1f2c31")  # of linetap: a MESSAGE_ID is the code's UUID within it (v5)
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))


def handler_for(service: str) -> logging.Handler:
    return JournalHandler(service) if _journal_listens() else _stderr()


def message_id(code: str) -> str:
    """Of an event's code, as `journalctl MESSAGE_ID=` wants it: 32 hexadecimal digits, for ever the same."""
    return uuid.uuid5(_IDS, code).hex


def code_of(record: logging.LogRecord, text: str) -> str | None:
    """`extra={"code": ...}`, for codes of one word, or what the text begins with."""
    found = _CODE.match(text)
    code: str | None = getattr(record, "code", found[1] if found else None)
    return code


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
