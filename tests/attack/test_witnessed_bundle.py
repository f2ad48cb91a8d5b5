# SPDX-License-Identifier: Apache-2.0
"""Bundles under a policy: those of a dishonest desk with a unit's stolen key do not count as witnessed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bundle_rig import members, pack
from linetap_core.cli import main
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.witness import note, tlogproof
from linetap_core.evidence.witness.note import Note
from sealing_rig import UNIT
from witnessed_rig import Site, site

FIRST, FORGED = "20261124T225600.123Z-L03", "20261125T100000.000Z-L02"
PROOF = f"logs/{UNIT}/witnessed/{FIRST}.tlog-proof"


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with site(tmp_path, "2026-11-24T23:10:00.000Z") as made:
        made.call(FIRST, "2026-11-24T22:57:00.000Z")
        assert made.carry() == 0
        yield made


def bundle(unit: Site, call_id: str, *more: str, policy: bool = True) -> int:
    words = [f"--policy={unit.root / 'policy'}", f"--heads={unit.heads}"] if policy else []
    path = unit.rig.vault / sealed.call_path(call_id)
    output = unit.root / "case.zip"
    output.unlink(missing_ok=True)
    return main(["bundle", str(path), "--signers", str(unit.rig.signers_file), "-o", str(output), *words, *more])


def verify(unit: Site, name: str = "case.zip", policy: str | None = "policy") -> int:
    words = [] if policy is None else ["--policy", str(unit.root / policy)]
    return main(["verify", str(unit.root / name), "--signers", str(unit.rig.signers_file), *words])


def test_a_bundle_brings_its_witnesses_along(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundle(unit, FIRST) == 0
    capsys.readouterr()
    assert verify(unit) == 0
    assert (
        f"ok   witness; {FIRST}: witnessed by 2 of 2, 1 leaves at 2026-11-24T23:10:00.000Z\n" in capsys.readouterr().out
    )
    assert verify(unit, policy=None) == 0
    assert "?    witness: not witnessed (no --policy), despite a policy in it\n" in capsys.readouterr().out
    found = members(unit.root / "case.zip")
    assert tlogproof.decode(found[PROOF]).index == 0
    assert "2 of 2 witnesses have cosigned" in found["report.en.html"].decode()
    assert "증인 2곳 중 2곳이" in found["report.ko.html"].decode()


def test_without_a_policy_it_is_reported_and_not_refused(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundle(unit, FIRST, policy=False) == 0
    capsys.readouterr()
    assert verify(unit, policy=None) == 0
    assert "?    witness: not witnessed (no --policy)\n" in capsys.readouterr().out
    assert verify(unit) == 1
    assert f"BAD  witness; {FIRST}: not witnessed: {FIRST}: not witnessed [not_witnessed]" in capsys.readouterr().out


def test_a_backdated_call_is_not_packed_and_does_not_verify(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    unit.at("2026-11-28T10:00:00.000Z")
    unit.call(FORGED, "2026-11-25T10:01:00.000Z")
    assert bundle(unit, FORGED) == 1
    assert "not witnessed" in capsys.readouterr().err
    assert unit.carry() == 0
    assert bundle(unit, FORGED) == 1
    assert "[witnessed_late]" in capsys.readouterr().err
    assert bundle(unit, FORGED, "--within=100") == 0, "who packs may ask for less"
    assert verify(unit) == 1, "and who checks does not"
    assert "[witnessed_late]" in capsys.readouterr().out


def test_nothing_in_the_bundle_says_whom_to_trust(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Not even its own policy counts: the verifier's has other witnesses."""
    with_other = (unit.root / "policy").read_text().replace(unit.witnesses[0].public.hex(), "ab" * 32)
    (unit.root / "other").write_text(with_other)
    assert bundle(unit, FIRST) == 0
    assert verify(unit, policy="other") == 1
    assert "by 1 of 2, which is no quorum" in capsys.readouterr().out


def test_every_line_of_the_proof_matters(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert bundle(unit, FIRST) == 0
    good = members(unit.root / "case.zip")
    proof = tlogproof.decode(good[PROOF])
    keeper, first, second = proof.note.lines
    swapped = (keeper, note.Line(first.name, first.key_id, second.signature), second)
    forged = (note.Line(keeper.name, keeper.key_id, keeper.signature[::-1]), first, second)
    idle = (*proof.note.lines, note.Line("nobody.example", b"1234", b"x" * 72))
    for lines in ((first, second), (keeper, second), swapped, forged, idle, (second, first, keeper)[:2]):
        changed = tlogproof.Proof(proof.index, proof.path, Note(proof.note.text, lines)).encode()
        pack(unit.root / "bad.zip", good | {PROOF: changed})
        assert verify(unit, "bad.zip") == 1, lines
        assert verify(unit, "bad.zip", policy=None) == 1, lines
    for name in (PROOF, "policy"):
        pack(unit.root / "bad.zip", {key: data for key, data in good.items() if key != name})
        assert verify(unit, "bad.zip", policy=None) == 1
    for data in (good["policy"] + b"\n", good["policy"].replace(b"group together 2", b"group together 1")):
        pack(unit.root / "bad.zip", good | {"policy": data})
        assert verify(unit, "bad.zip", policy=None) == 1 or b"together 1" in data
    capsys.readouterr()


def test_a_rewritten_log_is_not_bundled(unit: Site, capsys: pytest.CaptureFixture[str]) -> None:
    log = unit.rig.vault / "log"
    leaf = json.loads((log / "leaves.jsonl").read_bytes())
    for path in log.iterdir():
        path.unlink()
    made = unit.log("2026-11-24T22:57:01.000Z")
    made.append("close", **{name: value for name, value in leaf.items() if name not in ("kind", "disposition")})
    made.publish()
    made.close()
    assert bundle(unit, FIRST, policy=False) == 0
    assert bundle(unit, FIRST) == 1
    assert "forked" in capsys.readouterr().err
