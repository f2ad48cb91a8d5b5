# SPDX-License-Identifier: Apache-2.0
"""A card with its meter, put together."""

from __future__ import annotations

from linetap.board.interface import CardBoard
from linetap.board.meter.card import MeteredCard, MeterRelays
from linetap.board.meter.decide import Decider
from linetap.board.meter.learning import LearnedLimits
from linetap.board.meter.port import SerialPort
from linetap.board.meter.protocol import MOST_CHANNELS
from linetap.board.meter.reader import Reader
from linetap.config import profile_of
from linetap.config.schema import Config
from linetap_core.clock import Clock
from linetap_core.errors import BadInput


def open_metered(config: Config, card: int, pins: CardBoard | None, clock: Clock) -> MeteredCard:
    """`pins` are the card's own, or None where there are none: then the meter closes the relays too.

    The meter may be absent, come and go. BadInput for a line on a channel that no meter has.
    """
    port, lines = config.card_number(card).meter_port, config.lines_of(card)
    assert port is not None
    channels = [line.channel - 1 for line in lines]
    for line in lines:
        if line.channel > MOST_CHANNELS:
            raise BadInput(f"line {line.number} is on channel {line.channel}; a line meter has {MOST_CHANNELS}")
    learned = LearnedLimits(config, card)
    numbers = [profile_of(config, line.profile).meter for line in lines]
    reader = Reader(SerialPort(port), channels, Decider(learned.limits, numbers), clock)
    learned.start()
    return MeteredCard(pins or MeterRelays(reader, channels, clock), reader, lines, learned)
