# SPDX-License-Identifier: Apache-2.0
"""The recorder's disk thread over a vault whose log decayed: it reports that in the outbox, and continues with the
calls.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from ill_unit import ill_unit
from linetap.checks.integrity import log_changed
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring.batch import Stretch
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallRecord
from unit_rig import START, Unit, spoken

CALL = "20261124T225600.123Z-L01"


class Source:
    def stretch(self, line: int, first: int, end: int) -> Stretch:  # noqa: ARG002
        return Stretch(spoken(2.0)[first:end], [])


def started(unit: Unit) -> VaultWriter:
    """The writer as started by the recorder's wiring (recorder/service.py)."""
    config, clock, key = unit.config, ManualClock(parse_rfc3339(START)), UnitKey(Path(unit.config.key))
    which = key.incarnation(config, clock)
    log = key.open_log(config, clock, which.name)
    outbox = key.open_outbox(config, lambda: log.size, which.name, log.newest_event)
    vault = VaultWriter(Vault(config, Source(), outbox, key.signer(namespaces.RECORD), clock, log))
    vault.start_upkeep(lambda: "one boot", lambda: True, incarnation=which)
    return vault


def a_call(vault: VaultWriter, call_id: str) -> None:
    vault.open(call_id, 1, 0)
    vault.step()
    vault.permit(call_id, 8000)
    vault.close(call_id, 8000, CallRecord(call_id=call_id, unit="floor-03", line=1, ended_at=START))
    assert vault.step()


def told(unit: Unit) -> list[dict[str, Any]]:
    found = OutboxReader(unit.config.vault_path / "outbox").from_seq(1, 1000)
    return [json.loads(payload) for _, payload, _ in found]


def test_a_new_vault_says_first_which_it_is(unit: Unit) -> None:
    vault = started(unit)
    a_call(vault, CALL)
    first, *others = told(unit)
    document = json.loads((unit.config.vault_path / "vault.json").read_text())
    assert (first["event"], first["seq"], first["vault"]) == ("vault", 1, document["vault"])
    assert {event["vault"] for event in others} == {document["vault"]}
    leaves = [json.loads(line) for line in (unit.config.vault_path / "log" / LEAVES).read_bytes().splitlines()]
    assert [leaf["vault"] for leaf in leaves if leaf["kind"] == "vault"] == [document["vault"]]
    assert json.loads((unit.config.vault_path / "log" / "head.json").read_text())["log"] == document["vault"]


def test_a_rotten_log_is_reported_and_the_next_call_is_sealed(unit: Unit) -> None:
    vault = started(unit)
    a_call(vault, CALL)
    name = json.loads((unit.config.vault_path / "vault.json").read_text())["vault"]
    path = unit.config.vault_path / "log" / LEAVES
    path.write_bytes(path.read_bytes().replace(b'"line":1', b'"line":3', 1))
    vault = started(unit)
    a_call(vault, "20261124T225700.000Z-L01")
    (event,) = [event for event in told(unit) if event["event"] == "log_begun"]
    assert (event["why"], event["before"]) == ("log_changed", name)
    leaves = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert leaves[0]["kind"] == "log_begun"
    assert [leaf["call_id"] for leaf in leaves if leaf["kind"] == "close"] == [CALL, "20261124T225700.000Z-L01"]
    assert vault.vault.log.kept == ["log.before-1"]
    snapshot = ill_unit()
    state = snapshot.services.recorder.state
    assert state is not None
    state.logs_kept = vault.vault.log.kept
    trouble = log_changed(snapshot, None)
    assert trouble is not None
    assert "log.before-1" in trouble.text_en
    state.logs_kept = []
    assert log_changed(snapshot, None) is None


def test_a_cut_before_it_is_told_is_made_good(unit: Unit) -> None:
    """The new log is there, and the outbox has no report of it."""
    vault = started(unit)
    a_call(vault, CALL)
    path = unit.config.vault_path / "log" / LEAVES
    path.write_bytes(path.read_bytes().replace(b'"line":1', b'"line":3', 1))
    started(unit)  # without any step
    vault = started(unit)
    vault.step()
    assert [event["why"] for event in told(unit) if event["event"] == "log_begun"] == ["log_changed"]
    vault = started(unit)
    vault.step()
    assert len([event for event in told(unit) if event["event"] == "log_begun"]) == 1


def test_the_documents_of_a_new_vault_are_signed_for_a_desk_to_read(unit: Unit) -> None:
    vault = started(unit)
    vault.step()
    assert msgspec.json.decode((unit.config.vault_path / "vault.json").read_bytes())["number"] == 0
