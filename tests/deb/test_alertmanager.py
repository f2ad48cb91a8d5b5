# SPDX-License-Identifier: Apache-2.0
"""The example for Alertmanager, checked by amtool: it is valid, and each alert goes to the right receiver."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import bare
import pytest
import yaml

pytestmark = pytest.mark.deb

EXAMPLE = bare.ROOT / "systemd/prometheus/linetap-alertmanager.yml"
RULES = bare.ROOT / "systemd/prometheus/linetap.rules.yml"


def amtool(*words: str) -> str:
    done = subprocess.run(["amtool", *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_read() -> None:
    assert "3 receivers" in amtool("check-config", str(EXAMPLE))


def test_what_is_critical_goes_to_whoever_is_on_duty() -> None:
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            labels = {"severity": "warning"} | rule.get("labels", {})  # a unit's alert has its own severity
            words = [f"alertname={rule['alert']}", *(f"{name}={value}" for name, value in labels.items())]
            told = amtool("config", "routes", "test", f"--config.file={EXAMPLE}", *words).strip()
            of_staff = "supervisors" if labels.get("audience") == "supervisor" else "office"
            assert told == ("on-duty" if labels["severity"] == "critical" else of_staff), rule["alert"]


def test_its_text_is_in_both_languages(tmp_path: Path) -> None:
    text = yaml.safe_load(EXAMPLE.read_text())["receivers"][0]["email_configs"][0]["text"]
    words = {"summary": "gone", "summary_ko": "끊김"}
    alert = {"status": "firing", "labels": {}, "annotations": words, "startsAt": "2026-11-24T01:00:00Z"}
    data, none = tmp_path / "data.json", tmp_path / "none.tmpl"
    data.write_text(json.dumps({"status": "firing", "alerts": [alert]}))
    none.write_text("")
    said = amtool("template", "render", f"--template.glob={none}", f"--template.text={text}", f"--template.data={data}")
    assert said.split()[:2] == ["끊김", "gone"]
