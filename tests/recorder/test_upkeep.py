# SPDX-License-Identifier: Apache-2.0
"""The vault's thread as run by the recorder: it seals calls, and destroys them on their day; the rest verifies."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from epoch_vault import begin, clock, finish, folder, writer

from epoch_rig import Authority
from linetap import cardresult
from linetap.config.schema import Config
from linetap.recorder import selflog
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_desk.vaultproofs.verifyvault import verify_vault
from unit_rig import Unit

DAY = 86_400 * NS_PER_S


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def config(unit: Unit, authority: Authority) -> Config:
    authority.publish(authority.make("2026-11-25", 600))
    return authority.commissioned(unit.config)


def kept(config: Config, time: ManualClock) -> VaultWriter:
    vault = writer(config, time)
    vault.start_upkeep(boot=lambda: "one boot", synced=lambda: True)
    assert vault.step()
    return vault


def test_what_the_thread_seals_it_destroys_in_its_time_and_the_rest_verifies(unit: Unit, config: Config) -> None:
    time = clock()
    vault = kept(config, time)
    first, second = begin(vault), begin(vault, "2026-11-25T23:00:00.000Z")
    finish(vault, config, first)
    time.advance(DAY)
    finish(vault, config, second, at="2026-11-25T23:05:00.000Z")
    time.advance(59 * DAY)
    assert vault.step()
    assert folder(config, first).exists()
    time.advance(DAY)
    assert vault.step()
    assert vault.step(), "the head over the new leaf"
    assert not folder(config, first).exists()
    assert folder(config, second).exists()
    trusted = signers.parse(unit.signers.read_text())
    verdicts = list(verify_vault(config.vault_path, trusted))
    assert [verdict.problems for verdict in verdicts] == [[]] * len(verdicts)
    events = [json.loads(data) for _, data, _ in OutboxReader(config.vault_path / "outbox").from_seq(1, 100)]
    assert events[-1]["event"] == "destroyed"
    assert events[-1]["call_id"] == first
    assert events[-1]["record_sha256"] == events[0]["record_sha256"], "of the record that was sealed"


def test_an_open_call_is_not_in_the_way_of_those_that_are_over(config: Config) -> None:
    time = clock()
    vault = kept(config, time)
    over = begin(vault)
    finish(vault, config, over)
    time.advance(100 * DAY)
    still = begin(vault, "2027-03-04T22:56:00.000Z")
    assert vault.step()
    assert not folder(config, over).exists()
    assert (folder(config, still) / "key.age").exists()


def test_while_the_clock_is_distrusted_calls_are_sealed_to_the_overflow_epoch(config: Config) -> None:
    time = clock()
    vault = kept(config, time)
    time.step_utc(100 * DAY)
    assert vault.step()
    found = finish(vault, config, begin(vault, "2027-03-04T22:56:00.000Z"), at="2027-03-04T22:57:00.000Z")
    assert found.epoch.startswith("overflow-")
    assert found.until is None
    time.step_utc(-100 * DAY)
    assert vault.step()
    assert not finish(vault, config, begin(vault, "2026-11-24T23:01:00.000Z")).epoch.startswith("overflow-")


def test_a_list_that_comes_by_command_is_taken_and_stays(authority: Authority, config: Config) -> None:
    vault = kept(config, clock())
    old = vault.vault.epochs._list
    assert old is not None
    made = keylist.KeyList(
        version=2, made_at=old.made_at, zone=old.zone, custodians=old.custodians, overflow=old.overflow,
        epochs=[*old.epochs, *authority.make(_after(old), 30).epochs],
    )  # fmt: skip
    data = keylist.encode(made)
    signature = sshsig.sign(data, authority.key, namespaces.KEY_LIST).encode("ascii")
    assert vault.vault.epochs.accept(data, signature) == 2
    assert vault.vault.epochs.accept(data, signature) == 2, "done again"
    assert writer(config).vault.epochs.version == 2
    with pytest.raises(keylist.KeyListFault):
        vault.vault.epochs.accept(data.replace(b'"version":2', b'"version":3'), signature)


def _after(key_list: keylist.KeyList) -> str:
    return (key_list.last_day + timedelta(days=1)).isoformat()


def test_nothing_that_comes_with_the_upkeep_stops_the_writing(config: Config, caplog: pytest.LogCaptureFixture) -> None:
    """A vault whose small files are damaged still records calls; the vault role must then confirm the date again."""
    config.vault_path.mkdir(exist_ok=True)
    names = ("clock.json", "commands.json", "destroying.json")
    for name in names:
        (config.vault_path / name).write_bytes(b"\x00")
    (config.vault_path / "holds" / "20261124T225600.123Z-L01").mkdir(parents=True)
    vault = kept(config, clock())
    assert finish(vault, config, begin(vault)).epoch.startswith("overflow-")
    assert "clock_forgotten" in caplog.text
    assert all(f"file_broken: {config.vault_path / name}" in caplog.text for name in names)


def test_what_became_of_an_order_on_the_card_is_one_leaf_over_restarts(config: Config) -> None:
    time = clock()
    vault = kept(config, time)
    assert selflog.log_order(config.run_path, vault) is None
    try:
        cardresult.write_order_result(config.run_path.parent, "order_signer", "5f" * 32)
        for again in (vault, kept(config, time)):
            assert selflog.log_order(config.run_path, again) == (said := cardresult.load(config.run_path))
            assert again.step()
        assert said is not None
        lines = (config.vault_path / "log" / "leaves.jsonl").read_bytes().splitlines()
        (leaf,) = [leaf for line in lines if (leaf := json.loads(line))["kind"] == "order"]
        assert (leaf["code"], leaf["sha256"], leaf["at"]) == ("order_signer", "5f" * 32, said.at)
    finally:
        (config.run_path.parent / cardresult.NAME).unlink()
