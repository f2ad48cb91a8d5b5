# SPDX-License-Identifier: Apache-2.0
"""docs/bundle.md is correct: its own commands make and check a bundle, and it names every code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from bundle_rig import BundleRig
from sealing_rig import TIMEOUT_S

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/bundle.md").read_text()
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(?:BadBundle|NotBundled|Problem)\(\s*\"([a-z_]+)\"")


def test_its_commands(bundled: BundleRig) -> None:
    bundled.opened()
    shutil.copy(bundled.root / "officer.key", bundled.root / "officer")
    script = "set -eu\n" + "".join(_BLOCK.findall(DOCUMENT))
    assert script.count("linetap ") == 3
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"DOCS": str(ROOT / "docs"), "CALL": str(bundled.call()), "HOME": str(bundled.root / "home")}
    done = subprocess.run(
        ["bash", "-c", script], cwd=bundled.root, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr
    assert "All checks succeeded." in done.stdout
    assert done.stdout.endswith("3 checked, 3 good\n")
    assert (bundled.root / "whole.zip.sig").exists()


def test_it_names_every_code() -> None:
    sources = (ROOT / "firmware/desk/linetap_desk/bundle").glob("*.py")
    codes = {code for path in sources for code in _CODE.findall(path.read_text())}
    assert len(codes) > 15
    assert not {code for code in codes if f"`{code}`" not in DOCUMENT}
