# SPDX-License-Identifier: Apache-2.0
"""The line of each key in a TOML file, for error messages: tomllib returns values without positions.

Scans text that tomllib has accepted, so that it only has to skip values, not to validate them (TOML 1.0).
"""

from __future__ import annotations

import re
import tomllib

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# The longest first: three quotes are not an empty string. A multi-line string may end in one or two more quotes.
_STRING = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|""?(?!"))*"{3,5}|'
    r"'''(?:[^']|''?(?!'))*'{3,5}|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'"
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def line_numbers(text: str) -> dict[Path, int]:
    """The line, from 1, of every table, key and array element of well-formed TOML."""
    return _Walk(text.replace("\r\n", "\n")).document()


def nearest(found: dict[Path, int], path: Path) -> int:
    """The line of `path`, or of the closest enclosing path that has one."""
    while path not in found:
        path = path[:-1]
    return found[path]


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._found: dict[Path, int] = {(): 1}
        self._newest: dict[Path, int] = {}  # array of tables -> index of its newest element

    def document(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._take("["):
                array = self._take("[")
                table = self._table(self._key(), array)
                self._take("]")
                if array:
                    self._take("]")
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self._found

    def _table(self, names: Path, array: bool) -> Path:
        """Path of a table: [[line]] -> ('line', 2); the name of an array of tables is its newest element."""
        path: Path = ()
        for i, name in enumerate(names):
            path = (*path, name)
            self._note(path)
            if array and i == len(names) - 1:
                self._newest[path] = self._newest.get(path, -1) + 1
            if path in self._newest:
                path = (*path, self._newest[path])
                self._note(path)
        # For a table named by [a.b] first and [a] later, the line of [a] counts.
        self._found[path] = self._line_now()
        return path

    def _pair(self, table: Path) -> None:
        path = table
        for name in self._key():
            path = (*path, name)
            self._note(path)
        self._take("=")
        self._value(path)

    def _key(self) -> Path:
        names: list[str] = []
        while True:
            self._skip(_SPACE)
            if match := _STRING.match(self._text, self._at):
                names.append(tomllib.loads(f"key = {match[0]}")["key"])
            else:
                match = _BARE_KEY.match(self._text, self._at)
                assert match is not None
                names.append(match[0])
            self._at = match.end()
            if not self._take("."):
                return tuple(names)

    def _value(self, path: Path) -> None:
        self._skip(_SPACE)
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._inline_table(path)
        elif match := _STRING.match(self._text, self._at):
            self._at = match.end()
        else:
            self._skip(_SCALAR)

    def _array(self, path: Path) -> None:
        index = 0
        self._skip(_BLANK)
        while not self._take("]"):
            self._note((*path, index))
            self._value((*path, index))
            index += 1
            self._skip(_BLANK)
            self._take(",")
            self._skip(_BLANK)

    def _inline_table(self, path: Path) -> None:
        self._skip(_BLANK)
        while not self._take("}"):
            self._pair(path)
            self._skip(_BLANK)
            self._take(",")
            self._skip(_BLANK)

    def _note(self, path: Path) -> None:
        self._found.setdefault(path, self._line_now())

    def _line_now(self) -> int:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        return self._line

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _take(self, sign: str) -> bool:
        """Whether `sign` comes next after spaces; if so, moves past it."""
        self._skip(_SPACE)
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        return True
