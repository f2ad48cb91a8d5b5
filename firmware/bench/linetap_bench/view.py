# SPDX-License-Identifier: Apache-2.0
"""The live view: redrawn on a terminal; on a pipe or in a file one plain line for each thing that changes."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from linetap_bench.look import Look
from linetap_core.clock import NS_PER_S, SYSTEM, Clock, parse_rfc3339
from linetap_core.records import CallRecord
from linetap_core.wire.legend import LEDS, SIGNS, draw

LED_STYLES = {"green": "bold green", "blue": "bold blue", "red": "bold red"}
CALLS_SHOWN = 10


class View(Protocol):
    def show(self, look: Look) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_view(console: Console | None = None, clock: Clock = SYSTEM) -> View:
    """By what standard output is."""
    console = console or Console(file=sys.stdout)
    return LiveView(console, clock) if console.is_terminal else PlainView(console, clock)


class LiveView:
    def __init__(self, console: Console, clock: Clock) -> None:
        self._clock = clock
        self._live = Live(console=console, auto_refresh=False, transient=False)

    def show(self, look: Look) -> None:
        self._live.update(render(look, self._clock), refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class PlainView:
    """Lines of text: seconds since the view began, what, and how it is now."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console, self._clock = console, clock
        self._began_ns = clock.monotonic_ns()
        self._known: dict[str, str] = {}

    def show(self, look: Look) -> None:
        for what, how in plain_facts(look).items():
            if self._known.get(what) != how:
                self._known[what] = how
                seconds = (self._clock.monotonic_ns() - self._began_ns) / NS_PER_S
                self._console.print(f"{seconds:6.1f} s  {what}: {how}", markup=False, highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def plain_facts(look: Look) -> dict[str, str]:
    """Everything worth a line when it changes. LEDs by what they mean: they blink."""
    facts = {f"service {name}": state for name, state in look.services.items()}
    if look.meaning:
        facts["LEDs"] = look.meaning
    facts |= {f"line {line.line}": line.state for line in look.lines}
    facts |= {f"sealed {call.call_id}": describe(call) for call in look.calls}
    return facts


def describe(call: CallRecord) -> str:
    """`in, recorded, 24.1 s` without a word of personal data."""
    parts: list[str] = [call.direction, call.disposition]
    if call.audio is not None:
        parts.append(f"{call.audio.samples / call.audio.rate:.1f} s of audio")
    if call.answered_by:
        parts.append(f"answered by {call.answered_by}")
    if call.ended_by:
        parts.append(f"ended by {call.ended_by}")
    if call.why:
        parts.append(call.why)
    return ", ".join(parts)


def render(look: Look, clock: Clock) -> Panel:
    body = Group(_leds(look), Text(""), _lines(look, clock), Text(""), _calls(look), Text(""), _services(look))
    return Panel(body, title="linetap", title_align="left")


def _leds(look: Look) -> Text:
    text = Text("● POWER  ")
    for i, drawn in enumerate(draw(look.leds).split("  ")):
        name, led = list(LEDS.items())[i]
        text.append(drawn + "  ", style=LED_STYLES[led.colour_en] if look.leds.get(name) else "dim")
    text.append(f"  {look.meaning}")
    return text


def _lines(look: Look, clock: Clock) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("line", "", "state", "for", "call"):
        table.add_column(heading, justify="right" if heading in ("line", "for") else "left", min_width=5)
    for line in look.lines:
        sign, style = SIGNS[line.state]
        seconds = max(0, clock.utc_ns() - parse_rfc3339(line.since)) / NS_PER_S
        table.add_row(str(line.line), sign, line.state, f"{seconds:.0f} s", line.call_id or "", style=style)
    return table


def _calls(look: Look) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title=None)
    table.add_column(f"sealed ({len(look.calls)})", no_wrap=True)
    table.add_column("")
    for call in look.calls[-CALLS_SHOWN:]:
        table.add_row(call.call_id, describe(call))
    return table


def _services(look: Look) -> Text:
    words = "  ".join(f"{name} {state}" for name, state in look.services.items())
    reports = f"reports delivered {look.reports_delivered}, waiting {look.reports_waiting}"
    return Text(f"{words}    {reports}    gaps {look.gap_ms:.0f} ms", style="dim")
