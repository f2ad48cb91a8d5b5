#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the texts on LEDs and checks: hardware/panel-label.svg, the marked parts of the manual, and the names of the
alerts in docs/asyncapi.yaml.

Run it as `.venv/bin/python tools/legend.py` when wire/legend.py, checks/ or docs/alerts.toml change; tests compare
them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from linetap.checks import CHECKS
from linetap.panel.legend import page, svg

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tests/rigs"))  # the tests' example unit, in which every check has a finding with its text

from ill_unit import all_findings  # noqa: E402

LABEL = ROOT / "hardware" / "panel-label.svg"
DOCS = ROOT / "docs"
ALERTS = ROOT / "docs" / "alerts.toml"

_NAMES = re.compile(r"(# checks: tools/legend\.py\n *enum: \[).*(\]\n)")

type Entries = dict[str, dict[str, str]]  # code -> cause, check, cure


def documents() -> dict[Path, str]:
    """Each document with a generated part, and its whole text."""
    parts = {
        "closet.md": {"legend": page()},
        "alerts.md": {"checks": checks(), "alerts": alerts()},
        "desk-alerts.md": {"desk": desk()},
    }
    texts = {}
    for name, written in parts.items():
        text = (DOCS / name).read_text()
        for mark, part in written.items():
            text = with_part(text, mark, part)
        texts[DOCS / name] = text
    topics = DOCS / "asyncapi.yaml"
    texts[topics] = _NAMES.sub(rf"\1{', '.join(check.id for check in CHECKS)}\2", topics.read_text())
    return texts


def entries(of: str) -> Entries:
    """`of`: unit or desk."""
    found: Entries = tomllib.loads(ALERTS.read_text())[of]
    return found


def with_part(text: str, name: str, part: str) -> str:
    begin, end = f"<!-- {name}: tools/legend.py -->", f"<!-- {name} ends -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{part}\n{end}{after}"


def checks() -> str:
    """The table of checks. A check's code is the same in the alert's topic, in the log and here."""
    rows = [f"| `{each.id}` | {each.severity} | `{each.led}` | {each.clears} |" for each in CHECKS]
    return "\n".join(["| Check | at worst | LED | clears |", "|---|---|---|---|", *rows, ""])


def alerts() -> str:
    """For each check the text for the person in the closet, and its cause."""
    said = {finding.check: finding.trouble for finding in all_findings()}
    written = entries("unit")
    parts = []
    if missing := [check.id for check in CHECKS if check.id not in written]:
        raise SystemExit(f"docs/alerts.toml: no entry [unit.*] for {', '.join(missing)}")
    for check in CHECKS:
        it = said[check.id]
        told = f"{it.text_ko} {it.action_ko}\n\n{it.text_en} {_sentence(it.action_en)}"
        parts.append(f"### `{check.id}`\n\n{told}\n\n{_entry(written[check.id])}")
    return "\n".join(parts)


def desk() -> str:
    return "\n".join(f"### `{code}`\n\n{_entry(entry)}" for code, entry in entries("desk").items())


def _entry(entry: dict[str, str]) -> str:
    return f"* **Cause** {entry['cause']}\n* **Check** {entry['check']}\n* **Cure** {entry['cure']}\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def main() -> None:
    for path, text in documents().items():
        path.write_text(text)
    LABEL.write_text(svg())


if __name__ == "__main__":
    main()
