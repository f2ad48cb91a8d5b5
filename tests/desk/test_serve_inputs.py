# SPDX-License-Identifier: Apache-2.0
"""No input is truncated by the browser: the server refuses one that is too long, with a message."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from linetap_desk.serve.orders import unitform
from linetap_desk.serve.orders.fields import Form
from linetap_desk.web.pages import MOST_TYPED

TEMPLATES = [
    path
    for product in ("serve", "custody")
    for path in sorted(Path(str(files(f"linetap_desk.{product}"))).glob("templates/**/*.html"))
]
SHORTER = {"admission.html": ["16"]}  # a code read from a screen; half of it is useless


def test_no_input_is_cut() -> None:
    found: dict[str, list[str]] = {}
    for path in TEMPLATES:
        limits = re.findall(r"maxlength[\"']?[=:] ?\"?(\{\{ \w+ \}\}|\w+)", path.read_text())
        short = [one for one in limits if "most_typed" not in one and not (one.isdigit() and int(one) >= MOST_TYPED)]
        found |= {path.name: short} if short else {}
    assert found == SHORTER


def test_every_input_of_text_has_a_bound() -> None:
    """So that a request stays below the general limit, whose refusal names no field."""
    for path in TEMPLATES:
        for tag in re.findall(r"<(?:input|textarea)\b[^>]*>", path.read_text()):
            kind = re.search(r'type="([^"]*)"', tag)
            if kind is None or kind[1] in ("text", "search", "password", "{{ type }}", "{{ kind }}"):
                assert "maxlength" in tag or "more" in tag, f"{path.name}: {tag}"


@pytest.mark.parametrize(
    ("kind", "typed", "name"),
    [
        ("station", "4021", "4021"), ("station", "02-2133-1234", "0221331234"),
        ("trunk", "0221331234", "0221331234"), ("trunk", "CO1", "CO1"), ("exempt", "*9#", "*9#"),
    ],
)  # fmt: skip
def test_a_line_has_a_whole_telephone_number(kind: str, typed: str, name: str) -> None:
    form = Form({"unit": "floor-03", "kind1": kind, "number1": typed})
    found = unitform.read(form, 1)
    assert found is not None, form.mistakes
    assert found.lines[0].name == name


@pytest.mark.parametrize(
    ("kind", "typed"),
    [("station", "1" * 16), ("station", "2101 2102"), ("trunk", "01 02"), ("trunk", "x" * 16), ("station", "4021a")],
)
def test_what_is_none_is_refused(kind: str, typed: str) -> None:
    form = Form({"unit": "floor-03", "kind1": kind, "number1": typed})
    assert unitform.read(form, 1) is None
    assert set(form.mistakes) == {"number1"}
