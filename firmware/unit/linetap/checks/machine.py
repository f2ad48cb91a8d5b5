# SPDX-License-Identifier: Apache-2.0
"""The computer's state by the kernel's files: heat, supply, memory, disks, and the file system of a folder.

Values that this machine does not have are None or empty, never a fault. Files of the firmware or a driver are read at
most once a second; their existence is checked more rarely, since that costs more than reading them.

File systems are not checked by statvfs(2): in a service's own mount namespace (ProtectSystem=) all are read-only, and
an ext4 that has stopped after an error shows `emergency_ro` without the read-only flag (measured, decision 0059).
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from linetap.cardresult import read_encryption
from linetap.checks.bootstate import Eeprom, Loader, Slot, read_eeprom, read_loader, read_slots
from linetap.checks.kernelfiles import bytes_of, first_group, text_of
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.records import KeyHolder
from linetap_core.system import DAMAGE

ROOT = Path("/")
FOREIGN = "run/linetap-left"  # a line for each
READ_ONLY = "run/linetap-state-read-only"  # by the initramfs (image/initramfs/keep.sh)
EVERY_S = 1
FIND_EVERY_S = 10
DIP_S = 300  # duration for which a dip is shown: the driver polls the supply every 2 s and does not store dips
_MOST = 16  # files of one kind
_UNDER_VOLTAGE, _SLOWED = 0x1, 0xE  # bits of get_throttled: under-voltage; capped, throttled or at the soft limit


@dataclass(frozen=True, slots=True)
class Wear:
    """The wear that an eMMC reports (JESD84-B51 7.4.72 ff.). `used_percent`: used life, rounded up to ten, above 100
    after its end; `spare`: its reserved blocks: 1 normal, 2 80 % used, 3 90 % used. 0: not reported.
    """

    used_percent: int
    spare: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The computer. `throttled`: the firmware's whole value; 0: never since the start. `stalled_percent`: share of the
    last minute in which all tasks waited for memory. `disk_errors`: errors of each ext4 since its last check (e2fsck).
    `foreign_files`: number on the state partition at the start, as far as the image counts them
    (image/root/usr/lib/linetap/state). `state_read_only`: that partition could not be written at the start.
    `card_key`: the place of an encrypted card's key.
    """

    temperature_c: float | None = None
    under_voltage: bool | None = None
    throttled: int | None = None
    memory_total_kb: int | None = None
    memory_available_kb: int | None = None
    stalled_percent: float | None = None
    disk_errors: Mapping[str, int] = field(default_factory=dict)
    disks: Mapping[str, Wear] = field(default_factory=dict)
    slots: tuple[Slot, ...] = ()
    loader: Loader | None = None
    eeprom: Eeprom | None = None
    foreign_files: int | None = None
    state_read_only: bool = False
    card_key: KeyHolder | None = None

    @property
    def is_slowed(self) -> bool | None:
        """Whether the processor is slowed now; None: unknown."""
        return None if self.throttled is None else bool(self.throttled & _SLOWED)


@dataclass(frozen=True, slots=True)
class Files:
    """The paths of this machine's values. The temperature is the processor's: other zones have other limits."""

    throttled: Path | None
    voltage: Path | None  # of raspberrypi-hwmon, not in the image's kernel; `throttled` is in image/modules
    temperature: Path | None
    errors: tuple[Path, ...]
    disks: tuple[Path, ...]


class MachineWatch:
    """The watch of the computer: reads at most once in EVERY_S, and keeps a supply dip for DIP_S."""

    def __init__(self, clock: Clock, root: Path | None = None) -> None:
        self._clock, self._root = clock, root
        self._machine: Machine | None = None
        self._read_ns = self._found_ns = 0
        self._files: Files | None = None
        self._dip_ns: int | None = None

    def read(self) -> Machine:
        now_ns = self._clock.monotonic_ns()
        if self._machine is None or now_ns - self._read_ns >= EVERY_S * NS_PER_S:
            self._read_ns = now_ns
            root = self._root or ROOT
            if self._files is None or now_ns - self._found_ns >= FIND_EVERY_S * NS_PER_S:
                self._files, self._found_ns = find_files(root), now_ns
            self._machine = self._with_dip(read_machine(root, self._files), now_ns)
        return self._machine

    def _with_dip(self, machine: Machine, now_ns: int) -> Machine:
        if machine.under_voltage:
            self._dip_ns = now_ns
        if machine.under_voltage is None or self._dip_ns is None:
            return machine
        return replace(machine, under_voltage=now_ns - self._dip_ns < DIP_S * NS_PER_S)


def find_files(root: Path) -> Files:
    """Finds the files. `root`: the folder that contains /proc and /sys."""
    zones, sensors = _all(root, "sys/class/thermal/thermal_zone*"), _all(root, "sys/class/hwmon/hwmon*")
    return Files(
        throttled=next(iter(_all(root, "sys/bus/platform/devices/*firmware/get_throttled")), None),
        voltage=next((it / "in0_lcrit_alarm" for it in sensors if text_of(it / "name").strip() == "rpi_volt"), None),
        temperature=next((it / "temp" for it in zones if text_of(it / "type").strip() == "cpu-thermal"), None),
        errors=_all(root, "sys/fs/ext4/*/errors_count"),
        disks=_all(root, "sys/block/mmcblk[0-9]"),
    )


