# SPDX-License-Identifier: Apache-2.0
"""One ceremony makes a group that stock tools open, or no group."""

from __future__ import annotations

import re
import stat
import sys
import tomllib
from pathlib import Path

import pytest

from linetap_core import cli
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import group, members
from linetap_core.evidence.signing import authority
from sealing_rig import run


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_group_of_custodians_and_its_test_letter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "custodians"
    assert cli.main(["keygen", "custodian", "--group", "2/3", "-o", str(folder)]) == 0
    text = capsys.readouterr().out.strip()
    who = members.parse(text)
    assert who.in_words() == "2 of 3"
    files = [folder / f"custodian-{number}.txt" for number in (1, 2, 3)]
    assert (mode(folder), [mode(path) for path in files]) == (0o700, [0o600] * 3)
    assert [keys.parse_identity_file(path.read_text())[0].recipient for path in files] == list(who.recipients)
    part = tomllib.loads((folder / "unit.toml.part").read_text())
    assert str(members.group_of(part["custodians"], part["custodians_needed"])) == text
    recipe = "tar xOf test-letter.tar 2.age | age -d -i custodian-2.txt | age -d -i custodian-3.txt"
    done = run(["bash", "-o", "pipefail", "-c", recipe], cwd=folder)
    assert done.stdout.startswith(b"linetap test letter for custodians 2 of 3")
    assert cli.main(["keygen", "custodian", "--group", "2/3", "-o", str(folder)]) == 2
    assert "a new folder expected" in capsys.readouterr().err


def test_members_who_made_their_keys_at_home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = [keys.new_identity() for _ in range(3)]
    words = ["keygen", "epoch", "--group", "2/3", "--public", *(each.recipient for each in mine)]
    assert cli.main([*words, "-o", str(tmp_path / "officers")]) == 0
    text = capsys.readouterr().out.strip()
    assert members.parse(text).recipients == tuple(each.recipient for each in mine)
    assert sorted(path.name for path in (tmp_path / "officers").iterdir()) == ["test-letter.tar", "unit.toml.part"]
    assert tomllib.loads((tmp_path / "officers" / "unit.toml.part").read_text()) == {"overflow_epoch": text}


def test_sheets_reach_no_disk(tmp_path: Path) -> None:
    script = f"{sys.executable} -m linetap keygen custodian --group 2/3 --sheets -o out | cat"
    done = run(["bash", "-o", "pipefail", "-c", script], cwd=tmp_path)
    sheets = done.stdout.decode().split("\f")[:-1]
    assert [sheet.splitlines()[0] for sheet in sheets] == [
        f"linetap  CUSTODIAN-{number}    COPY {copy} OF 2    ANY 2 OF 3 OPEN" for number in (1, 2, 3) for copy in (1, 2)
    ]
    assert all(len(sheet.splitlines()) == 60 for sheet in sheets)
    secrets = [re.findall("AGE-SECRET-KEY-1[0-9A-Z]+", sheet) for sheet in sheets]
    assert [len(each) for each in secrets] == [1] * 6
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and b"AGE-SECRET-KEY" in path.read_bytes()]
    assert members.parse(done.stderr.decode().splitlines()[-1]).in_words() == "2 of 3"
    filed = run(
        ["bash", "-c", f"{sys.executable} -m linetap keygen custodian --group 2/3 --sheets -o b > f"], cwd=tmp_path
    )
    assert filed.returncode == 2
    assert b"standard output is a file" in filed.stderr
    assert not (tmp_path / "b").exists()


def test_an_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "authority"
    assert cli.main(["keygen", "authority", "--group", "2/3", "-o", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert authority.from_text(printed) == authority.from_text((folder / "authority.pub").read_text())
    part = tomllib.loads((folder / "unit.toml.part").read_text())
    assert authority.from_lines(part["authority"], part["authority_needed"]) == authority.from_text(printed)
    assert [mode(folder / f"authority-{number}.key") for number in (1, 2, 3)] == [0o600] * 3
    listed = run(["ssh-keygen", "-y", "-f", str(folder / "authority-2.key")]).stdout.decode().split()[1]
    assert listed in printed


def test_keys_that_fail_the_trial_are_not_given_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version of this command that seals to one member too many is detected before anybody has a key."""
    real = group.seal
    monkeypatch.setattr(group, "seal", lambda data, who: real(data, members.Group(who.recipients, who.needed - 1)))
    assert cli.main(["keygen", "custodian", "--group", "2/3", "-o", str(tmp_path / "out")]) == 1
    assert "opens for too few members" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["custodian", "--group", "3/2"], "1 to 2"),
        (["custodian", "--group", "1/1"], "2 or more"),
        (["custodian", "--group", "two"], "2/3 expected"),
        (["custodian", "--group", "5/7"], "at most 4 of 7"),
        (["custodian", "--group", "2/3", "--public", "age1x"], "1 keys, 3 by --group"),
        (["custodian", "--group", "2/2", "--public", "age1x", "age1y"], "member 1"),
        (["custodian", "--sheets"], "are of a group"),
        (["authority", "--group", "2/2", "--public", "ssh-ed25519 A", "x"], "not an authority's public key"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(
    tmp_path: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["keygen", *words, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert why in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
