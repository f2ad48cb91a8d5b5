# SPDX-License-Identifier: Apache-2.0
"""A unit is commissioned with its authority and a key list, and `config check` reports their faults."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from epoch_rig import Authority
from linetap.config import load_config
from linetap_core import cli
from linetap_core.evidence.keys import keys

CUSTODIAN, EPOCH = keys.new_identity().recipient, keys.new_identity().recipient


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.publish(made.make("2026-12-01", 30))
    return made


def init(folder: Path, *words: object) -> int:
    named = ["--lines", "8", "--board", "simulated", "--custodian", CUSTODIAN, "--epoch", EPOCH]
    return cli.main(["config", "init", "tower-3", *named, "-o", str(folder / "unit.toml"), *map(str, words)])


def check(folder: Path) -> int:
    return cli.main(["config", "check", str(folder / "unit.toml")])


@pytest.mark.parametrize("by_file", [False, True])
def test_a_unit_with_an_authority_works_as_it_is(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str], by_file: bool
) -> None:
    public = tmp_path / "authority.pub"
    public.write_text(f"{authority.line} head of audit\n")
    who = public if by_file else authority.line
    assert init(tmp_path, "--authority", who, "--key-list", authority.path) == 0
    assert check(tmp_path) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1].startswith("ok: unit tower-3")
    assert "30 days; the longest class of 60 days and 400 more would be 460" in said.err
    config = load_config(tmp_path / "unit.toml")
    assert (config.keys.authority, config.keys.key_list) == (authority.line, str(authority.path))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["--authority", "ssh-ed25519 AAAA", "--key-list", "keylist.json"],
            "--authority: not an authority's public key",
        ),
        (["--authority", "/absent.pub", "--key-list", "keylist.json"], "/absent.pub: No such file"),
        (["--key-list", "keylist.json"], "one is of no use without the other"),
    ],
)
def test_what_init_refuses_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    assert init(tmp_path, *words) == 2
    assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_init_with_a_list_of_a_stranger_leaves_nothing(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path, "--authority", Authority(tmp_path).line, "--key-list", authority.path) == 2
    assert "keys.key_list" in capsys.readouterr().err
    assert not (tmp_path / "unit.key").exists()


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("authority = ", "# authority = ", "key_list", "keys.key_list is of no use without keys.authority"),
        ("key_list = ", "# key_list = ", "authority", "keys.authority is of no use without keys.key_list"),
        ('"ssh-ed25519 ', '"ssh-rsa ', "authority", "keys.authority: not an authority's public key"),
        ("keylist.json\"", "absent.json\"", "key_list", "absent.json: No such file"),
        ('zone = "Asia/Seoul"', 'zone = "Asia/Tokyo"', "zone", "its days end in Asia/Seoul"),
        ("overflow_number = 1", "overflow_number = 2", "overflow_number", "number 2 of the key list is another key"),
        ("channel = 8", 'channel = 8\nretention = "no"', "retention = ", "retention: no class 'no'"),
        ("# dispositions = {", 'dispositions = { fax = "no" } # ', "dispositions", "fax: no class 'no'"),
        ("# dispositions = {", 'dispositions = { lost = "standard" } # ', "dispositions", "lost"),
    ],
)  # fmt: skip
def test_one_error_with_its_line(
    tmp_path: Path, authority: Authority, capsys: pytest.CaptureFixture[str], old: str, new: str, line: str, says: str
) -> None:
    assert init(tmp_path, "--authority", authority.line, "--key-list", authority.path) == 0
    path = tmp_path / "unit.toml"
    text = path.read_text()
    assert old in text
    head, keyword = text.partition("[retention]")[:2] if "zone" in old else ("", "")
    text = text.removeprefix(head)
    path.write_text(head + text.replace(old, new, 1))
    assert keyword in path.read_text()
    capsys.readouterr()
    assert check(tmp_path) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert says in told
    number = int(told.removeprefix(f"{path}:").partition(":")[0])
    assert path.read_text().splitlines()[number - 1].startswith(line)


def test_a_service_starts_with_a_list_it_cannot_take(tmp_path: Path, authority: Authority) -> None:
    assert init(tmp_path, "--authority", authority.line, "--key-list", authority.path) == 0
    authority.path.write_bytes(b"")
    assert load_config(tmp_path / "unit.toml").keys.key_list == str(authority.path)


def test_a_replay_seals_to_the_days_of_a_list_made_long_after(
    tmp_path: Path, run_dir: Path, authority: Authority, capsys: pytest.CaptureFixture[str]
) -> None:
    """The recorder's whole sequence, from the answer to the signed record and the key that opens it."""
    import numpy as np

    from linetap.config.schema import Config
    from linetap.recorder.replay.command import replay
    from unit_rig import make_unit, save_wav

    unit = make_unit(tmp_path, run_dir, lines=1)
    authority.publish(replace(authority.make("2026-12-01", 100, version=2), made_at="2030-01-01T00:00:00.000Z"))
    config: Config = authority.commissioned(unit.config)
    save_wav(tmp_path / "lines.wav", np.zeros((1, 8000 * 12), np.int16))
    events = [{"t": 0.5, "line": 1, "ring": 1}, {"t": 1.5, "line": 1, "ring": 0}, {"t": 2.0, "line": 1, "hook": 1}]
    events.append({"t": 9.0, "line": 1, "hook": 0})
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in events))
    out = tmp_path / "out"
    start_ns = 1_795_647_360_123_000_000  # 2026-11-25T22:56:00.123Z: the 26th in Seoul
    (call,) = replay(config, tmp_path / "lines.wav", tmp_path / "events.jsonl", out, start_ns, False, set())
    assert call.retention is not None
    assert (call.retention.epoch, call.retention.until) == ("2027-01-25", "2027-01-25T15:00:00.000Z")
    identities = ["--identity", str(authority.identity("2027-01-25")), "--identity", str(unit.custodian)]
    path = next(out.glob("2026/*/*/*"))
    words = ["open", str(path), *identities, "--signers", str(unit.signers), "-o", str(tmp_path / "call.wav")]
    assert cli.main(words) == 0
    assert cli.main(["verify", str(out), "--signers", str(unit.signers)]) == 0
    assert "ok" in capsys.readouterr().out
