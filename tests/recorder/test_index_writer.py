# SPDX-License-Identifier: Apache-2.0
"""The index as written by a unit: its recipients, its content over time, and its state after a restart."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from epoch_vault import FRAMES, NOW, begin, clock, finish, folder, writer

from epoch_rig import Authority
from linetap.config.retention import retention_of
from linetap.config.schema import Config
from linetap.recorder.vault.writer import VaultWriter
from linetap_core import cli
from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.calls import index, sealed
from linetap_core.evidence.calls.index import Entry
from linetap_core.records import Caller, CallRecord
from readable_data import legible
from sealing_rig import run
from unit_rig import Unit, make_unit

DAY, MARKED_DAY = "2027-01-24", "2027-02-23"  # 60 and 90 days after the 25th of November in Seoul
NUMBER = "01012345678"


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Unit:
    return make_unit(tmp_path, run_dir, lines=12)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def config(unit: Unit, authority: Authority) -> Config:
    authority.publish(authority.make("2027-01-01", 60))
    return authority.commissioned(unit.config)


def end(
    vault: VaultWriter, config: Config, call_id: str, number: str = NUMBER, marked: bool = False, **more: object
) -> None:
    record = CallRecord(call_id=call_id, unit=config.unit, line=int(call_id[-2:]), direction="in", ended_at=NOW)
    record.retention = retention_of(config, parse_rfc3339(NOW), record.line, "recorded", marked)
    vault.close(call_id, FRAMES, msgspec.structs.replace(record, caller=Caller(number=number), **more))


def segments(config: Config) -> list[str]:
    root = config.vault_path / index.FOLDER
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def opened(config: Config, identity: Path, name: str) -> list[Entry] | None:
    """The entries, opened by stock age alone; None if it does not open."""
    done = run(["age", "-d", "-i", str(identity), str(config.vault_path / index.FOLDER / name)])
    return index.decode(done.stdout) if done.returncode == 0 else None


def test_a_call_stands_in_the_index_of_its_epoch_and_no_other_key_opens_it(
    unit: Unit, authority: Authority, config: Config
) -> None:
    vault = writer(config)
    call_id = begin(vault, line=2)
    assert segments(config) == []
    end(vault, config, call_id)
    assert vault.step()
    assert segments(config) == [f"{DAY}/2026-11-25-001.age"]
    (entry,) = opened(config, authority.identity(f"{DAY}.index"), segments(config)[0]) or []
    assert entry == Entry(call_id=call_id, unit="floor-03", line=2, at=NOW, direction="in", number=NUMBER)
    for other in (authority.identity(DAY), authority.identity("2027-01-25.index"), unit.epoch, unit.custodian):
        assert opened(config, other, segments(config)[0]) is None


def test_the_days_calls_share_a_segment_and_a_marked_one_is_in_its_own_day(
    authority: Authority, config: Config
) -> None:
    vault = writer(config)
    for line in range(1, 5):
        end(vault, config, begin(vault, line=line), f"0101234567{line}", marked=line == 4)
        assert vault.step()
    assert segments(config) == [f"{DAY}/2026-11-25-001.age", f"{MARKED_DAY}/2026-11-25-001.age"]
    found = opened(config, authority.identity(f"{DAY}.index"), segments(config)[0]) or []
    assert [entry.number[-1] for entry in found] == ["1", "2", "3"]
    (marked,) = opened(config, authority.identity(f"{MARKED_DAY}.index"), segments(config)[1]) or []
    assert marked.number[-1] == "4"


def test_the_index_is_durable_before_the_call_counts_as_sealed(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that accepts no index accepts no record either, and the next attempt leaves one entry."""
    vault = writer(config)
    call_id = begin(vault)
    renamed, refuse = os.rename, True

    def rename(source: Path, target: Path) -> None:
        if refuse and "index" in str(target):
            raise OSError(28, "No space left on device", str(target))
        renamed(source, target)

    monkeypatch.setattr(os, "rename", rename)
    end(vault, config, call_id)
    assert not vault.step()
    assert not (folder(config, call_id) / sealed.RECORD).exists()
    assert vault.vault.outbox.last_seq == 0
    refuse = False
    assert vault.step()
    assert (folder(config, call_id) / sealed.SIGNATURE).exists()
    assert segments(config) == [f"{DAY}/2026-11-25-001.age"]
    assert vault.vault.outbox.last_seq == 1


def test_after_a_restart_the_next_segment_begins_and_nothing_is_lost(authority: Authority, config: Config) -> None:
    vault = writer(config)
    end(vault, config, begin(vault, line=1), "0212340001")
    assert vault.step()
    root = config.vault_path / index.FOLDER / DAY
    (root / ".2026-11-25-009.age.tmp").write_bytes(b"of a killed one")
    again = writer(config)
    end(again, config, begin(again, line=2), "0212340002")
    assert again.step()
    assert segments(config) == [f"{DAY}/2026-11-25-001.age", f"{DAY}/2026-11-25-002.age"]
    identity = authority.identity(f"{DAY}.index")
    numbers = [entry.number for name in segments(config) for entry in opened(config, identity, name) or []]
    assert numbers == ["0212340001", "0212340002"]


