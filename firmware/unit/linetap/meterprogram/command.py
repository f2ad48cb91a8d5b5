# SPDX-License-Identifier: Apache-2.0
"""`linetap meter update`: replaces the program of a card's line meter, on the unit, as root.

The meter restarts into its loader, receives the image, and returns. Meanwhile its lines are followed by sound.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from linetap.config import Config, load_config
from linetap.config.require import require_card
from linetap.idle import line_in_use
from linetap.meterprogram import usbfs
from linetap.meterprogram.dfu import Control, download
from linetap.meterprogram.image import Image, read
from linetap_core.cli import say
from linetap_core.clock import SYSTEM, Clock, ns_of
from linetap_core.errors import BadInput, DeviceFault, Refusal

TO_LOADER, LOADER_REQUEST, LOADER_VALUE = 0x40, 0x4C, 0x4446  # OUT, vendor, device: hardware/meter/usbcontrol.h
COMES_S = 10.0  # a device that left the bus returns after 1 or 2
LOOK_EVERY_S = 0.1


class Device(Control, Protocol):
    def claim(self) -> None: ...
    def reset(self) -> None: ...


class Bus(Protocol):
    """The USB ports of the meters, and of meters in their loader."""

    def meters(self) -> Sequence[str]: ...
    def loaders(self) -> Sequence[str]: ...
    def open(self, port: str) -> AbstractContextManager[Device]: ...


def replace_program(bus: Bus, port: str, image: Image, clock: Clock, progress: Callable[[int], None]) -> None:
    """Replaces the meter's program. Refusal if the meter rejects it, DeviceFault if a step fails.

    After a failure the meter continues within half a minute with its previous program; without one it stays in its
    loader, and accepts the next.
    """
    try:
        if port not in bus.loaders():
            if port not in bus.meters():  # to another maker's device the request means something else
                raise DeviceFault("meter_absent", f"the device at USB port {port} is no line meter")
            with bus.open(port) as meter:
                meter.give(TO_LOADER, LOADER_REQUEST, LOADER_VALUE, b"")
            _until(lambda: port in bus.loaders(), clock, f"the meter at USB port {port} did not go into its loader")
        with _claimed(bus, port, clock) as loader:
            download(loader, image, clock, progress)
            with contextlib.suppress(OSError):  # it leaves the bus at once
                loader.reset()
        _until(
            lambda: port in bus.meters(), clock, f"the meter at USB port {port} took the program and did not come back"
        )
    except OSError as error:
        if isinstance(error, DeviceFault):
            raise
        raise DeviceFault("meter_update", f"USB port {port}: {error}") from None


@contextlib.contextmanager
def _claimed(bus: Bus, port: str, clock: Clock) -> Iterator[Device]:
    """The loader, as soon as it may be claimed: on an image udev authorizes each interface a moment after it has come
    (60-usb-linetap.rules), and until then the kernel answers "No such device" (usb_driver_claim_interface).
    """
    end_ns = clock.monotonic_ns() + ns_of(COMES_S)
    while True:
        with contextlib.ExitStack() as stack:
            try:
                loader = stack.enter_context(bus.open(port))
                loader.claim()
            except OSError:
                if clock.monotonic_ns() >= end_ns:
                    raise
            else:
                yield loader
                return
        clock.sleep(LOOK_EVERY_S)


def _until(there: Callable[[], bool], clock: Clock, otherwise: str) -> None:
    end_ns = clock.monotonic_ns() + ns_of(COMES_S)
    while not there():
        if clock.monotonic_ns() >= end_ns:
            raise DeviceFault("meter_update", f"{otherwise} within {COMES_S:g} s")
        clock.sleep(LOOK_EVERY_S)


EXAMPLE = "example: linetap meter update meter.dfu --config /etc/linetap/unit.toml --card 1"


class Usb:
    """The USB bus of this machine."""

    def meters(self) -> Sequence[str]:
        return usbfs.meters()

    def loaders(self) -> Sequence[str]:
        return usbfs.loaders()

    def open(self, port: str) -> usbfs.UsbDevice:
        return usbfs.UsbDevice(port)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    what = "signed by the maker and not older; the card's lines are followed by their sound for some ten seconds"
    verb = verbs.add_parser("update", help="another program for a line meter", description=what, epilog=EXAMPLE)
    verb.add_argument("file", type=Path, metavar="meter.dfu")
    verb.add_argument("--config", type=Path, required=True, metavar="unit.toml")
    verb.add_argument("--card", type=int, default=1, metavar="N", help="the meter's card, default %(default)s")
    verb.add_argument("--now", action="store_true", help="also while a line of the card is in use")


def run(args: argparse.Namespace) -> int:
    """Runs the command. Exit status 0 when the meter is back with the program. Refusal if the meter rejects it, or a
    line is in use.
    """
    image = read(args.file)
    config = load_config(args.config)
    require_card(config, args.config, args.card)
    busy = None if args.now else line_in_use(config, args.card, SYSTEM)
    if busy is not None:
        raise Refusal(f"{busy}; linetap idle --card {args.card} --within 3600 waits, --now does not")
    bus = Usb()
    port = _port(config, args.card, bus)
    say(f"카드 {args.card} / card {args.card}: USB {port}, {image.name}")
    shown = 0

    def progress(sent: int) -> None:
        nonlocal shown
        if sent * 10 // len(image.data) > shown:
            shown = sent * 10 // len(image.data)
            say(f"{shown * 10} %")

    replace_program(bus, port, image, SYSTEM, progress)
    say(f"완료 / done: {image.name}")
    return 0


def _port(config: Config, card: int, bus: Bus) -> str:
    """The port of the card's meter by its terminal; without one, that of the only meter waiting in its loader."""
    terminal = config.meter_port(card)
    if terminal is None:
        raise BadInput(f"card {card} has no meter_port in unit.toml")
    if (port := usbfs.port_of_terminal(Path(terminal))) is not None:
        return port
    waiting = bus.loaders()
    if len(waiting) == 1:
        return waiting[0]
    found = f"meters in their loader are at USB ports {', '.join(waiting)}: unplug all but one" if waiting else "none"
    raise DeviceFault("meter_absent", f"{terminal} is no meter on USB, and of those in their loader: {found}")
