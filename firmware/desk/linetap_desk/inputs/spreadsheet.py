# SPDX-License-Identifier: Apache-2.0
"""Reads a table saved by a spreadsheet or a person as CSV: in UTF-8, CP949 or UTF-16 (Excel's "Unicode text"), with
commas, semicolons or tabs, with Excel's own first line `sep=;`, and with a title above its header."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unicodedata import normalize

from linetap_core.errors import BadInput
from linetap_core.rundir import read_small

MOST_ABOVE = 20  # rows that are searched for the header
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?[,;\t]*\r?\n', re.IGNORECASE)
_LIMIT_BYTES = 4 << 20


class Unreadable(BadInput):
    """Malformed CSV; the text names file and place."""


@dataclass(frozen=True, slots=True)
class Table:
    """The table. `line`: of the header, from 1. `rows`: those below it, each with its line number."""

    line: int
    header: list[str]
    rows: Iterator[tuple[int, list[str]]]


def read(path: Path, fits: Callable[[list[str]], int]) -> Table:
    """Reads the table. `fits`: the number of expected headings in a row. The header is the first row with the most of
    them.

    BadInput if the file is no text. Without any heading the first row is the header.
    """
    text, above = _text(path), 0
    best, header, chosen = (-1, 0), 0, ","
    if (named := _SEPARATOR.match(text)) is not None:
        text, above = text[named.end() :], 1
    for delimiter in named[1] if named else "\t,;":
        with contextlib.suppress(Unreadable):  # wrong delimiter; a real fault is raised again below
            for number, (_, cells) in enumerate(islice(_rows(path, text, delimiter, above), MOST_ABOVE)):
                found = (fits(cells), 0 if number else len(cells))
                if found > best:
                    best, header, chosen = found, number, delimiter
    rows = islice(_rows(path, text, chosen, above), header, None)
    line, cells = next(rows, (1 + above, []))
    return Table(line, cells, rows)


def plain(text: str) -> str:
    """A heading or word with normalised spacing and spelling."""
    return "".join(text.split()).casefold()


def _rows(path: Path, text: str, delimiter: str, above: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            yield above + reader.line_num, cells
    except csv.Error as error:
        raise Unreadable(f"{path}:{above + reader.line_num}: {error}") from None


def _text(path: Path) -> str:
    """The text in Unicode's composed form, as people's input to pages and commands: a Mac may save Hangul as single
    letters, and a name in that form would match no other."""
    data = read_small(path, _LIMIT_BYTES)
    for encoding in ("utf-16",) if data.startswith(_UTF_16) else ("utf-8-sig", "cp949"):
        try:
            return normalize("NFC", data.decode(encoding))
        except UnicodeDecodeError:
            continue
    raise BadInput(f"{path}: neither UTF-8, UTF-16 nor CP949 text; a CSV expected")
