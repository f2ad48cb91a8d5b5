# SPDX-License-Identifier: Apache-2.0
"""The accuracy table on little material: every row has its anchors, and reaches them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from anchors import spandsp
from anchors.music import ON_HOLD
from anchors.people import PROMPTS
from linetap_bench.figures import Row, table
from linetap_bench.measure.accuracy import callerid, dtmf, sounds, tones

PROGRAMS = ("multimon-ng", "minimodem", "sox")
with_anchors = pytest.mark.skipif(
    not (spandsp.installed() and PROMPTS.is_dir() and all(map(shutil.which, PROGRAMS))),
    reason=f"not all anchors are installed (libspandsp2t64, asterisk-core-sounds-en-wav, {', '.join(PROGRAMS)})",
)


def test_the_bench_imports_its_rigs_outside_pytest() -> None:
    words = [sys.executable, "-c", "import linetap_bench.measure.accuracy"]
    assert subprocess.run(words, capture_output=True, text=True, timeout=120, check=False).stderr == ""


def row(figure: float, at_most: bool, **beside: float) -> Row:
    return Row(name="r", figure=figure, unit="", target=5, at_most=at_most, method="m", beside=beside)


@pytest.mark.parametrize(
    ("made", "behind", "met"),
    [
        (row(5, True), [], True),
        (row(6, True), [], False),
        (row(5, True, other=5), [], True),
        (row(3, True, other=4, third=2), ["third"], True),
        (row(5, False, other=4), [], True),
        (row(7, False, other=8), ["other"], True),
        (row(4, False, other=3), [], False),
    ],
)
def test_the_target_decides_and_whoever_does_better_is_named(made: Row, behind: list[str], met: bool) -> None:
    assert (made.behind, made.meets_target) == (behind, met)
    said = table([made])
    assert ("MISSED" in said) != met
    assert ("behind" in said) == bool(behind)
    assert all(f"{name} {figure:g}" in said for name, figure in made.beside.items())


def test_rows_of_one_method_say_it_once_and_json_has_the_anchors() -> None:
    rows = [row(1, True, other=4), row(2, True), msgspec.structs.replace(row(3, True), method="n")]
    assert [line.strip() for line in table(rows).splitlines() if len(line.split()) == 1] == ["m", "n"]
    assert msgspec.json.decode(msgspec.json.encode(rows))[0]["beside"] == {"other": 4}


def by_name(rows: list[Row]) -> dict[str, Row]:
    assert len({made.name for made in rows}) == len(rows)
    return {made.name: made for made in rows}


@with_anchors
def test_digits() -> None:
    rows = by_name(dtmf.rows(40, 0.5))
    assert set(dtmf.LIMITS) | set(dtmf.BEYOND) | set(dtmf.COVERED) <= {name.removeprefix("DTMF: ") for name in rows}
    for name in dtmf.LIMITS:
        assert rows[f"DTMF: {name}"].meets_target
        assert rows[f"DTMF: {name}, our sender"].meets_target
    loud = rows["DTMF: -3 dBm0"]
    assert (loud.figure, loud.beside) == (40, {"libspandsp": 40, "multimon-ng": 40})
    assert [rows[f"DTMF: {name}"].figure for name in dtmf.BEYOND] == [0, 0, 0]
    assert all(
        made.beside.keys() == {"libspandsp", "multimon-ng"} for name, made in rows.items() if "limits" not in name
    )


@with_anchors
def test_caller_ids(tmp_path: Path) -> None:
    rows = callerid.rows(tmp_path, 6)
    assert len(rows) == 4
    for made in rows:
        assert made.meets_target
        assert made.beside["libspandsp"] == 100
        assert made.beside["minimodem"] >= 60


@with_anchors
def test_cadences() -> None:
    rows = by_name(tones.rows(8, 0.5))
    assert all(made.meets_target for made in rows.values())
    assert rows["tones: busy, quiet line"].beside == {"libspandsp": 100}


@with_anchors
@pytest.mark.skipif(not ON_HOLD.is_dir(), reason="no music is installed (asterisk-moh-opsound-gsm)")
def test_sounds(tmp_path: Path) -> None:
    rows = by_name(sounds.rows(tmp_path, 6))
    assert all(made.figure >= 85 for made in rows.values()), rows  # with so few lines; the bench has 60
