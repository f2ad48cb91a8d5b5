# SPDX-License-Identifier: Apache-2.0
"""A bare Debian 13 with a real systemd, for the packages of `./build.sh deb`.

mmdebstrap makes the system once and keeps it under build/; a guest's changes stay in RAM. Its apt reaches the archive
through a proxy (aptproxy.py).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "systemd"))

from aptproxy import PORT, proxy_for
from guest import Guest, guest, skip_reason

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ROOT / "build/deb"
_BASE = ROOT / "build/debian13"
_POOL = ROOT / "build/debian13-packages"
MEDIUM = "srv/linetap"  # the guest's copy of build/deb
_LIMIT_S = 1200
_PROXY = f'Acquire::http::Proxy "http://127.0.0.1:{PORT}";\n'
_PATH = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"


def base() -> Path:
    """The root of a bare Debian 13."""
    if not _BASE.exists():
        fresh = _BASE.with_name(f"{_BASE.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        mirror = subprocess.run([ROOT / "tools/mirror.sh"], capture_output=True, text=True, check=True).stdout.strip()
        words = ["mmdebstrap", "--quiet", "--mode=root", "--variant=debootstrap", "trixie", str(fresh), mirror]
        subprocess.run(words, check=True, timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
        (fresh / "etc/hostname").write_text("desk\n")
        (fresh / "etc/machine-id").write_text("")
        fresh.rename(_BASE)
    return _BASE


@contextlib.contextmanager
def bare(packages: Path = PACKAGES) -> Iterator[Guest]:
    """A booted guest, with the packages at /srv/linetap and apt able to reach the archive."""
    with guest(base(), installed=False) as machine:
        shutil.copytree(packages, machine.root / MEDIUM, ignore=shutil.ignore_patterns("work"))
        machine.write("/etc/apt/apt.conf.d/01proxy", _PROXY)
        machine.boot()
        machine.stood.enter_context(proxy_for(machine.pid, _POOL))
        yield machine


def shell(machine: Guest, line: str, limit_s: float = _LIMIT_S) -> tuple[int, str]:
    """Runs a line as root; returns its exit status and the output of both streams."""
    done = subprocess.run(
        [*machine.entered(), "env", "-i", _PATH, "HOME=/root", "bash", "-c", f"cd; {line}"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=limit_s, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def commands(page: Path) -> list[str]:
    """The lines of the page's first block of bash."""
    found = re.search(r"^```bash\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found, page
    return [line for line in found[1].splitlines() if line.strip() and not line.startswith("#")]


def cannot() -> str | None:
    """The reason why this machine cannot run such a guest; None if it can."""
    return skip_reason() or (None if os.access("/usr/bin/mmdebstrap", os.X_OK) else "mmdebstrap is not installed")
