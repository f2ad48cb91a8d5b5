# SPDX-License-Identifier: Apache-2.0
"""The texts of pages in two languages: msgids are English; locale/ko.po has the Korean, which is the default."""

from __future__ import annotations

import io
from functools import cache
from gettext import NullTranslations
from importlib.resources import files
from typing import Literal

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

Language = Literal["ko", "en"]
DEFAULT: Language = "ko"
LANGUAGES: dict[Language, str] = {"ko": "한국어", "en": "English"}


def N_(msgid: str) -> str:
    """Marks a text for later translation."""
    return msgid


@cache
def words(language: Language) -> NullTranslations:
    """The language's `gettext` and `ngettext`. The .po file is read directly: no build step compiles a .mo file."""
    if language == "en":
        return NullTranslations()
    with files("linetap_desk.serve").joinpath("locale/ko.po").open("rb") as file:
        catalog = read_po(file, locale="ko")
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Translations(compiled)


def language_of(text: str | None) -> Language:
    return "en" if text == "en" else DEFAULT
