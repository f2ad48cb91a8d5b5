# SPDX-License-Identifier: Apache-2.0
"""The second copy from a real vault to a store, over a real broker, with every possible interruption."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from broker import Broker, until
from ingest_rig import Ingesting, rows
from kept_rig import Kept
from linetap_bench.stage.slowline import SlowLine
from linetap_bench.stage.stage import linetap
from linetap_core.durable import files
from linetap_core.evidence.calls import index, sealed
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.signing import signers
from linetap_core.records import CallRecord
from linetap_desk.copy.indexfolder import IndexFolder
from linetap_desk.ingest import tables

UNIT = "floor-03"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", saves=False) as running:
        yield running


@pytest.fixture
def line(broker: Broker) -> Iterator[SlowLine]:
    """A line on which a call of a minute takes a second."""
    with SlowLine(broker.port, 4000) as line:
        yield line


@pytest.fixture
def floor(tmp_path: Path, run_dir: Path, line: SlowLine) -> Iterator[Kept]:
    with Kept(tmp_path, run_dir, line.port) as floor:
        yield floor


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def ingest(tmp_path: Path, broker: Broker, floor: Kept, store: Path) -> Iterator[Ingesting]:
    with Ingesting(tmp_path, broker.port, floor.signers) as ingest:
        ingest.words += ["--key", str(floor.desk_key), "--config", str(tmp_path / "desk.toml")]
        configure(tmp_path, store)
        yield ingest


def configure(folder: Path, store: Path, **more: object) -> None:
    """Configures the highest rate, unless `more` says otherwise."""
    words = {"store": f"file://{store}", "night": "00:00-23:59", "day_kbit_s": 1_000_000, **more}
    lines = (f"{name} = {value!r}".replace("'", '"') for name, value in words.items())
    (folder / "desk.toml").write_text("\n".join(["[copy]", *lines]))


def place(store: Path, record: CallRecord) -> Path:
    return store / UNIT / sealed.call_path(record.call_id)


def copied(ingest: Ingesting, floor: Kept, store: Path, *records: CallRecord) -> None:
    """Asserts that each is in the store, byte for byte, and that the unit's own event confirms it."""

    def told() -> bool:
        found = {row["call_id"]: row["copied_at"] for row in rows(ingest.engine, tables.calls)}
        return all(found.get(record.call_id) for record in records)

    try:
        until(told, 120)
    except AssertionError as error:
        error.add_note(f"the ingest said:\n{ingest.said()}\nthe reporter said:\n{floor.said()}")
        raise
    for record in records:
        assert contents(place(store, record)) == contents(floor.folder(record))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_sealed_call_is_copied_and_the_copy_proves_itself(
    ingest: Ingesting, floor: Kept, store: Path, tmp_path: Path
) -> None:
    """Its closing arrives automatically, so that a bundle can be made in the store, which has no log."""
    records = [floor.call(samples, parts=parts) for samples, parts in ((300_000, 3), (10, 1))]
    ingest.start()
    until(lambda: "session_" in ingest.said())
    floor.reporter()
    copied(ingest, floor, store, *records)
    for record in records:
        words = ["verify", str(place(store, record)), "--signers", str(floor.signers)]
        linetap(*words)
        proof = store / UNIT / closing_path(record.call_id)
        until(proof.exists, 120)
        bundle = tmp_path / f"{record.call_id}.zip"
        words = ["bundle", str(place(store, record)), "--signers", str(floor.signers), "-o", str(bundle)]
        for command in (words, ["verify", str(bundle), "--signers", str(floor.signers)]):
            linetap(*command)
    leaves = (floor.config.vault_path / "log" / LEAVES).read_text()
    assert leaves.count('{"kind":"copy"') == len(records)


def test_the_index_is_copied_beside_the_calls(ingest: Ingesting, floor: Kept, store: Path, broker: Broker) -> None:
    """Over a real broker, with the reporter's process: also a segment of many blocks; the broker dies meanwhile."""
    root = floor.config.vault_path / index.FOLDER
    with floor._lock:
        for number, size in enumerate((900_000, 300, 200_000), 1):
            path = root / "2027-01-24" / index.segment_name("2026-11-24", number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(random.Random(number).randbytes(size))
            name = path.relative_to(root).as_posix()
            floor.unit_log.append("index", file=name, sha256=files.sha256(path), adopted="yes")
    ingest.start()
    until(lambda: "session_" in ingest.said())
    floor.reporter()
    folder = IndexFolder(store, UNIT)
    until(lambda: list(folder.segments()), 120)
    broker.kill()
    broker.start()
    names = sorted(path.relative_to(root).as_posix() for path in root.glob("*/*"))
    try:
        until(lambda: list(folder.segments()) == names, 120)
    except AssertionError as error:
        error.add_note(f"the ingest said:\n{ingest.said()}\nthe reporter said:\n{floor.said()}")
        raise
    for path in root.glob("*/*"):
        assert (store / UNIT / index.FOLDER / path.relative_to(root)).read_bytes() == path.read_bytes()
    trusted = signers.parse(floor.signers.read_text())
    until(lambda: [len(each.segments) for _, _, each, _ in folder.lists(trusted)] == [3], 120)


def test_copying_goes_on_after_every_break(ingest: Ingesting, floor: Kept, store: Path, broker: Broker) -> None:
    """Ingest, broker and reporter are killed in the middle of a file; received data are not fetched again."""
    record = floor.call(size := 4_000_000)
    part = store / ".incoming" / UNIT / record.call_id / "audio.001.age.part"

    def grown(by: int = 250_000) -> int:
        before = part.stat().st_size if part.exists() else 0
        return until(lambda: part.exists() and (now := part.stat().st_size) >= before + by and now, 120)

    ingest.start()
    until(lambda: "session_" in ingest.said())
    reporter = floor.reporter()
    grown()
    inode = part.stat().st_ino
    ingest.kill()
    ingest.start()
    grown()
    broker.kill()
    broker.start()
    grown()
    reporter.kill()
    floor.reporter()
    assert grown() < size
    assert part.stat().st_ino == inode, "it was never begun anew"
    copied(ingest, floor, store, record)
