# SPDX-License-Identifier: Apache-2.0
"""Draws the packages and their rooms into docs/architecture.md, from the imports in the code.

Run it as `.venv/bin/python tools/packagemap.py` when a room comes or goes; a test holds the page to it.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- packages: tools/packagemap.py -->", "<!-- packages end -->"
PACKAGES = {"core": "linetap_core", "unit": "linetap", "desk": "linetap_desk", "bench": "linetap_bench"}


def modules() -> dict[str, Path]:
    """Dotted name -> file, of all packages."""
    found = {}
    for folder, package in PACKAGES.items():
        base = ROOT / "firmware" / folder
        for path in sorted((base / package).rglob("*.py")):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that one imports, wherever in it: within functions and for types too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                found.add(inner if inner in known else node.module)
    return found & known.keys()


def drawing() -> str:
    """The packages with their arrows, and every room with what its `__init__.py` says of it."""
    known = modules()
    arrows = set()
    for name, path in known.items():
        arrows |= {(package_of(name), package_of(other)) for other in imports(path, known)}
    text = ["```"]
    for package in PACKAGES:
        knows = [other for other in PACKAGES if (package, other) in arrows and other != package]
        text.append(f"{package:6} {'──► ' + ', '.join(knows) if knows else ''}".rstrip())
    text += ["```", "", "| Room | What it is |", "|---|---|"]
    for folder, package in PACKAGES.items():
        base = ROOT / "firmware" / folder / package
        text.append(f"| **`firmware/{folder}/{package}`** | **{said_of(base)}** |")
        for room in sorted(path for path in base.iterdir() if (path / "__init__.py").exists()):
            text.append(f"| `{room.name}/` | {said_of(room)} |")
    return "\n".join(text)


def package_of(name: str) -> str:
    first = name.partition(".")[0]
    return next(folder for folder, module in PACKAGES.items() if module == first)


def said_of(room: Path) -> str:
    """The first paragraph of its docstring, in one line."""
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", "\\|")


def page(text: str) -> str:
    """`text` with the drawing in its place."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
