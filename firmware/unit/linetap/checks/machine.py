# SPDX-License-Identifier: Apache-2.0
"""The computer itself as the kernel's files show it: heat, supply, memory, disks. Any of our users may read them.

What this machine has not is None or empty, and never a fault. A firmware's or a driver's file is asked once a second,
however often somebody looks; which files there are, more rarely, since that costs more than to read them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from linetap_core.clock import NS_PER_S, Clock

ROOT = Path("/")
EVERY_S = 1
FIND_EVERY_S = 10
DIP_S = 300  # the driver polls the supply every 2 s and forgets: a dip is told for so long
_MOST = 16  # files of a kind
_FILE_BYTES = 64 << 10
_UNDER_VOLTAGE, _SLOWED = 0x1, 0xE  # bits of get_throttled: now too low; now capped, throttled, at the soft limit


@dataclass(frozen=True, slots=True)
class Wear:
    """An eMMC's own word, JESD84-B51 7.4.72 ff.: `used_percent` of its life, rounded up to ten, above 100 when it is
    over; `spare` of its reserved blocks: 1 enough, 2 80 % used, 3 90 % used. 0: it does not say."""

    used_percent: int
    spare: int


@dataclass(frozen=True, slots=True)
class Machine:
    """`throttled` is the firmware's whole word, hexadecimal 0: never since the start. `stalled_percent` of the last
    minute nobody got on for want of memory. `disk_errors`: of each ext4, since it was last checked (e2fsck)."""

    temperature_c: float | None = None
    under_voltage: bool | None = None
    throttled: int | None = None
    memory_total_kb: int | None = None
    memory_available_kb: int | None = None
    stalled_percent: float | None = None
    disk_errors: Mapping[str, int] = field(default_factory=dict)
    disks: Mapping[str, Wear] = field(default_factory=dict)

    @property
    def is_slowed(self) -> bool | None:
        """Now; None: the machine does not say."""
        return None if self.throttled is None else bool(self.throttled & _SLOWED)


@dataclass(frozen=True, slots=True)
class Files:
    """Where this machine has what. The temperature is the processor's: other zones mean other limits."""

    throttled: Path | None
    voltage: Path | None  # of raspberrypi-hwmon, in every kernel; `throttled` is in the vendor's alone
    temperature: Path | None
    errors: tuple[Path, ...]
    disks: tuple[Path, ...]


class MachineWatch:
    """Reads no more often than once in EVERY_S, and remembers a dip of the supply for DIP_S."""

    def __init__(self, clock: Clock, root: Path | None = None) -> None:
        self._clock, self._root = clock, root
        self._machine: Machine | None = None
        self._read_ns = self._found_ns = 0
        self._files: Files | None = None
        self._dip_ns: int | None = None

    def look(self) -> Machine:
        now_ns = self._clock.monotonic_ns()
        if self._machine is None or now_ns - self._read_ns >= EVERY_S * NS_PER_S:
            self._read_ns = now_ns
            root = self._root or ROOT
            if self._files is None or now_ns - self._found_ns >= FIND_EVERY_S * NS_PER_S:
                self._files, self._found_ns = find(root), now_ns
            self._machine = self._with_dip(read_machine(root, self._files), now_ns)
        return self._machine

    def _with_dip(self, machine: Machine, now_ns: int) -> Machine:
        if machine.under_voltage:
            self._dip_ns = now_ns
        if machine.under_voltage is None or self._dip_ns is None:
            return machine
        return replace(machine, under_voltage=now_ns - self._dip_ns < DIP_S * NS_PER_S)


def find(root: Path) -> Files:
    """`root`: where /proc and /sys are."""
    zones, sensors = _all(root, "sys/class/thermal/thermal_zone*"), _all(root, "sys/class/hwmon/hwmon*")
    return Files(
        throttled=next(iter(_all(root, "sys/bus/platform/devices/*:firmware/get_throttled")), None),
        voltage=next((it / "in0_lcrit_alarm" for it in sensors if _text(it / "name").strip() == "rpi_volt"), None),
        temperature=next((it / "temp" for it in zones if _text(it / "type").strip() == "cpu-thermal"), None),
        errors=_all(root, "sys/fs/ext4/*/errors_count"),
        disks=_all(root, "sys/block/mmcblk[0-9]"),
    )


def read_machine(root: Path, files: Files) -> Machine:
    throttled = _number(files.throttled, 16)
    alarm, milli = _number(files.voltage), _number(files.temperature)
    under_voltage = None if throttled is None else bool(throttled & _UNDER_VOLTAGE)
    memory = _text(root / "proc/meminfo")
    return Machine(
        temperature_c=None if milli is None else milli / 1000,
        under_voltage=under_voltage if alarm is None else alarm != 0,
        throttled=throttled,
        memory_total_kb=_after(r"^MemTotal: +(\d+)", memory),
        memory_available_kb=_after(r"^MemAvailable: +(\d+)", memory),
        stalled_percent=_stalled(_text(root / "proc/pressure/memory")),
        disk_errors={path.parent.name: n for path in files.errors if (n := _number(path)) is not None},
        disks={path.name: wear for path in files.disks if (wear := _wear(path / "device"))},
    )


def _wear(device: Path) -> Wear | None:
    """None: a card that says nothing of it, as no SD card does."""
    used = [int(word, 16) for word in re.findall(r"0x[0-9a-fA-F]{1,2}\b", _text(device / "life_time"))]
    wear = Wear(10 * max(used, default=0), _number(device / "pre_eol_info", 16) or 0)
    return wear if wear != Wear(0, 0) else None


def _stalled(pressure: str) -> float | None:
    found = re.search(r"^full .*avg60=(\d+\.\d+)", pressure, re.MULTILINE)
    return float(found[1]) if found else None


def _after(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else None


def _all(root: Path, pattern: str) -> tuple[Path, ...]:
    return tuple(sorted(itertools.islice(root.glob(pattern), _MOST)))


def _number(path: Path | None, base: int = 10) -> int | None:
    if path is None:
        return None
    try:
        return int(_text(path), base)
    except ValueError:
        return None


def _text(path: Path) -> str:
    """Empty where there is none, or the driver does not answer."""
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES).decode("ascii", "replace")
    except OSError:
        return ""
