# SPDX-License-Identifier: Apache-2.0
"""From the line to the meter's number: the converter's code, against the drawing's reference."""

from __future__ import annotations

from pathlib import Path

import pytest
from hardware_rig import copied, front_end

from drawing.project import Circuit
from simulation.converters import CODES, code_of, meter_reads, reference_net, volts_of
from simulation.corners import RAIL, REFERENCE
from simulation.levels import metering
from simulation.spice import Supply

LQFP64 = {
    "VREF+": 7, "VDD": 8, "VSS": 9, "PF0": 10, "PC0": 13, "PA0": 17, "PA7": 24, "PB0": 27, "PB15": 35, "PC7": 39,
    "PA11": 43, "PA12": 44, "PB3": 57, "PB8": 62,
}  # fmt: skip


def test_the_converter_measures_against_what_the_lines_stand_on() -> None:
    assert reference_net(Circuit()) == "VREF"
    assert "VREF" in Circuit().sheets["references"].rails


def test_its_reference_is_never_above_its_supply() -> None:
    supply = Supply()
    assert supply.vref * (1 + REFERENCE) < supply.v3 * (1 - RAIL)


def test_the_parts_pins_are_those_of_its_package() -> None:
    """ST's own list of pins (STM32_open_pin_data, STM32G0B1R(B-C-E)Tx): VREF+ is a separate pin in LQFP64."""
    drawn = {pin.number for pin in Circuit().kinds["meter"].pin_rows()}
    assert LQFP64.keys() <= drawn


@pytest.mark.parametrize(("vm", "code"), [(0.0, 0), (1.5, CODES // 2), (3.0, CODES - 1), (-0.1, 0), (3.3, CODES - 1)])
def test_a_voltage_is_a_code(vm: float, code: int) -> None:
    assert code_of(vm, Supply(), "VREF") == code


def test_half_of_the_reference_is_no_voltage_whatever_the_rail_is() -> None:
    assert volts_of(CODES // 2) == 0
    assert {meter_reads(1.5, Supply(v3=v3)) for v3 in (3.234, 3.3, 3.366)} == {0}


def test_a_converter_that_measures_against_its_supply_is_found(tmp_path: Path) -> None:
    """With the drawing's 3.3 V, a missing line reads 16 V and more, and any rail changes a line's reading."""
    circuit = Circuit(copied(tmp_path, ("meter.sheet", "vref=VREF", "vref=+3V3")))
    found = metering(front_end(), reference_net(circuit))
    broken = [each.what for each in found if not each.holds]
    assert "Meter: a line that is not there reads" in broken
    assert "Meter: a handset at 5 V, off-hook, reads" in broken
