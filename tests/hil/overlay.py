# SPDX-License-Identifier: Apache-2.0
"""The tests' files for the emulated machine, as a second archive of its initramfs."""

from __future__ import annotations

import compileall
import functools
import py_compile
import shutil
import subprocess
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PACK_S = 120
_HERE = Path(__file__).parent


@functools.cache
def overlay() -> bytes:
    """The agent, the exchange, the machine's own parts.

    Python is compiled here: an emulated processor takes seconds for it at every start."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hil = folder / "hil"
        for name in ("early", "late"):
            (folder / name).mkdir()
            shutil.copy(_HERE / f"inside/{name}.sh", folder / name / "hil.sh")
        shutil.copytree(
            _HERE / "inside", hil, symlinks=True, ignore=shutil.ignore_patterns("early.sh", "late.sh", "__pycache__")
        )
        skip = shutil.ignore_patterns("__pycache__", "*.pyc")
        for package in ("core/linetap_core", "unit/linetap", "desk/linetap_desk", "bench/linetap_bench"):
            place = hil / "python" / Path(package).name
            shutil.copytree(PROJECT / "firmware" / package, place, ignore=skip)
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        assert compileall.compile_dir(hil / "python", quiet=1, invalidation_mode=unchecked)
        listed = _said(["find", ".", "-print0"], folder)
        return _said(["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=0:0"], folder, listed)


def _said(command: list[str], folder: Path, data: bytes = b"") -> bytes:
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=True, timeout=PACK_S).stdout
