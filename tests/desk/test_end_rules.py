# SPDX-License-Identifier: Apache-2.0
"""Supervisors are notified of an ended call: the figure, and Prometheus' rules for it, judged by promtool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from calls_rig import fill, recorded
from sqlalchemy import insert
from test_dashboards import PROMETHEUS, promtool

from linetap_core.clock import NS_PER_S, parse_rfc3339
from linetap_desk.ingest import database, metrics, tables

ENDED = "linetap_unit_call_ended_timestamp_seconds"
NOW = "2026-11-24T09:00:00.000Z"


def test_the_last_end_of_each_named_unit_is_a_figure(tmp_path: Path) -> None:
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    fill(engine, [
        recorded("floor-01", 1, 60, situation="abuse", ended_at="2026-11-24T08:00:00.000Z"),
        recorded("floor-01", 2, 30, situation="threat", ended_at="2026-11-24T08:30:00.000Z"),
        recorded("floor-01", 3, 90, ended_at="2026-11-24T08:59:00.000Z"),
        recorded("floor-02", 1, 60, ended_at="2026-11-24T08:59:00.000Z"),
        recorded("stranger", 1, 60, situation="abuse", ended_at="2026-11-24T08:59:00.000Z"),
    ])  # fmt: skip
    with engine.begin() as db:
        for unit, named in (("floor-01", True), ("floor-02", True), ("stranger", False)):
            db.execute(insert(tables.units).values(unit=unit, named=named, set_aside=0))
        text = metrics.exposition(db, parse_rfc3339(NOW))
    engine.dispose()
    at_s = parse_rfc3339("2026-11-24T08:30:00.000Z") // NS_PER_S
    assert [line for line in text.splitlines() if line.startswith(ENDED)] == [f'{ENDED}{{unit="floor-01"}} {at_s}']


def alert(name: str, at: str, unit: str, **more: str) -> dict[str, Any]:
    """The alert expected by promtool from a rule at that time; none for an empty `unit`."""
    labels = {"unit": unit, "severity": "info", "audience": "supervisor", **more}
    return {"eval_time": at, "alertname": name, "exp_alerts": [{"exp_labels": labels}] if unit else []}


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        ({f'{ENDED}{{unit="floor-01"}}': "_x4 300x20"},
         [alert("LinetapCallEnded", "3m", ""), alert("LinetapCallEnded", "6m", "floor-01"),
          alert("LinetapCallEnded", "10m", "")]),
        ({'linetap_unit_alert{unit="floor-02",check="call_ending",severity="warning"}': "_x1 1x3 _x20"},
         [alert("LinetapCallEnding", "0m", ""), alert("LinetapCallEnding", "2m", "floor-02", check="call_ending"),
          alert("LinetapCallEnding", "15m", "")]),
        ({'linetap_unit_alert{unit="floor-02",check="hum",severity="warning"}': "1x20"},
         [alert("LinetapCallEnding", "5m", "")]),
    ],
)  # fmt: skip
def test_the_rules_call_within_the_minute_and_stop(
    tmp_path: Path, series: dict[str, str], expected: list[dict[str, Any]]
) -> None:
    rules = yaml.safe_load((PROMETHEUS / "linetap.rules.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        rule.pop("annotations")  # their texts have a test of their own
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    given = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": given, "alert_rule_test": expected}
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]}))
    promtool("test", "rules", str(tmp_path / "test.yml"))
