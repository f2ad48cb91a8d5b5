# SPDX-License-Identifier: Apache-2.0
"""One person alone, with any verb and any key of the configuration, hides, shortens and exempts nothing."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from reach import REACH

from attack_house import House
from keeping_rig import DAY
from linetap.recorder.vault.retention import holds
from linetap_core.evidence.authorization.command import MAY
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.evidence.signing import namespaces

TESTS = Path(__file__).parents[1]


@pytest.fixture
def unit(run_dir: Path) -> House:
    return House(run_dir)


def test_every_verb_has_its_decision() -> None:
    """The author of a new verb decides here what one signature of it can remove, and tests it."""
    assert REACH.keys() == MAY.keys()
    assert [verb for verb, each in REACH.items() if not (TESTS / each.shown_by).is_file()] == []
    assert all(each.alone for each in REACH.values())
    document = (TESTS.parent / "docs" / "commands.md").read_text()
    assert [verb for verb in REACH if f"| `{verb}` | {REACH[verb].alone} |" not in document] == []


# --- LEDs and delays -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "changes", "code"),
    [
        ("panel", {"night_from": "06:01"}, "alert_later"),
        ("panel", {"night_percent": 1}, "alert_later"),
        ("policy", {"weakening_delay_h": 720}, "delay_longer"),
        ("recording", {"recommended_call_s": 14400}, "alert_later"),
    ],
)
def test_an_operator_alone_hides_no_led_and_holds_nobody_up(
    unit: House, part: str, changes: dict[str, Any], code: str
) -> None:
    new = unit.with_(part, **changes)
    for by in (("operator",), ("operator", "operator2"), ("operator", "desk")):
        answer = unit.ask(new, *by)
        assert (answer.done, answer.code) == (False, "config_weakens")
        assert code in answer.text
    assert unit.ask(new, "operator", "privacy").done
    assert [each.codes for each in unit.standing] == [[code]], "and it stands until a third person has confirmed it"


# --- holds ---------------------------------------------------------------------------------------------------


def shorter(unit: House, days: float, **more: Any) -> tuple[Any, bytes]:
    """A call held for a hundred days, and the command to hold it for `days`."""
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 100 * DAY)).done
    return record, unit.hold(record, unit.clock.utc_ns() + round(days * DAY), **more)


def until(unit: House, call_id: str) -> int | None:
    return unit.upkeep.holds.until(call_id)


@pytest.mark.parametrize("more", [(), ("desk",), ("operator",), ("custodian",), ("authority",)], ids="-".join)
def test_one_officer_ends_no_hold_early(unit: House, more: tuple[str, ...]) -> None:
    record, command = shorter(unit, 99)
    before = until(unit, record.call_id)
    answer = unit.command(unit.cosigned(command, *more))
    assert (answer.done, answer.code) == (False, "hold_shorter")
    assert "\n" not in answer.text
    for word in ("is held until 2027-03-04", "would be until 2027-03-03", "vault", "approver", "cosign"):
        assert word in answer.text
    assert until(unit, record.call_id) == before
    assert unit.leaves("command")[-1]["code"] == "hold_shorter", "who tried stands in the log"
    unit.restart()
    unit.passes(99.5)
    assert unit.is_whole(record)
    assert unit.destroyed() == []


@pytest.mark.parametrize("second", ["vault2", "privacy", "legal"])
def test_two_do(unit: House, second: str) -> None:
    """The attempt by one person did not use up its counter."""
    record, command = shorter(unit, 70)
    assert unit.command(command).code == "hold_shorter"
    assert unit.command(unit.cosigned(command, second)).done
    unit.passes(69)
    assert unit.is_whole(record)
    unit.passes(2)
    assert unit.destroyed() == [record.call_id]


def test_one_key_twice_is_one_officer(unit: House) -> None:
    record, command = shorter(unit, 10)
    envelope = json.loads(command)
    envelope["sig"] *= 2
    assert unit.command(json.dumps(envelope).encode()).code == "command_unsigned"
    assert until(unit, record.call_id) == unit.clock.utc_ns() + 100 * DAY


def test_an_older_shorter_hold_that_arrives_late_shortens_nothing(unit: House) -> None:
    """Commands may arrive in any order: signing first and delivering last gains nothing."""
    record = unit.call()
    first = unit.hold(record, unit.clock.utc_ns() + 70 * DAY)
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 100 * DAY)).done
    assert unit.command(first).code == "hold_shorter"


def test_one_officer_lengthens_it_and_repeats_it(unit: House) -> None:
    record, command = shorter(unit, 101)
    assert unit.command(command).done
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 101 * DAY)).done
    assert until(unit, record.call_id) == unit.clock.utc_ns() + 101 * DAY


def test_a_damaged_hold_gets_an_end_from_two(unit: House) -> None:
    """It holds forever, so every end is earlier."""
    record, _ = shorter(unit, 1)
    for name in (holds.DOCUMENT, holds.COPY):
        (unit.vault / "holds" / record.call_id / name).write_bytes(b"{")
    unit.restart()
    again = unit.hold(record, unit.clock.utc_ns() + 100 * DAY)
    answer = unit.command(again)
    assert answer.code == "hold_shorter"
    assert "it is damaged" in answer.text
    assert unit.command(unit.cosigned(again, "vault2")).done


def test_what_is_no_hold_is_still_said_to_be_none(unit: House) -> None:
    record, _ = shorter(unit, 1)
    key_age = base64.b64encode(age.encrypt(b"x", [keys.new_identity().recipient])).decode()
    command = unit.signed("hold", "vault", b"{}", namespaces.HOLD, key_age=key_age)
    assert unit.command(command).code == "hold_malformed"
    assert until(unit, record.call_id) is not None
