# SPDX-License-Identifier: Apache-2.0
"""One tree of errors. Each has a stable code that log, alert and LED legend share, and says what to do."""

from __future__ import annotations


def plain(text: str) -> str:
    """What does not print, but for a line's end, is spelled out, as \\x85."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


class LinetapError(Exception):
    """Anything linetap knows how to say in one line.

    `code` is stable (lower case, underscores); `exit_status` is what the command ends with.
    """

    code = "linetap"
    exit_status = 2

    def __str__(self) -> str:
        """In plain characters: what a stranger's file holds can begin no line of its own, nor move a cursor."""
        return plain(super().__str__())


class BadInput(LinetapError, ValueError):
    """A file, argument or value that cannot be used: the line says file, place and what would be right."""

    code = "bad_input"


class Refusal(LinetapError):
    """The answer is no: a check failed, evidence is damaged, a key does not fit."""

    code = "refused"
    exit_status = 1


class AlreadyRunning(LinetapError, RuntimeError):
    """A second instance of a service; says who holds the unit."""

    code = "already_running"


class DeviceFault(LinetapError, OSError):
    """A device is missing, is not what the configuration says, or has stopped answering."""

    code = "device_fault"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
