# SPDX-License-Identifier: Apache-2.0
"""The resource usage of a process, by the kernel's accounts."""

from __future__ import annotations

import os
import threading
import time

from linetap_bench.figures import cpu_s

WORKED_S = 0.05


def test_a_thread_that_has_ended_is_counted() -> None:
    before = cpu_s(os.getpid())
    thread = threading.Thread(target=_work)
    thread.start()
    thread.join()
    assert cpu_s(os.getpid()) - before >= WORKED_S


def _work() -> None:
    began = time.thread_time()
    while time.thread_time() - began < WORKED_S:
        pass
