# SPDX-License-Identifier: Apache-2.0
"""Shows all units on a terminal: counts by state, a table of buildings, then a page of units, worst first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Literal

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.wire.legend import SIGNS
from linetap_core.wire.topics import HEALTH_EXPIRY_S
from linetap_desk.watch.places import Place, Places
from linetap_desk.watch.units import AWAY, STANDINGS, Standing, Unit, Units

Language = Literal["en", "ko"]
STYLES: dict[Standing, str] = {
    "fault": "bold red",
    "unheard": "bold magenta",
    "offline": "bold magenta",
    "late": "bold yellow",
    "warning": "yellow",
    "fine": "green",
}
BUILDINGS_SHOWN = 8
_AROUND = 7  # rows other than units


class Screen:
    def __init__(self, units: Units, places: Places, language: Language) -> None:
        self._units, self._places, self._language = units, places, language

    def picture(self, head: str, utc_ns: int, now_ns: int, page: int | None) -> RenderableType:
        """The screen's content. `head`: the line about the broker. `page`: rows of the terminal; None: as many as
        needed."""
        placed = sorted(((unit, self._places.of(unit.name)) for unit in self._units.units.values()), key=_worst_first)
        buildings = self._buildings(placed)
        rows = len(placed) if page is None else max(3, page - _AROUND - buildings.row_count)
        body: list[RenderableType] = [
            Text(f"{head}   {rfc3339(utc_ns)}", style="dim"), self._counts(), Text(""), buildings, Text(""),
            self._table(placed[:rows], now_ns),
        ]  # fmt: skip
        if len(placed) > rows:
            body.append(Text(f"and {len(placed) - rows} more, none of them worse", style="dim"))
        return Group(*body)

    def _counts(self) -> Text:
        units = self._units.units.values()
        how = Counter(unit.standing for unit in units)
        text = Text(f"{len(units)} units: ")
        for standing in STANDINGS:
            text.append(f"{how[standing]} {standing}  ", style=STYLES[standing] if how[standing] else "dim")
        lines, calls, alerts = (
            sum(of) for of in zip(*((len(u.lines), u.calls, len(u.alerts)) for u in units), strict=True)
        ) if units else (0, 0, 0)  # fmt: skip
        text.append(f" {lines} lines, {calls} in use, {alerts} alerts")
        if self._units.bad or self._units.passed_over:
            text.append(f"   passed over: {self._units.bad} bad, {self._units.passed_over} too many", style="bold red")
        return text

    def _buildings(self, placed: Sequence[tuple[Unit, Place]]) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("building", no_wrap=True, max_width=24)
        for heading in ("units", *STANDINGS, "in use"):
            table.add_column(heading, justify="right")
        found: dict[str, list[Unit]] = defaultdict(list)
        for unit, place in placed:  # worst first, hence the buildings too
            found[place.building].append(unit)
        for building, units in list(found.items())[:BUILDINGS_SHOWN]:
            how = Counter(unit.standing for unit in units)
            counts = [Text(str(how[it] or "·"), style=STYLES[it] if how[it] else "dim") for it in STANDINGS]
            table.add_row(Text(building or "-"), str(len(units)), *counts, str(sum(unit.calls for unit in units)))
        if len(found) > BUILDINGS_SHOWN:
            table.add_row(Text(f"and {len(found) - BUILDINGS_SHOWN} more", style="dim"))
        return table

    def _table(self, placed: Sequence[tuple[Unit, Place]], now_ns: int) -> Table:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("building", "floor", "unit", "", "lines"):
            table.add_column(heading, no_wrap=True, max_width=34)
        table.add_column("what", no_wrap=True, overflow="ellipsis")
        for unit, place in placed:
            how = Text(unit.standing, style=STYLES[unit.standing])
            what = Text(self._description(unit, now_ns))
            table.add_row(Text(place.building or "-"), Text(place.floor), Text(unit.name), how, _lines(unit), what)
        return table

    def _description(self, unit: Unit, now_ns: int) -> str:
        parts = []
        if unit.standing == "unheard":
            parts.append("the broker has nothing of it")
        elif unit.standing == "offline" and unit.status is not None:
            parts.append(f"its session of {unit.status.since} is over")
        elif unit.standing == "late":
            past_s = (now_ns - unit.good_until_ns) // NS_PER_S
            parts.append(
                f"online, and no health for {HEALTH_EXPIRY_S + past_s} s" if unit.health else "online, no health"
            )
        for check, alert in sorted(unit.alerts.items(), key=lambda one: (one[1].severity, one[0])):  # critical first
            words = alert.text_ko if self._language == "ko" else alert.text_en
            parts.append(f"{check}{f' (line {alert.line})' if alert.line else ''}: {words}")
        return "; ".join(parts)


class LiveScreen:
    """The screen, redrawn in place."""

    def __init__(self, console: Console, screen: Screen) -> None:
        self._console, self._screen = console, screen
        self.live = Live(console=console, auto_refresh=False, screen=True)

    def draw(self, head: str, utc_ns: int, now_ns: int) -> None:
        self.live.update(self._screen.picture(head, utc_ns, now_ns, self._console.height), refresh=True)


def _worst_first(placed: tuple[Unit, Place]) -> tuple[int, str, str, str]:
    unit, place = placed
    return STANDINGS.index(unit.standing), place.building, place.floor.rjust(4), unit.name


def _lines(unit: Unit) -> Text:
    """The states of the lines; unknown for a unit that is away."""
    text = Text()
    if unit.standing in AWAY:
        return Text("?" * len(unit.lines), style="dim")
    for _, line in sorted(unit.lines.items()):
        sign, style = SIGNS[line.state]
        text.append(sign, style=style)
    return text
