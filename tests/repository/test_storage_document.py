# SPDX-License-Identifier: Apache-2.0
"""docs/storage.md has the figures of the code's constants, and a real call needs that much."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.ring import RATE_HZ
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallEvent, EventKind
from linetap_core.service import STATE_KIND
from sealing_rig import CALL_ID, Rig, noise, record

ROOT = Path(__file__).resolve().parents[2]
CARD_BYTES_A_S = 45_000_000  # a Pi 4 reads an SD card at DDR50, 50 MB/s at most
YEARS = 5


@pytest.fixture
def storage() -> ModuleType:
    spec = importlib.util.spec_from_file_location("storage", ROOT / "tools" / "storage.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_recorder_is_given_time_to_read_the_log_of_years(storage: ModuleType) -> None:
    """After damage it reads all leaves before it is ready; systemd would otherwise end it at each start, for ever."""
    service = (ROOT / "systemd" / "linetap-recorder.service").read_text()
    given_s = int(re.findall(r"^TimeoutStartSec=(\d+)$", service, re.MULTILINE)[0])
    leaves = max(storage.LINES) * storage.BUSY_CALLS * 365 * YEARS * storage.LEAVES_A_CALL
    assert 2 * leaves * storage.LEAF_BYTES / CARD_BYTES_A_S < given_s


def test_the_tables_are_those_of_the_constants(storage: ModuleType) -> None:
    text = (ROOT / "docs" / "storage.md").read_text()
    assert storage.with_tables(text) == text, "tools/storage.py --write"


def test_the_outbox_holds_a_month_of_busy_lines(storage: ModuleType, tmp_path: Path) -> None:
    """With real events, the longest possible names and a real signature."""
    assert storage.outbox_days(32, storage.BUSY_CALLS) >= 30
    key = keys.new_unit_key()
    origin = keys.fingerprint(key.public_key())
    box = Outbox(tmp_path / "outbox", "u" * 16, lambda data: sshsig.sign(data, key, namespaces.EVENT), origin, 1 << 20)
    at = "2026-11-24T22:56:00.123Z"
    known = CallEvent(seq=0, event="started", at=at, unit="", call_id=CALL_ID, line=32, direction="out")
    hashed = {"why": "retention", "record_sha256": "ab" * 32}
    said: list[tuple[EventKind, dict[str, Any]]] = [
        ("started", {}), ("notice", {"notice": "ko-default"}), ("answered", {}), ("marked", {"mark": "abuse"}),
        ("ended", {"disposition": "recorded", "duration_s": 1234.567, "why": "notice_failed"}),
        ("sealed", {"disposition": "recorded", "gaps_ms": 123.456, **hashed}),
        ("copied", hashed), ("destroyed", hashed),
    ]  # fmt: skip
    assert len(said) == storage.EVENTS_A_CALL
    calls = 100
    box.last_seq = 1_000_000  # late in the month numbers are long
    for _ in range(calls):
        for kind, more in said:
            box.append(msgspec.structs.replace(known, event=kind, **more))
    size = sum(path.stat().st_size for path in (tmp_path / "outbox").glob("*.events"))
    assert size / calls <= storage.EVENTS_A_CALL * storage.EVENT_BYTES


def test_a_real_call_takes_what_the_tables_are_made_of(storage: ModuleType, tmp_path: Path) -> None:
    rig = Rig.make(tmp_path)
    folder = rig.create(CALL_ID)
    folder.write(noise(180 * RATE_HZ))
    folder.seal(record(180 * RATE_HZ), rig.sign)
    block = storage.BLOCK_BYTES
    taken = block + sum(-(-path.stat().st_size // block) * block for path in folder.path.iterdir())
    assert taken <= storage.call_bytes(180) <= taken * 1.02


def test_the_table_names_every_kind_of_small_file() -> None:
    """Derived from the code: the author of a new file adds how it is restored."""
    text = (ROOT / "docs" / "storage.md").read_text().partition("<!-- small files begin -->")[2]
    named = set(re.findall(r"(?m)^\| `(\w+)` \|", text.partition("<!-- small files end -->")[0]))
    code = "".join(path.read_text() for path in (ROOT / "firmware").rglob("*.py"))
    made = set(re.findall(r'= SmallFile\(\s*"(\w+)"', code)) | {STATE_KIND}
    assert named == made


def test_no_file_is_written_but_in_one_place() -> None:
    """A second implementation of durable writing would have other guarantees."""
    # The desk's logs append; evidence/merklelog/leaflog.py is the log's own writer.
    kept = ("core/linetap_core/durable", "core/linetap_core/evidence", "bench/", "desk/")
    folder = ROOT / "firmware"
    for path in sorted(folder.rglob("*.py")):
        if not str(path.relative_to(folder)).startswith(kept):
            assert "write_atomically" not in path.read_text(), path
            assert not re.search(r"def (write|replace)_(atomic|durab)", path.read_text()), path
