# SPDX-License-Identifier: Apache-2.0
"""One meter gets another program: into its loader, the image, and back. Its lines are followed by sound meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from linetap.meterprogram.dfu import Control, download
from linetap.meterprogram.image import Image
from linetap_core.clock import Clock, ns_of
from linetap_core.errors import DeviceFault

TO_LOADER, LOADER_REQUEST, LOADER_VALUE = 0x40, 0x4C, 0x4446  # OUT, vendor, device: hardware/meter/usbcontrol.h
COMES_S = 10.0  # a device that left the bus is there again after 1 or 2
LOOK_EVERY_S = 0.1


class Device(Control, Protocol):
    def claim(self) -> None: ...
    def reset(self) -> None: ...


class Bus(Protocol):
    """The USB ports at which a meter, or one in its loader, is now."""

    def meters(self) -> Sequence[str]: ...
    def loaders(self) -> Sequence[str]: ...
    def open(self, port: str) -> AbstractContextManager[Device]: ...


def replace_program(bus: Bus, port: str, image: Image, clock: Clock, told: Callable[[int], None]) -> None:
    """Refusal where the meter refuses it, DeviceFault where something fails. Within half a minute the meter then goes
    on with the program that it had; one that has none stays in its loader, and takes the next.
    """
    try:
        if port not in bus.loaders():
            with bus.open(port) as meter:
                meter.give(TO_LOADER, LOADER_REQUEST, LOADER_VALUE, b"")
            _until(lambda: port in bus.loaders(), clock, f"the meter at USB port {port} did not go into its loader")
        with bus.open(port) as loader:
            loader.claim()
            download(loader, image, clock, told)
            with contextlib.suppress(OSError):  # it leaves the bus at once
                loader.reset()
        _until(
            lambda: port in bus.meters(), clock, f"the meter at USB port {port} took the program and did not come back"
        )
    except OSError as error:
        if isinstance(error, DeviceFault):
            raise
        raise DeviceFault("meter_update", f"USB port {port}: {error}") from None


def _until(there: Callable[[], bool], clock: Clock, otherwise: str) -> None:
    end_ns = clock.monotonic_ns() + ns_of(COMES_S)
    while not there():
        if clock.monotonic_ns() >= end_ns:
            raise DeviceFault("meter_update", f"{otherwise} within {COMES_S:g} s")
        clock.sleep(LOOK_EVERY_S)
