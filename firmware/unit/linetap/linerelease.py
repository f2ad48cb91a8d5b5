# SPDX-License-Identifier: Apache-2.0
"""The means of ending a call on a line after a situation's notice: its card's contact, or staff with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from linetap.config.schema import Config, Line
from linetap.learned import Learned
from linetap_core.records import LineRelease


def release_of(config: Config, line: Line, learned: Learned | None) -> LineRelease:
    """The means for a line; `learned`: its measurements. The contact is used on a line without a measured release: the
    call then shows the result.
    """
    if not config.card_number(line.card).contacts:
        return "no_contact"
    if line.release == "staff":
        return "staff"
    return "exchange" if learned is not None and learned.release_ms == 0 else "contact"


def staff_lines(config: Config, learned: Mapping[int, Learned]) -> Iterator[str]:
    """The lines on which staff hang up, each with the reason; none if no situation ends a call."""
    if not config.ends_calls:
        return
    recorded = [line for line in config.line if not line.exempt]
    of = {line.number: release_of(config, line, learned.get(line.number)) for line in recorded}
    for card in config.card:
        without = [line.number for line in recorded if line.card == card.number and of[line.number] == "no_contact"]
        if without:
            yield f"{_named(without)}: card {card.number} has no contacts: staff hang up after the notice"
    if by_staff := [number for number in of if of[number] == "staff"]:
        yield f'{_named(by_staff)}: release = "staff": staff hang up after the notice'
    if held := [number for number in of if of[number] == "exchange"]:
        yield f"{_named(held)}: the exchange does not release in time: staff hang up after the notice"


def _named(numbers: list[int]) -> str:
    return f"line{'' if len(numbers) == 1 else 's'} {', '.join(str(number) for number in numbers)}"
