# SPDX-License-Identifier: Apache-2.0
"""What glibc does with a large piece of memory that is free again: the kernel gets it.

By itself glibc keeps ever larger pieces (mallopt(3), M_MMAP_THRESHOLD: up to 32 MiB, once such a one was freed), each
thread in an arena of its own. So a disk that stood for some seconds left megabytes with the recorder, for good.
"""

from __future__ import annotations

import ctypes

LARGE_BYTES = 128 << 10  # glibc's own, before it learns
_M_MMAP_THRESHOLD = -3


def give_back() -> None:
    """From now on, in the whole process. Another C library does as it does."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
