# SPDX-License-Identifier: Apache-2.0
"""The table at the end of `./build.sh soak`."""

from __future__ import annotations

from soak_table import Row, lines


def test_the_table_counts_every_kind_and_all_of_them() -> None:
    table = lines([Row("power, cut", 1000, 0, 0, 0), Row("one bit of one file", 300, 1, 0, 2)])
    assert table[0].split("  ")[0] == "what was broken on purpose"
    assert [line.split()[-4:] for line in table[1:]] == [
        ["1000", "0", "0", "0"], ["300", "1", "0", "2"], ["1300", "1", "0", "2"],
    ]  # fmt: skip
    assert len({len(line) for line in table}) == 1


def test_without_long_tests_there_is_none() -> None:
    assert lines([]) == []
