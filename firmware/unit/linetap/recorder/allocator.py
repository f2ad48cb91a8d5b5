# SPDX-License-Identifier: Apache-2.0
"""Makes glibc return large freed blocks to the kernel at once.

By default glibc keeps ever larger blocks (mallopt(3), M_MMAP_THRESHOLD: up to 32 MiB, once a block of that size was
freed), in one arena a thread. After a disk that stood for some seconds the recorder would keep megabytes for good.
"""

from __future__ import annotations

import ctypes

LARGE_BYTES = 128 << 10  # glibc's initial threshold
_M_MMAP_THRESHOLD = -3


def give_back() -> None:
    """Fixes the threshold for the whole process; other C libraries are left as they are."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
