# SPDX-License-Identifier: Apache-2.0
"""`linetap walk`: starts a walk test on a running unit, says what to do, and what came of each line."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

import msgspec

from linetap.commission.walk_texts import COLOURS, asked, judged
from linetap.config import load_config
from linetap.config.named import require_lines
from linetap.config.schema import Config
from linetap.sockets import Caller
from linetap_core import jsontext
from linetap_core.clock import NS_PER_S, SYSTEM, Clock, compact, parse_rfc3339
from linetap_core.errors import DeviceFault, Refusal
from linetap_core.records import (
    RECORDER_SOCKET,
    RecorderCommand,
    RecorderState,
    Refused,
    StartWalk,
    StopWalk,
    WalkedLine,
    Walking,
    WalkState,
)
from linetap_core.service import StateReader, alive
from linetap_core.vaultformat.walkreport import WALKS_FOLDER

ANSWER_S = 5.0  # by then the recorder's state says that it goes on
_LOOK_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")
    parser.add_argument(
        "--line", type=int, action="append", default=[], metavar="N", help="this line; more than once for more than one"
    )
    parser.add_argument("--stop", action="store_true", help="end the walk test that is going on, whoever began it")


def run(args: argparse.Namespace) -> int:
    """0 when no line is red, else 1. Refusal (1) where there can be no walk test now; DeviceFault without a recorder.

    Ctrl-C ends the walk test too; what was done of it is reported.
    """
    config = load_config(args.config)
    require_lines(config, args.config, args.line)
    recorder = Caller(config.run_path / RECORDER_SOCKET)
    try:
        walker = _Walker(config, recorder, SYSTEM)
        if args.stop:
            return walker.stop()
        return walker.walk(sorted(set(args.line)))
    finally:
        recorder.close()


class _Walker:
    def __init__(self, config: Config, recorder: Caller, clock: Clock) -> None:
        self._config, self._recorder, self._clock = config, recorder, clock
        self._states = StateReader(config.run_path, "recorder", RecorderState)

    def walk(self, lines: list[int]) -> int:
        began_at = self._ask(StartWalk("terminal", lines))
        try:
            self._follow(began_at)
        except KeyboardInterrupt:
            with contextlib.suppress(DeviceFault):
                self._recorder.send(msgspec.json.encode(StopWalk()))
            raise
        return self._last(began_at)

    def stop(self) -> int:
        began_at = self._ask(StopWalk())
        for _ in range(round(ANSWER_S / _LOOK_S)):
            now = self._seen()
            if now is not None and now.began_at == began_at and now.ended_by is not None:
                break
            self._clock.sleep(_LOOK_S)
        return self._last(began_at)

    def _ask(self, command: RecorderCommand) -> str:
        """When the walk test that is meant began."""
        self._recorder.send(msgspec.json.encode(command))
        for _ in range(round(ANSWER_S / _LOOK_S)):
            for data in self._recorder.answers():
                answer: Refused | Walking = jsontext.decode(data, type=Refused | Walking)
                if isinstance(answer, Refused):
                    raise Refusal(f"the recorder refuses: {answer.why}")
                return answer.began_at
            self._clock.sleep(_LOOK_S)
        raise DeviceFault("recorder_silent", f"the recorder has not answered within {ANSWER_S:g} s; see its log")

    def _follow(self, began_at: str) -> None:
        """Until it is over. Its bounds are the recorder's; one that is dead for long ends it here."""
        said, told, seen_ns = "", 0, self._clock.monotonic_ns()
        while True:
            now = self._seen()
            if now is not None and now.began_at == began_at:
                seen_ns = self._clock.monotonic_ns()
                for walked in now.lines[told:]:
                    _say(_first(walked, said) + judged(walked))
                told = len(now.lines)
                if now.ended_by is not None:
                    return
                if now.line is not None and now.step is not None and said != (text := asked(now.line, now.step)):
                    said = text
                    _say(text)
            elif self._clock.monotonic_ns() - seen_ns > 60 * NS_PER_S:
                raise DeviceFault("recorder_absent", "the recorder has said nothing of the walk test for 60 s")
            self._clock.sleep(_LOOK_S)

    def _last(self, began_at: str) -> int:
        now = self._seen()
        lines = now.lines if now is not None and now.began_at == began_at else []
        for colour, text in COLOURS.items():
            if numbers := [str(line.line) for line in lines if line.colour == colour]:
                _say(f"{colour.upper()} ({text}): {', '.join(numbers)}")
        _say(f"{Path(self._config.vault) / WALKS_FOLDER / compact(parse_rfc3339(began_at))}.json")
        return int(not lines or any(line.colour == "red" for line in lines))

    def _seen(self) -> WalkState | None:
        state = self._states.read()
        return state.walk if state is not None and alive(state, self._clock) else None


def _first(walked: WalkedLine, said: str) -> str:
    """A line that nobody was asked for yet has to be named."""
    named = f"{walked.line}번 회선 / line {walked.line}"
    return "" if said.startswith(f"{named}:") else f"{named}\n"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
