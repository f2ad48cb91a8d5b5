#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Records the pads of KiCad's own footprints named in circuit/footprints.toml, from Debian's kicad-footprints.

Run it when a `like` or `cover` is new. It stores only numbers, so that footprints can be compared without KiCad.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "hardware"))

from pcb import footprints, librarypads

WIDE = 110
HEAD = """# SPDX-License-Identifier: Apache-2.0
# Pads of KiCad's own footprints, as rows of footprints.toml: from kicad-footprints 9.0.2 of Debian 13, by
# tools/kicad_pads.py. Tests hold our footprints to them, and this table to the library where it is installed.
"""


def main() -> int:
    names = footprints.compared(footprints.load())
    if missing := sorted(name for name in names if not librarypads.path_of(name).exists()):
        print(f"kicad_pads: {librarypads.LIBRARY} has no {', '.join(missing)}: apt install kicad", file=sys.stderr)
        return 2
    text = HEAD
    for name in sorted(names):
        text += f'\n["{name}"]\npads = {listed(librarypads.rows(librarypads.installed(name)))}\n'
        if openings := librarypads.openings(name):
            text += f"openings = {listed(openings)}\n"
    librarypads.NOTED.write_text(text)
    print(f"{librarypads.NOTED}: {len(names)} footprints")
    return 0


def listed(rows: list[str]) -> str:
    """A list of TOML: on one line if it is short enough."""
    line = f"[{', '.join(f'"{row}"' for row in rows)}]"
    return line if len(line) <= WIDE else "\n  ".join(["[", *(f'"{row}",' for row in rows)]) + "\n]"


if __name__ == "__main__":
    sys.exit(main())
