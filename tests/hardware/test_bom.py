# SPDX-License-Identifier: Apache-2.0
"""The bill of materials matches the drawing."""

from __future__ import annotations

import csv
import re

import pytest

from drawing import bom
from drawing.project import Circuit
from pcb import footprints, librarypads
from simulation.netlist import HARDWARE

CIRCUIT = Circuit()
ROWS = list(csv.DictReader(bom.bom(CIRCUIT).splitlines()))
USB_A = {  # order number: what it is, by KiCad's library and public projects
    "48037-0001": "Plug",
    "67643-0910": "receptacle",
    "Stewart SS-52100-001": "receptacle",
}
SEXES = {  # order number without prefix and suffix: its contacts, by public projects' lists of parts
    "L77SDE09S": "Socket",
    "L717SDE09P": "Pins",
    "TE 5747844": "Socket",
}


@pytest.mark.parametrize(("name", "text"), [(bom.BOM, bom.bom(CIRCUIT)), (bom.NETS, bom.nets(CIRCUIT))])
def test_what_is_committed_is_in_step(name: str, text: str) -> None:
    assert (HARDWARE / name).read_text() == text, "tools/draw.py"


def test_each_row_can_be_ordered() -> None:
    for row in ROWS:
        assert all(row[column] for column in bom.COLUMNS), row


def test_each_number_has_one_row() -> None:
    """Also that of the two relays of a line, which are two kinds in the drawing."""
    numbers = [(row["maker"], row["number"]) for row in ROWS]
    assert len(set(numbers)) == len(numbers)


def test_each_number_is_an_order_number() -> None:
    """Neither a series, nor a choice of modules."""
    loose = re.compile(r"\b(type|series|variant)\b", re.IGNORECASE)
    assert not [row for row in ROWS if loose.search(row["number"]) or not re.search(r"\d", row["number"])]


def test_each_second_source_is_another_maker_or_none_with_the_reason() -> None:
    """Parts without one are listed by name, so that no other joins them unnoticed."""
    single = {row["value"] for row in ROWS if row["second source"].startswith("none")}
    assert single == {"STM32G0B1RB", "MCHStreamer Lite", "LTC4041", "USB2514B"}
    for row in ROWS:
        second = row["second source"]
        assert "to be found" not in second, row
        if row["value"] in single:
            assert re.match("none: single source; .+", second), row
        else:
            assert not second.startswith(row["maker"]), row
            assert re.search(r"\d", second), row


def sexes_that_differ(part: str, second: str, library: str) -> list[str]:
    """Differences between the sex of a D-sub's order numbers and its pads, or a number missing in the table."""
    (asked,) = re.findall(r"DSUB.*?_(Socket|Pins)_", library)
    found = {
        number: next((sex for each, sex in SEXES.items() if number.startswith(each)), "") for number in (part, second)
    }
    return [f"{number}: {sex or 'unknown'}, not {asked}" for number, sex in found.items() if sex != asked]


def test_a_plug_with_sockets_is_not_ordered_with_pins() -> None:
    """Seen from above the pads of one are a mirror image of the other: 1 is 5."""
    seen = 0
    for footprint in footprints.load().values():
        if "DSUB" in footprint.like:
            for kind in (CIRCUIT.kinds[name] for name in footprint.parts):
                assert sexes_that_differ(kind.number, kind.second, footprint.like) == []
                seen += 1
    assert seen
    like = "Connector_Dsub/DSUB-9_Socket_Horizontal_P2.77x2.84mm"
    assert sexes_that_differ("L717SDE09P", "TE 5747844-4", like) == ["L717SDE09P: Pins, not Socket"]
    assert sexes_that_differ("L77SDE09SA4CH4F", "another", like) == ["another: unknown, not Socket"]


def coupler_missing(number: str, second: str, page: str) -> bool:
    """A cable's plug fits no plug: both sources are of one sex, and a plug asks for a coupler beside the board."""
    (sex,) = {USB_A[number], USB_A[second.split(":")[0]]}
    return (sex == "Plug") != ("coupler of two USB sockets" in page)


def test_a_plug_on_the_card_is_bought_with_a_coupler() -> None:
    kind = CIRCUIT.kinds["usb_a"]
    page = (HARDWARE / "README.md").read_text().partition("## Beside the board")[2].partition("\n## ")[0]
    assert not coupler_missing(kind.number, kind.second, page)
    assert coupler_missing("48037-0001", "48037-0001", page)
    with pytest.raises(ValueError, match="too many values"):
        coupler_missing("48037-0001", kind.second, page)


def test_what_kicad_calls_a_receptacle_is_one() -> None:
    (like,) = [each.like for each in footprints.load().values() if "usb_a" in each.parts]
    if not librarypads.path_of(like).exists():
        pytest.skip("Debian's kicad-footprints is not installed")
    (words,) = re.findall(r'\(tags "(.*?)"', librarypads.path_of(like).read_text())
    assert USB_A[CIRCUIT.kinds["usb_a"].number] in words


def test_the_comparator_has_the_pins_of_its_data_sheet() -> None:
    """SBOS589D, the same for the second source: in another family + and - are exchanged."""
    pins = {pin.name: pin.number for pin in CIRCUIT.kinds["comparator"].pin_rows()}
    assert pins == {"inp": "1", "vn": "2", "inn": "3", "out": "4", "vp": "5"}


def test_each_part_is_counted_once() -> None:
    references = [reference for row in ROWS for reference in row["references"].split()]
    assert len(references) == len(set(references)) == sum(int(row["count"]) for row in ROWS)
    soldered = {reference for nodes in CIRCUIT.nets().values() for reference, _ in nodes}
    assert set(references) == {each for each in soldered if not each.startswith("TP")}


def test_no_part_is_drawn_that_the_table_lacks_or_kept_that_nothing_uses() -> None:
    used = {part.kind_name for sheet in CIRCUIT.sheets.values() for part in sheet.parts()}
    assert used == set(CIRCUIT.kinds)
