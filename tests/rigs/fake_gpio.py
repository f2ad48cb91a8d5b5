# SPDX-License-Identifier: Apache-2.0
"""A fake RPi.GPIO with the defects of the real one: edges arrive late, in bursts or never, and without a level."""

from __future__ import annotations

from linetap_core.clock import NS_PER_MS, ManualClock


class FakePwm:
    """The module's PWM: after `stop` the pin is always low; a second PWM on a pin is an error."""

    def __init__(self, gpio: FakeGpio, channel: int) -> None:
        if channel in gpio.duties:
            raise RuntimeError("A PWM object already exists for this GPIO channel")
        self._gpio, self._channel = gpio, channel
        gpio.duties[channel] = 0.0

    def start(self, duty_percent: float, /) -> None:
        self.ChangeDutyCycle(duty_percent)

    def ChangeDutyCycle(self, duty_percent: float, /) -> None:
        if not 0 <= duty_percent <= 100:
            raise ValueError("dutycycle must have a value from 0.0 to 100.0")
        if self._channel in self._gpio.busy:
            raise RuntimeError("GPIO not allocated")
        self._gpio.duties[self._channel] = duty_percent

    def stop(self) -> None:
        del self._gpio.duties[self._channel]
        self._gpio.outputs[self._channel] = 0


class FakeGpio:
    BCM, IN, OUT, PUD_UP, PUD_DOWN = 11, 1, 0, 22, 21

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.busy: set[int] = set()  # pins held by another program
        self.read = 0  # number of reads of inputs
        self.levels = dict.fromkeys(range(28), 0)
        self.pulls: dict[int, int] = {}
        self.outputs: dict[int, int] = {}
        self.duties: dict[int, float] = {}  # percent, of the dimmed pins
        self.cleaned: list[int] = []

    def setwarnings(self, value: bool, /) -> None:
        pass

    def setmode(self, mode: int, /) -> None:
        assert mode == self.BCM

    def setup(self, channel: int, direction: int, *, pull_up_down: int = 20, initial: int | None = None) -> None:
        if channel in self.busy:
            raise RuntimeError("GPIO busy")
        if direction == self.IN:
            self.pulls[channel] = pull_up_down
            self.levels[channel] = int(pull_up_down == self.PUD_UP)
        else:
            assert initial is not None, "an output without an initial level glitches"
            self.outputs[channel] = initial

    def input(self, channel: int, /) -> int:
        if channel in self.busy:
            raise RuntimeError("GPIO not allocated")
        assert channel in self.pulls, f"GPIO{channel} was not set up"
        self.read += 1
        return self.levels[channel]

    def output(self, channel: int, value: int, /) -> None:
        if channel in self.busy:
            raise RuntimeError("GPIO not allocated")
        assert channel in self.outputs, f"GPIO{channel} was not set up"
        self.outputs[channel] = value

    def PWM(self, channel: int, hz: float, /) -> FakePwm:
        assert channel in self.outputs, f"GPIO{channel} was not set up"
        assert hz >= 100, "somebody sees it"
        return FakePwm(self, channel)

    def cleanup(self, channels: list[int], /) -> None:
        self.cleaned += channels

    # --- the world outside ---

    def drive(self, channel: int, level: int) -> None:
        self.levels[channel] = level

    def wait_ms(self, ms: int) -> None:
        self._clock.advance(ms * NS_PER_MS)