def test_a_full_segment_is_left_and_the_next_begun(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_ENTRIES", 2)
    vault = writer(config)
    for line in range(1, 6):
        end(vault, config, begin(vault, line=line))
        assert vault.step()
    assert segments(config) == [f"{DAY}/2026-11-25-00{n}.age" for n in (1, 2, 3)]


def test_without_a_list_the_overflow_epochs_index_ends_with_the_calls_day(unit: Unit) -> None:
    """The clock before the list was made also selects the first of these, without a day."""
    vault = writer(unit.config)
    end(vault, unit.config, begin(vault))
    assert vault.step()
    (name,) = segments(unit.config)
    assert name == f"overflow-1.{DAY}/2026-11-25-001.age"
    assert [entry.number for entry in opened(unit.config, unit.epoch, name) or []] == [NUMBER]


def test_an_overflow_call_of_a_list_has_no_day(authority: Authority, config: Config) -> None:
    authority.publish(authority.make("2027-03-01", 60))
    vault = writer(config)
    finish(vault, config, begin(vault))
    (name,) = segments(config)
    assert name == "overflow-2/2026-11-25-001.age"
    assert opened(config, authority.identity("overflow-2"), name) is not None


def test_extension_and_number_are_the_pbxs_where_the_line_has_none(authority: Authority, config: Config) -> None:
    named = msgspec.structs.replace(config.line[0], extension="2301")
    config = msgspec.structs.replace(config, line=[named, *config.line[1:]])
    vault = writer(config)
    smdr = f"O 11/25 07:56:00 00:00:12 {'2477':4}    0212349999"
    end(vault, config, begin(vault, line=1), "0212340001", smdr=smdr)
    end(vault, config, begin(vault, line=2), "", direction="out", smdr=smdr)
    assert vault.step()
    found = opened(config, authority.identity(f"{DAY}.index"), segments(config)[0]) or []
    assert [(entry.extension, entry.number) for entry in found] == [("2301", "0212340001"), ("2477", "0212349999")]


def test_a_call_without_a_recording_is_in_no_index(config: Config) -> None:
    vault = writer(config)
    record = CallRecord(call_id="20261124T225600.123Z-L01", unit="floor-03", line=1, disposition="missed")
    vault.close(record.call_id, None, msgspec.structs.replace(record, caller=Caller(number=NUMBER)))
    assert vault.step()
    assert segments(config) == []


def test_from_the_sealed_call_to_its_folder_by_its_number(
    unit: Unit,
    authority: Authority,
    config: Config,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole sequence, only with the keys of the signed list; impossible if a key is missing."""
    monkeypatch.setenv("HOME", str(unit.folder))
    monkeypatch.delenv("LINETAP_DESK", raising=False)
    vault = writer(config)
    for line in range(1, 5):
        end(vault, config, begin(vault, line=line), f"0101234567{line}", marked=line == 4)
    assert vault.step()
    keys = unit.folder / "medium"
    keys.mkdir()
    for day in (DAY, MARKED_DAY):
        authority.identity(f"{day}.index").rename(keys / f"{day}.index.txt")
    asked = [str(config.vault_path), "--identity", str(keys), "--from", "2026-11-25 07:56", "--to", "2026-11-25 07:56"]
    for number, line in (("+82 10-1234-5672", 2), ("010-1234-5674", 4)):
        assert cli.main(["find", "--number", number, *asked, "--json"]) == 0
        (found,) = map(json.loads, capsys.readouterr().out.splitlines())
        assert found["line"] == line
        record = msgspec.json.decode((Path(found["path"]) / sealed.RECORD).read_bytes(), type=CallRecord)
        assert (record.call_id, record.line, record.caller) == (found["call_id"], line, None)
    (keys / f"{MARKED_DAY}.index.txt").unlink()
    assert cli.main(["find", "--number", "010-1234-5674", *asked]) == 1
    assert f"no key given: {MARKED_DAY}\n" in capsys.readouterr().err


def test_whoever_carries_the_vault_away_reads_no_number(config: Config) -> None:
    vault = writer(config)
    for line in (1, 2):
        end(vault, config, begin(vault, line=line), NUMBER)
        assert vault.step()
    silence = np.zeros(1, np.int16)
    assert legible(config.vault_path, [NUMBER, "345678"], silence) == []  # four digits are in one hash of a thousand
    assert legible(config.run_path, [NUMBER], silence) == []


def test_segments_that_are_being_filled_are_few(config: Config) -> None:
    """A wrong clock produces many days, and RAM must not grow with them."""
    vault, time = writer(config), clock()
    for number in range(12):
        time.advance(86_400_000_000_000)
        at = f"2026-11-{number + 10}T03:00:00.000Z"
        finish(vault, config, begin(vault, at, line=number + 1), at=at)
    assert len(vault.vault.index._open) == 8
    end(vault, config, begin(vault, "2026-11-10T04:00:00.000Z", line=1))
    assert vault.step()
