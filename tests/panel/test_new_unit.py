# SPDX-License-Identifier: Apache-2.0
"""The LEDs of a new unit: CALL's blinks count the six digits and their check digit, and only a long press confirms
them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from linetap import cardresult
from linetap.adoption import adoptionfiles
from linetap.adoption.adoptionfiles import AdoptionDisplay
from linetap.panel.unconfigured import STARTS_MS, NewUnit
from linetap_core.enrolment.checkdigit import with_check
from linetap_core.wire.legend import STEP_MS


def counted(new: NewUnit, from_ms: int, for_ms: int) -> list[str]:
    """The digits as a person counts them by the label: blinks in a row are a digit, a long light is zero, and a long
    pause precedes the next round. Independent of the code's own table.
    """
    lit = []
    for ms in range(from_ms, from_ms + for_ms, STEP_MS):
        new.shown(ms)
        lit.append(bool(new.call_lit(ms)))
    runs = [(on, len(list(of)) * STEP_MS) for on, of in groupby(lit)]
    whole: list[str] = []
    digit, digits = 0, ""
    for on, ms in runs:
        if on and ms >= 1500:
            digits, digit = digits + "0", 0
        elif on:
            digit += 1
        elif ms >= 800:
            digits, digit = digits + (str(digit) if digit else ""), 0
            if ms >= 2500:
                whole, digits = [*whole, digits], ""
    return [each for each in whole if each]


@pytest.mark.parametrize("digits", ["123456", "000000", "909090", "070000", "999999"])
def test_the_digits_can_be_counted(run_dir: Path, digits: str) -> None:
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", digits))
    found = counted(new, 0, 150_000)
    assert len(found) >= 2
    assert set(found) == {with_check(digits)}


def test_other_digits_are_counted_from_their_beginning(run_dir: Path) -> None:
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", "987654"))
    for ms in range(0, 7_000, STEP_MS):
        new.shown(ms)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", "111222"))
    assert counted(new, 7_000, 60_000)[:2] == [with_check("111222")] * 2


@pytest.mark.parametrize(
    ("state", "condition"), [("seek", "adopt_seek"), ("code", "adopt_code"), ("confirmed", "adopt_confirmed")]
)
def test_each_state_has_its_row_of_the_legend(run_dir: Path, state: str, condition: str) -> None:
    adoptionfiles.show(run_dir, AdoptionDisplay(state, "123456"))  # type: ignore[arg-type]
    assert NewUnit(run_dir).shown(0).condition == condition


def test_without_an_adoption_or_with_a_wrong_card_it_is_a_wrong_configuration(run_dir: Path) -> None:
    assert NewUnit(run_dir).shown(0).condition == "config_wrong"
    adoptionfiles.show(run_dir, AdoptionDisplay("code", "123456"))
    run_dir.with_name(cardresult.CARD_WRONG).touch()
    try:
        assert NewUnit(run_dir).shown(0).condition == "config_wrong"
    finally:
        run_dir.with_name(cardresult.CARD_WRONG).unlink()


def test_a_unit_that_starts_is_no_wrong_configuration_yet(run_dir: Path) -> None:
    """The panel starts before the service that searches for the desk; a wrong card is reported at once."""
    new = NewUnit(run_dir, STARTS_MS)
    assert {new.shown(ms).condition for ms in range(0, STARTS_MS, STEP_MS)} == {"starting"}
    assert new.shown(STARTS_MS).condition == "config_wrong"
    new = NewUnit(run_dir, STARTS_MS)
    adoptionfiles.show(run_dir, AdoptionDisplay("seek"))
    assert new.shown(0).condition == "adopt_seek"
    new = NewUnit(run_dir, STARTS_MS)
    run_dir.with_name(cardresult.CARD_WRONG).touch()
    try:
        assert new.shown(0).condition == "config_wrong"
    finally:
        run_dir.with_name(cardresult.CARD_WRONG).unlink()


@pytest.mark.parametrize(("held_s", "counts"), [(0.5, False), (2, False), (4, True), (12, False), (40, False)])
def test_only_a_press_of_three_seconds_counts_and_only_for_the_digits_that_are_shown(
    run_dir: Path, held_s: float, counts: bool
) -> None:
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", "123456"))
    hold(new, ROUND_MS, int(held_s * 1000))
    assert adoptionfiles.pressed(run_dir) == ("123456" if counts else "")


ROUND_MS = 40_000  # longer than CALL's round of 123456


def hold(new: NewUnit, wait_ms: int, for_ms: int, changes: Callable[[], None] = lambda: None) -> None:
    """Presses the button after `wait_ms`, for `for_ms`; calls `changes` in the middle of the press."""
    for ms in range(0, wait_ms + for_ms, STEP_MS):
        new.shown(ms)
        new.press(ms >= wait_ms, ms)
        if wait_ms + for_ms // 2 <= ms < wait_ms + for_ms // 2 + STEP_MS:
            changes()
    new.press(False, wait_ms + for_ms)


def test_digits_that_changed_during_the_press_are_not_confirmed(run_dir: Path) -> None:
    """An attacker on the network has ended the exchange that was read out, and begun another one."""
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", "123456"))
    hold(new, ROUND_MS, 4000, lambda: adoptionfiles.show(run_dir, AdoptionDisplay("code", "654321")))
    assert adoptionfiles.pressed(run_dir) == ""


@pytest.mark.parametrize(("after_ms", "counts"), [(-STEP_MS, False), (0, True)])
def test_a_press_counts_from_the_last_blink_on(run_dir: Path, after_ms: int, counts: bool) -> None:
    """The desk may say right within the dark that follows: the digits are counted once."""
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", "123456"))
    lit = []
    for ms in range(0, ROUND_MS, STEP_MS):
        new.shown(ms)
        lit.append(bool(new.call_lit(ms)))
    pause = "." * 40  # the dark around a number, and that between two rounds
    whole = "".join(".#"[each] for each in lit).index(pause) * STEP_MS
    hold(NewUnit(run_dir), whole + after_ms, 4000)
    assert adoptionfiles.pressed(run_dir) == ("123456" if counts else "")


def test_digits_that_were_not_counted_once_in_whole_are_not_confirmed(run_dir: Path) -> None:
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", "123456"))
    hold(new, 10_000, 4000)
    assert adoptionfiles.pressed(run_dir) == ""


def test_after_a_press_for_an_exchange_that_ended_the_unit_is_wrong(run_dir: Path) -> None:
    adoptionfiles.show(run_dir, AdoptionDisplay("over"))
    assert NewUnit(run_dir).shown(0).condition == "config_wrong"


@pytest.mark.parametrize("state", ["seek", "confirmed"])
def test_a_press_without_digits_says_nothing(run_dir: Path, state: str) -> None:
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay(state))  # type: ignore[arg-type]
    for ms in range(0, 4000, STEP_MS):
        new.shown(ms)
        new.press(True, ms)
    new.press(False, 4000)
    assert adoptionfiles.pressed(run_dir) == ""


@pytest.mark.parametrize("digits", ["12345", "1234567", "12345a", "１２３４５６", "", "-12345"])
def test_digits_that_are_none_are_not_shown(run_dir: Path, digits: str) -> None:
    new = NewUnit(run_dir)
    adoptionfiles.show(run_dir, AdoptionDisplay("code", digits))
    new.shown(0)
    assert new.call_lit(0) is None
