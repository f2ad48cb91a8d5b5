# SPDX-License-Identifier: Apache-2.0
"""Reports on walk tests in the vault: repeated ones are equal, and an unsealed one has no hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeping_rig import Keeper
from linetap.recorder.vault import walks
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.walks import Walks
from linetap_core.durable.files import sha256
from linetap_core.errors import BadInput
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.merklelog.leaflog import LEAVES, lines_of
from linetap_core.evidence.signing import namespaces
from linetap_core.records import WalkedLine
from linetap_core.vaultformat import walkreport
from linetap_core.vaultformat.walkreport import WalkReport

BEGAN, ENDED = "2026-11-24T03:00:00.000Z", "2026-11-24T03:05:00.000Z"


@pytest.fixture
def keeper(tmp_path: Path, run_dir: Path) -> Keeper:
    return Keeper(tmp_path, run_dir)


def taker(keeper: Keeper) -> Walks:
    return Walks(keeper.vault, keeper.key.signer(namespaces.WALK), keeper.log, keeper.report)


def report(*lines: WalkedLine, **changes: Any) -> WalkReport:
    facts: dict[str, Any] = {"unit": "floor-03", "version": "0", "config_sha256": "", "by": "terminal"}
    facts |= {"began_at": BEGAN, "ended_at": ENDED, "ended_by": "done", "passed": True, "lines": list(lines)}
    return WalkReport(**facts | changes)


def events(keeper: Keeper) -> list[dict[str, Any]]:
    reader = OutboxReader(keeper.vault / "outbox")
    return [json.loads(payload) for _, payload, _ in reader.from_seq(1, 1000)]


def leaves(keeper: Keeper) -> list[dict[str, Any]]:
    return [leaf for line in lines_of(keeper.vault / "log" / LEAVES) if (leaf := json.loads(line))["kind"] == "walk"]


def test_what_is_taken_twice_is_there_once(keeper: Keeper) -> None:
    call = keeper.call()
    told = report(WalkedLine(line=1, colour="green", at=ENDED, call_id=call.call_id))
    taker(keeper).store(told)
    (path,) = (keeper.vault / walkreport.WALKS_FOLDER).glob("*.json")
    before = path.read_bytes()
    keeper.restart()
    taker(keeper).store(told)
    assert path.read_bytes() == before
    assert [event["event"] for event in events(keeper)] == ["tested", "walked"]
    assert [leaf["sha256"] for leaf in leaves(keeper)] == [sha256(path)] == [events(keeper)[1]["document_sha256"]]


def test_only_what_is_sealed_has_a_hash(keeper: Keeper) -> None:
    call = keeper.call()
    lines = [WalkedLine(line=1, colour="green", call_id=call.call_id), WalkedLine(line=2, colour="red", call_id=None)]
    lines.append(WalkedLine(line=3, colour="red", call_id="20261124T030100.000Z-L03"))
    taker(keeper).store(report(*lines))
    (path,) = (keeper.vault / walkreport.WALKS_FOLDER).glob("*.json")
    found = [line.record_sha256 for line in walkreport.decode(path.read_bytes()).lines]
    assert found == [sha256(keeper.vault / sealed.call_path(call.call_id) / sealed.RECORD), None, None]


def test_the_oldest_reports_go(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "MOST_REPORTS", 2)
    for day in (21, 22, 23):
        taker(keeper).store(report(began_at=f"2026-11-{day}T03:00:00.000Z", ended_at=f"2026-11-{day}T03:05:00.000Z"))
    left = sorted(path.name[:8] for path in (keeper.vault / walkreport.WALKS_FOLDER).iterdir())
    assert left == ["20261122", "20261122", "20261123", "20261123"]
    assert len(leaves(keeper)) == 3, "the log forgets none"


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"unit":1}', b"\xff"])
def test_what_is_no_report(damage: bytes) -> None:
    with pytest.raises(BadInput):
        walkreport.decode(damage)


def test_a_report_has_one_spelling() -> None:
    data = walkreport.encode(report())
    assert walkreport.decode(data) == report()
    with pytest.raises(BadInput):
        walkreport.decode(msgspec.json.format(data))
