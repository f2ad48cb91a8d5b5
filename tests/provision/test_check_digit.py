# SPDX-License-Identifier: Apache-2.0
"""The check digit against another implementation's values, and against the mistakes of a person who counts."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap_core.enrolment.checkdigit import with_check, without_check

NUMBERS = st.text("0123456789", min_size=6, max_size=6)


@pytest.mark.parametrize("whole", ["794623", "002006673085"])
def test_the_values_are_those_of_another_implementation(whole: str) -> None:
    """From the documentation of python-stdnum's `iso7064.mod_11_10`."""
    assert with_check(whole[:-1]) == whole
    assert without_check(whole) == whole[:-1]


@given(digits=NUMBERS, place=st.integers(0, 6), by=st.integers(1, 9))
def test_each_single_miscounted_digit_is_found(digits: str, place: int, by: int) -> None:
    whole = with_check(digits)
    wrong = str((int(whole[place]) + by) % 10)
    assert without_check(whole[:place] + wrong + whole[place + 1 :]) is None


@pytest.mark.parametrize("digits", ["089091", "000000", "731205"])
def test_of_two_miscounted_digits_nine_of_ten_are_found(digits: str) -> None:
    """All pairs of places, with all wrong digits in both."""
    whole = with_check(digits)
    wrong = [
        whole[:first] + at_first + whole[first + 1 : second] + at_second + whole[second + 1 :]
        for first, second in combinations(range(7), 2)
        for at_first in "0123456789".replace(whole[first], "")
        for at_second in "0123456789".replace(whole[second], "")
    ]
    taken = sum(without_check(each) is not None for each in wrong)
    assert len(wrong) == 21 * 81
    assert taken / len(wrong) < 0.12


def test_nothing_has_no_check_digit() -> None:
    assert without_check("") is None
