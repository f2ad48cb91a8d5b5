# SPDX-License-Identifier: Apache-2.0
"""Reads a TOML file into a strict struct and reports all errors at once, each with its line."""

from __future__ import annotations

import errno
import math
import os
import re
import stat
import tomllib
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET

from linetap_core import system
from linetap_core.errors import BadInput
from linetap_core.tomlfile.locate import Path as KeyPath
from linetap_core.tomlfile.locate import line_numbers, nearest

Problem = tuple[KeyPath, str]
MAX_BYTES = 1 << 20
MAX_QUOTED = 80
_BYTE_ORDER_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # written by editors of Windows
_LONGEST_ERROR = 1000  # a key may be as long as the file
_MOST_ERRORS = 100  # another program's file may have one on each line
_MOST_DOTS = 50  # parts of one key; tomllib's time grows with their square
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'[^\']*\'')


class Source:
    """A TOML file with the lines of its keys; collects its errors."""

    def __init__(self, path: Path, raw: bytes | None = None) -> None:
        """BadInput if the file cannot be read or is not TOML. `raw`: its bytes, if already read."""
        self.path = path
        try:
            if raw is None:
                raw = _read(path)
        except OSError as error:
            raise BadInput(f"{path}: {error.strerror}") from None
        if len(raw) > MAX_BYTES:
            raise BadInput(f"{path}: more than {MAX_BYTES} bytes; that is no configuration")
        if raw.startswith(_BYTE_ORDER_MARKS):
            raise BadInput(f"{path}:1: begins with a byte order mark (BOM); saved as UTF-8 without one expected")
        try:
            self._text = raw.decode()
            _require_short_keys(self._text)
            self.data = tomllib.loads(self._text, parse_float=_finite)
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise BadInput(f"{path}:{line}: byte {error.start} is not UTF-8") from None
        except ValueError as error:
            raise BadInput(_not_toml(path, str(error))) from None
        except RecursionError:
            raise BadInput(f"{path}: arrays or tables are nested too deeply") from None
        self.problems: list[Problem] = []
        self._no_value: set[KeyPath] = set()

    def add(self, at: KeyPath, text: str) -> None:
        """Adds an error. An invalid value gets no further ones: later checks see only its default."""
        if at not in self._no_value:
            self.problems.append((at, text))

    def reject(self, at: KeyPath, text: str) -> None:
        """Adds the final error for an invalid value."""
        self.add(at, text)
        self._no_value.add(at)

    def lines(self) -> list[str]:
        """`file:line: text` for every error, in the order of the file; only the first of very many. Only now is the
        file scanned for lines, which takes a third of the reading time.
        """
        if not self.problems:
            return []
        try:
            numbers = line_numbers(self._text)
        except RecursionError:  # nested as deeply as tomllib allows, and this call is deeper
            numbers = {(): 1}
        found = sorted((nearest(numbers, at), text) for at, text in self.problems)
        lines = [f"{self.path}:{line}: {_one_line(_cut(text, _LONGEST_ERROR))}" for line, text in found[:_MOST_ERRORS]]
        return lines if len(lines) == len(found) else [*lines, f"{self.path}: and {len(found) - len(lines)} more"]

    def check(self) -> None:
        """Raises BadInput with a line for each error."""
        if self.problems:
            raise BadInput("\n".join(self.lines()))

    def convert[T: msgspec.Struct](self, kind: type[T]) -> T | None:
        """The file as `kind`; None after errors, which are collected."""
        found = self.partial(kind)
        return None if self.problems else found

    def partial[T: msgspec.Struct](self, kind: type[T]) -> T:
        """The file as `kind`, with errors collected: before `check()` use it only for further checks.

        An invalid or missing value gets its default, or UNSET without one, so that one error does not hide others.
        """
        found = _convert_struct(self.data, kind, (), self.problems)
        self._no_value = {at for at, _ in self.problems if at}
        if not self.problems:
            try:
                found = msgspec.convert(self.data, kind)
            except msgspec.ValidationError as error:
                self.add((), _lower(str(error)))
        assert isinstance(found, kind)
        return found


def _read(path: Path) -> bytes:
    """Reads without blocking: signed commands replace a file in the recorder's folder, and root reads it."""
    fd = os.open(path, system.READ)
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(MAX_BYTES + 1)


