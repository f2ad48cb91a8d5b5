# SPDX-License-Identifier: Apache-2.0
"""A person at a browser: presses, typing and choices, counted step by step, with a picture of each step.

Presses are counted twice: here, and by the pages themselves as trusted events; `Recording.settle` compares the two. A
picture shows the step before the page is left, with a frame around the pressed element.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import klm
import msgspec
from playwright.sync_api import BrowserContext, Page, expect

from broker import until
from linetap_core.clock import NS_PER_S, SYSTEM

LIMIT_S = 120  # for a busy machine
_COUNT = "addEventListener('pointerdown', (event) => { if (event.isTrusted) window.pressed(); }, true);"
_FRAME = "(element, on) => { element.style.outline = on ? '4px solid #d4351c' : ''; }"
_DRAWN = "() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"
# Random parts of addresses.
_DRAWN_ANEW = (
    (re.compile(r"\d{8}T\d{6}\.\d{3}Z-L\d\d"), "{call_id}"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "{run}"),
    (re.compile(r"\b[ACH]?\d{4}-\d{4}\b"), "{id}"),
    (re.compile(r"\b\d{4}-\d\d\b"), "{month}"),
)


@dataclass(frozen=True, slots=True)
class Device:
    name: str
    wide: int
    high: int


WALL = Device("wall", 1920, 1080)
DESKTOP = Device("desktop", 1280, 800)
PHONE = Device("phone", 390, 844)


class Action(msgspec.Struct, omit_defaults=True):
    """`on`: the selector. `keys`: their number. `typed`: the text, unless it is random."""

    do: str
    on: str = ""
    keys: int = 0
    typed: str = ""


class Step(msgspec.Struct):
    who: str
    says: str
    page: str
    device: str
    actions: list[Action] = []
    presses: int = 0
    keys: int = 0
    files: int = 0
    commands: int = 0
    words: int = 0
    person_s: float = 0.0
    machine_s: float = 0.0


class Run(msgspec.Struct):
    """A run; `begins`: the state before the first step."""

    name: str
    role: str
    task: str
    begins: str
    steps: list[Step] = []

    def count(self) -> dict[str, Any]:
        """The figures that depend neither on the machine nor on the day."""
        counted = ("presses", "keys", "files", "commands")
        sums = {name: sum(getattr(one, name) for one in self.steps) for name in counted}
        return sums | {"pages": [(one.who, one.page, one.device) for one in self.steps]}


@dataclass
class Recording:
    """`pictures`: name of the step -> PNG; none without `takes`."""

    run: Run
    takes: bool = False
    pictures: dict[str, bytes] = field(default_factory=dict)
    hands: list[Hand] = field(default_factory=list)
    pressed: int = 0  # counted by the pages
    clicked: int = 0  # counted here

    def hand(self, who: str, context: BrowserContext, device: Device, *, narrow: bool = False) -> Hand:
        """`narrow`: each step is pictured at the width of a telephone too."""
        context.set_default_timeout(LIMIT_S * 1000)
        context.expose_binding("pressed", lambda _source: self._count())
        context.add_init_script(_COUNT)
        made = Hand(self, who, context, device, narrow)
        self.hands.append(made)
        return made

    def _count(self) -> None:
        self.pressed += 1

    def settle(self) -> Run:
        for hand in self.hands:
            hand.end()
        last = self.hands[-1].page

        def same() -> bool:
            last.wait_for_timeout(10)  # time for the pages' last reports
            return self.pressed == self.clicked

        until(same, LIMIT_S)
        return self.run


class Hand:
    def __init__(self, record: Recording, who: str, context: BrowserContext, device: Device, narrow: bool) -> None:
        self.record, self.who, self.context, self.device, self.narrow = record, who, context, device, narrow
        self.page: Page
        self._step: Step | None = None
        self._shown = False

    # --- where one is ------------------------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Opens a separate window, before the first step or beside another."""
        self.page = self.context.new_page()
        self.page.set_viewport_size({"width": self.device.wide, "height": self.device.high})
        self.page.goto(url)

    def begin(self, says: str, *reads: str) -> None:
        """Starts a step on the present page. `reads`: the text that the person must read."""
        self.end()
        self._step = Step(self.who, says, place(self.page.url), self.device.name)
        self._shown = False
        self.record.run.steps.append(self._step)
        for selector in reads:
            self.read(selector)

    def end(self) -> None:
        if self._step is not None and not self._shown:
            self._picture("")

    def read(self, selector: str) -> None:
        words = sum(len(text.split()) for text in self.page.locator(selector).all_inner_texts())
        self._now.words += words
        self._now.person_s += klm.reading_s(words)

    @property
    def _now(self) -> Step:
        assert self._step is not None
        return self._step

    # --- what one does -----------------------------------------------------------------------------------------------

    def press(self, selector: str, *, stays: bool = False) -> None:
        """Presses an element. `stays`: no other page follows."""
        if stays:
            self._click(selector)
        else:
            self._leaving(selector, lambda: self._navigate(selector))

    def act(self, selector: str) -> None:
        """Presses an element that changes the page without leaving it; the picture is from before."""
        self._framed(selector)
        self._click(selector)

    def press_for_window(self, selector: str) -> None:
        """Presses a link that opens a window, which becomes the current page."""

        def do() -> None:
            with self.context.expect_page() as opened:
                self._click(selector)
            self.page = opened.value
            self.page.set_viewport_size({"width": self.device.wide, "height": self.device.high})
            self.page.wait_for_load_state()

        self._leaving(selector, do)

    def download(self, selector: str, folder: Path) -> Path:
        """The downloaded file."""
        self._framed(selector)
        with self.page.expect_download() as fetched:
            self._click(selector)
        path = folder / fetched.value.suggested_filename
        fetched.value.save_as(path)
        return path

    def type(self, selector: str, text: str, *, secret: bool = False) -> None:
        self._click(selector)
        self.page.locator(selector).fill(text)
        self._keys(selector, klm.keystrokes(text), "" if secret else text)

    def day(self, selector: str, day: str) -> None:
        """Fills a date field, which is typed without its hyphens."""
        self._click(selector)
        self.page.locator(selector).fill(day)
        self._keys(selector, len(day.replace("-", "")), "")

    def copy(self, selector: str) -> str:
        """Copies: a click selects the whole text, then two keys."""
        self._click(selector)
        text = self.page.locator(selector).inner_text().strip()
        marked = str(self.page.evaluate("getSelection().toString()")).strip()
        assert marked == text, f"{selector}: a click marks {marked!r}"
        self._keys(selector, 2, "")
        return text

    def paste(self, selector: str, text: str) -> None:
        self._click(selector)
        self.page.locator(selector).fill(text)
        self._keys(selector, 2, "")

    def select(self, selector: str, value: str) -> None:
        """Selects in a list that opens: two presses, invisible to the page."""
        self.page.locator(selector).select_option(value)
        self._now.presses += 2
        self._now.person_s += 2 * klm.press_s()
        self._now.actions.append(Action("select", selector, 0, value))

    def file(self, selector: str, *paths: Path) -> None:
        self.page.locator(selector).set_input_files(list(paths))
        self._now.files += 1
        self._now.person_s += klm.file_s()
        self._now.actions.append(Action("file", selector))

    def command(self, text: str) -> None:
        """Pastes a command from the page into a terminal."""
        self._now.commands += 1
        self._now.person_s += klm.command_s()
        self._now.actions.append(Action("command", "", 0, text))

    def beside(self, what: str) -> None:
        """A press outside the page: another window, or the finger on the passkey."""
        self._now.presses += 1
        self._now.person_s += klm.press_s()
        self._now.actions.append(Action("beside", "", 0, what))

    def switch(self, page: Page) -> None:
        """Switches to an open window."""
        self.beside("window")
        self.page = page
        self._now.page = f"{self._now.page}, {there}" if (there := place(page.url)) != self._now.page else there

    def sees(self, selector: str, text: str) -> None:
        expect(self.page.locator(selector).first).to_contain_text(text, timeout=LIMIT_S * 1000)

    # --- how ---------------------------------------------------------------------------------------------------------

    def _click(self, selector: str) -> None:
        self.page.locator(selector).click()
        self.record.clicked += 1
        self._now.presses += 1
        self._now.person_s += klm.press_s()
        self._now.actions.append(Action("press", selector))

    def _keys(self, selector: str, count: int, text: str) -> None:
        self._now.keys += count
        self._now.person_s += klm.typing_s(count)
        self._now.actions.append(Action("type", selector, count, text))

    def _navigate(self, selector: str) -> None:
        with self.page.expect_navigation(wait_until="load"):
            self._click(selector)

    def _leaving(self, selector: str, do: Callable[[], None]) -> None:
        self._framed(selector)
        began_ns = SYSTEM.monotonic_ns()
        do()
        self._now.machine_s += (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S

    def _framed(self, selector: str) -> None:
        if not self._shown:
            self._picture(selector)

    def _picture(self, selector: str) -> None:
        self._shown = True
        if not self.record.takes:
            return
        name = f"{self.record.run.name}-{self.record.run.steps.index(self._now) + 1}"
        self.record.pictures[name] = self._look(selector)
        if self.narrow:
            self.page.set_viewport_size({"width": PHONE.wide, "height": PHONE.high})
            self.record.pictures[f"{name}-{PHONE.wide}"] = self._look(selector)
            self.page.set_viewport_size({"width": self.device.wide, "height": self.device.high})

    def _look(self, selector: str) -> bytes:
        target = self.page.locator(selector) if selector else None
        if target is not None:
            target.scroll_into_view_if_needed()
            target.evaluate(_FRAME, True)
        self.page.evaluate(_DRAWN)
        png = self.page.screenshot(animations="disabled")
        if target is not None:
            target.evaluate(_FRAME, False)
        return png


def place(url: str) -> str:
    """The address without its random parts. On the loopback's other ports: the program on one's own computer."""
    parts = urlsplit(url)
    if parts.scheme == "http":
        if parts.hostname != "127.0.0.1":
            return "signing page"
        _, _, rest = parts.path.partition("/")
        below = rest.partition("/")[2] if len(rest.partition("/")[0]) == 16 else rest
        return f"program: /{_plain(below)}"
    return _plain(parts.path)


def _plain(path: str) -> str:
    for pattern, name in _DRAWN_ANEW:
        path = pattern.sub(name, path)
    return path
