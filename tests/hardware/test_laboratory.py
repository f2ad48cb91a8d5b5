# SPDX-License-Identifier: Apache-2.0
"""The laboratory's plan names figures, parts, pads and rows that exist, and every limit has its source."""

from __future__ import annotations

import re

import pytest

from drawing.project import Circuit
from linetap.cardtest.rows import rows
from simulation.netlist import HARDWARE

PAGE = (HARDWARE / "laboratory.md").read_text(encoding="utf-8")
FIGURES = dict(re.findall(r"^\| ([^|]+) \| [^|]+ \| ([^|]+) \|$", (HARDWARE / "README.md").read_text(), re.MULTILINE))
NODES = Circuit().nets()
PLACES = re.compile(r"\b(?:TP|[RCDFJKTU])\d{3,4}\b")
OTHER = {
    "hello", "partial", "linetap card test", "IEC_62368-1.json", "tools/card_rules.py --faults",
    "tools/card_rules.py --card-faults", "this type",
}  # fmt: skip


def table(heading: str) -> list[list[str]]:
    lines = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][1:]


def test_each_figure_is_one_that_is_simulated() -> None:
    named = {word for word in re.findall(r"`([^`]+)`", PAGE) if word not in OTHER} - rows(48.0).keys()
    assert {name for name in named if name not in FIGURES} == set()
    assert len(named) > 20


def test_each_part_and_pad_is_on_the_card() -> None:
    have = {reference for nodes in NODES.values() for reference, _ in nodes}
    assert {name for name in PLACES.findall(PAGE) if name not in have} == set()


@pytest.mark.parametrize("pad", re.findall(r"(TP\d+) (/?[\w+/]+)", PAGE.partition("| rails |")[2].partition("\n")[0]))
def test_each_pad_is_on_the_net_that_is_said(pad: tuple[str, str]) -> None:
    reference, net = pad
    assert reference in {part for part, _ in NODES[net]}


@pytest.mark.parametrize("heading", ["Resistibility", "Safety", "The line", "EMC"])
def test_every_limit_has_its_source(heading: str) -> None:
    """A number in the column of requirements is followed by its source, or marked as ours or unknown."""
    for row in table(heading):
        limit = row[2] if heading in ("Resistibility", "Safety", "EMC") else row[1]
        if re.search(r"\d", limit) and heading != "EMC":
            assert re.search(r"\[[rcm]|\bour|not known|as 2|around|certificate", limit), row[:3]


def test_every_source_that_is_named_is_listed() -> None:
    listed = set(re.findall(r"^\| \*\*(\[\w+\])\*\* \|", PAGE, re.MULTILINE))
    assert set(re.findall(r"\[(?:r\d+|c)\]", PAGE)) == listed
