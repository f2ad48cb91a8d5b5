# SPDX-License-Identifier: Apache-2.0
"""The files shipped for Prometheus, Grafana and Home Assistant name existing figures and entities, and have each alert
in both languages.

promtool judges every expression; amtool judges Alertmanager's example (tests/deb).
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import yaml

from linetap.reporter.discovery import discovery
from linetap_core.wire.topics import Topics

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "systemd/prometheus"
SOURCES = ("ingest/metrics.py", "serve/figures.py")
LIMIT_S = 120


def promtool(*words: str) -> None:
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def figures() -> set[str]:
    """Every name exposed by the desk, from the source; of generated names the beginning."""
    text = "".join((ROOT / "firmware/desk/linetap_desk" / name).read_text() for name in SOURCES)
    return set(re.findall(r"\"(linetap_\w+)", text)) | {f"linetap_pbx_{name}" for name in ("missing", "calls")}


def test_each_alert_speaks_both_languages_of_the_same_things() -> None:
    for group in yaml.safe_load((PROMETHEUS / "linetap.rules.yml").read_text())["groups"]:
        for rule in group["rules"]:
            english, korean = (rule["annotations"][name] for name in ("summary", "summary_ko"))
            assert re.search("[가-힣]", korean), rule["alert"]
            assert sorted(re.findall(r"{{.*?}}", korean)) == sorted(re.findall(r"{{.*?}}", english)), rule["alert"]


def test_grafanas_expressions_are_promql_over_our_own_figures(tmp_path: Path) -> None:
    dashboard = json.loads((PROMETHEUS / "grafana-linetap.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(expressions) >= 15
    named = {name for text in expressions for name in re.findall(r"\blinetap_\w+", text)}
    assert named <= figures()
    rules = [{"record": f"panel_{i}", "expr": text} for i, text in enumerate(expressions)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": rules}]}))
    promtool("check", "rules", str(tmp_path / "rules.yml"))


def test_grafanas_panels_lie_beside_each_other_and_not_upon() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads((PROMETHEUS / "grafana-linetap.json").read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_prometheus_reads_the_scrape_configuration() -> None:
    promtool("check", "config", "--syntax-only", str(PROMETHEUS / "linetap-scrape.yml"))


def test_home_assistants_dashboard_finds_what_is_discovered() -> None:
    """Each pattern of its templates finds entities of a unit, and no pattern another's kind."""
    told = discovery(Topics("floor-03"), range(1, 9))
    entities = [each.default_entity_id for each in told.components.values()]
    dashboard = yaml.safe_load((ROOT / "systemd/homeassistant/linetap-dashboard.yaml").read_text())
    templates = [card["content"] for view in dashboard["views"] for card in view["cards"]]
    patterns = [pattern for text in templates for pattern in re.findall(r"'match', '([^']+)'", text)]
    found = [[name for name in entities if re.match(pattern, name)] for pattern in patterns]
    assert [len(each) for each in found] == [1, 1, 1, 8]
    assert sorted(name for each in found for name in each) == sorted(entities)
