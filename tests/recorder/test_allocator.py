# SPDX-License-Identifier: Apache-2.0
"""Large freed pieces of memory are returned to the kernel, in any thread, by this machine's own glibc."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LIMIT_S = 60
# A thread's allocations after a stalled disk: growing pieces for a moment, and something small after each.
PIECES = """
import sys, threading
from pathlib import Path
from linetap.recorder.service import return_freed_memory

def own_kb():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

def work():
    bytearray(8 << 20)
    for size in range(1, 9):
        large = bytearray(b"x" * (size << 19))
        stays.append(bytearray(2000))
        del large

if sys.argv[1] == "given back":
    return_freed_memory()
stays = []
thread = threading.Thread(target=work)
before = own_kb()
thread.start()
thread.join()
print(own_kb() - before)
"""


def grown_kb(how: str) -> int:
    command = [sys.executable, "-c", PIECES, how]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True).stdout)


@pytest.mark.skipif(not hasattr(os, "confstr") or "glibc" not in (os.confstr("CS_GNU_LIBC_VERSION") or ""),
                    reason="another C library does as it does")  # fmt: skip
def test_what_was_large_for_a_moment_does_not_stay() -> None:
    assert grown_kb("given back") < 1000
    assert grown_kb("as it is") > 4000, "glibc gives back by itself, and nobody needs to ask for it"
