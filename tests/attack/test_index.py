# SPDX-License-Identifier: Apache-2.0
"""A forged index: the public key list suffices to write one. A search trusts the unit's log and reports differences."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_every_file import Whole, keeper_of

from linetap_core import cli
from linetap_core.evidence.calls import index
from linetap_core.evidence.calls.index import Entry
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age

NUMBER, OTHER = "01012345678", "01099998888"


@pytest.fixture
def whole(tmp_path: Path, run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Whole:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("LINETAP_DESK", raising=False)
    keeper = keeper_of(tmp_path, run_dir)
    return Whole(keeper.vault, tmp_path / "allowed_signers")


def find(whole: Whole, capsys: pytest.CaptureFixture[str], number: str = NUMBER, named: bool = True) -> tuple[int, str]:
    """Exit code and the content of both outputs."""
    capsys.readouterr()
    words = ["find", "--number", number, str(whole.vault), "--identity", str(whole.vault.parent / "epoch.txt")]
    done = cli.main([*words, "--signers", str(whole.signers_file)] if named else words)
    said = capsys.readouterr()
    return done, said.out + said.err


def segment(whole: Whole) -> Path:
    (found,) = (whole.vault / index.FOLDER).glob("*/*.age")
    return found


def forged(whole: Whole, path: Path) -> None:
    """Adds a fictitious call, sealed to the right key."""
    recipient = keys.parse_identity_file((whole.vault.parent / "epoch.txt").read_text())[0].recipient
    entry = Entry(
        call_id="20261124T040000.000Z-L07", unit="floor-03", line=7, at="2026-11-24T04:00:00.000Z", number=OTHER
    )
    path.write_bytes(age.encrypt(index.encode([entry]), [recipient]))


def test_what_the_unit_wrote_is_found_and_vouched_for(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    done, said = find(whole, capsys)
    assert (done, said.count("\tline 1\t")) == (0, 3)
    assert "not vouched for" not in said
    assert find(whole, capsys, named=False)[1].endswith(f"not vouched for: {whole.vault}: no --signers\n")


def test_a_segment_in_place_of_the_units(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    forged(whole, segment(whole))
    done, said = find(whole, capsys, OTHER)
    assert done == 1
    assert "not searched: changed since the unit wrote it: overflow-1" in said


def test_a_segment_beside_the_units(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    forged(whole, segment(whole).with_name("2026-11-24-009.age"))
    done, said = find(whole, capsys, OTHER)
    assert done == 1
    assert "not searched: not in the unit's log: overflow-1" in said


def test_a_segment_that_is_gone(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing segment is not the same as no result."""
    segment(whole).unlink()
    done, said = find(whole, capsys)
    assert done == 1
    assert "not searched: in the unit's log, and missing: overflow-1" in said


def test_a_log_that_was_changed_with_it_vouches_for_nothing(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    forged(whole, segment(whole))
    leaves = whole.vault / "log" / "leaves.jsonl"
    leaves.write_bytes(leaves.read_bytes().replace(b'"kind":"index"', b'"kind":"xndex"'))
    done, said = find(whole, capsys, OTHER)
    assert done == 0
    assert "its log does not match its head" in said
    shutil.rmtree(whole.vault / "log")
    assert find(whole, capsys, OTHER)[1].endswith(f"not vouched for: {whole.vault}: no log\n")


def test_an_index_of_an_older_version_is_reported(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    fresh = whole.vault.parent / "fresh"
    shutil.copytree(whole.vault / "index", fresh / "index")
    assert cli.main(["find", "--number", NUMBER, str(fresh), "--identity", str(whole.vault.parent / "epoch.txt")]) == 0
    assert "no log" in capsys.readouterr().err
