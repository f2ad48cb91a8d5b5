# SPDX-License-Identifier: Apache-2.0
"""The place of a unit: from the desk's file, else from its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from linetap_core.errors import BadInput
from linetap_desk.watch.places import Place, Places


@pytest.mark.parametrize(
    ("unit", "place"),
    [
        ("main-03", Place("main", "3")),
        ("city-hall-b1", Place("city-hall", "b1")),
        ("main-12f", Place("main", "12f")),
        ("main-00", Place("main", "0")),
        ("7", Place("", "7")),
        ("gate", Place("", "")),
    ],
)
def test_a_name_says_what_it_says(unit: str, place: Place) -> None:
    assert Places().of(unit) == place


def test_the_file_counts_for_more(tmp_path: Path) -> None:
    path = tmp_path / "places.toml"
    path.write_text('["본관"]\nmain-03 = 4\ngate = "B1"\n')
    places = Places.read(path)
    assert places.of("main-03") == Place("본관", "4")
    assert places.of("gate") == Place("본관", "B1")
    assert places.of("main-05") == Place("main", "5")


def test_every_error_at_once_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "places.toml"
    path.write_text('x = 1\n["A"]\nmain-03 = 1\nMain = 2\nmain-04 = true\nmain-05 = "\\u001b[2J"\n["B"]\nmain-03 = 2\n')
    with pytest.raises(BadInput) as told:
        Places.read(path)
    lines = str(told.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "4", "5", "6", "8"]
    assert "under 'A' already" in lines[-1]


def test_contacts_and_switches_of_one_a_building_and_all(tmp_path: Path) -> None:
    path = tmp_path / "places.toml"
    path.write_text(
        '["*"]\n"*" = { contact = "duty", power = "facilities" }\n'
        '["A"]\n"*" = { contact = "gate" }\nmain-03 = 3\n'
        'main-04 = { floor = 4, switch = "SW-4", port = 12, lines = "PBX" }\n["B"]\nwest-01 = 1\n'
    )
    places = Places.read(path)
    three, four, west, other = (places.of(name) for name in ("main-03", "main-04", "west-01", "annex-01"))
    assert (three.floor, three.contact_for("lines"), three.contact_for("power")) == ("3", "gate", "facilities")
    assert (four.switch, four.port, four.contact_for("lines"), four.contact_for("network")) == (
        "SW-4",
        "12",
        "PBX",
        "gate",
    )
    assert (west.contact_for(None), other.contact_for("power")) == ("duty", "facilities")
    assert Places().of("main-03").contact_for("power") == ""
    assert places.buildings() == ["A", "B"]
    assert set(places.named) == {"main-03", "main-04", "west-01"}


def test_what_is_no_contact_and_no_place(tmp_path: Path) -> None:
    path = tmp_path / "places.toml"
    path.write_text(
        '["*"]\n"*" = { fax = "1" }\nmain-01 = 1\n'
        '["A"]\n"*" = 7\nmain-03 = { floor = 1, contact = "" }\nmain-04 = { floor = [], switch = "x" }\n'
        'main-05 = { colour = "red" }\n'
    )
    with pytest.raises(BadInput) as told:
        Places.read(path)
    assert [line.split(":")[1] for line in str(told.value).splitlines()] == ["2", "3", "5", "6", "7", "8"]
