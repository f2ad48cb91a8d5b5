# SPDX-License-Identifier: Apache-2.0
"""Run by test_full_card.py with a full boot partition: what a start leaves on it, as JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

from linetap_core import cli


def fill(folder: Path) -> None:
    with contextlib.suppress(OSError), (folder / "photos.zip").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def start(boot: Path) -> dict[str, str]:
    """The small files on the card after a start."""
    folders = {name: boot.parent / name for name in ("etc", "run")}
    for folder in folders.values():
        folder.mkdir(exist_ok=True)
    cli.main(["provision", "apply", str(boot), "--etc", str(folders["etc"]), "--run", str(folders["run"])])
    return {path.name: path.read_text() for path in boot.iterdir() if path.stat().st_size < 4096}


def main() -> None:
    boot = Path(sys.argv[1])
    order = boot / "linetap.toml"
    order.write_text("this is no order")
    fill(boot)
    seen = {"full": start(boot)}
    (boot / "photos.zip").unlink()
    seen["room"] = start(boot)
    (boot / "linetap-done.txt").write_text("unit floor-03, 8 lines\n")
    (boot / "linetap-error.txt").unlink()
    fill(boot)
    seen["done earlier"] = start(boot)
    order.unlink()
    seen["put right"] = start(boot)
    print(json.dumps(seen))


main()
