# SPDX-License-Identifier: Apache-2.0
"""The part of RPi.GPIO that is used, with its errors as linetap's.

On a unit that module is rpi-lgpio, over the kernel's gpiochip; the classic one cannot run on a Pi 5.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from linetap_core.errors import DeviceFault


class Pwm(Protocol):
    """A pin switched by the module, faster than visible."""

    def start(self, duty_percent: float, /) -> None: ...
    def ChangeDutyCycle(self, duty_percent: float, /) -> None: ...
    def stop(self) -> None: ...


class Gpio(Protocol):
    """The part of RPi.GPIO that is used."""

    BCM: int
    IN: int
    OUT: int
    PUD_UP: int
    PUD_DOWN: int

    def setwarnings(self, value: bool, /) -> None: ...
    def setmode(self, mode: int, /) -> None: ...
    def setup(self, channel: int, direction: int, *, pull_up_down: int = ..., initial: int | None = ...) -> None: ...
    def input(self, channel: int, /) -> int: ...
    def output(self, channel: int, value: int, /) -> None: ...
    def PWM(self, channel: int, hz: float, /) -> Pwm: ...
    def cleanup(self, channels: list[int], /) -> None: ...


def import_gpio() -> Gpio:
    """Returns RPi.GPIO, imported when hardware is requested. DeviceFault `gpio_absent` if there is none."""
    try:
        module: Any = importlib.import_module("RPi.GPIO")
    except (ImportError, RuntimeError, OSError, NotImplementedError) as error:
        why = str(error) or type(error).__name__
        raise DeviceFault("gpio_absent", f"RPi.GPIO: {why}; a unit needs rpi-lgpio on a Raspberry Pi") from error
    gpio: Gpio = module
    return gpio


class Closing(Protocol):
    def close(self) -> None: ...


@contextlib.contextmanager
def releasing(board: Closing) -> Iterator[None]:
    """Closes a board that could not be set up completely, relays open."""
    try:
        yield
    except DeviceFault:
        board.close()
        raise


@contextlib.contextmanager
def explained(pin: int) -> Iterator[None]:
    """Turns the module's exceptions into DeviceFault."""
    try:
        yield
    except Exception as error:
        raise DeviceFault("gpio_lost", f"GPIO{pin}: {error}") from error


def begin(gpio: Gpio) -> None:
    gpio.setwarnings(False)
    claim(None, partial(gpio.setmode, gpio.BCM))


def claim(pin: int | None, step: Callable[[], None]) -> None:
    try:
        step()
    except Exception as error:  # lgpio's own error class has no other base class
        where = "RPi.GPIO" if pin is None else f"GPIO{pin}"
        raise DeviceFault("gpio_setup", f"{where}: {error}; is another program using it?") from error
