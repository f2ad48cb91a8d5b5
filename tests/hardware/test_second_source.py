# SPDX-License-Identifier: Apache-2.0
"""The front end with second sources that differ from the parts as drawn."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hardware_rig import drawn_card, front_end

from drawing.tables import CIRCUIT, load_kinds, load_sheet
from rules.relays import LIMIT_MA
from simulation import audio, contact, corners, dialling, levels, oneshot, playing, surge
from simulation.finding import Finding
from simulation.netlist import Netlist

KINDS = load_kinds()
OF_ITSELF = ["henry=4.5 ohm=73 leak=15m loss=14k", "henry=15 ohm=59 leak=19m loss=40k"]  # ETALDOC 100/17
P3126 = "henry=2 ohm=74 leak=17m loss=5k"  # ETALDOC 501/4, the sister part, at the lower end of its sheet
TRANSFORMERS = [*OF_ITSELF, P3126, KINDS["transformer"].second_spice]


def references(kind: str) -> list[str]:
    return [part.reference(1) for part in load_sheet(CIRCUIT / "line.sheet", KINDS).parts() if part.kind_name == kind]


@pytest.mark.parametrize("row", [audio.response, audio.insertion, audio.balance, playing.notice, surge.surge])
@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_another_transformer_holds_every_requirement(transformer: str, row: Callable[[Netlist], list[Finding]]) -> None:
    found = row(front_end().given(dict.fromkeys(references("transformer"), transformer)))
    assert not [str(each) for each in found if not each.holds]


def test_a_transformer_that_is_too_small_is_found() -> None:
    found = playing.notice(front_end().given(dict.fromkeys(references("transformer"), "henry=0.2 ohm=300")))
    assert not all(each.holds for each in found)


@pytest.mark.parametrize("row", [oneshot.bounded, oneshot.without_power, oneshot.coil, contact.line])
def test_the_other_relay_opens_and_closes_the_line(row: Callable[[Netlist], list[Finding]]) -> None:
    found = row(front_end().given({"K102": KINDS["relay_closed"].second_spice}))
    assert not [str(each) for each in found if not each.holds]


def test_the_other_relay_closes_and_opens_the_notices_way() -> None:
    found = dialling.relay(front_end().given({"K101": KINDS["relay"].second_spice}))
    assert not [str(each) for each in found if not each.holds]


def test_the_other_comparator_bounds_an_opening_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its input bias of 100 nA shortens an opening: the parts table has the result, and 3 s are kept."""
    monkeypatch.setattr(oneshot, "BIAS_A", 100e-9)
    (found,) = oneshot.bounded(front_end())
    assert found.high <= oneshot.MOST_S
    assert f"{found.low:.1f} s only" in KINDS["comparator"].second


def misread(monkeypatch: pytest.MonkeyPatch, offset_mv: float) -> list[str]:
    """Requirements of the meter's reading that an amplifier with this offset breaks."""
    other = msgspec.structs.replace(KINDS["opamp_precise"], offset_mv=offset_mv)
    monkeypatch.setattr(corners, "load_kinds", lambda: KINDS | {"opamp_precise": other})
    return [each.what for each in levels.metering(front_end()) if not each.holds]


def test_the_other_amplifier_reads_a_line_well_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    assert misread(monkeypatch, KINDS["opamp_precise"].second_offset_mv) == []


def test_an_amplifier_that_is_too_far_off_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Meter: error from -56 to 56 V, nothing learned" in misread(monkeypatch, 15.0)


def test_the_other_load_switch_carries_eight_coils_and_spares_the_converter() -> None:
    """Diodes DS41186 Rev. 4-2: its own formulas for the limit, in kohm and mA."""
    (switch,) = drawn_card().of("load_switch")
    (resistor,) = drawn_card().between(switch.nets["ilim"], switch.nets["gnd"], "R")
    least = 28955 / (1.01 * resistor.value / 1000) ** 1.075
    most = 31033 / (0.99 * resistor.value / 1000) ** 1.031
    assert LIMIT_MA[0] <= least <= most <= LIMIT_MA[1]
    assert f"{least / 1000:.2f} to {most / 1000:.2f} A" in KINDS["load_switch"].second
