# SPDX-License-Identifier: Apache-2.0
"""Renders templates in the language and theme of the request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.zones import local_time
from linetap_desk.web import text
from linetap_desk.web.roles import EVERYBODY
from linetap_desk.web.secure import page_address_of, path_of

LANGUAGE_COOKIE, THEME_COOKIE = "__Host-linetap-language", "__Host-linetap-theme"
THEMES = {"auto": text.N_("As the system"), "light": text.N_("Light"), "dark": text.N_("Dark")}


# Characters of an input, more than any field allows. A browser cuts a longer text silently, and half a telephone number
# is a valid extension; with this limit the server reports the overlong text.
MOST_TYPED = 4000


PART_END = Markup("\f")  # whitespace for a browser


class MenuItem(NamedTuple):
    """A page in the menu of people with one of the roles. `msgid`: its name in the menu."""

    path: str
    msgid: str
    roles: frozenset[str]


class Pages:
    """The renderer. Every template has `_`, `ngettext`, `fill`, `when`, `who` (None before login), `menu`, `csrf`,
    `draft`, `path`, and `here`, the path with its query."""

    def __init__(self, zone: ZoneInfo, package: str = "linetap_desk.serve") -> None:
        self.zone = zone
        self.menu: tuple[MenuItem, ...] = ()  # of the whole site
        self._templates = Environment(
            loader=PackageLoader(package),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["fill"] = fill
        self._templates.globals["most_typed"] = MOST_TYPED
        self._templates.globals["part_end"] = PART_END

    def page(self, request: Request, template: str, /, status: int = 200, **context: Any) -> Response:
        """A page. `template`: its path below templates/. Inserted values are escaped."""
        return HTMLResponse(self.render(request, template, **context), status)

    def page_in_parts(self, request: Request, template: str, /, **context: Any) -> Response:
        """A page sent in parts, each up to a `part_end` of the template: the browser processes one while the next is
        rendered."""
        rendered = self._templates.get_template(template).generate(self._context(request, context))
        return StreamingResponse(_parts(rendered), media_type="text/html")

    def render(self, request: Request, template: str, /, **context: Any) -> str:
        return self._templates.get_template(template).render(self._context(request, context))

    def _context(self, request: Request, more: dict[str, Any]) -> dict[str, Any]:
        language, who = self.language(request), getattr(request.state, "who", None)
        chosen = text.words(language)
        may = who.roles if who is not None and not who.locked else frozenset()
        return {
            "_": _filling(chosen.gettext),
            "ngettext": _filling(chosen.ngettext),
            "language": language,
            "languages": text.LANGUAGES,
            "theme": self.theme(request),
            "themes": THEMES,
            "when": self.when,
            "who": who,
            "menu": [item for item in self.menu if item.roles & (may | EVERYBODY)],
            "csrf": getattr(request.state, "csrf", ""),
            "draft": getattr(request.state, "draft", ""),
            "path": path_of(request),
            "here": page_address_of(request),
            **more,
        }

    def language(self, request: Request) -> text.Language:
        return text.language_of(request.cookies.get(LANGUAGE_COOKIE))

    def theme(self, request: Request) -> str:
        chosen = request.cookies.get(THEME_COOKIE, "auto")
        return chosen if chosen in THEMES else "auto"

    def translated(self, request: Request, msgid: str) -> str:
        """A text in the language of the request."""
        return text.words(self.language(request)).gettext(msgid)

    def text_of(self, request: Request) -> Callable[[Mapping[str, str], str | None], str]:
        """A function for templates that returns the word of a code in a table; the code itself without a word."""

        def text_of(table: Mapping[str, str], code: str | None) -> str:
            word = table.get(code or "")
            return code or "" if word is None else self.translated(request, word)

        return text_of

    def when(self, moment: str | int | None, seconds: bool = True) -> Markup:
        """RFC 3339 or UTC ns -> <time> in the desk's zone, with the zone's name; empty for None. Other text as it is: a
        compromised unit can sign any."""
        if moment is None or moment == "":
            return Markup()
        try:
            ns = parse_rfc3339(moment) if isinstance(moment, str) else moment
            local = self.local(ns)
        except (ValueError, OverflowError):
            return escape(moment)
        shown = local.strftime("%Y-%m-%d %H:%M:%S %Z" if seconds else "%Y-%m-%d %H:%M %Z")
        return Markup('<time datetime="{}">{}</time>').format(rfc3339(ns), shown)

    def local(self, utc_ns: int) -> datetime:
        return local_time(utc_ns, self.zone)


def _parts(rendered: Iterable[str]) -> Iterator[str]:
    part: list[str] = []
    for piece in rendered:
        part.append(piece)
        if piece == PART_END:
            yield "".join(part)
            part.clear()
    yield "".join(part)


def fill(text: str, **values: Any) -> Markup:
    """A text with an inserted <time> element; all other values are escaped."""
    return escape(text) % values


def _filling(translate: Callable[..., str]) -> Callable[..., str]:
    """A translation function: `_("Log in with %(name)s", name=...)` escapes inserted values. `ngettext` inserts
    `num`."""

    def filled(*args: Any, **values: Any) -> str:
        text = translate(*args)
        if len(args) > 1:
            values.setdefault("num", args[2])
        return text % values if values else text

    return filled
