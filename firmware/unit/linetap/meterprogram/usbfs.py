# SPDX-License-Identifier: Apache-2.0
"""USB devices in Linux's /sys, and their endpoint 0 by usbfs (linux/usbdevice_fs.h), without a library."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from linetap.meterprogram.image import LOADER, METER, VENDOR

TIMEOUT_MS = 2000
SYS, DEV = Path("/sys"), Path("/dev")
IN = 0x80


class Transfer(ctypes.Structure):
    """struct usbdevfs_ctrltransfer"""

    _fields_ = (
        ("kind", ctypes.c_uint8), ("request", ctypes.c_uint8), ("value", ctypes.c_uint16), ("index", ctypes.c_uint16),
        ("length", ctypes.c_uint16), ("timeout_ms", ctypes.c_uint32), ("data", ctypes.c_void_p),
    )  # fmt: skip


CONTROL = 3 << 30 | ctypes.sizeof(Transfer) << 16 | ord("U") << 8  # _IOWR('U', 0, struct usbdevfs_ctrltransfer)
CLAIM = 2 << 30 | 4 << 16 | ord("U") << 8 | 15  # _IOR('U', 15, unsigned int)
RESET = ord("U") << 8 | 20  # _IO('U', 20)


def port_of_terminal(terminal: Path, sys: Path = SYS) -> str | None:
    """The USB port, such as 1-1.2, of a meter's /dev/linetap/cardN/meter; None if it is no USB device's."""
    try:
        at = (sys / "class" / "tty" / terminal.resolve(strict=True).name / "device").resolve(strict=True)
    except OSError:
        return None
    while at != at.parent:
        if (at / "idVendor").exists():
            return at.name
        at = at.parent
    return None


def ports(product: int, sys: Path = SYS) -> list[str]:
    """The ports of our devices: METER or LOADER."""
    return [
        folder.name
        for folder in sorted((sys / "bus" / "usb" / "devices").glob("*-*"))
        if (_number(folder / "idVendor"), _number(folder / "idProduct")) == (VENDOR, product)
    ]


def meters(sys: Path = SYS) -> list[str]:
    return ports(METER, sys)


def loaders(sys: Path = SYS) -> list[str]:
    return ports(LOADER, sys)


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(), 16)
    except (OSError, ValueError):
        return None


class UsbDevice:
    """A device at a port. Every call raises OSError if the device stalls, is silent or gone."""

    def __init__(self, port: str, sys: Path = SYS, dev: Path = DEV) -> None:
        place = sys / "bus" / "usb" / "devices" / port
        bus, number = (int((place / name).read_text()) for name in ("busnum", "devnum"))
        self._fd = os.open(dev / "bus" / "usb" / f"{bus:03d}" / f"{number:03d}", os.O_RDWR | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._fd)

    def claim(self) -> None:
        """Claims interface 0, which requests to the interface require."""
        fcntl.ioctl(self._fd, CLAIM, ctypes.c_uint(0))

    def give(self, kind: int, request: int, value: int, data: bytes) -> None:
        self._transfer(kind, request, value, ctypes.create_string_buffer(data, max(1, len(data))), len(data))

    def ask(self, kind: int, request: int, length: int) -> bytes:
        buffer = ctypes.create_string_buffer(length)
        return buffer.raw[: self._transfer(kind | IN, request, 0, buffer, length)]

    def reset(self) -> None:
        fcntl.ioctl(self._fd, RESET)

    def _transfer(self, kind: int, request: int, value: int, buffer: ctypes.Array[ctypes.c_char], length: int) -> int:
        transfer = Transfer(kind, request, value, 0, length, TIMEOUT_MS, ctypes.addressof(buffer))
        return int(fcntl.ioctl(self._fd, CONTROL, transfer))
