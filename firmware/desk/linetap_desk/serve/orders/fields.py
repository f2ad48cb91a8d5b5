# SPDX-License-Identifier: Apache-2.0
"""Fields of a form as they were typed, with one mistake each: shared by the site's form and the unit's."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from linetap_core.enrolment.networks import is_broker_network, is_server
from linetap_core.enrolment.order import is_host
from linetap_core.wire.hosts import is_own_host
from linetap_desk.web.text import N_

LONGEST = 200
MOST_SERVERS = 4
MOST_NETWORKS = 16
_SEPARATORS = re.compile(r"[\s,;]+")

MISTAKES = {
    "missing": N_("This is missing."),
    "long": N_("Enter at most 200 characters, without control characters."),
    "host": N_("Enter a name or an address, such as mqtt.city.example or 10.1.2.5."),
    "hosts": N_("Enter at most four names or addresses, with spaces between."),
    "addresses": N_("Enter at most four addresses such as 10.1.2.1, with spaces between."),
    "networks": N_("Enter addresses or networks such as 203.0.113.7 or 203.0.113.0/24, with spaces between."),
    "number": N_("Enter a number within the limits."),
    "choice": N_("Choose a value from the list."),
    "private": N_("This is a private key. It stays with its owner, and was not kept here."),
}


@dataclass
class Form:
    """A form. `typed`: by the fields' names, as shown again. `mistakes`: field -> msgid; `details`: the text after
    it."""

    typed: Mapping[str, str]
    mistakes: dict[str, str] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)

    def wrong(self, name: str, msgid: str) -> None:
        """Adds a mistake; only a field's first one is shown."""
        self.mistakes.setdefault(name, msgid)

    def text(self, name: str, *, is_required: bool = False, most: int = LONGEST) -> str:
        """The field's text; empty if it is missing or wrong."""
        text = unicodedata.normalize("NFC", self.typed.get(name, "").strip())
        lines = text.splitlines() if most > LONGEST else [text]
        if len(text) > most or not all(line.isprintable() for line in lines):
            self.wrong(name, MISTAKES["long"])
            return ""
        if is_required and not text:
            self.wrong(name, MISTAKES["missing"])
        return text

    def words(self, name: str) -> list[str]:
        return [word for word in _SEPARATORS.split(self.text(name)) if word]

    def number(self, name: str, least: int, most: int, *, is_required: bool = True) -> int | None:
        text = self.text(name, is_required=is_required)
        if text.isascii() and text.isdigit() and least <= int(text) <= most:
            return int(text)
        if text:
            self.wrong(name, MISTAKES["number"])
        return None

    def choice(self, name: str, known: tuple[str, ...]) -> str:
        text = self.text(name)
        if text not in known:
            self.wrong(name, MISTAKES["choice"])
        return text

    def host(self, name: str) -> str:
        text = self.text(name, is_required=True)
        if text and not is_host(text):
            self.wrong(name, MISTAKES["host"])
        return text

    def hosts(self, name: str) -> list[str]:
        words = self.words(name)
        if len(words) > MOST_SERVERS or not all(is_host(word) and not is_own_host(word) for word in words):
            self.wrong(name, MISTAKES["hosts"])
        return words

    def addresses(self, name: str) -> list[str]:
        words = self.words(name)
        if len(words) > MOST_SERVERS or not all(map(is_server, words)):
            self.wrong(name, MISTAKES["addresses"])
        return words

    def networks(self, name: str) -> list[str]:
        words = self.words(name)
        if len(words) > MOST_NETWORKS or not all(map(is_broker_network, words)):
            self.wrong(name, MISTAKES["networks"])
        return words
