# SPDX-License-Identifier: Apache-2.0
"""The kernel's modules that only the tests need: the image lacks them, and the archive of the tests brings them.

They are taken from the image's own packages, as listed in its packages.lock: signed, and of the same kernel.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

PROJECT = Path(__file__).resolve().parents[2]
UNPACK_S = 120
# In the order of loading: each after those that it needs.
MODULES: Final = ("snd-aloop", "configfs", "gpio-sim", "tpm_vtpm_proxy", "inet_diag", "tcp_diag")


def test_modules() -> Path:
    """A folder with NAME.ko of each; made once for each kernel."""
    packages = kernel_packages((PROJECT / "build/image/packages.lock").read_text())
    made = PROJECT / "build/hil-modules" / "-".join(package.stem[:12] for package in packages)
    if not made.is_dir():
        made.parent.mkdir(exist_ok=True)
        new = Path(tempfile.mkdtemp(dir=made.parent))
        for package in packages:
            _unpack(package, new)
        missing = [name for name in MODULES if not (new / f"{name}.ko").is_file()]
        assert not missing, f"the image's kernel has no module {', '.join(missing)}"
        try:
            os.rename(new, made)
        except OSError:  # the run beside this one was first
            shutil.rmtree(new)
    return made


def kernel_packages(lock: str) -> list[Path]:
    """The packages that may contain a module of the image's kernel."""
    rows = [line.split() for line in lock.splitlines()]
    sums = [row[4] for row in rows if row[:1] == ["root"] and row[1].startswith(("linux-image-", "linux-modules-"))]
    return [PROJECT / f"build/packages/{each}.deb" for each in sums]


def _unpack(package: Path, into: Path) -> None:
    with tempfile.TemporaryDirectory(dir=into.parent) as temporary:
        subprocess.run(["dpkg-deb", "--extract", package, temporary], check=True, timeout=UNPACK_S)
        for name in MODULES:
            for found in Path(temporary).rglob(f"{name}.ko*"):
                data = found.read_bytes()
                (into / f"{name}.ko").write_bytes(lzma.decompress(data) if found.suffix == ".xz" else data)
