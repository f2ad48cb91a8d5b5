# SPDX-License-Identifier: Apache-2.0
"""Draws the packages and their rooms into docs/architecture.md, from the imports in the code.

Run it as `.venv/bin/python tools/packagemap.py` when a room is added or removed; a test compares the page. With
`--figures` it prints the size of the source, of this clone or of a folder such as another commit's `firmware/`.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from statistics import median

from importgraph import FIRMWARE, PACKAGES, arrows, product, roots

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- packages: tools/packagemap.py -->", "<!-- packages end -->"


def drawing() -> str:
    """The packages with their arrows, and every room with the docstring of its `__init__.py`."""
    known = {(product(module), product(to)) for module, targets in arrows(*roots()).items() for to in targets}
    text = ["```"]
    for package in PACKAGES:
        knows = [other for other in PACKAGES if (package, other) in known and other != package]
        text.append(f"{package:6} {'──► ' + ', '.join(knows) if knows else ''}".rstrip())
    text += ["```", "", "| Folder | What it is |", "|---|---|"]
    for folder, package in PACKAGES.items():
        base = FIRMWARE / folder / package
        text.append(f"| **`firmware/{folder}/{package}`** | **{summary_of(base)}** |")
        for room in sorted(path for path in base.iterdir() if (path / "__init__.py").exists()):
            text.append(f"| `{room.name}/` | {summary_of(room)} |")
    return "\n".join(text)


def summary_of(room: Path) -> str:
    """The first paragraph of the room's docstring, in one line."""
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def page(text: str) -> str:
    """`text` with the drawing in its place."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{rest.partition(END)[2]}"


def figures(firmware: Path) -> dict[str, float]:
    """The figures of the modules below a folder, without packages' `__init__.py` and the migrations of a database."""
    files = [path for path in firmware.rglob("*.py") if path.name != "__init__.py" and "migrations" not in path.parts]
    lines = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in files)
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_bytes())))
    imports = sum(
        (node.end_lineno or 0) - node.lineno + 1 for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)
    )
    return {
        "files": len(files),
        "folders": len({path.parent for path in files}),
        "lines": sum(lines),
        "median lines of a file": median(lines),
        "90th percentile": lines[len(lines) * 9 // 10],
        "files below 40 lines": sum(count < 40 for count in lines),
        "files above 350 lines": sum(count > 350 for count in lines),
        "import lines, percent": round(100 * imports / sum(lines), 1),
    }


def main() -> int:
    if sys.argv[1:2] == ["--figures"]:
        found = figures(Path(sys.argv[2]) if len(sys.argv) > 2 else FIRMWARE)
        sys.stdout.writelines(f"{name}: {value}\n" for name, value in found.items())
        return 0
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
