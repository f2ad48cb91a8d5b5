# SPDX-License-Identifier: Apache-2.0
"""The tree of errors. Each has a stable code, shared by log, alert and LED legend, and a message with the action."""

from __future__ import annotations


def plain(text: str) -> str:
    """The text with unprintable characters, except line ends, as escapes such as \\x85."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii") for c in text)


def file_and_reason(error: OSError, at: object = None) -> str:
    """`file: reason`; of a rename the new name, which a person knows. `at`: the place of an error without a file."""
    name = error.filename2 or error.filename or at
    reason = error.strerror or str(error)
    return plain(f"{name}: {reason}" if name else reason)


class LinetapError(Exception):
    """An error that linetap reports in one line.

    `code` is stable (lower case, underscores); `exit_status` is the exit status of the command.
    """

    code = "linetap"
    exit_status = 2

    def __str__(self) -> str:
        """The message without unprintable characters: text from a foreign file can neither begin a line nor move a
        cursor."""
        return plain(super().__str__())


class BadInput(LinetapError, ValueError):
    """A file, argument or value that cannot be used: the message names the file, the place and a correct value."""

    code = "bad_input"


class Refusal(LinetapError):
    """The answer is no: a failed check, damaged evidence, a wrong key."""

    code = "refused"
    exit_status = 1


class CodedRefusal(Refusal):
    """A refusal with one of several codes."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ShownRefusal(CodedRefusal):
    """A refusal whose message ends with its code."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, f"{text} [{code}]")


class AlreadyRunning(LinetapError, RuntimeError):
    """Another instance of the service is running; the message names its process."""

    code = "already_running"


class DeviceFault(LinetapError, OSError):
    """A device is missing, does not match the configuration, or no longer answers."""

    code = "device_fault"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
