# SPDX-License-Identifier: Apache-2.0
"""`linetap command apply`, on the unit: puts a command's file into the recorder's folder, and prints its answer."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
from pathlib import Path

import msgspec

from linetap.config import Config, load_config
from linetap.config.require import require_usual_places
from linetap_core import jsontext, rundir
from linetap_core.clock import Clock, ns_of
from linetap_core.durable.files import replace_in_ram
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import SUFFIX, Answer
from linetap_core.rundir import ANSWER, answers_for, commands_of, read_small
from linetap_core.service import remove_quietly
from linetap_core.timekeeping import KEPT

_PATIENCE_S = 10.0
_LOOK_EVERY_S = 0.05
_ANSWER_LIMIT_BYTES = 64 << 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--wait", type=float, default=_PATIENCE_S, metavar="S", help="for the answer, default %(default)g"
    )
    parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Runs the command. Exit status 0 done, 1 refused. BadInput or Refusal gives the reason for a missing answer."""
    config = load_config(args.config)
    require_usual_places(config, args.config)
    answer = ask(config, read_small(args.file, envelopes.LIMIT_BYTES), args.wait, clock)
    sys.stdout.write(jsontext.line(answer))
    return 0 if answer.done else 1


def ask(config: Config, data: bytes, patience_s: float, clock: Clock) -> Answer:
    """The unit's answer; Refusal if none comes in time. The command is then withdrawn, unless it is being executed."""
    answers = answers_for(config.run_path, rundir.TERMINAL)
    if not answers.is_dir():
        raise BadInput(f"{answers} is missing; the recorder makes it when it starts")
    rundir.make_service_folder(config.run_path, rundir.TERMINAL)
    name = secrets.token_hex(8)
    path = rundir.make(commands_of(config.run_path, rundir.TERMINAL)) / f"{name}{SUFFIX}"
    try:
        replace_in_ram(path, data)
    except OSError as error:
        raise BadInput(f"{path.parent}: {error.strerror}: root may give a command") from None
    try:
        until_ns = clock.monotonic_ns() + ns_of(patience_s)
        while (found := _fetch(answers, f"{name}{ANSWER}")) is None and clock.monotonic_ns() < until_ns:
            clock.sleep(_LOOK_EVERY_S)
    finally:
        remove_quietly(path)
    if found is None:
        raise Refusal(f"no answer in {patience_s:g} s: the recorder does not run, or its disk cannot be written")
    return found


def _fetch(answers: Path, name: str) -> Answer | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return jsontext.decode(rundir.read(answers, name, _ANSWER_LIMIT_BYTES), Answer)
    return None
