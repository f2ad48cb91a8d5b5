# SPDX-License-Identifier: Apache-2.0
"""The times of a log's leaves: they go back only where the log says that the clock did.

Two threads stamp them: the vault's, which may be late by as long as a disk is in trouble, and the main one. Each is
held against itself. A destruction is dated by retention time, which runs on while a clock is wrong; the clock beside it
has to have come as far.
"""

from __future__ import annotations

from collections.abc import Callable

from linetap_core.clock import NS_PER_DAY, NS_PER_MS, NS_PER_S, rfc3339
from linetap_core.evidence.merklelog.unitlog import Leaf

SLACK_NS = 60 * NS_PER_S  # smaller steps than a clock_step, and the turn of a thread
NEAR = 64  # leaves: the vault's thread may see a step before the main one has said it
AHEAD_NS = NS_PER_DAY  # of retention time before the clock
_VAULT = ("open", "close", "gap", "notice_failure", "refused", "key_list")
_MAIN = ("start", "stop", "heartbeat", "clock_step")

Bad = Callable[[str, str], None]


class LogTimes:
    def __init__(self, bad: Bad) -> None:
        self._bad = bad
        self._last: dict[str, int] = {}  # newest time of each thread since a start or a step back
        self._newest = 0  # of all leaves that a clock has stamped
        self._clock_ns: int | None = None  # of the last of them
        self._back: list[tuple[int, int, str]] = []  # leaf, by how much, sentence: nothing has explained it yet
        self._due: list[tuple[int, str, str]] = []  # what the next time has to reach: ns, code, sentence
        self._restarts = self._unjudged = 0
        self._told = False  # a signed answer said the date: the unit's own clock may stand anywhere

    def look_at(self, index: int, leaf: Leaf, at_ns: int) -> None:
        self._told |= leaf.kind == "command" and leaf.verb == "time"
        thread = "vault" if leaf.kind in _VAULT else "main" if leaf.kind in _MAIN else None
        if thread is None:
            return
        if leaf.kind == "start":
            self._started(index, at_ns)
        elif leaf.kind == "clock_step" and leaf.ms < 0:
            self._stepped(index, -round(leaf.ms) * NS_PER_MS, at_ns)
        elif (back := self._last.get(thread, 0) - at_ns) > SLACK_NS:
            text = f"leaf {index} ({leaf.kind}) is of {leaf.at}, {back // NS_PER_S} s before one that stands before it"
            self._back.append((index, back, text))
            self._last[thread] = at_ns
        self._last[thread] = max(self._last.get(thread, 0), at_ns)
        self._clock_ns = at_ns
        self._newest = max(self._newest, at_ns)
        self._settle(at_ns)
        self._give_up(index)

    def require_reached(self, ns: int, code: str, text: str) -> None:
        """That the clock stood there, or comes to stand there with the next leaf."""
        if self._clock_ns is None or self._clock_ns + AHEAD_NS < ns:
            self._due.append((ns, code, text))

    def end(self, head_ns: int | None) -> None:
        if head_ns is not None:
            self._clock_ns = head_ns
            self._settle(head_ns)
        self._give_up(None)

    def notes(self) -> list[str]:
        found = []
        if self._restarts:
            found.append(f"{self._restarts} times the clock stood earlier after a start than before it")
        if self._unjudged:
            found.append(
                f"{self._unjudged} destroyed while the clock had gone back, or a signed answer said the date: their"
                " time cannot be judged by it"
            )
        return found

    def _settle(self, clock_ns: int) -> None:
        for ns, code, text in self._due:
            if clock_ns + AHEAD_NS >= ns:
                continue
            if clock_ns + AHEAD_NS < self._newest or self._told:
                self._unjudged += 1
            else:
                self._bad(
                    code, f"{text}: the clock stood at {rfc3339(clock_ns)}, it should be kept until {rfc3339(ns)}"
                )
        self._due.clear()

    def _started(self, index: int, at_ns: int) -> None:
        """A machine without a clock of its own may come up with any time."""
        self._restarts += max(self._last.values(), default=0) - at_ns > SLACK_NS or bool(self._near(index))
        self._back = [each for each in self._back if each not in self._near(index)]
        self._last = {}

    def _stepped(self, index: int, by_ns: int, at_ns: int) -> None:
        explained = [each for each in self._near(index) if each[1] <= by_ns + SLACK_NS]
        self._back = [each for each in self._back if each not in explained]
        self._last = {thread: min(last, at_ns) if last - at_ns <= by_ns + SLACK_NS else last
                      for thread, last in self._last.items()}  # fmt: skip

    def _near(self, index: int) -> list[tuple[int, int, str]]:
        return [each for each in self._back if index - each[0] <= NEAR]

    def _give_up(self, index: int | None) -> None:
        """What was not explained within so many leaves is not going to be."""
        for each in [each for each in self._back if index is None or index - each[0] > NEAR]:
            self._bad("time_back", f"{each[2]}, and no clock_step says so")
            self._back.remove(each)
