# SPDX-License-Identifier: Apache-2.0
"""Witnesses that are not ours cosign a unit's log: Debian's sigsum-witness, and aics-witness of PyPI."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import aics_tlog
import pytest

import witness_rig
from linetap_core.cli import main
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.evidence.witness import checkpoint, note
from sealing_rig import CALL_ID, UNIT, Rig
from witness_rig import Running

SECOND, THIRD = "20261124T225700.000Z-L04", "20261124T225800.000Z-L01"
KEEPER = keys.new_unit_key()


@dataclasses.dataclass
class Site:
    rig: Rig
    heads: Path
    policy: Path
    witnesses: list[Running]

    def call(self, call_id: str) -> None:
        self.rig.sealed_call(200, call_id)
        self.rig.publish()

    def carry(self) -> int:
        words = ["--key", self.rig.root / "keeper.key", "--policy", self.policy, "--signers", self.rig.signers_file]
        return main(["checkpoint", str(self.rig.vault / "log"), *map(str, words), "-o", str(self.heads)])

    def kept(self, size: int) -> Path:
        return self.heads / UNIT / f"{size:09d}.checkpoint"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("witnesses")
    rig = Rig.make(root)
    witness_rig.write_key(root / "keeper.key", KEEPER)
    witness_rig.name_keeper(rig.signers_file, UNIT, KEEPER.public_key())
    (root / "heads").mkdir()
    with witness_rig.all_three(root / "witnesses", KEEPER.public_key()) as running:
        yield Site(rig, root / "heads", witness_rig.policy(root / "policy", running, 2), running)


def test_all_three_cosign_a_log_that_goes_on(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.call(CALL_ID)
    assert site.carry() == 0
    assert f"{UNIT}, 1 leaves: witnessed by 3 of 3, 1 leaves at 20" in capsys.readouterr().out
    site.call(SECOND)
    assert site.carry() == 0
    assert "witnessed by 3 of 3, 2 leaves" in capsys.readouterr().out
    found = note.parse(site.kept(2).read_bytes())
    for witness in site.witnesses:
        assert checkpoint.cosigned_at(found, witness.public) is not None
    before = site.kept(2).read_bytes()
    assert site.carry() == 0
    assert site.kept(2).read_bytes() == before, "who has cosigned is not asked again"


def test_another_implementation_reads_what_is_kept(site: Site) -> None:
    """aics-tlog of PyPI verifies keeper and witnesses in our file; we verify theirs above."""
    path = sorted((site.heads / UNIT).iterdir())[-1]
    own = aics_tlog.parse_vkey(checkpoint.log_key(KEEPER.public_key()).vkey())
    lines = note.parse(path.read_bytes()).lines[1:]
    names = {line.key_id: line.name for line in lines}
    theirs = [
        aics_tlog.cosignature_vkey(names[key_id], witness.public)
        for witness in site.witnesses
        for key_id in names
        if note.key_id(names[key_id], note.COSIGNATURE, witness.public) == key_id
    ]
    assert len(theirs) == 3
    result = aics_tlog.verify_checkpoint(aics_tlog.parse_note(path.read_bytes()), own, theirs, quorum=3)
    assert result.ok, result.error
    changed = path.read_bytes().replace(b"\n2\n", b"\n3\n")
    assert not aics_tlog.verify_checkpoint(aics_tlog.parse_note(changed), own, theirs, quorum=3).ok


def test_a_log_that_was_rewritten_gets_no_cosignature(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody has the unit's key and the keeper's: the keeper's memory is emptied, the witnesses' is not."""
    site.call(THIRD)
    assert site.carry() == 0
    (site.rig.root / "forged").mkdir()
    forged = dataclasses.replace(
        Rig.make(site.rig.root / "forged"), unit_key=site.rig.unit_key, signers_file=site.rig.signers_file
    )
    for call_id in (SECOND, THIRD, "20261124T225900.000Z-L01", "20261124T225930.000Z-L01", "20261124T225940.000Z-L02"):
        forged.sealed_call(100, call_id)
    forged.publish()
    heads = site.rig.root / "new-heads"
    heads.mkdir()
    capsys.readouterr()
    words = ["--key", site.rig.root / "keeper.key", "--policy", site.policy, "--signers", site.rig.signers_file]
    assert main(["checkpoint", str(forged.vault / "log"), *map(str, words), "-o", str(heads)]) == 1
    said = capsys.readouterr().out
    assert said.count("one of the two was rewritten") == 3
    assert "not witnessed: by 0 of 3" in said
    assert main(["checkpoint", str(forged.vault / "log"), *map(str, words), "-o", str(site.heads)]) == 1
    assert "[fork]" in capsys.readouterr().out


def test_a_tree_that_is_not_the_heads_is_not_carried(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    tree = site.rig.vault / "log" / TREE
    good = tree.read_bytes()
    tree.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        assert site.carry() == 1
    finally:
        tree.write_bytes(good)
    assert "[no_proof]" in capsys.readouterr().out