def read_machine(root: Path, files: Files) -> Machine:
    throttled = _number(files.throttled, 16)
    alarm, milli = _number(files.voltage), _number(files.temperature)
    under_voltage = None if throttled is None else bool(throttled & _UNDER_VOLTAGE)
    memory = text_of(root / "proc/meminfo")
    return Machine(
        temperature_c=None if milli is None else milli / 1000,
        under_voltage=under_voltage if alarm is None else alarm != 0,
        throttled=throttled,
        memory_total_kb=_amount(r"^MemTotal: +(\d+)", memory),
        memory_available_kb=_amount(r"^MemAvailable: +(\d+)", memory),
        stalled_percent=_stalled(text_of(root / "proc/pressure/memory")),
        disk_errors={path.parent.name: n for path in files.errors if (n := _number(path)) is not None},
        disks={path.name: wear for path in files.disks if (wear := _wear(path / "device"))},
        slots=read_slots(root),
        loader=read_loader(root),
        eeprom=read_eeprom(root),
        foreign_files=_lines(root / FOREIGN),
        state_read_only=(root / READ_ONLY).exists(),
        card_key=read_encryption(root / "run").held_by,
    )


def _lines(path: Path) -> int | None:
    return len(bytes_of(path).splitlines()) if path.exists() else None


def _wear(device: Path) -> Wear | None:
    """The wear of a device; None: not reported, as for every SD card."""
    used = [int(word, 16) for word in re.findall(r"0x[0-9a-fA-F]{1,2}\b", text_of(device / "life_time"))]
    wear = Wear(10 * max(used, default=0), _number(device / "pre_eol_info", 16) or 0)
    return wear if wear != Wear(0, 0) else None


def _stalled(pressure: str) -> float | None:
    found = first_group(r"^full .*avg60=(\d+\.\d+)", pressure)
    return float(found) if found else None


def _amount(pattern: str, text: str) -> int | None:
    found = first_group(pattern, text)
    return int(found) if found else None


def _all(root: Path, pattern: str) -> tuple[Path, ...]:
    return tuple(sorted(itertools.islice(root.glob(pattern), _MOST)))


def _number(path: Path | None, base: int = 10) -> int | None:
    if path is None:
        return None
    try:
        return int(text_of(path), base)
    except ValueError:
        return None


# --- File systems -----------------------------------------------------------------------------------------------------


CLOSED = {"ro", "emergency_ro", "shutdown"}  # options of the file system itself, after the dash in mountinfo
LOST = "linetap-lost"  # mounted by the image in place of a data partition that cannot be mounted
ENCRYPTED = "/dev/mapper/linetap-data"  # mounted by the image from an encrypted card
_MOUNTINFO_BYTES = 256 << 10
_FEWEST_BLOCKS = 4  # a state file needs one or two, and the old file stays until its replacement

RoomFault = Literal["full", "read_only", "failing"]


@dataclass(frozen=True, slots=True)
class Mount:
    read_only: bool = False
    lost: bool = False  # RAM in place of a partition that cannot be mounted
    encrypted: bool = False  # with a key in the TPM or in the board's fuses


def visible(vault: Path) -> Path:
    """Returns a folder on the vault's file system that this process can see.

    The panel's sandbox shows only the configuration beside the vault (systemd/linetap-panel.service.d).
    """
    beside = vault.parent / "config"
    return vault if os.path.lexists(vault) or not os.path.isdir(beside) else beside


def mount_of(folder: Path, root: Path | None = None) -> Mount | None:
    """Returns the present or future file system of `folder`; None: unknown. See proc_pid_mountinfo(5).

    `root`: the folder that contains /proc.
    """
    try:
        with ((root or ROOT) / "proc/self/mountinfo").open("rb") as file:
            lines = file.read(_MOUNTINFO_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    place, nearest, found = os.path.realpath(folder) + "/", "", Mount()
    for line in lines:
        here, _, system = line.partition(" - ")
        if len(fields := here.split(" ", 5)) < 6 or len(of_system := system.split(" ", 2)) < 3:
            continue
        point = fields[4]
        if "\\" in point:
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)
        point = point.rstrip("/") + "/"
        if place.startswith(point) and len(point) >= len(nearest):  # a later mount covers an earlier one
            nearest = point
            found = _mount(of_system[1], of_system[2])
    return found if nearest else None


def _mount(source: str, options: str) -> Mount:
    return Mount(not CLOSED.isdisjoint(options.split(",")), source == LOST, source == ENCRYPTED)


def fault_of(room: Path) -> RoomFault | None:
    """Returns the reason why a service, which may be alive, cannot write its state into its folder in RAM.

    `failing`: the medium returns errors. None: files can be written there, or the folder does not exist because no
    service has started yet.
    """
    try:
        figures = os.statvfs(room)
    except OSError as error:
        return "failing" if error.errno in DAMAGE else None
    if figures.f_bavail < _FEWEST_BLOCKS or (figures.f_files and not figures.f_favail):
        return "full"
    mount = mount_of(room)  # not ST_RDONLY: a file system may be read-only in one service's sandbox alone
    return "read_only" if mount is not None and mount.read_only else None
