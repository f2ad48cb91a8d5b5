# SPDX-License-Identifier: Apache-2.0
"""docs/scale.md has the tables of the model, and the model has the measured figures."""

from __future__ import annotations

from pathlib import Path

import nation

ROOT = Path(__file__).resolve().parents[2]


def test_the_tables_are_those_of_the_model() -> None:
    text = nation.DOCUMENT.read_text()
    assert nation.with_tables(text) == text, "tools/nation.py --write"


def test_its_cities_are_the_nation() -> None:
    assert sum(count for _, count, _ in nation.CITIES) == 226
    assert sum(units * count for units, count, _ in nation.CITIES) == 28_000


def test_its_measured_figures_stand_where_they_were_measured() -> None:
    assert f"and {nation.EVENTS_S}\nto " in (ROOT / "docs" / "desk-load.md").read_text()
    ingest = (ROOT / "docs" / "decisions" / "ingest.md").read_text()
    assert f"{nation.ROW_BYTES / 1000} kB a row" in ingest


def test_one_broker_is_what_one_broker_was_measured_with() -> None:
    small, large = nation.City(nation.ONE_BROKER_UNITS), nation.City(nation.ONE_BROKER_UNITS + 1)
    assert (small.clustered, large.clustered) == (False, True)
    assert large.messages_s > small.messages_s  # retained state is repeated
