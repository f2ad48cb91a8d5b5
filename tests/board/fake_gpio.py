# SPDX-License-Identifier: Apache-2.0
"""RPi.GPIO as badly behaved as the real one: edges come late, in bursts or never, and name no level."""

from __future__ import annotations

from collections.abc import Callable

from linetap_core.clock import NS_PER_MS, ManualClock


class FakePwm:
    """As the module's: after `stop` the pin is low, whatever it was; a second one on a pin is an error."""

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
    BCM, IN, OUT, BOTH, PUD_UP, PUD_DOWN = 11, 1, 0, 33, 22, 21

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.busy: set[int] = set()  # pins another program holds
        self.late_ms = 1  # of the edges that come from now on
        self.deaf = False  # edges are lost from now on
        self.read = 0  # how often an input was
        self.levels = dict.fromkeys(range(28), 0)
        self.pulls: dict[int, int] = {}
        self.outputs: dict[int, int] = {}
        self.duties: dict[int, float] = {}  # percent, of the pins that are dimmed
        self.cleaned: list[int] = []
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._queue: list[tuple[int, int]] = []

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

    def add_event_detect(self, channel: int, edge: int, *, callback: Callable[[int], None]) -> None:
        assert edge == self.BOTH
        self._callbacks[channel] = callback

    def remove_event_detect(self, channel: int, /) -> None:
        del self._callbacks[channel]

    def cleanup(self, channels: list[int], /) -> None:
        self.cleaned += channels

    # --- the world outside ---

    def drive(self, channel: int, level: int) -> None:
        if level != self.levels[channel] and not self.deaf:
            self._queue.append((self._clock.monotonic_ns() + self.late_ms * NS_PER_MS, channel))
        self.levels[channel] = level

    def wait_ms(self, ms: int) -> None:
        """Time passes, and the edges whose delay is over are told."""
        for _ in range(ms):
            self._clock.advance(NS_PER_MS)
            due = [entry for entry in self._queue if entry[0] <= self._clock.monotonic_ns()]
            self._queue = [entry for entry in self._queue if entry not in due]
            for _, channel in due:
                if channel in self._callbacks:
                    self._callbacks[channel](channel)
