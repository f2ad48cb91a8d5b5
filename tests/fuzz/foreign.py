# SPDX-License-Identifier: Apache-2.0
"""The fuzzed readers of foreign bytes, and their allowed outcomes.

A reader may accept the bytes, or refuse them with a LinetapError or one of its listed exceptions, in plain printable
lines. Anything else is a finding: another exception, a command that reports a fault in linetap itself, more than
HANG_S, more than MOST_MB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from linetap_core.errors import LinetapError

HANG_S, MOST_MB = 120, 700  # HANG_S in wall-clock time: the machine may be busy


class Find(Exception):
    """A reader's forbidden behaviour."""


@dataclass(frozen=True)
class Target:
    name: str
    seeds: list[bytes]
    take: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...] = ()
    slow: bool = False  # a command with much computation: few trials in the short form
    trials: int = 40  # number of trials in the short form

    def feed(self, data: bytes) -> None:
        """Feeds `data` to the reader; raises Find with one line about a forbidden outcome."""
        try:
            self.take(data)
        except Find:
            raise
        except LinetapError as error:
            _require_lines(str(error))
        except self.refuses:
            pass
        except Exception as error:
            raise Find(f"{self.name}: {type(error).__name__}: {error}") from error


def _require_lines(text: str) -> None:
    if not text.strip() or any(not (each.isprintable() or each == "\n") for each in text):
        raise Find(f"not one plain line: {text[:200]!r}")
