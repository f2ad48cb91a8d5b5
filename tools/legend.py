#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes what is printed of LEDs and checks: hardware/panel-label.svg, and docs/operations.md between its marks.

Run it as `.venv/bin/python tools/legend.py` when panel/legend.py or checks/ change; a test holds them together.
"""

from __future__ import annotations

from pathlib import Path

from linetap.checks import CHECKS
from linetap.panel.label import page, svg

ROOT = Path(__file__).resolve().parent.parent
LABEL = ROOT / "hardware" / "panel-label.svg"
DOCUMENT = ROOT / "docs" / "operations.md"


def document() -> str:
    return with_part(with_part(DOCUMENT.read_text(), "legend", page()), "checks", checks())


def with_part(text: str, name: str, part: str) -> str:
    begin, end = f"<!-- {name}: tools/legend.py -->", f"<!-- {name} ends -->"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{part}\n{end}{after}"


def checks() -> str:
    """The code is the same in the alert's topic, in the log and here."""
    rows = [f"| `{each.id}` | {each.severity} | `{each.led}` | {each.clears} |" for each in CHECKS]
    return "\n".join(["| Check | at worst | LED | clears |", "|---|---|---|---|", *rows, ""])


def main() -> None:
    DOCUMENT.write_text(document())
    LABEL.write_text(svg())


if __name__ == "__main__":
    main()
