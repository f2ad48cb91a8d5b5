# SPDX-License-Identifier: Apache-2.0
"""Draws the packages and their rooms into docs/architecture.md, from the imports in the code.

Run it as `.venv/bin/python tools/packagemap.py` when a room comes, goes or grows; a test holds the page to it.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- packages: tools/packagemap.py -->", "<!-- packages end -->"
PACKAGES = {"core": "linetap_core", "unit": "linetap", "desk": "linetap_desk", "bench": "linetap_bench"}
_LOOSE = "(files)"


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
    known = modules()
    arrows: Counter[tuple[str, str]] = Counter()
    files: Counter[tuple[str, str]] = Counter()
    lines: Counter[tuple[str, str]] = Counter()
    for name, path in known.items():
        package, room = _place(name)
        files[package, room] += 1
        lines[package, room] += path.read_text(encoding="utf-8").count("\n")
        for other in imports(path, known):
            arrows[package, _place(other)[0]] += 1
    text = [
        "```",
        "            bench",
        "           /  |  \\",
        f"     {arrows['bench', 'unit']:4}  /   |   \\  {arrows['bench', 'desk']}",
        "        unit  |  desk",
        f"     {arrows['unit', 'core']:4}  \\   |   /  {arrows['desk', 'core']}",
        f"           \\  | {arrows['bench', 'core']}",
        "             core",
        "```",
        "",
        "The numbers are imports; there is no other arrow, and no circle.",
        "",
        "| Package | Rooms: files, lines |",
        "|---|---|",
    ]
    for package, module in PACKAGES.items():
        rooms = sorted(room for of, room in files if of == package)
        each = [f"`{room}` {files[package, room]}, {lines[package, room]}" for room in rooms if room != _LOOSE]
        each += [f"beside them {files[package, _LOOSE]}, {lines[package, _LOOSE]}"]
        text.append(f"| `firmware/{package}/{module}` | {' · '.join(each)} |")
    return "\n".join(text)


def _place(name: str) -> tuple[str, str]:
    """The package that a module is of, and its room there."""
    first, *rest = name.split(".")
    package = next(folder for folder, module in PACKAGES.items() if module == first)
    path = ROOT / "firmware" / package / first
    return package, rest[0] if rest and (path / rest[0]).is_dir() else _LOOSE


def page(text: str) -> str:
    """`text` with the drawing in its place."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{rest.partition(END)[2]}"


def main() -> int:
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
