# SPDX-License-Identifier: Apache-2.0
"""`linetap command apply|state`, on the unit: a file for the recorder to take, and the answer that it gives."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
from pathlib import Path
from typing import Any

import msgspec

from linetap import handover, jsontext, rooms
from linetap.clock import NS_PER_S, Clock
from linetap.config import Config, load_config
from linetap.config.places import require_usual_places
from linetap.durable.replace import replace_in_ram
from linetap.errors import BadInput, Refusal
from linetap.evidence import command as envelopes
from linetap.evidence.command import Answer
from linetap.recorder.vault.spool import ANSWER, SUFFIX, answers_for, commands_of
from linetap.records import RecorderState
from linetap.service import alive, read_state, remove_quietly

_PATIENCE_S = 10.0
_LOOK_EVERY_S = 0.05
_ANSWER_LIMIT_BYTES = 64 << 10
_APPLY = "example: linetap command apply hold.command --config /etc/linetap/unit.toml"
_STATE = "example: linetap command state --config /etc/linetap/unit.toml"


def add_verbs(verbs: Any) -> None:
    apply = verbs.add_parser("apply", help="on the unit: have a command done, print the answer", epilog=_APPLY)
    apply.add_argument("file", type=Path, metavar="FILE")
    apply.add_argument(
        "--wait", type=float, default=_PATIENCE_S, metavar="S", help="for the answer, default %(default)g"
    )
    state = verbs.add_parser("state", help="on the unit: its time, and the challenge to answer", epilog=_STATE)
    for verb in (apply, state):
        verb.add_argument("--config", type=Path, required=True, metavar="unit.toml")


def run(args: argparse.Namespace, clock: Clock) -> int:
    """Exit status: 0 done, 1 refused. BadInput or Refusal says why there is no answer."""
    config = load_config(args.config)
    if args.action == "state":
        return _print_state(config, clock)
    require_usual_places(config, args.config)
    answer = ask(config, read(args.file), args.wait, clock)
    sys.stdout.write(jsontext.line(answer))
    return 0 if answer.done else 1


def ask(config: Config, data: bytes, patience_s: float, clock: Clock) -> Answer:
    """The unit's answer; Refusal when none comes in time. The command is then withdrawn, unless it is being done."""
    answers = answers_for(config.run_path, rooms.TERMINAL)
    if not answers.is_dir():
        raise BadInput(f"{answers} is not there: the recorder makes it when it starts")
    rooms.enter(config.run_path, rooms.TERMINAL)
    name = secrets.token_hex(8)
    path = rooms.make(commands_of(config.run_path, rooms.TERMINAL)) / f"{name}{SUFFIX}"
    try:
        replace_in_ram(path, data)
    except OSError as error:
        raise BadInput(f"{path.parent}: {error.strerror}: root may bring a command") from None
    try:
        until_ns = clock.monotonic_ns() + round(patience_s * NS_PER_S)
        while (found := _fetch(answers, f"{name}{ANSWER}")) is None and clock.monotonic_ns() < until_ns:
            clock.sleep(_LOOK_EVERY_S)
    finally:
        remove_quietly(path)
    if found is None:
        raise Refusal(f"no answer in {patience_s:g} s: the recorder does not run, or its disk takes nothing")
    return found


def _fetch(answers: Path, name: str) -> Answer | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return jsontext.decode(handover.read(answers, name, _ANSWER_LIMIT_BYTES), Answer)
    return None


def read(path: Path) -> bytes:
    """An envelope; BadInput where it is larger than one may be."""
    try:
        with path.open("rb") as file:
            data = file.read(envelopes.LIMIT_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    if len(data) > envelopes.LIMIT_BYTES:
        raise BadInput(f"{path}: larger than {envelopes.LIMIT_BYTES} bytes")
    return data


def _print_state(config: Config, clock: Clock) -> int:
    state = read_state(config.run_path, "recorder", RecorderState)
    if state is None or state.retention_time is None or not alive(state, clock):
        raise Refusal(f"{config.run_path}: the recorder does not run")
    told = {"unit": state.unit, "config_sha256": state.config_sha256} | msgspec.to_builtins(state.retention_time)
    told["weakenings"] = msgspec.to_builtins(state.weakenings)
    sys.stdout.write(jsontext.line(told))
    return 0
