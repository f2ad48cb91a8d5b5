# SPDX-License-Identifier: Apache-2.0
"""`linetap walk`: starts a walk test on a running unit, prints each step, and shows the result of each line."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import msgspec

from linetap.config import load_config
from linetap.config.require import require_lines
from linetap.config.schema import Config
from linetap.sockets import SocketClient
from linetap_core import jsontext
from linetap_core.cli import say
from linetap_core.clock import NS_PER_S, SYSTEM, Clock, compact, parse_rfc3339
from linetap_core.errors import DeviceFault, Refusal
from linetap_core.records import (
    RECORDER_SOCKET,
    Colour,
    RecorderCommand,
    RecorderState,
    Refused,
    StartWalk,
    StopWalk,
    WalkedLine,
    Walking,
    WalkState,
    WalkStep,
)
from linetap_core.service import StateReader, alive
from linetap_core.vaultformat.walkreport import WALKS_FOLDER

ANSWER_S = 5.0  # limit until the recorder's state shows the walk test
_LOOK_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")
    parser.add_argument(
        "--line", type=int, action="append", default=[], metavar="N", help="this line; more than once for more than one"
    )
    parser.add_argument("--stop", action="store_true", help="end the running walk test, also one started by the button")


def run(args: argparse.Namespace) -> int:
    """Runs the command. 0 if no line is red, else 1. Refusal (1) if no walk test is possible now; DeviceFault without a
    recorder.

    Ctrl-C also ends the walk test, with a report of the finished part.
    """
    config = load_config(args.config)
    require_lines(config, args.config, args.line)
    recorder = SocketClient(config.run_path / RECORDER_SOCKET)
    try:
        walker = _Walker(config, recorder, SYSTEM)
        if args.stop:
            return walker.stop()
        return walker.walk(sorted(set(args.line)))
    finally:
        recorder.close()


class _Walker:
    def __init__(self, config: Config, recorder: SocketClient, clock: Clock) -> None:
        self._config, self._recorder, self._clock = config, recorder, clock
        self._states = StateReader(config.run_path, "recorder", RecorderState)

    def walk(self, lines: list[int]) -> int:
        began_at = self._request_walk(StartWalk("terminal", lines))
        try:
            self._follow(began_at)
        except KeyboardInterrupt:
            with contextlib.suppress(DeviceFault):
                self._recorder.send(msgspec.json.encode(StopWalk()))
            raise
        return self._last(began_at)

    def stop(self) -> int:
        began_at = self._request_walk(StopWalk())
        for _ in range(round(ANSWER_S / _LOOK_S)):
            now = self._walk_state()
            if now is not None and now.began_at == began_at and now.ended_by is not None:
                break
            self._clock.sleep(_LOOK_S)
        return self._last(began_at)

    def _request_walk(self, command: RecorderCommand) -> str:
        """Requests the walk test; returns the time of its beginning."""
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
        """Follows the test to its end. The recorder sets the time limits; here a recorder that stays dead ends it."""
        last, printed, seen_ns = "", 0, self._clock.monotonic_ns()
        while True:
            now = self._walk_state()
            if now is not None and now.began_at == began_at:
                seen_ns = self._clock.monotonic_ns()
                for walked in now.lines[printed:]:
                    say(_first(walked, last) + result_text(walked))
                printed = len(now.lines)
                if now.ended_by is not None:
                    return
                if now.line is not None and now.step is not None and last != (text := step_text(now.line, now.step)):
                    last = text
                    say(text)
            elif self._clock.monotonic_ns() - seen_ns > 60 * NS_PER_S:
                raise DeviceFault("recorder_absent", "the recorder has reported nothing of the walk test for 60 s")
            self._clock.sleep(_LOOK_S)

    def _last(self, began_at: str) -> int:
        now = self._walk_state()
        lines = now.lines if now is not None and now.began_at == began_at else []
        for colour, text in COLOURS.items():
            if numbers := [str(line.line) for line in lines if line.colour == colour]:
                say(f"{colour.upper()} ({text}): {', '.join(numbers)}")
        say(f"{Path(self._config.vault) / WALKS_FOLDER / compact(parse_rfc3339(began_at))}.json")
        return int(not lines or any(line.colour == "red" for line in lines))

    def _walk_state(self) -> WalkState | None:
        state = self._states.read()
        return state.walk if state is not None and alive(state, self._clock) else None


def _first(walked: WalkedLine, last: str) -> str:
    """The heading of a line whose test was not announced yet; empty for others."""
    named = f"{walked.line}번 회선 / line {walked.line}"
    return "" if last.startswith(f"{named}:") else f"{named}\n"


# --- Texts, Korean and English ----------------------------------------------------------------------------------------


STEPS: dict[WalkStep, str] = {
    "free": "통화 중입니다. 끝날 때까지 기다립니다 / in use; wait until the call is over",
    "lift": "수화기를 드십시오 / lift the handset",
    "dial": "1을 한 번만 누르십시오 / press 1, once",
    "notice": "기다리십시오. 안내 방송이 나갑니다. 말하지 마십시오 / wait; the notice plays, say nothing",
    "down": "몇 마디 말하고 수화기를 내려놓으십시오 / say a few words, then put the handset down",
}
COLOURS: dict[Colour, str] = {
    "green": "정상 / good",
    "yellow": "점검 필요 / needs attention",
    "red": "불합격 / failed",
}
# All other entries are codes of checks: `linetap check` and docs/alerts.md have the actions.
FOUND = {
    "not_reached": "차례가 오기 전에 끝남 / the test ended before its turn",
    "in_use": "계속 사용 중이어서 시험하지 못함 / in use all the time, not tested",
    "not_lifted": "수화기를 드는 것이 보이지 않음 / lifting was not detected: check its wires, or repeat the test",
    "not_put_down": "수화기를 내려놓지 않음 / the handset was not put down",
    "not_recorded": "녹음되지 않음 / the test call was not recorded",
    "notice_not_played": "안내 방송이 나가지 않음 / the notice was not played",
    "notice_absent": "안내 방송이 회선에서 들리지 않음 / the notice was not heard: check relay and terminals",
    "notice_partial": "안내 방송이 일부만 들림 / the notice was heard in part",
    "silent": "소리가 전혀 없음 / no sound at all",
    "too_quiet": "소리가 너무 작음 / too quiet",
    "no_digit": "번호가 들리지 않음 / no digit was heard",
    "line_cut": "전압이 없음 / no battery: the line is cut or not connected",
    "battery_high": "전압이 측정해 둔 값보다 훨씬 높음 / the voltage is far above the learned one, or any exchange's",
    "sound_on_hook": "수화기가 내려져 있는데 통화 소리가 들림 / speech while on-hook: its hook is not detected",
}


def step_text(line: int, step: WalkStep) -> str:
    return f"{line}번 회선 / line {line}: {STEPS[step]}"


def result_text(walked: WalkedLine) -> str:
    """Two lines or more: the colour with the measurements, then the findings."""
    measured = [
        text.format(value)
        for value, text in (
            (walked.on_hook_v, "on-hook {:.1f} V"), (walked.off_hook_v, "off-hook {:.1f} V"),
            (walked.level_dbm0, "level {:.0f} dBm0"), (walked.echo_db, "echo {:.1f} dB"),
        )
        if value is not None
    ]  # fmt: skip
    measured += [f"notice {walked.proof}"] if walked.proof else []
    measured += [walked.call_id] if walked.call_id else []
    lines = [f"   {walked.colour.upper()}: {COLOURS[walked.colour]}; {', '.join(measured) or '-'}"]
    return "\n".join([*lines, *(f"   {code}: {FOUND.get(code, 'linetap check')}" for code in walked.found)])
