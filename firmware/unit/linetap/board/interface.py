# SPDX-License-Identifier: Apache-2.0
"""The interface of every board: levels and relays of a card, LEDs and button of the panel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the panel does not load numpy, which saves 14 MB
    from linetap.ring import I16, Bits
    from linetap_core.records import MeterState

PERIOD_MS = 10
UNIT_LEDS = ("run", "call", "fault")


@dataclass(frozen=True, slots=True)
class Levels:
    """Ten milliseconds of a card, one row a line in the order of `Config.lines_of(card)`.

    `hook` (True = off-hook level), `ring` (True = ring detector on), `polarity` (True = reversed): bool (lines, 10),
    oldest first; `volts`: int16 (lines,), hundredths of a volt at the end of the period, or ring.NO_VOLTS.
    """

    hook: Bits
    ring: Bits
    polarity: Bits
    volts: I16


class CardBoard(Protocol):
    """The lines of a card. Opening or closing the board opens every relay and closes every contact."""

    @property
    def behind_ms(self) -> int:
        """The age at which the levels of a millisecond are final."""
        ...

    @property
    def meter(self) -> MeterState | None:
        """The meter's state, updated by `levels`; None: the card has no meter."""
        ...

    def levels(self, until_ns: int) -> Levels:
        """Returns the ten milliseconds before `until_ns` (CLOCK_MONOTONIC). Never waits."""
        ...

    def relay(self, index: int, closed: bool) -> None:
        """Closes or opens the notice relay of the line in row `index`."""
        ...

    def contact(self, index: int, opened: bool) -> None:
        """Opens or closes the series contact of the line in row `index`, which calls of `levels` keep open. DeviceFault
        `no_contacts` if this card cannot open it.
        """
        ...

    def close(self) -> None: ...


class PanelBoard(Protocol):
    """The three unit LEDs and the button."""

    def show(self, leds: Mapping[str, bool]) -> None:
        """Shows all of UNIT_LEDS, lit or dark."""
        ...

    def dim(self, percent: int) -> None:
        """Sets the brightness of lit LEDs from the next `show` on: 1 to 100; initially 100."""
        ...

    def button(self) -> bool:
        """Whether the button is pressed now."""
        ...

    def close(self) -> None: ...
