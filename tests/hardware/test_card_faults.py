# SPDX-License-Identifier: Apache-2.0
"""No single fault of the card outside its lines seizes or feeds a line, and each is detected by an existing means."""

from __future__ import annotations

import re
from functools import cache
from typing import get_args, get_type_hints

from hardware_rig import drawn_card, front_end

from drawing.tables import load_kinds
from linetap.board.meter.protocol import LEDS as LAMPS
from linetap.cardtest.rows import rows as production_rows
from linetap_core.wire.alerts import ALERTS
from linetap_core.wire.legend import LEDS
from linetap_core.wire.topics import Status
from rules.cardfaults import SHARED, faults, joined
from rules.faults import LINE, REFERENCES
from rules.faults import faults as simulated_faults
from rules.faulttable import OFFLINE, PADS, PROBE, ROWS, rows_of
from rules.linestates import (
    SEIZES,
    STATES,
    Found,
    edges_must_reach,
    meets,
    opening_s,
    references,
    ringing_load,
    states,
)
from simulation.netlist import HARDWARE
from simulation.oneshot import LEAST_S, MOST_S
from simulation.spice import Deck, Supply, run

BENCH = (HARDWARE / "commissioning.md").read_text()
OF_A_LINE = re.compile(r"([A-Z]+)([1-8])(\d\d)")


@cache
def names() -> list[str]:
    return list(faults(drawn_card()))


@cache
def found_states() -> dict[str, Found]:
    return {each.what: each for each in states(front_end())}


@cache
def found_references() -> list[Found]:
    return references(front_end())


def every_part() -> set[str]:
    """All parts of the card, pads included, from the committed list of its nets."""
    return set(re.findall(r"\b([A-Z]+\d+)\.", (HARDWARE / "linetap.nets").read_text()))


def test_no_part_of_the_card_is_left_out() -> None:
    covered = {re.split(r"[ .]", name)[0] for name in names()}
    for sheet in (LINE, REFERENCES):
        covered |= {name.split()[0] for name, _ in simulated_faults(front_end(), sheet)}
    as_line_1 = {OF_A_LINE.sub(r"\g<1>1\3", part) for part in every_part() if not re.fullmatch(PADS, part)}
    assert as_line_1 - covered == set()
    assert len(every_part()) > 850


def test_all_lines_are_as_the_first() -> None:
    def line(number: int) -> dict[str, str]:
        parts = drawn_card().parts.values()
        return {
            part.reference[:1] + part.reference[-2:]: part.kind_name for part in parts if part.sheet == f"Line{number}"
        }

    assert all(line(number) == line(1) for number in range(2, 9))
    assert len(line(1)) > 60


def test_each_fault_stands_in_one_row_and_each_row_has_one() -> None:
    """Of the references, only those without an alert of the simulated unit."""
    untold = [each.what for each in found_references() if each.untold]
    assert {name: len(rows_of(name)) for name in [*names(), *untold] if len(rows_of(name)) != 1} == {}
    assert [each.what for each in found_references() if not each.untold and rows_of(each.what)] == []
    assert [row.faults for row in ROWS if not any(re.fullmatch(row.faults, name) for name in [*names(), *untold])] == []


def test_the_pages_count_them() -> None:
    """The numbers in README, the laboratory's plan and decision 0222."""
    count = len(names()) + len(found_references())
    assert f"**Of the rest of the card**, {count} faults" in (HARDWARE / "README.md").read_text()
    assert f"`tools/card_rules.py --card-faults`: {count}, of which" in (HARDWARE / "laboratory.md").read_text()
    decisions = (HARDWARE.parent / "docs" / "decisions" / "hardware.md").read_text()
    assert f"low: {count} faults" in decisions.partition("## 0222 ")[2].partition("\n## ")[0]


def test_a_line_meets_the_card_in_these_nets_alone() -> None:
    assert meets(drawn_card()) == SHARED


def test_what_a_fault_joins_is_in_the_state_that_its_row_names() -> None:
    """A net shared with a line, shorted or driven wrongly, is wrong in the simulated state too."""
    wrong = {
        name: (joined(drawn_card(), name), row.leaves)
        for name in names()
        for row in rows_of(name)
        if not joined(drawn_card(), name) <= STATES[row.leaves].nets
    }
    assert wrong == {}


