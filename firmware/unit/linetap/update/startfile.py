# SPDX-License-Identifier: Apache-2.0
"""The firmware of a Pi 4 on the boot partition, start4.elf: the day of its build, and the boot loaders that start it.

A boot loader from 2025-02-11 on passes it the number of the boot partition. On a card with a GPT an older firmware does
not find the kernel then, and stops with seven flashes: "This firmware is too old to understand the "partition 1"
parameter" (raspberrypi/rpi-eeprom#668; the same in #854, NixOS/nixpkgs#406201 and, with Debian 13's firmware of
2024-04-17, debian-cloud of March 2026). The reports: 2024-11-26 does not start, 2025-01-16 does.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path

from linetap_core import plainfile

LEAST_DAY = date(2025, 1, 16)
_MOST_BYTES = 32 << 20  # ten times such a file
NUMBERED_FROM_S = 1739232000  # 2025-02-11, a boot loader's build
_MADE = re.compile(rb"VC_BUILD_ID_TIME: ([A-Z][a-z]{2} [ \d]\d \d{4})\b")


def made_on(start_file: bytes) -> date | None:
    """The day of its build; None: no such firmware."""
    found = _MADE.search(start_file)
    return datetime.strptime(found[1].decode(), "%b %d %Y").replace(tzinfo=UTC).date() if found else None


def fault_of(start_file: bytes) -> str | None:
    """The reason why a new boot loader does not start it from a GPT."""
    day = made_on(start_file)
    if day is None:
        return "has no day of its build"
    if day < LEAST_DAY:
        return f"is of {day}; boot loaders from 2025-02-11 on start none before {LEAST_DAY} from a GPT"
    return None


def slot_fault(boot: Path) -> str | None:
    """The same for the files of both slots, by name. `boot`: the mounted boot partition."""
    for path in sorted(boot.glob("start4[ab].elf")):
        try:
            fault = fault_of(plainfile.read(path, _MOST_BYTES))
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        if fault is not None:
            return f"{path.name} {fault}"
    return None
