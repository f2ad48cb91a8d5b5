# SPDX-License-Identifier: Apache-2.0
"""The epoch's layer is removed only from a call that witnesses have seen in time."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundle_rig import unpacked
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_core.evidence.witness import checkpoint, tlogproof
from linetap_core.evidence.witness.tlogproof import witnessed_path
from linetap_desk.copy.store import Tree
from linetap_desk.custody import package as tar
from linetap_desk.serve.release import package
from linetap_desk.unsealing import callproof
from sealing_rig import UNIT
from witnessed_rig import Site, site

FIRST, FORGED = "20261124T225600.123Z-L03", "20261125T100000.000Z-L02"


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with site(tmp_path, "2026-11-24T23:10:00.000Z") as made:
        made.call(FIRST, "2026-11-24T22:57:00.000Z")
        assert made.carry() == 0
        yield made


def unwrap(unit: Site, call: Path, *more: object, heads: bool = True, policy: bool = True) -> int:
    output = unit.root / "inner.age"
    output.unlink(missing_ok=True)
    words = ["--identity", unit.rig.epoch_file, "--signers", unit.rig.signers_file, "-o", output, *more]
    words += ["--policy", unit.root / "policy"] if policy else []
    words += ["--heads", unit.heads] if heads and policy else []
    status = main(["unwrap", str(call), *map(str, words)])
    assert output.exists() == (status == 0)
    return status


def call_of(unit: Site, call_id: str) -> Path:
    return unit.rig.vault / sealed.call_path(call_id)


def test_the_number_of_witnesses_is_printed(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert unwrap(unit, call_of(unit, FIRST)) == 0
    assert capsys.readouterr().err == f"{FIRST}: witnessed by 2 of 2, 1 leaves at 2026-11-24T23:10:00.000Z\n"
    assert unwrap(unit, call_of(unit, FIRST), policy=False) == 0
    assert capsys.readouterr().err == f"{FIRST}: not witnessed (no --policy)\n"


def test_a_backdated_call_stays_closed(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    unit.at("2026-11-28T10:00:00.000Z")
    path = unit.call(FORGED, "2026-11-25T10:01:00.000Z")
    assert unwrap(unit, path) == 1
    assert f"not opened: {FORGED}: not witnessed" in capsys.readouterr().err
    assert unit.carry() == 0
    assert unwrap(unit, path) == 1
    assert "and nothing of it existed before 2026-11-28T10:00:00Z" in capsys.readouterr().err
    assert unwrap(unit, path, policy=False) == 0, "without witnesses nobody can tell"


def test_a_call_of_a_rewritten_log_stays_closed(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(unit.rig.vault / "log")
    log = unit.log("2026-11-24T22:57:01.000Z")
    log.close_call(FIRST)
    log.publish()
    log.close()
    assert unwrap(unit, call_of(unit, FIRST), policy=False) == 0
    assert unwrap(unit, call_of(unit, FIRST)) == 1
    assert "the log was rewritten" in capsys.readouterr().err


def test_in_a_package_the_proof_lies_beside_the_call(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--signers", unit.rig.signers_file, "--policy", unit.root / "policy", "--heads", unit.heads]
    assert main(["bundle", str(call_of(unit, FIRST)), *map(str, words), "-o", str(unit.root / "case.zip")]) == 0
    bundle = unpacked(unit.root / "case.zip", unit.root / "unpacked")
    proof = bundle / "logs" / UNIT / "witnessed" / f"{FIRST}.tlog-proof"
    package = unit.root / "package"
    shutil.copytree(call_of(unit, FIRST), package / "calls" / FIRST)
    (package / "closing").mkdir()
    close = callproof.of_log(unit.rig.vault / "log", FIRST)
    (package / "closing" / f"{FIRST}.json").write_bytes(closing.encode(close))
    call = package / "calls" / FIRST
    assert unwrap(unit, call, heads=False) == 1
    assert f"{FIRST}: not witnessed" in capsys.readouterr().err
    assert unwrap(unit, call, "--witnessed", proof, heads=False) == 0
    (package / "witnessed").mkdir()
    shutil.copy(proof, package / "witnessed")
    assert unwrap(unit, call, heads=False) == 0
    beside = package / "witnessed" / proof.name
    beside.write_text(proof.read_text().replace("index 0", "index 1"))
    assert unwrap(unit, call, heads=False) == 1
    assert unwrap(unit, call, heads=True) == 1, "a proof that is wrong is not passed over"


def test_a_closing_under_a_head_that_was_carried(unit: Site) -> None:
    """Without log and proof but with the kept checkpoints: the closing's own path leads to one of them."""
    package = unit.root / "package"
    shutil.copytree(call_of(unit, FIRST), package / "calls" / FIRST)
    (package / "closing").mkdir()
    close = callproof.of_log(unit.rig.vault / "log", FIRST)
    (package / "closing" / f"{FIRST}.json").write_bytes(closing.encode(close))
    assert unwrap(unit, package / "calls" / FIRST) == 0


