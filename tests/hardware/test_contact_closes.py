# SPDX-License-Identifier: Apache-2.0
"""linetap's rule for a contact that has closed onto an on-hook telephone, on ngspice's samples."""

from __future__ import annotations

import pytest
from hardware_rig import front_end

from linetap.board.meter.contacts import AFTER_MS, BEFORE_MS, charges
from meter_rig import hundredths
from simulation.contact import BELLS, SHUT_S, STUCK, closing, volts_of
from simulation.netlist import Netlist
from simulation.spice import Deck, run


def seen(netlist: Netlist, bell: tuple[float, float]) -> bool:
    at_ms = range(-BEFORE_MS, AFTER_MS)
    samples = [f".meas tran v{i} find v(/VM1) at={SHUT_S + ms / 1000:.3f}" for i, ms in enumerate(at_ms)]
    found = run(Deck(netlist, closing(*bell), samples))
    return charges(hundredths([volts_of(found[f"v{i}"]) for i in range(len(at_ms))]))


@pytest.mark.parametrize("bell", BELLS)
def test_a_contact_that_closes_is_seen_by_the_bell_behind_it(bell: tuple[float, float]) -> None:
    assert seen(front_end(), bell)


def test_a_contact_that_stays_open_is_not() -> None:
    assert not seen(front_end().given({"K102": STUCK}), BELLS[0])
