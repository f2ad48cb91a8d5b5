# SPDX-License-Identifier: Apache-2.0
"""The label on the lid and the manual's page match the legend's table."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from linetap.panel.legend import HEIGHT_MM, WIDTH_MM, svg
from linetap_core.wire.legend import ACTIVITIES, CONDITIONS

ROOT = Path(__file__).resolve().parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("legend_tool", ROOT / "tools" / "legend.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_label_and_page_are_as_the_tables_have_them(tool: ModuleType) -> None:
    assert tool.LABEL.read_text() == svg(), "tools/legend.py writes it"
    for path, text in tool.documents().items():
        assert path.read_text() == text, f"tools/legend.py writes {path.name}"


def test_every_meaning_stands_on_the_label_and_within_its_edges() -> None:
    whole = ElementTree.fromstring(svg())
    said = {text.text for text in whole.iter(f"{SVG}text")}
    assert {text for state in CONDITIONS.values() for text in (state.ko, state.en)} <= said
    assert {text for activity in ACTIVITIES.values() for text in (activity.ko, activity.en)} <= said
    assert any("270 V" in (text or "") and "Not approved" in (text or "") for text in said)
    for text in whole.iter(f"{SVG}text"):
        assert 0 < float(text.get("x", "")) < WIDTH_MM
        assert 0 < float(text.get("y", "")) < HEIGHT_MM
        wide = 0.53 * float(text.get("font-size", "")) * len(text.text or "") if (text.text or "").isascii() else 0
        assert float(text.get("x", "")) + wide <= WIDTH_MM, text.text
    bars = [box for box in whole.iter(f"{SVG}rect") if box.get("fill") != "white"]
    assert all(float(box.get("x", "")) + float(box.get("width", "")) <= WIDTH_MM for box in bars)
