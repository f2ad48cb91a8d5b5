# SPDX-License-Identifier: Apache-2.0
"""`linetap bringup` on a unit: its report verifies with stock ssh-keygen and at the desk, and fits the page."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

import config_file
from linetap.bringup import calls, command
from linetap.bringup.board import Measured
from linetap_core.clock import SYSTEM, parse_rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallRecord, NoticeRecord
from linetap_core.records.call import Audio, ClockRecord, Gap
from linetap_core.vaultformat import bringupreport as report_of
from linetap_core.vaultformat.bringupreport import LIMITS
from linetap_desk.commands import desk
from state_files import Unit, unit

RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"  # the age project's example
PAGE = Path(__file__).parents[2] / "docs/raspberry-pi.md"


@pytest.fixture
def config(run_dir: Path) -> Path:
    (run_dir / "unit.key").write_bytes(keys.unit_key_file(keys.new_unit_key()))
    base = unit(run_dir)
    recipients = msgspec.structs.replace(base.keys, custodians=[RECIPIENT], overflow_epoch=RECIPIENT)
    made = msgspec.structs.replace(base, key=str(run_dir / "unit.key"), vault=str(run_dir / "vault"), keys=recipients)
    (run_dir / "vault").mkdir(exist_ok=True)
    Unit(run_dir, SYSTEM).write()
    return config_file.write(run_dir / "unit.toml", made)


def bringup(config: Path, *options: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    given = parser.parse_args(["--config", str(config), "--minutes", "0", "-o", str(config.parent), *options])
    return command.run(given)


def made(config: Path) -> Path:
    (path,) = config.parent.glob(f"*{report_of.SUFFIX}")
    return path


def signers(config: Path, name: str = "test-unit") -> Path:
    key = keys.load_unit_key((config.parent / "unit.key").read_bytes())
    path = config.parent / "allowed_signers"
    path.write_text(f'{name} namespaces="{",".join(namespaces.BY_UNIT)}" {keys.public_line(key.public_key())}\n')
    return path


def taken(*words: object) -> int:
    parser = argparse.ArgumentParser()
    desk.add_arguments(parser)
    return desk.run(parser.parse_args(["bringup", *map(str, words)]))


def record(day: str = "2026-11-28", **fields: object) -> CallRecord:
    at = f"{day}T09:00:00.000Z"
    base = CallRecord(call_id=f"{day.replace('-', '')}T090000.000Z-L01", unit="test-unit", line=1, ended_at=at)
    return msgspec.structs.replace(base, **fields)


def test_the_report_is_the_units(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bringup(config, "--by-hand", "notice_dbm=-16.2") == 1, "most could not be measured here"
    path, listed = made(config), signers(config)
    with path.open("rb") as file:
        words = ["ssh-keygen", "-Y", "verify", "-f", str(listed), "-I", "test-unit", "-n", "linetap-bringup"]
        subprocess.run([*words, "-s", f"{path}.sig"], stdin=file, check=True, capture_output=True, timeout=60)
    capsys.readouterr()
    assert taken(path, "--signers", listed, "--keep", tmp_path / "kept") == 1
    said = capsys.readouterr().out
    assert "| notice at the far end | -16.2 | -19 to -13 dBm |" in said
    assert "not measured: by hand, with a stopwatch: --by-hand power_to_run_s=..." in said
    assert (tmp_path / "kept" / path.name).read_bytes() == path.read_bytes()
    assert (tmp_path / "kept" / f"{path.name}.sig").read_bytes() == Path(f"{path}.sig").read_bytes()


def test_a_report_is_kept_under_its_own_name(config: Path, tmp_path: Path) -> None:
    """A renamed report must not replace that of another unit."""
    bringup(config)
    path, listed, kept = made(config), signers(config), tmp_path / "kept"
    kept.mkdir()
    other = kept / "floor-04-20261128T090000.000Z.bringup.json"
    other.write_text("of another unit")
    renamed = tmp_path / other.name
    renamed.write_bytes(path.read_bytes())
    namespaces.signature_path(renamed).write_bytes(namespaces.signature_path(path).read_bytes())
    taken(renamed, "--signers", listed, "--keep", kept)
    assert other.read_text() == "of another unit"
    assert (kept / path.name).read_bytes() == path.read_bytes()


def test_the_desk_takes_nothing_that_is_not_the_units(config: Path, tmp_path: Path) -> None:
    bringup(config)
    path, listed, kept = made(config), signers(config), tmp_path / "kept"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"calls":0', b'"calls":9'))
    with pytest.raises(BadInput, match=re.escape(str(path))):
        taken(path, "--signers", listed, "--keep", kept)
    path.write_bytes(data.replace(b'"power_to_run_s"', b'"power_to_moon_s"'))
    with pytest.raises(BadInput, match="its figures are not those"):
        taken(path, "--signers", listed, "--keep", kept)
    path.write_bytes(data)
    with pytest.raises(BadInput, match="signer"):
        taken(path, "--signers", signers(config, "another-unit"), "--keep", kept)
    Path(f"{path}.sig").unlink()
    with pytest.raises(BadInput, match="sig: No such file"):
        taken(path, "--signers", listed, "--keep", kept)
    assert not kept.exists()


def test_a_units_own_words_are_no_rows_tags_or_orders_to_a_terminal(config: Path) -> None:
    """An attacker controls the unit, and its key is still valid: the report affects this unit alone."""
    bringup(config)
    report = report_of.decode(made(config).read_bytes())
    plain = report_of.table([report])
    evil = "x | y \\\\| z |\n| watchdog | 15 | 1 |\n\x1b[2J\u202e<script>alert(1)</script>"
    figures = [msgspec.structs.replace(it, note=it.note + evil) for it in report.figures]
    board = msgspec.structs.replace(report.board, model=evil, revision=evil)
    said = report_of.table([msgspec.structs.replace(report, version=evil, board=board, figures=figures)])
    assert all(line.isprintable() for line in said.splitlines())
    ends = [re.sub(r"\\.", "", line).count("|") for line in said.splitlines()]
    assert ends == [re.sub(r"\\.", "", line).count("|") for line in plain.splitlines()], "rows and columns as before"
    assert "<script" not in said


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "true", '"0"'])
def test_a_figure_that_is_no_number_is_no_report(config: Path, value: str) -> None:
    bringup(config, "--by-hand", "notice_dbm=-16.2")
    with pytest.raises(BadInput):
        report_of.decode(made(config).read_bytes().replace(b"-16.2", value.encode()))


@pytest.mark.parametrize(
    "given", ["notice_dbm", "notice_dbm=loud", "notice_dbm=nan", "notice_dbm=1e99", "overruns=0", "x=1"]
)
def test_a_wrong_figure_by_hand(config: Path, given: str) -> None:
    with pytest.raises(BadInput, match=f"--by-hand {given}: "):
        bringup(config, "--by-hand", given)
    assert not list(config.parent.glob(f"*{report_of.SUFFIX}"))


def test_figures_of_calls() -> None:
    notice = NoticeRecord(id="notice", started_at="2026-11-28T08:59:00.540Z", proof="full")
    incoming = record(
        direction="in", off_hook_at="2026-11-28T08:59:00.000Z", notice=notice, audio=Audio(samples=8000),
        clock=ClockRecord(synced=True, offset_ms=-3.5, drift_ppm=31.0),
    )  # fmt: skip
    cut = record(
        recovered=True, audio=Audio(gaps=[Gap(at_s=9.0, ms=750.0, cause="power")]),
        clock=ClockRecord(synced=False, offset_ms=900.0, drift_ppm=33.5),
    )  # fmt: skip
    found = {name: it.value for name, it in calls.measured([incoming, cut, record(disposition="missed")]).items()}
    assert found == {
        "codec_ppm": 33.5, "codec_change_ppm": 2.5, "calls_gap_ms": 0.0, "calls_offset_ms": -3.5, "calls_unproved": 1,
        "notice_after_hook_ms": 540, "power_cut_lost_s": 0.75,
    }  # fmt: skip
    flipped = msgspec.structs.replace(notice, started_at="2026-99-28T08:59:00.540Z")
    damaged = msgspec.structs.replace(incoming, notice=flipped)
    assert calls.measured([incoming, damaged])["notice_after_hook_ms"].value == 540, "one bit costs one call"
    assert set(calls.measured([])) == set(found)
    assert not [name for name, it in calls.measured([]).items() if it.value is not None], "no call proves nothing"


def test_calls_of_the_vault(tmp_path: Path) -> None:
    for day in ("2026-11-26", "2026-11-28"):
        folder = tmp_path / sealed.call_path(record(day).call_id)
        folder.mkdir(parents=True)
        (folder / sealed.RECORD).write_bytes(msgspec.json.encode(record(day)))
        (folder.parent / "broken").mkdir()
        (folder.parent / "broken" / sealed.RECORD).write_bytes(b"{")
    since_ns = parse_rfc3339("2026-11-27T00:00:00Z")
    assert [it.call_id[:8] for it in calls.records(tmp_path, since_ns)] == ["20261128"]


def test_a_call_over_midnight_counts_and_older_days_are_not_opened(tmp_path: Path) -> None:
    for day in ("2026-11-24", "2026-11-26"):
        folder = tmp_path / sealed.call_path(record(day).call_id)
        folder.mkdir(parents=True)
        (folder / sealed.RECORD).write_bytes(msgspec.json.encode(record(day, ended_at="2026-11-27T00:01:00.000Z")))
    since_ns = parse_rfc3339("2026-11-27T00:00:00Z")
    assert [it.call_id[:8] for it in calls.records(tmp_path, since_ns)] == ["20261126"]


def test_a_walk_that_left_lines_out() -> None:
    assert calls.not_green({}, 8).value is None
    assert calls.not_green({"1": "green", "2": "red"}, 3) == Measured(2, "line 2 red, 1 lines not walked")
    assert calls.not_green({"1": "green", "2": "green"}, 2).value == 0


def test_every_figure_of_the_page_is_one_of_the_report() -> None:
    """docs/raspberry-pi.md has the titles and limits of LIMITS, and no others."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]*) \| `(\w+)` \|$", PAGE.read_text().replace("\\|x\\|", "±x"), re.MULTILINE)
    assert [(name, title.strip(), holds.strip()) for title, holds, name in rows] == [
        (name, limit.title, limit.bound_text.replace("\\|x\\|", "±x")) for name, limit in LIMITS.items()
    ]