def _require_short_keys(text: str) -> None:
    """Raises ValueError for a key with too many parts. Quoted text may have dots."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_DOTS and _QUOTED.sub("", line).count(".") > _MOST_DOTS:
            raise ValueError(f"More than {_MOST_DOTS} dots (at line {number}, column 1)")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):  # not comparable, and impossible in JSON
        raise ValueError(f"{text} is no number that could be used")
    return value


def lenient[T: msgspec.Struct](data: Any, kind: type[T]) -> T:
    """A value written by an earlier or later version: unknown keys are skipped, missing ones get their default.
    ValueError if it is still invalid.
    """
    problems: list[Problem] = []
    return msgspec.convert(msgspec.to_builtins(_convert_struct(data, kind, (), problems)), kind)


def _not_toml(path: Path, error: str) -> str:
    """tomllib's error with the position (`... (at line 3, column 5)`) moved to the front, as in other messages."""
    if match := re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", error, re.DOTALL):
        return f"{path}:{match[2]}: not TOML: {_lower(match[1])}, column {match[3]}"
    return f"{path}: not TOML: {_lower(error)}"


def _convert_struct(value: Any, kind: type[msgspec.Struct], at: KeyPath, problems: list[Problem]) -> Any:
    """Checks each field separately, so that the first error does not hide the others."""
    if not isinstance(value, dict):
        problems.append((at, f"{_name(at)}: must be a table"))
        value, reported = {}, True
    else:
        reported = False
    fields = _fields(kind)
    unknown = value.keys() - fields.keys()
    problems += [((*at, key), f"unknown key {_name((*at, key))}; known here: {', '.join(fields)}") for key in unknown]
    good: dict[str, Any] = {}
    for name, (field, hint) in fields.items():
        found = UNSET
        if name in value:
            found = _convert_value(value[name], hint, (*at, name), problems)
        elif field.required and not reported:
            problems.append((at, f"{_name((*at, name))} is missing"))
        if found is not UNSET or field.required:
            good[field.name] = found
    return kind(**good)


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, tuple[msgspec.structs.FieldInfo, Any]]:
    """Each field by its key, with its type. Cached: annotations are strings, compiled at each request."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.encode_name: (field, hints[field.name]) for field in msgspec.structs.fields(kind)}


def _convert_value(value: Any, hint: Any, at: KeyPath, problems: list[Problem]) -> Any:
    """The value as `hint`; UNSET if it is invalid."""
    bare = _struct_or(get_args(hint)[0] if hasattr(hint, "__metadata__") else hint)
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _convert_struct(value, bare, at, problems)
    inner = get_args(bare)[0] if get_origin(bare) in (list, tuple) else None
    if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, list):
        items = [_convert_struct(item, inner, (*at, i), problems) for i, item in enumerate(value)]
        _check_length(items, hint, at, problems)
        return items
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        problems.append((at, _fault(at, hint, value, _lower(str(error)))))
        return UNSET


def _struct_or(hint: Any) -> Any:
    """The struct of `Struct | None`, since TOML has no None; any other hint unchanged."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if isinstance(hint, UnionType) and len(kinds) == 1 and isinstance(kinds[0], type):
        return kinds[0]
    return hint


def _fault(at: KeyPath, hint: Any, value: Any, error: str) -> str:
    """One error in words. A field's `Meta(extra=...)` may have the words for what is `wanted`, and `secret`: then the
    value is not quoted, because the line is written to the card, to the journal and to the desk.
    """
    more: dict[str, Any] = {}
    for meta in getattr(hint, "__metadata__", ()):
        more |= meta.extra or {}
    shown = "" if more.get("secret") else f" = {_quote(value)}"
    return f"{_name(at)}{shown}: {more['wanted']} expected" if "wanted" in more else f"{_name(at)}{shown}: {error}"


def _check_length(items: list[Any], hint: Any, at: KeyPath, problems: list[Problem]) -> None:
    for meta in getattr(hint, "__metadata__", ()):
        if not (meta.min_length or 0) <= len(items) <= (meta.max_length or len(items)):
            wanted = f"{meta.min_length or 0} to {meta.max_length}"
            problems.append((at, f"{_name(at)}: there are {len(items)}; {wanted} expected"))


def _quote(value: Any) -> str:
    """The value, shortened, and never a private key that was entered in the wrong place."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer with more digits than Python prints; nested tables
        return f"({type(value).__name__})"
    if any(word in text.upper() for word in ("SECRET-KEY", "PRIVATE KEY")):  # of age; of every PEM
        return "(a private key, which does not belong here)"
    return _cut(text, MAX_QUOTED)


def _one_line(text: str) -> str:
    """A key of the file may contain line ends, and must not begin a line of ours."""
    return text.replace("\n", "\\n")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _name(at: KeyPath) -> str:
    """The position in words: ('line', 1, 'channel') -> `line[2].channel`, counted from 1."""
    text = ""
    for step in at:
        text += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text or "the file"
