#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes locale/ko.po of the desk's pages: sorted by msgid, without duplicates.

After a merge of two branches (git keeps the lines of both, .gitattributes) run it as `.venv/bin/python tools/texts.py`.
A test checks that each text has Korean.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from babel.messages.pofile import read_po

FILE = Path(__file__).resolve().parent.parent / "firmware/desk/linetap_desk/serve/locale/ko.po"


def main() -> int:
    with FILE.open("rb") as file:
        entries = {tuple(_all(one.id)): _all(one.string) for one in read_po(file, locale="ko") if one.id}
    head = FILE.read_text(encoding="utf-8").partition("\n\n")[0]
    FILE.write_text(
        "\n\n".join([head, *(_entry(ids, entries[ids]) for ids in sorted(entries))]) + "\n", encoding="utf-8"
    )
    return 0


def _all(message: object) -> list[str]:
    return [message] if isinstance(message, str) else [str(one) for one in message]  # type: ignore[attr-defined]


def _entry(ids: tuple[str, ...], strings: list[str]) -> str:
    if len(ids) == 1:
        return f"msgid {_quoted(ids[0])}\nmsgstr {_quoted(strings[0])}"
    plurals = "\n".join(f"msgstr[{number}] {_quoted(one)}" for number, one in enumerate(strings))
    return f"msgid {_quoted(ids[0])}\nmsgid_plural {_quoted(ids[1])}\n{plurals}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
