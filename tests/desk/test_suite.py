# SPDX-License-Identifier: Apache-2.0
"""Every record names its suite, and readers refuse another suite."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from epoch_rig import Authority
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.sealing import age
from linetap_core.records import SUITE
from sealing_rig import CALL_ID, Rig, record

LINE = f"the record is of suite 'linetap-2', this version knows '{SUITE}' alone"


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return Rig.make(tmp_path)


def resuite(rig: Rig, call: Path, suite: str | None) -> None:
    """Signs a record of another suite with the unit's own key."""
    found = json.loads((call / sealed.RECORD).read_bytes())
    found["suite"] = suite
    if suite is None:
        del found["suite"]
    data = json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
    (call / sealed.RECORD).write_bytes(data)
    (call / sealed.SIGNATURE).write_text(rig.sign(data))


def test_both_spellings_of_a_record_name_it() -> None:
    for data in (sealed.public_json(record(800)), sealed.whole_json(record(800))):
        assert json.loads(data)["suite"] == SUITE
        assert sealed.decode_record(data).call_id == CALL_ID


@pytest.mark.parametrize("suite", ["linetap-2", "", "LINETAP-1", None])
def test_verify_names_it_and_says_nothing_else(rig: Rig, capsys: pytest.CaptureFixture[str], suite: str | None) -> None:
    call = rig.sealed_call(800)
    resuite(rig, call, suite)
    assert main(["verify", str(call), "--signers", str(rig.signers_file)]) == 1
    found = f"of suite {suite!r}" if suite else "of no suite"
    line = f"BAD  {CALL_ID}: the record is {found}, this version knows '{SUITE}' alone [suite_unknown]"
    assert capsys.readouterr().out.splitlines() == [line, "1 checked, 0 good"]


def test_a_later_suite_may_have_other_fields(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    call = rig.sealed_call(800)
    data = b'{"suite":"linetap-2","call_id":7}'
    (call / sealed.RECORD).write_bytes(data)
    (call / sealed.SIGNATURE).write_text(rig.sign(data))
    assert main(["verify", str(call), "--signers", str(rig.signers_file)]) == 1
    assert LINE in capsys.readouterr().out


@pytest.mark.parametrize("tool", ["open", "unwrap", "hold"])
def test_whoever_would_open_it_refuses(rig: Rig, capsys: pytest.CaptureFixture[str], tool: str) -> None:
    call = rig.sealed_call(800)
    resuite(rig, call, "linetap-2")
    output = rig.root / "out.wav"
    words = ["--identity", str(rig.epoch_file), "-o", str(output)]
    words += {
        "open": ["--identity", str(rig.custodian_files[0]), "--signers", str(rig.signers_file)],
        "unwrap": [],
        "hold": ["--to", rig.epoch, "--case", "1", "--basis", "law", "--until", "2099-01-01"],
    }[tool]
    assert main([tool, *(["wrap"] if tool == "hold" else []), str(call), *words]) == 1
    err = capsys.readouterr().err
    assert LINE in err
    assert err.count("\n") == 1
    assert not output.exists()


def test_an_overflow_call_of_another_suite_gets_no_day(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority(rig.root)
    authority.publish(authority.make("2027-11-20", 10))
    call = rig.sealed_call(800)
    resuite(rig, call, "linetap-2")
    words = ["--identity", str(rig.epoch_file), "--to", "2027-11-24", "--list", str(authority.path)]
    assert main(["overflow", "rewrap", str(call), *words, "-o", str(rig.root / "out")]) == 1
    assert LINE in capsys.readouterr().err
    assert not (rig.root / "out").exists()


def test_a_meta_of_another_suite_than_its_record(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    folder = rig.create()
    folder.write(bytes(800))
    whole = record(800)
    whole.recovered = True
    folder.seal(whole, rig.sign)
    found = json.loads((folder.path / sealed.RECORD).read_bytes())
    meta = sealed.whole_json(whole).replace(b'"linetap-1"', b'"linetap-2"')
    _reseal_meta(rig, folder.path, found, meta, folder.recipient)
    keys = ["--identity", str(rig.epoch_file), "--identity", str(rig.custodian_files[0])]
    words = [*keys, "--signers", str(rig.signers_file), "-o", str(rig.root / "call.wav")]
    assert main(["open", str(folder.path), *words]) == 1
    assert "differs from the signed record.json" in capsys.readouterr().err


def _reseal_meta(rig: Rig, call: Path, found: dict[str, object], meta: bytes, recipient: str) -> None:
    data = age.encrypt(meta, [recipient])
    (call / sealed.META).write_bytes(data)
    files = found["files"]
    assert isinstance(files, dict)
    files[sealed.META] = hashlib.sha256(data).hexdigest()
    signed = json.dumps(found, separators=(",", ":"), ensure_ascii=False).encode()
    (call / sealed.RECORD).write_bytes(signed)
    (call / sealed.SIGNATURE).write_text(rig.sign(signed))
