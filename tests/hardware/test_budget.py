# SPDX-License-Identifier: Apache-2.0
"""The card's load is within its supply, and the digital half of its audio has no forgotten pin."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hardware_rig import copied

from drawing.project import Circuit
from linetap_core.errors import BadInput
from simulation.budget import (
    GIVES_MW,
    Rail,
    expected_s,
    forgotten,
    hold_up_mw,
    hold_up_s,
    loads,
    lost_to_the_pi,
    parts,
    rails,
)
from simulation.handover import PFI_V, sinks_to
from simulation.netlist import HARDWARE
from simulation.power_table import CLOSING_MW, summary, table
from simulation.warmth import LEAST_MW, Warm, warm

CIRCUIT = Circuit()
PI_WARNS_V = 4.63  # docs/alerts.md
OPEN = {  # deliberately: inputs that select nothing, a crystal's output, status outputs
    "adc4": {"ain5", "ain6", "ain7", "ain8", "micbias", "xo", "gpio0", "gpio1", "gpio2", "gpio3"},
    "dac8": {"zero"},
    "usb_audio": {"dout2", "dout3", "dout4", "din3", "din4"},
    "usb_a": set(),
}


def by_net(circuit: Circuit) -> dict[str, Rail]:
    return {rail.net: rail for rail in rails(circuit)}


def test_every_rail_is_within_what_feeds_it() -> None:
    assert not [rail for rail in rails(CIRCUIT) if not rail.holds()]


def by_reference(circuit: Circuit) -> dict[str, Warm]:
    return {each.reference: each for each in warm(circuit)}


def test_no_part_is_warmer_than_it_may_be_and_of_none_it_is_unknown() -> None:
    found = warm(CIRCUIT)
    assert len(found) > 10
    assert not [each for each in found if not each.holds()]
    assert not [each for each in found if not each.known()]


def test_every_loss_of_a_rail_warms_a_part() -> None:
    """The loss in the row of U1002 is that of its neighbours and the copper."""
    values = {reference: kind.value for reference, kind, _ in parts(CIRCUIT)}
    warmest = {values[each.reference]: each.mw for each in warm(CIRCUIT)}
    lost = {rail.source: rail.loss_mw for rail in rails(CIRCUIT) if rail.loss_mw >= LEAST_MW}
    assert {"U1001", "U1003", "Q1001", "U1002"} <= lost.keys()
    assert lost.pop("U1002") > sum(by_reference(CIRCUIT)[each].mw for each in ("R1006", "Q1002")) > 150
    assert all(warmest[values[source]] >= mw for source, mw in lost.items())


def test_the_warmest_are_as_warm_as_by_hand() -> None:
    """The converter: 12 % of its input; the sense resistor: the square of the whole 5 V current."""
    found, fed = by_reference(CIRCUIT), by_net(CIRCUIT)
    given = fed["/supply/v5in"].loads_mw
    assert found["U1001"].mw == pytest.approx(given / 0.88 - given)
    assert found["U1001"].celsius == pytest.approx(50 + found["U1001"].mw * 0.0182)
    assert found["R1006"].mw == pytest.approx((fed["+5V"].gives_ma / 1000) ** 2 * 5)
    assert found["U1203"].celsius == pytest.approx(50 + 0.466 * 31)
    assert "J1001" not in found
    assert found["K101"].around


@pytest.mark.parametrize(
    ("change", "reference"),
    [
        (("parts.toml", "k_per_w = 18.2\n", ""), "U1001"),
        (("parts.toml", 'around_c = 85.0\nsource = "5 V on 62 ohm', 'source = "5 V on 62 ohm'), "K101"),
    ],
)
def test_a_part_of_which_nobody_said_how_warm_it_becomes_is_found(
    tmp_path: Path, change: tuple[str, str, str], reference: str
) -> None:
    assert not by_reference(Circuit(copied(tmp_path, change)))[reference].known()


def test_a_part_that_becomes_too_warm_is_found(tmp_path: Path) -> None:
    hot = Circuit(copied(tmp_path, ("parts.toml", "k_per_w = 18.2", "k_per_w = 19.2")))
    assert [each.reference for each in warm(hot) if not each.holds()] == ["U1001"]
    assert summary(hot).startswith("over its limit: U1001: ")


def test_no_supply_pin_is_without_its_milliwatts() -> None:
    assert forgotten(CIRCUIT) == []
    assert all(kind.source for kind in CIRCUIT.kinds.values() if kind.mw or kind.feeds)


def test_the_rails_add_up() -> None:
    """Calculated by hand: the output of 5 V is the sum of its loads and of the regulators' inputs."""
    found = by_net(CIRCUIT)
    own = sum(mw for _, net, mw in loads(CIRCUIT) if net == "+5V")
    linear = sum(found[net].gives_ma * 5.0 for net in ("+3V3", "/usb/v33", "/audio/v33d"))
    assert found["+5V"].loads_mw == pytest.approx(
        own + linear + found["COIL"].loads_mw + found["/audio/v5usb"].loads_mw
    )
    assert found["COIL"].loads_mw == 8 * 403


