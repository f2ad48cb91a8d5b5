# SPDX-License-Identifier: Apache-2.0
"""A start that hangs before systemd: the machine's watchdog ends it, it is counted, and the other slot starts.

tests/image/test_watchdog.py tests the feeding of the watchdog. The watchdog before the kernel
(`kernel_watchdog_timeout`) can only be tested on a Pi.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from machine import Machine
from test_healing import copy_to_b

pytestmark = pytest.mark.hil
HANGS_S = 600  # in the machine's own time: two minutes for the step, and the watchdog's time-out
FALLS = 3  # image/initramfs/heal.sh


def test_a_start_that_hangs_is_ended_and_the_other_slot_comes(tmp_path: Path) -> None:
    """an initramfs that hangs: the watchdog ends it, it is counted, and after three the other slot starts by itself"""
    with Machine(tmp_path, counted=True) as machine:
        copy_to_b(machine)
        machine.words = "hil.hang=a"
        for _ in range(FALLS + 1):  # the first one may count as a power-on
            machine.start()
            assert machine.ended(HANGS_S), f"nothing ends it:\n{machine.log_tail()}"
            if "Slot b is next" in machine.log_tail():
                break
            assert "opening the root takes longer than 120 s" in machine.log_tail()
        machine.boot()
        assert machine.run("/usr/lib/linetap/slots", "get-current") == "b"
        assert machine.run("cat", "/sys/class/watchdog/watchdog0/state") == "active", "systemd has the watchdog"
        assert "여러 번 시작했지만" in (machine.get("linetap-boot.txt") or b"").decode()
