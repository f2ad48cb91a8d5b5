# SPDX-License-Identifier: Apache-2.0
"""What order numbers say is what parts.toml says: the value, the volts, the tolerance, the case."""

from __future__ import annotations

import dataclasses

import pytest
from hardware_rig import drawn_card
from msgspec import structs

from drawing.tables import load_kinds
from rules.ordernumbers import Read, ordered, read

UNREAD = {  # of another scheme: a series of one value, or a part that is not a chip
    "r5m", "c25F", "c2u2_time", "c2u2_400V", "c47n_y2", "c47u", "c220u_35V",
}  # fmt: skip


@pytest.mark.parametrize(
    ("number", "said"),
    [
        # Values and volts of these numbers as distributors list them, from memory.
        ("GRM188R71H104KA93D", Read(100e-9, 10.0, "0603", 50)),
        ("GRM21BR71E105KA99L", Read(1e-6, 10.0, "0805", 25)),
        ("GRM32ER60J107ME20L", Read(100e-6, 20.0, "1210", 6.3)),
        ("Kemet C0805C105K3RAC", Read(1e-6, 10.0, "0805", 25)),
        ("Samsung CL10A106KP8NNNC", Read(10e-6, 10.0, "0603", 10)),
        ("RC0603FR-0710K7L", Read(10.7e3, 1.0, "0603", 75)),
        ("Vishay CRCW06031M50FKEA", Read(1.5e6, 1.0, "0603", 75)),
        ("RG1608P-2370-B-T5", Read(237.0, 0.1, "", 75)),
        # As public projects have these, and of TT's, PWC2512LF8872DELT, 88.7k, 0.5 %, 500 V, a seller.
        ("Bourns CHP2512-FX-1001ELF", Read(1000.0, 1.0, "2512", 250)),
        ("TT Electronics PWC2512LF8872DELT", Read(88.7e3, 0.5, "2512", 500)),
        ("Stackpole HVCB1206FKC2M00", Read(2e6, 1.0, "1206", 0)),
    ],
)
def test_a_number_is_read(number: str, said: Read) -> None:
    found = read(number)
    assert found is not None
    assert found[0] == pytest.approx(said[0])
    assert found[1:] == said[1:]


def test_a_wrong_value_is_not_detected_by_its_number_alone() -> None:
    """Otherwise no other rule would be tested by the wrong cards with another value."""
    assert list(ordered(drawn_card().revalued("R1001", "1M"))) == []


def test_each_resistor_and_capacitor_has_a_number_that_is_read_or_is_known_as_of_another_scheme() -> None:
    kinds = {name: kind for name, kind in load_kinds().items() if kind.symbol in ("R", "C")}
    assert {name for name, kind in kinds.items() if not read(kind.number)} == UNREAD


def test_a_second_source_is_ordered_by_a_number_that_says_as_much_as_the_first() -> None:
    """A series alone, such as CHP2512, is no order number, and what it bears was never compared."""
    kinds = {name: kind for name, kind in load_kinds().items() if kind.symbol in ("R", "C") and read(kind.number)}
    assert [name for name, kind in kinds.items() if not read(kind.second)] == []


def test_a_resistor_that_bears_less_than_the_row_asks_is_told() -> None:
    """Across each of the four 24k in a receive path stands what the row says; Bourns' CHP2512 bears 250 V."""
    kinds = load_kinds()
    wrong = structs.replace(kinds["r24k_pulse"], second="Bourns CHP2512-FX-2402ELF")
    card = drawn_card()
    parts = {"R118": dataclasses.replace(card.parts["R118"], kind=wrong)}
    said = list(ordered(dataclasses.replace(card, parts=parts)))
    assert said == ["R118 (24k): Bourns CHP2512-FX-2402ELF is for 250 V, and stands_v is 500"]
