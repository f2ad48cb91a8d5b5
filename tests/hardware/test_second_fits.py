# SPDX-License-Identifier: Apache-2.0
"""A second source fits the pads of the first, or its row of the parts list says that it does not."""

from __future__ import annotations

import re

import msgspec
import pytest
from pad_rig import covered, turned
from terminal_rig import LIBRARY, NAMELESS, Terminals, differences

from drawing.tables import CIRCUIT, Kind, load_kinds
from linetap_core.tomlfile.source import Source
from pcb import footprints, librarypads

ALL = load_kinds() | load_kinds(CIRCUIT / "lineboard.toml")
KINDS = {name: kind for name, kind in ALL.items() if kind.bought}
OURS = footprints.load()
OF_PART = footprints.by_part(OURS)
DIFFERS = re.compile("^none: single source; .|another footprint|to be compared|other ones than this part's")
CASES = {  # the case's letters in an order number, by its maker's scheme: from memory
    "0603": r"\S+ (RG1608|RC0603|ERA-3A|CRCW0603|GRM18|C0603|CL10|BLM18|MPZ1608)",
    "0805": r"\S+ (RC0805|CRCW0805|GRM21|C0805)",
    "1206": r"\S+ (CRHV1206|GRM31|C1206|WSL1206|PE1206|1206L|MF-NSMF)",
    "1210": r"\S+ (GRM32|CGA6|CL32)",
    "2512": r".+ (CRCW2512|PWC2512)",
    "2410": r".+ (0454|SST) ?\d",
    "3225": r"\S+ (ABM8-|ECS-240-18-33-)",
    "8 x 10 mm": r".+ (EMZA350A\w+HA0G|EEE-FK1V221P)",
    "DO-214AA": r"\S+ (P3100SC|TISP\w+BJ$|SMBJ)",
    "SOD-123": r".+ (1N4148W-|BZT52C12-)",
    "LED of 5 mm": r"\S+ (WP7113|151051)",
    "header of 4": r"\S+ (TSW-104-|613004111)",
    "header of 14": r"\S+ (TSW-114-|613014111)",
    "socket of 2 x 20": r"\S+ (ESQ-120-|2223$)",
}
FROM_MEMORY = {"rail_clamp"}
with_library = pytest.mark.skipif(not LIBRARY.exists(), reason="Debian's kicad-symbols is not installed")


class Second(Terminals, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As in terminals.toml, for one order number. `pads`: KiCad's footprint of it, if its case has another name."""

    number: str
    pads: str = ""


SECONDS = {name: msgspec.convert(entry, Second) for name, entry in Source(CIRCUIT / "secondsources.toml").data.items()}


def fits_by_its_row(kind: Kind) -> bool:
    return not DIFFERS.search(kind.second)


def same_case(kind: Kind) -> str:
    """The case that both order numbers name, or nothing."""
    numbers = f"{kind.maker} {kind.number}", kind.second.split(":")[0]
    return next((case for case, scheme in CASES.items() if all(re.match(scheme, each) for each in numbers)), "")


def listed(name: str, kind: Kind) -> bool:
    """Whether secondsources.toml has the order number of its second source."""
    return name in SECONDS and kind.second.split(":")[0].endswith(f" {SECONDS[name].number}")


def unproven(kinds: dict[str, Kind]) -> list[str]:
    """Kinds whose second source fits by its row only."""
    return [
        name for name, kind in kinds.items() if fits_by_its_row(kind) and not same_case(kind) and not listed(name, kind)
    ]


def test_a_second_source_that_fits_has_a_list_of_terminals_or_the_same_case() -> None:
    assert unproven(KINDS) == []


def test_a_row_without_second_source_or_reason_is_told() -> None:
    for wrong in ("", "none", "none: single source; ", "Microchip MCP6481", "Murata GRM21BR71H104KA01L"):
        changed = {name: msgspec.structs.replace(KINDS[name], second=wrong) for name in ("c10n", "hub", "opamp")}
        assert unproven(changed) == ["c10n", "hub", "opamp"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=with_library if each.symbol else ()) for name, each in SECONDS.items()]
)
def test_a_second_source_is_numbered_as_the_first(name: str) -> None:
    assert fits_by_its_row(KINDS[name])
    assert listed(name, KINDS[name])
    assert differences(KINDS[name], OURS[OF_PART[name]], SECONDS[name]) == []


def test_lists_from_memory_are_known_by_name() -> None:
    assert {name for name, each in SECONDS.items() if each.read == "from memory"} == FROM_MEMORY
    assert all(each.read for each in SECONDS.values() if each.terminals)


@pytest.mark.parametrize("name", [name for name, each in SECONDS.items() if each.pads])
def test_a_second_source_of_another_case_lies_on_the_pads_of_the_first(name: str) -> None:
    """Of each terminal's pad in KiCad's library three quarters are covered, and its hole is not larger."""
    if not librarypads.path_of(SECONDS[name].pads).exists():
        pytest.skip("Debian's kicad-footprints is not installed")
    footprint = OURS[OF_PART[name]]
    ours = footprint.numbered()
    for theirs in (turned(pad, footprint.turned) for pad in librarypads.installed(SECONDS[name].pads)):
        same = [pad for pad in ours if pad.number == theirs.number]
        assert sum(covered(pad, theirs) for pad in same) > 0.75, theirs
        assert all(pad.drill >= theirs.drill for pad in same)


@with_library
@pytest.mark.parametrize(
    ("name", "symbol", "said"),
    [
        ("comparator", "Comparator/TL331", "1: inp here, - there"),
        ("opamp", "Amplifier_Operational/MCP6001R", "2: vn here, V+ there"),
    ],
)
def test_a_second_source_with_other_terminals_is_told(name: str, symbol: str, said: str) -> None:
    wrong = Terminals(symbol=symbol, names=["inp +", "inn -", "vp V+", "vn V-"])
    assert said in differences(KINDS[name], OURS[OF_PART[name]], wrong)
    assert NAMELESS in wrong.theirs().values()
