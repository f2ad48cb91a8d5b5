# SPDX-License-Identifier: Apache-2.0
"""Every footprint has the pads of KiCad's own for the part or its case, by numbers noted from the library."""

from __future__ import annotations

import msgspec
import pytest
from pad_rig import covered, differences

from pcb import footprints, librarypads

OURS, NOTED = footprints.load(), librarypads.noted()
LIKE = sorted(name for name, each in OURS.items() if each.like)
HOLES = {"wires_16"}  # for wires: no part is soldered there


@pytest.mark.parametrize("name", LIKE)
def test_a_footprint_is_that_of_kicads_library(name: str) -> None:
    assert differences(OURS[name], librarypads.pads(NOTED[OURS[name].like])) == []


def test_a_fuse_lies_on_the_pads_of_another_makers_of_its_size() -> None:
    """Of the series 461 no drawing was found; 10 x 3 mm are the case's."""
    (name,) = OURS.keys() - set(LIKE) - HOLES
    pairs = zip(OURS[name].numbered(), librarypads.pads(NOTED[OURS[name].cover]), strict=True)
    assert [(pad.number, covered(pad, theirs) >= 0.9) for pad, theirs in pairs] == [("1", True), ("2", True)]


@pytest.mark.parametrize("name", sorted(NOTED))
def test_what_is_noted_is_what_the_library_has(name: str) -> None:
    if not librarypads.path_of(name).exists():
        pytest.skip("Debian's kicad-footprints is not installed: the noted pads are not compared with it")
    assert librarypads.rows(librarypads.installed(name)) == NOTED[name], "tools/kicad_pads.py"


def test_each_footprint_that_is_named_is_noted() -> None:
    assert NOTED.keys() == footprints.compared(OURS)


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("soic_8", "-1.905 0 1.27", "-1.905 0 1.24", "pitch of a row: 1.240 here, 1.270 there"),
        ("soic_8", "1..4", "5..8", "pad 5: they have none like it"),
        ("chip_0603", "0.85 0.95", "1.05 0.95", "pad 1: they have none like it"),
        ("rt2", "15.26 0 2 3 1.3", "15.26 0 2 3 1.0", "pad 12: they have none like it"),
        ("terminal_5mm08", "3 0 10.16", "3 0 10.0", "pad 3: they have none like it"),
    ],
)
def test_a_pad_that_is_wrong_is_told(name: str, old: str, new: str, said: str) -> None:
    changed = [row.replace(old, new) for row in OURS[name].pads]
    assert changed != OURS[name].pads
    wrong = msgspec.structs.replace(OURS[name], pads=changed)
    assert said in differences(wrong, librarypads.pads(NOTED[OURS[name].like]))
