# SPDX-License-Identifier: Apache-2.0
"""The tests' files for the emulated machine, as a second archive of its initramfs."""

from __future__ import annotations

import compileall
import functools
import py_compile
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testmodules import test_modules

PROJECT = Path(__file__).resolve().parents[2]
PACK_S = 120
_HERE = Path(__file__).parent
_BROUGHT = ("linetap_bench", "linetap_desk")
_IMPORTED = """
import sys
import linetap_bench.exchange.command
print(*(m.__file__ for name, m in sys.modules.items() if name.partition(".")[0] in sys.argv[1:]))
"""


@functools.cache
def overlay() -> bytes:
    """The agent, the exchange, the machine's own parts, and kernel modules for them.

    Python is compiled here, and only the exchange's imports are included: an emulated processor would take seconds for
    it at every start.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hil = folder / "hil"
        for name in ("early", "late"):
            (folder / name).mkdir()
            shutil.copy(_HERE / f"inside/{name}.sh", folder / name / "hil.sh")
        shutil.copytree(
            _HERE / "inside", hil, symlinks=True, ignore=shutil.ignore_patterns("early.sh", "late.sh", "__pycache__")
        )
        for file in _exchange():
            (package,) = (parent for parent in file.parents if parent.name in _BROUGHT)
            place = hil / "python" / file.relative_to(package.parent)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)
        shutil.copytree(test_modules(), hil / "modules")
        unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
        assert compileall.compile_dir(hil / "python", quiet=1, invalidation_mode=unchecked)
        listed = _said(["find", ".", "-print0"], folder)
        return _said(["cpio", "--quiet", "--null", "--create", "--format=newc", "--owner=0:0"], folder, listed)


def _exchange() -> list[Path]:
    """The exchange's modules that the image lacks."""
    return [Path(word) for word in _said([sys.executable, "-c", _IMPORTED, *_BROUGHT], PROJECT).decode().split()]


def _said(command: list[str], folder: Path, data: bytes = b"") -> bytes:
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=True, timeout=PACK_S).stdout
