# SPDX-License-Identifier: Apache-2.0
"""`linetap card test`: its limits, its fixture, its refusals. Whole cards: tests/hardware/test_production.py."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

import msgspec
import numpy as np
import pytest

from linetap.cardtest.command import channels_of
from linetap.cardtest.fixture import INSTRUMENTS, STATES, ByHand, ByProgram
from linetap.cardtest.rows import CardReport, Row, Sheet, rows
from linetap_bench.exchange.meter import WAITS_S, Meter, MeterOnPty
from linetap_core import cli
from linetap_core.clock import SYSTEM
from linetap_core.errors import BadInput, DeviceFault


def program(folder: Path, text: str) -> str:
    path = folder / "fixture"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o700)
    return str(path)


def test_a_program_switches_the_fixture_and_reads_its_instruments(tmp_path: Path) -> None:
    fixture = ByProgram(program(tmp_path, f'echo "$@" >> {tmp_path}/said; [ "$1" = set ] || echo 331.5\n'))
    fixture.set("loop")
    assert fixture.read("spark_exchange_v", 3) == 331.5
    assert (tmp_path / "said").read_text().splitlines() == ["set loop", "read spark_exchange_v 3"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("echo relay box: no answer >&2; exit 3\n", "set open ended with 3: relay box: no answer"),
        ("exit 1\n", "set open ended with 1: no word"),
    ],
)
def test_a_fixture_that_fails_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(DeviceFault, match=told):
        ByProgram(program(tmp_path, text)).set("open")
    with pytest.raises(DeviceFault, match="no such fixture"):
        ByProgram("/no such fixture").set("open")


def test_an_instrument_that_says_no_number_is_named_and_one_that_says_nothing_has_not_measured(tmp_path: Path) -> None:
    with pytest.raises(DeviceFault, match="'OL' is no number"):
        ByProgram(program(tmp_path, "echo OL\n")).read("pair_mohm", 1)
    assert ByProgram(program(tmp_path, "exit 0\n")).read("pair_mohm", 1) is None
    with pytest.raises(DeviceFault, match=r"12 M.* is no number"):  # an instrument's ohm sign, which is no UTF-8
        ByProgram(program(tmp_path, r"printf '12 M\330'" + "\n")).read("pair_mohm", 1)


def test_a_person_is_asked_until_a_number_comes() -> None:
    answers, asked = ["", "a lot", "12.5"], []

    def ask(text: str) -> str:
        asked.append(text)
        return answers.pop(0)

    fixture = ByHand(ask)
    fixture.set("feed")
    assert fixture.read("pair_mohm", 2) == 12.5
    assert asked == [f"fixture: {STATES['feed']}. Enter: ", *[asked[1]] * 2]
    assert INSTRUMENTS["pair_mohm"] in asked[1]


def test_the_page_has_the_fixtures_own_words() -> None:
    page = (Path(__file__).parents[2] / "hardware" / "production.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    assert named == STATES | INSTRUMENTS


def test_every_row_has_limits_that_a_card_can_meet() -> None:
    for name, row in rows(48.0).items():
        assert row.low <= row.high, name
    assert rows(50.0)["loop_v"].low == pytest.approx(rows(48.0)["loop_v"].low + 1, abs=0.01)


def good(row: Row) -> float:
    return max(row.low, -1e3) if row.low > -1e9 else row.high


@pytest.mark.parametrize("told", [[1], [1, 1], [1, 2, 2], [1, 3], [0, 1, 2]])
def test_a_line_that_was_left_out_or_measured_twice_is_no_pass(told: list[int]) -> None:
    """Each row of a line is measured once on each line of the card, not on as many."""
    asked = rows(48.0)
    sheet = Sheet(asked, io.StringIO())
    for name, row in asked.items():
        for line in [0] if row.of_card else told if name == "earth_mohm" else [1, 2]:
            sheet.tell(name, line, good(row))
    assert all(each.holds for each in sheet.measured)
    assert not sheet.complete([1, 2])


def test_a_value_without_end_is_not_measured() -> None:
    """An insulation tester beyond its range, typed as inf; JSON has no number for it either."""
    sheet = Sheet(rows(48.0), io.StringIO())
    sheet.tell("earth_mohm", 1, inf)
    assert (sheet.measured[0].value, sheet.measured[0].holds) == (None, False)


def test_what_was_not_measured_is_no_pass() -> None:
    asked = rows(48.0)
    out = io.StringIO()
    sheet = Sheet(asked, out)
    everything = [(name, line) for name, row in asked.items() for line in ([0] if row.of_card else [1, 2])]
    for name, line in everything:
        sheet.tell(name, line, good(asked[name]))
    assert sheet.complete([1, 2])
    sheet.measured.remove(next(each for each in sheet.measured if each.row == "frames_lost"))
    assert not sheet.complete([1, 2])
    sheet.tell("frames_lost", 0, None)
    assert not sheet.complete([1, 2])
    assert out.getvalue().splitlines()[-1].startswith("FAIL card    frames_lost          not measured  of 0:")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--channels", "1,2,3"], "--channels 1,2,3: eight different numbers from 1 to 32 expected"),
        (["--channels", "1,2,3,4,5,6,7,7"], "eight different numbers"),
        (["--channels", "1,2,3,4,5,6,7,x"], "eight different numbers"),
        (["--volts", "12"], "12 V: the fixture's battery is 40 to 56 V"),
        (["--serial", "../x"], "--serial ../x: letters, digits and -"),
        (["-o", "/nowhere"], "-o /nowhere: no such folder"),
        (["--pcm", "nothing"], "nothing (card 1): cannot be opened"),
    ],
)
def test_bad_words_get_one_line(words: list[str], told: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["card", "test", "--serial", "LT-1", *words]) == 2
    said = capfd.readouterr().err.strip().splitlines()
    assert told in said[-1]
    assert "Traceback" not in "".join(said)


def test_lines_may_be_on_any_eight_channels() -> None:
    assert channels_of("1,2,3,4,9,10,11,12") == [1, 2, 3, 4, 9, 10, 11, 12]
    with pytest.raises(BadInput, match="33"):
        channels_of("1,2,3,4,5,6,7,33")


@contextmanager
def meter_at(port: Path) -> Iterator[None]:
    """A simulated meter on a terminal, in real time."""
    stopped = threading.Event()
    meter = MeterOnPty(Meter(lambda _first, ms: np.zeros((8, ms), np.int16), 8, SYSTEM.monotonic_ns()), port)

    def run() -> None:
        while not stopped.is_set():
            meter.turn(WAITS_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
        meter.close()


def test_a_test_that_stops_leaves_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command itself, over a terminal and libasound: the fixture fails after its third state."""
    fixture = program(tmp_path, f'echo "$2" >> {tmp_path}/states; [ "$2" != reversed ] || exit 4\n')
    words = ["--serial", "LT-7", "--port", str(tmp_path / "meter"), "--pcm", "null", "--fixture", fixture]
    with meter_at(tmp_path / "meter"):
        assert cli.main(["card", "test", *words, "-o", str(tmp_path)]) == 1
    report = msgspec.json.decode((tmp_path / "LT-7.card.json").read_bytes(), type=CardReport)
    assert (report.serial, report.passed) == ("LT-7", False)
    assert re.fullmatch(r"\d+\.\d+\.\d+", report.firmware)
    assert report.stopped.endswith("set reversed ended with 4: no word")
    assert [each.row for each in report.rows] == [
        "version", "channels", "sample_us", *["absent_v"] * 8, *["fed_v"] * 8
    ]  # fmt: skip
    assert [each.holds for each in report.rows] == [True] * 11 + [False] * 8  # there is no battery
    said = capsys.readouterr().out.splitlines()
    assert said[-2].startswith("LT-7 not passed: 8 of 19 rows; ")
    assert said[0].startswith("good card    version")
    assert (tmp_path / "states").read_text().split() == ["open", "feed", "reversed"]