def test_no_state_seizes_a_line_or_feeds_it_but_in_its_own_wires() -> None:
    assert {name for name, each in found_states().items() if not each.harmless} == SEIZES
    assert [each.what for each in found_references() if not each.harmless] == []
    assert all(re.match(r"J130[23] ", name) for name in names() if rows_of(name)[0].leaves in SEIZES)


def test_without_power_every_contact_is_closed_and_every_relay_at_rest() -> None:
    """As with a shorted capacitor of +3V3, +5V or COIL: 0 V on all of them, and no part of a line draws or feeds a
    current.
    """
    dark = found_states()["no power"]
    assert dark.behind_v > 0.99
    assert max(dark.drawn_ma, dark.playing_ma) < 0.01  # 10 Mohm and more across the pair
    assert dark.into_ua < 0.001
    supply = STATES["no power"].supply
    part = front_end()
    lines = ["Vt /TIP1 0 1", "Rr /RING1 0 1e9", "Rload /Line1/na 0 100k", ".tran 10m 1"]
    pulled = Supply(v3=supply.v3, v5=supply.v5, vref=supply.vref, coil=supply.coil, relay=3.3)
    assert run(Deck(part, lines, [".meas tran v find v(/Line1/na) at=1"], pulled))["v"] < 0.01


def test_the_highest_voltage_of_the_card_puts_next_to_nothing_into_a_line() -> None:
    """As if the 12 V converter passed its input through: four resistors of 4.99 Mohm remain."""
    assert found_states()["18 V everywhere"].into_ua < 2.0


def test_a_notice_relay_that_stays_closed_does_not_answer_a_call() -> None:
    """47 CFR 68.312: 3 mA of DC while it rings; TIA-968-B: 7000 ohm at 20 Hz are one bell."""
    dc_ma, ohm = ringing_load(front_end())
    assert dc_ma <= 3.0
    assert 1.5 < 7000 / ohm < 2.5


def test_no_one_part_takes_the_contacts_reference_to_where_an_offset_opens_them() -> None:
    """At 0 V a contact whose comparator has an offset above 0 V opens once; the design does not define it."""
    never, once = opening_s(front_end())
    assert never == 0.0
    assert LEAST_S <= once <= MOST_S
    reached = edges_must_reach(front_end())
    assert {"VREF lost", "R903 open", "R907 shorted", "C902 shorted", "C905 shorted"} <= reached.keys()
    assert min(reached.values()) > 10 * load_kinds()["comparator"].second_offset_mv / 1000
    assert opening_s(front_end(), min(reached.values())) == [0.0, 0.0]


def test_what_tells_exists() -> None:
    unknown = {(word, row.faults) for row in ROWS for word in row.told if not exists(word)}
    assert unknown == set()


def exists(word: str) -> bool:
    kind, _, name = word.partition(" ")
    if not name:
        return (
            word in ALERTS or word == PROBE or (word == OFFLINE and word in get_args(get_type_hints(Status)["state"]))
        )
    if kind == "LED":
        drawn = {"power": any(part.block == "POWER" for part in drawn_card().parts.values()), "lines": "fault" in LAMPS}
        return name in LEDS or drawn.get(name, False)
    return {"row": name in production_rows(48.0), "pad": name in BENCH, "part": name in BENCH}[kind]


def test_what_takes_all_eight_lines_is_told_in_service() -> None:
    """By an alert or by the missing unit; only the production test detects a wrong middle voltage of the notices."""
    silent = [row.faults for row in ROWS if row.stops == 8 and not any(w in ALERTS or w == OFFLINE for w in row.told)]
    assert silent == [r"C903 shorted|R90[45] (open|shorted)|U902 .*"]


def test_the_alert_of_a_reading_is_that_which_the_units_own_code_raises() -> None:
    for row in ROWS:
        raised = found_states()[row.leaves]
        if raised.alerts and not raised.untold:
            assert set(row.told) & set(raised.alerts), (row.faults, raised.alerts)


def test_a_lost_middle_is_told_whatever_the_line_and_whether_or_not_it_was_learned() -> None:
    told = {each.what for each in found_references() if not each.untold}
    assert {"C901 shorted", "R901 open", "R901 shorted", "R902 open", "R902 shorted", "U901 open"} <= told
    lost = [each for each in found_references() if not each.untold]
    assert max(each.alerts["battery_high"] for each in lost) <= 10.0