def test_open_asks_for_it_too_and_a_hold_keeps_what_nobody_has_seen(
    unit: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    unit.at("2026-11-28T10:00:00.000Z")
    path = unit.call(FORGED, "2026-11-25T10:01:00.000Z")
    assert unit.carry() == 0
    policy = [
        "--policy",
        str(unit.root / "policy"),
        "--heads",
        str(unit.heads),
        "--signers",
        str(unit.rig.signers_file),
    ]
    both = ["--identity", str(unit.rig.epoch_file), "--identity", str(unit.rig.custodian_files[0])]
    assert main(["open", str(path), *both, *policy, "-o", str(unit.root / "call.wav")]) == 1
    assert not (unit.root / "call.wav").exists()
    words = ["--identity", str(unit.rig.epoch_file), "--to", unit.rig.epoch, "--case", "2026-117", "--basis", "Act 39"]
    words += ["--until", "2099-01-01", "-o", str(unit.root / "held")]
    assert "nothing of it existed before" in capsys.readouterr().err
    assert main(["hold", "wrap", str(path), *words, "--signers", str(unit.rig.signers_file)]) == 0


def a_store(unit: Site) -> Path:
    """The desk's store of copies, with the closing of each call, and no log."""
    store = unit.root / "store"
    for path in sorted(unit.rig.vault.glob("20*/*/*/*")):
        shutil.copytree(path, store / UNIT / sealed.call_path(path.name))
        close = store / UNIT / closing_path(path.name)
        close.parent.mkdir(parents=True, exist_ok=True)
        close.write_bytes(closing.encode(callproof.of_log(unit.rig.vault / "log", path.name)))
    return store


def test_the_store_has_the_proof_for_officers_without_log_and_heads(
    unit: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    unit.at("2026-11-24T23:30:00.000Z")
    unit.call("20261124T231500.000Z-L01", "2026-11-24T23:16:00.000Z")
    store = a_store(unit)
    assert unit.carry("--store", str(store)) == 0
    assert f"ok   {store}: 2 calls got their proof\n" in capsys.readouterr().out
    for call_id, size in ((FIRST, 1), ("20261124T231500.000Z-L01", 2)):
        proof = tlogproof.decode((store / UNIT / witnessed_path(call_id)).read_bytes())
        assert checkpoint.decode(proof.note.text).size == size, "under the first checkpoint that covers it"
        assert unwrap(unit, store / UNIT / sealed.call_path(call_id), heads=False) == 0
        members = {
            member.name: member.content for member in package._witness_members(store / UNIT / sealed.call_path(call_id))
        }
        assert members == {f"witnessed/{call_id}.tlog-proof": proof.encode()}
    words = ["--signers", unit.rig.signers_file, "--policy", unit.root / "policy", "-o", unit.root / "case.zip"]
    assert main(["bundle", str(store / UNIT / sealed.call_path(FIRST)), *map(str, words)]) == 0
    unit.at("2026-11-25T23:30:00.000Z")
    assert unit.carry("--store", str(store)) == 0
    assert "0 calls got their proof" in capsys.readouterr().out, "what is there is never made younger"
    Tree(store).remove(UNIT, FIRST)
    assert not list(store.rglob(f"*{FIRST}*"))


def test_the_custodians_helper_takes_a_package_with_the_proof(unit: Site) -> None:
    store = a_store(unit)
    assert unit.carry("--store", str(store)) == 0
    sent = package._witness_members(store / UNIT / sealed.call_path(FIRST))
    archive = b"".join(package.stream(sent))
    assert [name for name, content in tar.members(io.BytesIO(archive)) if list(content)] == [sent[0].name]


def test_verify_of_a_call_by_itself_has_the_verdict_too(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    unit.at("2026-11-28T10:00:00.000Z")
    forged = unit.call(FORGED, "2026-11-25T10:01:00.000Z")
    assert unit.carry() == 0
    capsys.readouterr()
    words = ["--signers", str(unit.rig.signers_file), "--policy", str(unit.root / "policy")]
    assert main(["verify", str(call_of(unit, FIRST)), *words, "--heads", str(unit.heads)]) == 0
    assert "ok   witness: witnessed by 2 of 2, 1 leaves" in capsys.readouterr().out
    assert main(["verify", str(forged), *words, "--heads", str(unit.heads)]) == 1
    assert "[witnessed_late]" in capsys.readouterr().out
    assert main(["verify", str(call_of(unit, FIRST)), *words]) == 1
    assert f"BAD  witness: not witnessed: {FIRST}: not witnessed [not_witnessed]\n" in capsys.readouterr().out
    alone = shutil.copytree(call_of(unit, FIRST), unit.root / "alone" / FIRST)
    assert main(["verify", str(alone), *words, "--heads", str(unit.heads)]) == 1
    assert "nothing here shows that its unit's log has closed it" in capsys.readouterr().out
