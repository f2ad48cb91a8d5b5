# SPDX-License-Identifier: Apache-2.0
"""The lines of keys, with everything that TOML permits between two of them."""

from __future__ import annotations

import itertools
import pathlib
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap_core.errors import BadInput
from linetap_core.tomlfile import source
from linetap_core.tomlfile.locate import Path, line_numbers, nearest
from linetap_core.tomlfile.source import Source

EVERYTHING = """\
a.b = 1
"q.x".'y' = { z = [1, 2], "w\\u0041" = "}]" }  # a comment = 1
text = \"\"\"
[no]
k = 1 \\\"\"\" still text
\"\"\"\"
after_text = 1
raw = '''
[no]
\\'''
rows = [
  [1, 2],
  { n = 1 },  # ]
  \"\"\"x
[y]\"\"\",
  'a]',
]
day = 1979-05-27 07:32:00
[ t . u ]
k=true
[[l]]
n=1
  [l.s]
  a=1
[[l]]
n=2
[[l.deep]]
x=1
[t]
z=1
"""


def places() -> dict[Path, int]:
    tomllib.loads(EVERYTHING)
    return line_numbers(EVERYTHING)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("a", "b"), 1),
        (("q.x", "y", "z", 1), 2),
        (("q.x", "y", "wA"), 2),
        (("text",), 3),
        (("after_text",), 7),
        (("raw",), 8),
        (("rows",), 11),
        (("rows", 0, 1), 12),
        (("rows", 1, "n"), 13),
        (("rows", 2), 14),
        (("rows", 3), 16),
        (("day",), 18),
        (("t", "u"), 19),
        (("t", "u", "k"), 20),
        (("l", 0), 21),
        (("l", 0, "s", "a"), 24),
        (("l", 1, "n"), 26),
        (("l", 1, "deep", 0, "x"), 28),
        (("t",), 29),
        (("t", "z"), 30),
    ],
)
def test_line_of(path: Path, line: int) -> None:
    assert places()[path] == line


def test_what_looks_like_a_key_inside_a_string_is_none() -> None:
    assert not {("no",), ("k",), ("y",), ("no", "k")} & places().keys()


def test_windows_line_ends() -> None:
    assert line_numbers('a = """\r\nx\r\n"""\r\nb = 1\r\n')[("b",)] == 4


def test_nearest_is_the_closest_thing_around() -> None:
    assert nearest(places(), ("l", 1, "missing")) == 25
    assert nearest(places(), ("nowhere", "at", "all")) == 1


_names = st.text(alphabet="ab .\"'#=[]\\\n", min_size=1, max_size=6)
_scalars = st.one_of(st.integers(-9, 9), st.booleans(), st.text(alphabet="ab'\"#=[]{}\\\n, ", max_size=8))
_values = st.recursive(_scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[" + "".join(f"\n  {_toml(item)}, # ]\n" for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return str(value)


def _paths(value: Any, at: Path = ()) -> set[Path]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return {at}.union(*(_paths(item, (*at, key)) for key, item in items))


@given(st.dictionaries(_names, _values, max_size=4))
def test_every_value_has_a_line_and_keys_stand_where_they_were_written(data: dict[str, Any]) -> None:
    text, begins = "", {}
    for key, value in data.items():
        begins[key] = text.count("\n") + 1
        text += f"{_quoted(key)} = {_toml(value)}\n"
    assert tomllib.loads(text) == data
    found = line_numbers(text)
    assert found.keys() == _paths(data)
    assert {key: found[(key,)] for key in data} == begins


def _nested(depth: int) -> Source:
    return Source(pathlib.Path("x.toml"), f"\na = {'[' * depth}{']' * depth}\n".encode())


def test_a_file_without_an_error_is_not_scanned_for_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "line_numbers", lambda _: pytest.fail("it was"))
    _nested(1).check()


def test_an_error_in_a_file_that_is_nested_as_deeply_as_can_be_read() -> None:
    """The error is reported at a deeper call level than the parser's, where a scan for lines has less stack."""

    def lines(found: Source, deeper: int) -> list[str]:
        return lines(found, deeper - 1) if deeper else found.lines()

    deepest = None
    for depth in itertools.count(10):
        try:
            deepest = _nested(depth)
        except BadInput:
            break
    assert deepest is not None
    deepest.add(("a",), "wrong")
    assert lines(deepest, 0) == ["x.toml:2: wrong"]
    assert lines(deepest, 50) == ["x.toml:1: wrong"]
