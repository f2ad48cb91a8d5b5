# SPDX-License-Identifier: Apache-2.0
"""What the handlers get: the case, the door, the pages, and when something was last done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from linetap_core.clock import NS_PER_S, Clock
from linetap_desk.custody.case import Case
from linetap_desk.custody.login import Door
from linetap_desk.serve import text
from linetap_desk.serve.pages import THEMES, Pages


class Look(Pages):
    """One person, one process: what they chose is kept here, and not in a cookie."""

    chosen: text.Language = text.DEFAULT
    light: str = "auto"

    def language(self, request: Request) -> text.Language:  # noqa: ARG002
        return self.chosen

    def theme(self, request: Request) -> str:  # noqa: ARG002
        return self.light

    def choose(self, language: object, theme: object) -> None:
        if language in text.LANGUAGES:
            self.chosen = text.language_of(str(language))
        elif theme in THEMES:
            self.light = str(theme)


@dataclass
class Site:
    case: Case
    door: Door
    look: Look
    clock: Clock
    url: str
    idle_s: float
    end: Callable[[], None] = lambda: None  # set by the service
    done_ns: int = 0

    def __post_init__(self) -> None:
        self.touch()

    def touch(self) -> None:
        """Somebody is there."""
        self.done_ns = self.clock.monotonic_ns()

    @property
    def idle(self) -> bool:
        return self.clock.monotonic_ns() - self.done_ns >= self.idle_s * NS_PER_S

    def page(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:
        return self.look.page(request, template, status, room=self.door.room, case=self.case, **context)
