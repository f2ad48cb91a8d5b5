# SPDX-License-Identifier: Apache-2.0
"""The netlist of the drawing, simulated: every requirement on the front end, as drawn and at its worst corners."""

from __future__ import annotations

import msgspec
import pytest
from hardware_rig import findings, front_end

from drawing.tables import load_kinds
from linetap_core.errors import Refusal
from simulation import converters, playing, ringing
from simulation.finding import Finding, over
from simulation.netlist import Netlist, committed
from simulation.rows import ROWS
from simulation.spice import Deck, run


@pytest.mark.parametrize("row", ROWS)
def test_the_requirement_holds(row: str) -> None:
    broken = [str(each) for each in findings(row) if not each.holds]
    assert not broken


def test_all_ringing_was_tried() -> None:
    assert len(ringing.FREQUENCIES_HZ) * len(ringing.VOLTS_RMS) * len(ringing.BATTERIES_V) == 60
    assert (min(ringing.FREQUENCIES_HZ), max(ringing.FREQUENCIES_HZ)) == (15.3, 68)
    assert (min(ringing.VOLTS_RMS), max(ringing.VOLTS_RMS)) == (40, 150)


def test_what_could_not_be_measured_holds_nothing() -> None:
    assert not over("of two", [1.0, float("nan")], "V", most=2).holds
    assert not Finding("one", float("nan"), float("nan"), "V").holds


def test_a_divider_is_half() -> None:
    """Tests the rig itself: values, scaling and measurement."""
    netlist = Netlist.read().line(1)
    bare = Netlist({name: netlist.elements[name] for name in ("R122", "R123")})
    lines = ["Vin /Line1/s1x 0 1", "Rto /Line1/s1x /Line1/s2x 237", ".tran 1m 10m"]
    measures = [".meas tran v find v(/Line1/s2x) at=5m", ".meas tran never when v(/Line1/s2x)=2"]
    assert run(Deck(bare, lines, measures))["v"] == pytest.approx(0.5)
    assert run(Deck(bare.scaled({"R123": 2.0}), lines, measures))["v"] == pytest.approx(2 / 3)
    assert run(Deck(bare, lines, measures))["never"] != run(Deck(bare, lines, measures))["never"]  # nan


def test_a_deck_that_ngspice_refuses_is_an_error() -> None:
    with pytest.raises(Refusal, match="ngspice measured nothing"):
        run(Deck(Netlist({}), ["Xnothing a b unknown_part", ".tran 1m 10m"], [".meas tran v find v(a) at=5m"]))


def test_a_node_that_hangs_nowhere_is_an_error() -> None:
    """ngspice continues without an operating point, and its results are then wrong."""
    with pytest.raises(Refusal, match=r"hangs nowhere: .*/line1/dc"):
        playing.notice(front_end().without("R131"))


def test_a_converter_without_its_gain_captures_too_little() -> None:
    kind = load_kinds()["adc4"]
    gain = next(each for each in findings("response") if each.what.startswith("Receive gain"))
    bare = msgspec.structs.replace(kind, gain_db=0.0)
    assert converters.captured_db() - converters.captured_db(bare) == pytest.approx(kind.gain_db)
    assert gain.high + converters.captured_db(bare) < -3


@pytest.mark.parametrize(("ohm", "holds"), [(80, True), (1000, False)])
def test_a_film_on_the_notice_relays_contacts_is_within_the_levels(ohm: int, *, holds: bool) -> None:
    """The relay's sheet states no least load, and its contacts carry no DC."""
    found = playing.notice(front_end().given({"K101": f"ohm={ohm}"}))
    assert all(each.holds for each in found) is holds


def test_an_export_is_kept_without_what_depends_on_the_machine() -> None:
    parts = "R201 a b 1k\nXU101 a b opamp\nR102 b c 1k\n"
    exported = f'.title KiCad schematic\n.include "/home/somebody/models.lib"\n{parts}.end\n'
    assert committed(exported).splitlines()[2:] == ["R102 b c 1k", "XU101 a b opamp", "R201 a b 1k", ".end"]
