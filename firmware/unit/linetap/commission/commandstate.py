# SPDX-License-Identifier: Apache-2.0
"""`linetap command state`, on the unit: prints its retention time with the open challenge, and its weakenings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from linetap.config import load_config
from linetap_core import jsontext
from linetap_core.clock import Clock
from linetap_core.errors import Refusal
from linetap_core.records import RecorderState
from linetap_core.service import alive, read_state
from linetap_core.timekeeping import KEPT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")


def run(args: argparse.Namespace, clock: Clock = KEPT) -> int:
    """Prints one line of JSON. Refusal if no recorder runs."""
    run_dir = load_config(args.config).run_path
    state = read_state(run_dir, "recorder", RecorderState)
    if state is None or state.retention_time is None or not alive(state, clock):
        raise Refusal(f"{run_dir}: the recorder does not run")
    shown = {"unit": state.unit, "config_sha256": state.config_sha256} | msgspec.to_builtins(state.retention_time)
    shown["weakenings"] = msgspec.to_builtins(state.weakenings)
    sys.stdout.write(jsontext.line(shown))
    return 0
