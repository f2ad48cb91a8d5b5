# SPDX-License-Identifier: Apache-2.0
"""The pins of a Raspberry Pi's header, over `RPi.GPIO`: a card's arm line; the unit's LEDs and button.

Lines are on the cards' meters, not on pins. On a unit the module RPi.GPIO is rpi-lgpio, over the kernel's gpiochip; the
classic module cannot run on a Pi 5. The module's errors become DeviceFault.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

from linetap.board.interface import UNIT_LEDS
from linetap.board.pins import PinTable
from linetap.config.schema import FULL_PERCENT
from linetap_core.clock import NS_PER_MS, Clock
from linetap_core.errors import DeviceFault


class Pwm(Protocol):
    """A pin switched by the module, faster than visible."""

    def start(self, duty_percent: float, /) -> None: ...
    def ChangeDutyCycle(self, duty_percent: float, /) -> None: ...
    def stop(self) -> None: ...


class Gpio(Protocol):
    """The used part of RPi.GPIO."""

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
    """Returns RPi.GPIO, imported when hardware is requested. DeviceFault `gpio_absent` if it is missing."""
    try:
        module: Any = importlib.import_module("RPi.GPIO")
    except (ImportError, RuntimeError, OSError, NotImplementedError) as error:
        why = str(error) or type(error).__name__
        raise DeviceFault("gpio_absent", f"RPi.GPIO: {why}; a unit needs rpi-lgpio on a Raspberry Pi") from error
    gpio: Gpio = module
    return gpio


class ClosableBoard(Protocol):
    def close(self) -> None: ...


@contextlib.contextmanager
def releasing(board: ClosableBoard) -> Iterator[None]:
    """Closes a board whose set-up fails, which opens its relays."""
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


EDGE_EVERY_MS = 100  # the card's one-shot lasts for at least 540 ms
DIMMED_HZ = 200


class ArmLine:
    """A card's arm line: the card's relays have current while `beat` is called, by an edge in every EDGE_EVERY_MS."""

    def __init__(self, gpio: Gpio, pin: int, clock: Clock) -> None:
        """DeviceFault `gpio_setup` if the pin cannot be claimed."""
        self._gpio, self._pin, self._clock = gpio, pin, clock
        self._level, self._due_ns = 0, 0
        begin(gpio)
        claim(pin, partial(gpio.setup, pin, gpio.OUT, initial=0))

    def beat(self) -> None:
        """Makes an edge if one is due. DeviceFault `gpio_lost` if the pin can no longer be driven."""
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._due_ns:
            return
        self._due_ns = now_ns + EDGE_EVERY_MS * NS_PER_MS
        self._level ^= 1
        with explained(self._pin):
            self._gpio.output(self._pin, self._level)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._gpio.cleanup([self._pin])


class HardwarePanel:
    def __init__(self, gpio: Gpio, table: PinTable) -> None:
        """DeviceFault `gpio_setup` names the pin that cannot be claimed."""
        self._gpio = gpio
        self._dark = int(table.led.active == "low")
        self._pins: dict[str, int] = {name: getattr(table.led, name) for name in UNIT_LEDS}
        self._button, self._pressed = table.button.pin, int(table.button.active == "high")
        self._claimed: list[int] = []
        self._percent = FULL_PERCENT
        self._dimmed: dict[int, tuple[Pwm, bool]] = {}  # by pin: its PWM, and whether it is lit
        with releasing(self):
            begin(gpio)
            for pin in self._pins.values():
                claim(pin, partial(gpio.setup, pin, gpio.OUT, initial=self._dark))
                self._claimed.append(pin)
            pull = gpio.PUD_DOWN if self._pressed else gpio.PUD_UP
            claim(self._button, partial(gpio.setup, self._button, gpio.IN, pull_up_down=pull))
            self._claimed.append(self._button)

    def show(self, leds: Mapping[str, bool]) -> None:
        for name, pin in self._pins.items():
            with explained(pin):
                if self._percent == FULL_PERCENT:
                    self._gpio.output(pin, self._dark ^ int(leds[name]))
                else:
                    self._show_dimmed(pin, leds[name])

    def dim(self, percent: int) -> None:
        if percent != self._percent:
            self._percent = percent
            self._stop_dimming()

    def _show_dimmed(self, pin: int, lit: bool) -> None:
        pwm, was_lit = self._dimmed.get(pin, (None, None))
        if lit == was_lit:
            return
        duty = self._percent if lit else 0
        duty = FULL_PERCENT - duty if self._dark else duty
        if pwm is None:
            pwm = self._gpio.PWM(pin, DIMMED_HZ)
            pwm.start(duty)
        else:
            pwm.ChangeDutyCycle(duty)
        self._dimmed[pin] = (pwm, lit)

    def _stop_dimming(self) -> None:
        for pin, (pwm, _) in self._dimmed.items():
            with explained(pin):
                pwm.stop()
        self._dimmed.clear()

    def button(self) -> bool:
        with explained(self._button):
            return self._gpio.input(self._button) == self._pressed

    def close(self) -> None:
        """Turns all LEDs off: an ended panel must show nothing."""
        with contextlib.suppress(DeviceFault):
            self._stop_dimming()
        for pin in self._claimed:
            if pin != self._button:
                with contextlib.suppress(Exception):
                    self._gpio.output(pin, self._dark)
        if self._claimed:
            self._gpio.cleanup(self._claimed)
        self._claimed = []
