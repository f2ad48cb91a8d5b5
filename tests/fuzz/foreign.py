# SPDX-License-Identifier: Apache-2.0
"""The fuzzed readers of foreign bytes, and their allowed outcomes.

A reader may take the bytes, or refuse them with an error of linetap's own tree (or with one of those that it names),
whose text is one line. Everything else is a finding: another exception, a command that reports a fault in linetap
itself, more than HANG_S, more than MOST_MB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from linetap_core.errors import LinetapError

HANG_S, MOST_MB = 120, 700  # of the wall: this machine may do other work meanwhile


class Find(Exception):
    """A reader's forbidden behaviour."""


@dataclass(frozen=True)
class Target:
    name: str
    seeds: list[bytes]
    take: Callable[[bytes], object]
    refuses: tuple[type[Exception], ...] = ()
    slow: bool = False  # a command that computes: few trials of it in the short form
    trials: int = 40  # in the short form

    def feed(self, data: bytes) -> None:
        """Find: what it did, in one line."""
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