@pytest.mark.parametrize(
    ("change", "rail"),
    [
        (("parts.toml", "0.88\nmost_ma = 6000", "0.88\nmost_ma = 4000"), "/supply/v5in"),
        (("audio.sheet", "gnd=GND en=+5V out=v33d", "gnd=GND en=+5V out=v33x\nR9 r51 v33d +3V3"), None),
        (("parts.toml", "vcc1 = 400.0, vdd = 66.0", "vcc1 = 400.0, vdd = 1066.0"), "/audio/v33d"),
        (("parts.toml", "vbus = 600.0", "vbus = 2600.0"), "/audio/v5usb"),
    ],
)  # fmt: skip
def test_a_rail_that_gives_too_much_is_found(tmp_path: Path, change: tuple[str, str, str], rail: str | None) -> None:
    circuit = Circuit(copied(tmp_path, change))
    if rail is None:
        with pytest.raises(BadInput, match="no voltage is known"):
            rails(circuit)
    else:
        assert not by_net(circuit)[rail].holds()


def test_a_rail_that_nothing_feeds_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nothing feeds \+3V3"):
        rails(Circuit(copied(tmp_path, ("supply.sheet", "U3 ldo in=+5V gnd=GND en=+5V out=+3V3\n", ""))))


def test_hold_up_is_what_its_energy_gives() -> None:
    """ngspice, with the capacitors' resistance, compared with the energy alone: never above it, and not far below."""
    for mw in (GIVES_MW, CLOSING_MW):
        held = hold_up_s(mw)
        assert 0.6 * expected_s(mw) < held < expected_s(mw)
    assert hold_up_s(GIVES_MW) > 2.5
    assert hold_up_s(CLOSING_MW) > 6


def test_more_than_the_manager_gives_is_refused_and_asked_by_a_pi_at_its_most() -> None:
    assert hold_up_mw(CIRCUIT) > GIVES_MW
    with pytest.raises(BadInput, match="of the hold-up, which gives 12500"):
        hold_up_s(hold_up_mw(CIRCUIT))


def test_the_hold_up_takes_over_before_a_pi_is_reset() -> None:
    """A Pi 4 warns below 4.63 V. The threshold's tolerance is 0.24 V; the rest of the loss is the reversal of the
    coil's current.
    """
    least, meant, most = (sinks_to(CIRCUIT, volts) for volts in PFI_V)
    assert 4.4 < least < meant < most < 4.9
    assert 4.76 - meant < 0.2


def test_an_output_with_too_little_capacitance_sinks_farther(tmp_path: Path) -> None:
    circuit = Circuit(copied(tmp_path, ("supply.sheet", "C15..17 c100u", "C15 c100u")))
    assert sinks_to(circuit, PFI_V[1]) < sinks_to(CIRCUIT, PFI_V[1]) - 0.05


@pytest.mark.parametrize("kind", OPEN)
def test_each_pin_of_the_digital_half_is_connected_or_open_on_purpose(kind: str) -> None:
    parts = [part for part in CIRCUIT.sheets["audio"].parts() if part.kind_name == kind]
    assert parts
    for part in parts:
        assert {pin.name for pin in part.kind.pin_rows()} - set(part.nets) == OPEN[kind]


def test_the_two_converters_have_addresses_of_their_own() -> None:
    assert [part.nets["ad"] for part in CIRCUIT.sheets["audio"].parts() if part.kind_name == "adc4"] == ["GND", "v33d"]


def test_the_page_has_the_budget() -> None:
    assert table(CIRCUIT) in (HARDWARE / "README.md").read_text(), "tools/hardware_budget.py"


def test_the_last_line_has_the_figures_of_the_table(tmp_path: Path) -> None:
    """./build.sh board prints only that line."""
    told, found = summary(CIRCUIT), by_net(CIRCUIT)
    supply = found["/supply/v5in"]
    assert told.startswith("every rail is within its limit: ")
    assert f"{supply.source} gives {supply.loads_mw:.0f} of {5 * supply.most_ma:.0f} mW" in told
    nearest = min(warm(CIRCUIT), key=lambda each: each.most_c - each.celsius)
    assert f"to its temperature {nearest.reference} with {nearest.celsius:.0f} of {nearest.most_c:.0f} C" in told
    assert told.endswith(f"hold-up {hold_up_s(GIVES_MW):.1f} s at 12.5 W, {hold_up_s(CLOSING_MW):.1f} s at 8.0 W")
    small = Circuit(copied(tmp_path, ("parts.toml", "0.88\nmost_ma = 6000", "0.88\nmost_ma = 4000")))
    assert summary(small).startswith("over its limit: /supply/v5in: U1001 gives")


def test_what_the_way_to_the_pi_loses_is_what_the_page_says() -> None:
    """README, Beside the board. The card's own loss is included in the rail +5V."""
    page = (HARDWARE / "README.md").read_text().partition("## Beside the board")[2].partition("\n## ")[0]
    card = next(rail for rail in rails(CIRCUIT) if rail.net == "+5V")
    on_card, on_way = card.loss_mw / card.gives_ma, lost_to_the_pi(0.15)
    before = ("way to the Pi loses", "card itself loses", "the Pi has", "U1001 below")
    said = re.search(".*".join(rf"{words}\s([\d.]+) V" for words in before), page, re.DOTALL)
    assert said
    found = (on_way, on_card, 5 - on_card - on_way, PI_WARNS_V + on_card + on_way)
    assert [float(volts) for volts in said.groups()] == pytest.approx(found, abs=0.006)
