# SPDX-License-Identifier: Apache-2.0
"""Shows the recorder's live states of the lines on the line LEDs, which are on the card's meter."""

from __future__ import annotations

from linetap.board.interface import CardBoard
from linetap.board.meter.card import MeteredCard
from linetap.board.meter.protocol import LEDS
from linetap.config.schema import Config
from linetap_core.clock import SYSTEM, Clock
from linetap_core.records import LineStatus, RecorderState
from linetap_core.service import alive, read_state

_SHOWN: dict[LineStatus, str] = {
    "idle": "idle",
    "ringing": "ringing",
    "dialling": "call",
    "notice": "call",
    "off_hook": "call",
    "recording": "recording",
    "fault": "fault",
}


class LineLights:
    """The LEDs of a card's lines. No effect without a meter."""

    def __init__(self, config: Config, card: int, board: CardBoard, clock: Clock = SYSTEM) -> None:
        self._run_dir = config.run_path
        self._lines = [line.number for line in config.lines_of(card)]
        self._clock = clock
        self._card = board if isinstance(board, MeteredCard) else None

    def show(self) -> None:
        """Shows the states, which are read from one small file on tmpfs.

        Without a recorder no call is recorded, and every line shows a fault.
        """
        if self._card is None:
            return
        state = read_state(self._run_dir, "recorder", RecorderState)
        shown = _shown(state) if state and alive(state, self._clock) else {}
        self._card.lights([LEDS.index(shown.get(number, "fault")) for number in self._lines])


def _shown(state: RecorderState) -> dict[int, str]:
    """The LED of each line. In a walk test lines in use keep their LED, except the line under test."""
    shown = {line.line: _SHOWN[line.state] for line in state.lines}
    if state.walk is None:
        return shown
    for walked in state.walk.lines:
        if shown.get(walked.line) in ("idle", "fault"):
            shown[walked.line] = walked.colour
    if state.walk.line is not None and state.walk.step in ("lift", "dial", "down"):
        shown[state.walk.line] = "asked"
    return shown
