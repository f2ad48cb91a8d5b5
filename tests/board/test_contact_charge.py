# SPDX-License-Identifier: Apache-2.0
"""A contact that closes onto an on-hook telephone, detected by the bell's charge; and signals that must not be mistaken
for it.

The same rule on ngspice's samples of the drawing: tests/hardware/test_contact_closes.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from linetap.board.meter import protocol as wire
from linetap.board.meter.contacts import AFTER_MS, BEFORE_MS, MeterContacts, charges
from linetap_core.clock import NS_PER_MS
from meter_rig import START_NS, MeterRig, Wave, hundredths, steps, volts_at

AT_MS = np.arange(-BEFORE_MS, AFTER_MS)
FOLLOWS_S = 0.08  # the card, after the command
BELL = (3.9, 0.0078)  # volts, seconds


def charge(seconds: npt.NDArray[np.float64], sinks_v: float, tau_s: float) -> npt.NDArray[np.float64]:
    volts: npt.NDArray[np.float64] = np.where(seconds >= 0, sinks_v * np.exp(-np.maximum(seconds, 0) / tau_s), 0.0)
    return volts


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("sinks_v", "tau_s"), [BELL, (3.2, 0.0037), (1.22, 0.0079)])
def test_a_line_that_sinks_and_comes_back_was_charged(sign: int, sinks_v: float, tau_s: float) -> None:
    assert charges(hundredths(sign * (48 - charge(AT_MS / 1000 - FOLLOWS_S, sinks_v, tau_s))))


@pytest.mark.parametrize(
    "volts",
    [
        np.full(len(AT_MS), 48.0),  # it stays open
        48 - charge(AT_MS / 1000 - FOLLOWS_S, 0.5, 0.0078),  # too little
        48 - 3.9 * (AT_MS == 80),  # one sample
        48 + 0.5 * np.sin(2 * np.pi * 60 * AT_MS / 1000) - charge(AT_MS / 1000 - FOLLOWS_S, *BELL),  # hum
        np.where(AT_MS < 80, 48.0, 8.0),  # the handset is still lifted: detected by the loop itself
        np.zeros(len(AT_MS)),  # no line
    ],
)
def test_anything_else_proves_nothing(volts: npt.NDArray[np.float64]) -> None:
    assert not charges(hundredths(volts))


class ChargingRig(MeterRig):
    """Line 11's contact opens for a second; when it closes the bell is charged, or it stays open."""

    def __init__(self, sinks_v: float) -> None:
        self.closes_s: float | None = None

        def bell(seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            at = np.inf if self.closes_s is None else self.closes_s + FOLLOWS_S
            return charge(seconds - at, sinks_v, BELL[1]) - 48 if np.isfinite(at) else np.full(len(seconds), -48.0)

        line: Wave = bell
        super().__init__(volts_at(line, steps((0, -48))), 2)
        self.contacts = MeterContacts(self.reader, range(2), [11, 12], self.clock)
        self.turn(wire.CONTACT_REST_MS / 1000 + 0.5)

    def turn(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000 / 40)):
            self.run(0.04)
            self.contacts.follow()

    def end_a_call(self) -> list[int]:
        self.contacts.contact(0, True)
        self.turn(1.0)
        assert self.reader.state.charged == []
        self.closes_s = (self.clock.monotonic_ns() - START_NS) / 1000 / NS_PER_MS
        self.contacts.contact(0, False)
        self.turn(0.6)
        return self.reader.state.charged


def test_the_line_whose_bell_was_charged_is_reported_until_its_contact_opens_again() -> None:
    rig = ChargingRig(BELL[0])
    assert rig.end_a_call() == [11]
    rig.turn(wire.CONTACT_REST_MS / 1000)
    rig.contacts.contact(0, True)
    assert rig.reader.state.charged == []


def test_a_line_that_shows_nothing_is_not_reported() -> None:
    assert ChargingRig(0.0).end_a_call() == []


def test_a_meter_that_falls_silent_proves_nothing() -> None:
    rig = ChargingRig(BELL[0])
    rig.contacts.contact(0, True)
    rig.turn(1.0)
    rig.cable.deaf = True
    rig.contacts.contact(0, False)
    rig.turn(0.6)
    assert rig.reader.state.charged == []
