# SPDX-License-Identifier: Apache-2.0
"""JSON from others: invalid input gives one line of error, and the desk has no other parser for it."""

from __future__ import annotations

import ast
import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import linetap_desk as desk
from linetap_core.errors import BadInput
from linetap_core.evidence.merklelog.unitlog import Leaf
from linetap_desk.inputs import strict

DESK = Path(desk.__file__).parent
# Their callers are services, which distinguish several faults: `judge` a unit's message, `units` the broker's state.
READERS = ("msgspec.json.decode", "json.loads", "json.load")
ELSEWHERE = {"ingest/judge.py", "watch/units.py"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b'{"kind": "\xff"}',
        b'{"kind": 3}',
        b"[" * 1_000_000,
        b'"' + b"x" * strict.MOST_BYTES + b'"',
    ],
    ids=["empty", "cut", "not UTF-8", "not UTF-8 within", "of another type", "deep", "large"],
)
def test_what_is_none_is_reported_in_one_line(data: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        strict.decode(data, Leaf, "leaves.jsonl")
    assert str(caught.value).startswith("leaves.jsonl: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(data: bytes) -> None:
    with contextlib.suppress(BadInput):
        strict.decode(data, dict[str, object])


def test_nothing_at_the_desk_reads_it_otherwise() -> None:
    found = set()
    for path in DESK.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in READERS:
                found.add(path.relative_to(DESK).as_posix())
    assert found <= ELSEWHERE
