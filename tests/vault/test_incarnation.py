# SPDX-License-Identifier: Apache-2.0
"""The incarnation of a vault under its key: named at its creation, and restored if its document is lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from linetap.recorder.vault.incarnation import MEMORY, Incarnation
from linetap.recorder.vault.signing import UnitKey
from linetap_core.clock import SYSTEM, ManualClock, parse_rfc3339
from linetap_core.durable import broken
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallEvent
from linetap_core.vaultformat import vaultname
from sealing_rig import NOW, run
from unit_rig import Unit, make_unit


def which(unit: Unit) -> Incarnation:
    return UnitKey(Path(unit.config.key)).incarnation(unit.config, ManualClock(parse_rfc3339(NOW)))


def lose(unit: Unit) -> None:
    shutil.rmtree(unit.config.vault_path)


def test_the_first_of_a_key_begins_with_one_and_every_other_elsewhere(unit: Unit) -> None:
    first = which(unit)
    assert vaultname.first_seq(first.name) == 1
    assert which(unit).name == first.name
    assert not first.is_ordered, "a unit that lost its memory too would say the same: the desk may know better"
    firsts = {1}
    for number in range(2, 6):
        before = which(unit).name
        lose(unit)
        found = which(unit).document
        assert found is not None
        assert (found.number, found.before) == (number, before)
        firsts.add(vaultname.first_seq(found.vault))
    assert len(firsts) == 5


def test_stock_ssh_keygen_checks_the_document(unit: Unit) -> None:
    which(unit)
    path = unit.config.vault_path / "vault.json"
    command = ["ssh-keygen", "-Y", "verify", "-f", str(unit.signers), "-I", "floor-03", "-n", "linetap-head"]
    assert run([*command, "-s", f"{path}.sig"], stdin=path.read_bytes()).returncode == 0


def test_where_nothing_can_be_remembered_no_vault_is_the_first(unit: Unit) -> None:
    (unit.folder / MEMORY).mkdir()
    assert vaultname.first_seq(which(unit).name) > 1


def test_another_key_has_vaults_of_its_own(unit: Unit, tmp_path: Path, run_dir: Path) -> None:
    which(unit)
    lose(unit)
    (tmp_path / "unit.key").unlink()
    shutil.rmtree(tmp_path / "notices")
    other = make_unit(tmp_path, run_dir)
    assert vaultname.first_seq(which(other).name) == 1


def test_a_vault_of_an_earlier_version_stays_without_a_name(unit: Unit) -> None:
    key = UnitKey(Path(unit.config.key))
    key.open_log(unit.config, SYSTEM).append("start", version="0.1.0")
    assert which(unit).document is None
    assert not (unit.config.vault_path / "vault.json").exists()
    lose(unit)
    assert vaultname.first_seq(which(unit).name) > 1, "its numbers began with 1 and are used"


@pytest.mark.parametrize("left", ["outbox", "log"])
def test_a_lost_document_is_made_again_from_what_else_names_the_vault(unit: Unit, left: str) -> None:
    first = which(unit)
    first.order(7, "0000700000000007")
    key = UnitKey(Path(unit.config.key))
    log = key.open_log(unit.config, SYSTEM, first.name)
    log.append("vault", vault=first.name, number=7, before="0000700000000007")
    box = key.open_outbox(unit.config, vault=first.name)
    box.append(CallEvent(seq=0, event="vault", at=NOW, unit="", number=7, before="0000700000000007"))
    box.close()
    log.close()
    for name in {"outbox", "log"} - {left}:
        shutil.rmtree(unit.config.vault_path / name)
    whole = (unit.config.vault_path / "vault.json").read_bytes()
    for bit in range(0, len(whole) * 8, 97):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        (unit.config.vault_path / "vault.json").write_bytes(changed)
        found = which(unit).document
        assert found is not None
        assert (found.vault, found.number, found.before) == (first.name, 7, "0000700000000007")


def test_every_name_that_a_unit_signs_under_stands_in_the_line_that_it_is_entered_with() -> None:
    """Lines of units in use contain the old namespaces: with a new one every line would be a fault."""
    names = ("linetap-record", "linetap-event", "linetap-head", "linetap-walk", "linetap-retired", "linetap-bringup")
    assert names == namespaces.BY_UNIT
    assert namespaces.HEAD in names


def test_a_memory_that_was_damaged_is_made_anew_before_it_is_needed(unit: Unit) -> None:
    """From the vault's own document, at the next start: after a loss of the vault it would be too late."""
    first = which(unit).name
    path = unit.folder / MEMORY
    path.write_bytes(path.read_bytes().replace(b'"count":1', b'"count":0'))
    assert which(unit).name == first
    assert f"{unit.folder.name}/{MEMORY}" in broken.names()
    lose(unit)
    found = which(unit).document
    assert found is not None
    assert (found.number, found.before) == (2, first)
