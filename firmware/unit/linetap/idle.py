# SPDX-License-Identifier: Apache-2.0
"""`linetap idle`: waits until no line is in use, before a step that interrupts capture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from linetap.config import Config, load_config
from linetap.config.require import require_card
from linetap_core.clock import NS_PER_S, S_PER_DAY, SYSTEM, Clock, ns_of
from linetap_core.errors import BadInput, Refusal
from linetap_core.records import FREE, RecorderState
from linetap_core.service import alive, read_state

EXAMPLE = "example: linetap idle --config /etc/linetap/unit.toml --card 1 --within 3600"
LOOK_EVERY_S = 0.2
HOLDS_S = 3.0  # people often lift the handset again after hanging up, and a ring burst may be the first of a call
MOST_S = 7 * S_PER_DAY
UNKNOWN = "the lines in use are unknown; linetap check gives details"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLE
    parser.add_argument("--config", type=Path, required=True, metavar="unit.toml")
    parser.add_argument("--card", type=int, metavar="N", help="the lines of this card alone")
    parser.add_argument(
        "--within", type=int, default=0, metavar="SECONDS", help="seconds until the answer is no: %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command. Exit status 0 when no line is in use; Refusal, with the line in use, if the time is over."""
    if not 0 <= args.within <= MOST_S:
        raise BadInput(f"--within {args.within}: 0 to {MOST_S} seconds")
    config = load_config(args.config)
    if args.card is not None:
        require_card(config, args.config, args.card)
    wait_for_idle(config, args.card, args.within, SYSTEM)
    sys.stdout.write("쓰는 회선 없음 / no line is in use\n")
    return 0


def wait_for_idle(config: Config, card: int | None, within_s: float, clock: Clock) -> None:
    """Returns after HOLDS_S without a line in use, of `card` or of any card. Refusal if that time does not begin within
    `within_s`.
    """
    end_ns = clock.monotonic_ns() + ns_of(within_s + HOLDS_S + LOOK_EVERY_S)
    idle_since_ns: int | None = None
    while True:
        found, now_ns = line_in_use(config, card, clock), clock.monotonic_ns()
        if found is None:
            idle_since_ns = idle_since_ns or now_ns
            if now_ns - idle_since_ns >= HOLDS_S * NS_PER_S:
                return
        else:
            idle_since_ns = None
        if now_ns >= end_ns:
            raise Refusal(f"not within {within_s:g} s: {found or f'no pause of {HOLDS_S:g} s'}")
        clock.sleep(LOOK_EVERY_S)


def line_in_use(config: Config, card: int | None, clock: Clock) -> str | None:
    """The first line in use, or why that is unknown. A faulty line does not count: it is not recorded."""
    state = read_state(config.run_path, "recorder", RecorderState)
    if state is None or not alive(state, clock):
        return UNKNOWN
    ours = {line.number for line in config.line if card is None or line.card == card}
    busy = (line for line in state.lines if line.line in ours and line.state not in FREE)
    return next((f"line {line.line} is in use ({line.state})" for line in busy), None)
