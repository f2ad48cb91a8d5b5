# SPDX-License-Identifier: Apache-2.0
"""The hold of one call at the desk: each document is read once, and a changed, new or removed one counts at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from linetap_core.evidence.calls import hold
from linetap_core.evidence.calls.hold import Hold
from linetap_desk.config.desk import CopyConfig, DeskConfig
from linetap_desk.copy import recordfile
from linetap_desk.proofs import callfolder

UNIT, MOST = "main-03", 200


def name_of(number: int) -> str:
    return f"20261124T{number // 60:02d}{number % 60:02d}00.000Z-L01"


def lay(folder: Path, name: str, call_id: str, until: str = "2028-01-31T15:00:00.000Z") -> Path:
    path = folder / name / hold.HOLD
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(hold.encode(Hold(
        call_id=call_id, unit=UNIT, record_sha256="ab" * 32, key_sha256="cd" * 32, from_epoch="2027-11-24", to="age1x",
        made_at="2026-11-24T09:00:00.000Z", case="2026-117", basis="Act 39", until=until,
    )))  # fmt: skip
    return path


def test_the_page_of_one_call_does_not_read_the_holds_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(MOST):
        lay(tmp_path, f"H{number}", name_of(number))
    desk = DeskConfig(copy=CopyConfig(store="file:///nowhere", holds=str(tmp_path)))
    assert recordfile.read_hold(desk, UNIT, name_of(3)) is not None
    read, plain = list[Path](), callfolder.read

    def counted(path: Path, limit_bytes: int) -> bytes:
        read.append(path)
        return plain(path, limit_bytes)

    monkeypatch.setattr(callfolder, "read", counted)
    found = recordfile.read_hold(desk, UNIT, name_of(7))
    assert found is not None
    assert found.call_id == name_of(7)
    assert read == [tmp_path / "H7" / hold.HOLD]
    assert recordfile.read_hold(desk, "other-03", name_of(7)) is None


def test_what_changes_counts_at_once(tmp_path: Path) -> None:
    desk = DeskConfig(copy=CopyConfig(store="file:///nowhere", holds=str(tmp_path)))
    assert recordfile.read_hold(desk, UNIT, name_of(1)) is None
    first = lay(tmp_path, "H1", name_of(1))
    lay(tmp_path, "H2", name_of(1), until="2029-01-31T15:00:00.000Z")
    found = recordfile.read_hold(desk, UNIT, name_of(1))
    assert found is not None
    assert found.until.startswith("2029")
    (tmp_path / "H2" / hold.HOLD).unlink()
    first.write_bytes(b"{")
    assert recordfile.read_hold(desk, UNIT, name_of(1)) is None
    first.unlink()
    lay(tmp_path, "H1", name_of(2))
    assert recordfile.read_hold(desk, UNIT, name_of(1)) is None
    assert recordfile.read_hold(desk, UNIT, name_of(2)) is not None
