# SPDX-License-Identifier: Apache-2.0
"""Writes commands from the broker to the reporter's folder, byte for byte, and returns the recorder's answers.

The reporter interprets no command: the recorder decides by the signature. The reporter only bounds memory: few commands
at a time, none larger than an envelope, and none kept for longer than PATIENCE_S.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from linetap_core import rundir
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.durable.files import replace_in_ram
from linetap_core.evidence.authorization.command import LIGHT, LIMIT_BYTES, MAY, SUFFIX
from linetap_core.rundir import ANSWER, answers_for, commands_of
from linetap_core.service import remove_quietly

# Commands that a desk sends every second, and as many of all others, so that a queue of the first blocks no hold.
MOST_WAITING = 8
PATIENCE_S = 60
ANSWER_LIMIT_BYTES = 16 << 10
_PREFIX = "net-"

log = logging.getLogger("linetap.reporter.inbox")


@dataclass(frozen=True, slots=True)
class Reply:
    verb: str
    payload: bytes
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class _Waiting:
    verb: str
    correlation: bytes | None
    until_ns: int


class Inbox:
    def __init__(self, run_dir: Path, clock: Clock) -> None:
        rundir.make_service_folder(run_dir, "reporter")
        self._spool, self._clock = rundir.make(commands_of(run_dir, "reporter")), clock
        self._answers = answers_for(run_dir, "reporter")
        self._waiting: dict[str, _Waiting] = {}  # by file name
        self._last_name = 0
        for old in self._spool.glob(f"{_PREFIX}*{SUFFIX}"):
            remove_quietly(old)

    def receive(self, verb: str, data: bytes, correlation: bytes | None) -> bool:
        """Stores a command; returns whether the recorder can read it. `verb`: from the topic; used in the answer's."""
        if verb not in MAY:
            log.warning("command_passed_over: the topic does not end with a verb")
            return False
        beside = sum((one.verb in LIGHT) == (verb in LIGHT) for one in self._waiting.values())
        if beside >= MOST_WAITING or len(data) > LIMIT_BYTES:
            log.warning("command_passed_over: %s, %d bytes: %d wait already", verb, len(data), beside)
            return False
        name = self._name()
        try:
            replace_in_ram(self._spool / f"{name}{SUFFIX}", data)
        except OSError as error:
            log.warning("command_passed_over: %s: %s: %s", verb, self._spool, error.strerror)
            return False
        self._waiting[name] = _Waiting(verb, correlation, self._clock.monotonic_ns() + PATIENCE_S * NS_PER_S)
        return True

    def replies(self) -> Iterator[Reply]:
        """Yields answers that have arrived, each once."""
        for name, waiting in list(self._waiting.items()):
            try:
                data = rundir.read(self._answers, f"{name}{ANSWER}", ANSWER_LIMIT_BYTES)
            except OSError:
                if self._clock.monotonic_ns() >= waiting.until_ns:
                    log.warning(
                        "command_unanswered: %s: the recorder is dead, or its disk cannot be written", waiting.verb
                    )
                    remove_quietly(self._spool / f"{name}{SUFFIX}")
                    del self._waiting[name]
                continue
            remove_quietly(self._spool / f"{name}{SUFFIX}")  # after the removal, the recorder removes its answer
            del self._waiting[name]
            yield Reply(waiting.verb, data, waiting.correlation)

    def _name(self) -> str:
        """A new file name. Names increase: the recorder reads commands in the order of their names."""
        self._last_name = max(self._last_name + 1, self._clock.monotonic_ns())
        return f"{_PREFIX}{self._last_name:020d}"
