# SPDX-License-Identifier: Apache-2.0
"""A late PBX record is sealed with its call: whole in meta.age, absent from record.json, after any crash."""

from __future__ import annotations

import json
import logging
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from smdr_rig import NUMBER, T0_NS, at, call, panasonic
from test_smdr_port import Cable, eventually
from test_writer import AUDIO, FIRST, Source, writer

from linetap.config.schema import Config, Line, Smdr
from linetap.recorder import checkpoint
from linetap.recorder.calls.ports import CallSnapshot
from linetap.recorder.pbx.join import SmdrJoin
from linetap.recorder.pbx.ledger import DAY_FILE, Day
from linetap.recorder.service import Service, _first_state
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.unfinishedcalls import OF_THIS_BOOT
from linetap_core.clock import SYSTEM, ManualClock, from_utc_ns
from linetap_core.codecs import mulaw
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.sealing import age
from linetap_core.records import CallRecord, PbxDay, RecorderState
from linetap_core.service import StateFile, read_state
from unit_rig import Unit

RAW = panasonic(0, 30)


def with_smdr(unit: Unit, port: str) -> Config:
    lines = [Line(number=n, channel=n, extension=f"210{n}") for n in (1, 2)]
    return msgspec.structs.replace(unit.config, line=lines, smdr=Smdr(port=port))


def meta_of(unit: Unit, call_id: str) -> dict[str, Any]:
    """The call's meta, by stock age alone."""
    recipe = (
        f"age -d -i {unit.epoch} key.age | age -d -i {unit.custodian} > {unit.folder}/call.key;"
        f" age -d -i {unit.folder}/call.key meta.age"
    )
    folder = unit.config.vault_path / sealed.call_path(call_id)
    done = subprocess.run(["sh", "-c", recipe], cwd=folder, capture_output=True, timeout=120, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def public_of(config: Config, call_id: str) -> bytes:
    return (config.vault_path / sealed.call_path(call_id) / sealed.RECORD).read_bytes()


def sealed_events(config: Config) -> list[str]:
    reader = OutboxReader(config.vault_path / "outbox")
    events = [json.loads(payload) for _, payload, _ in reader.from_seq(1, 1000)]
    return [event["call_id"] for event in events if event["event"] == "sealed"]


def test_a_kill_while_the_recording_waits(unit: Unit, run_dir: Path) -> None:
    """Killed before the audio was complete, and again before the vault had sealed it: one call, with its line."""
    config, record, clock = with_smdr(unit, "/dev/none"), call(1, 0, 30), ManualClock(at(31))
    vault = writer(config, Source())
    join = SmdrJoin(config, vault, clock, vault.keep)
    join.open(record.call_id, 1, FIRST)
    vault.step()
    join.close(record.call_id, FIRST + 80_000, record)
    vault.step()
    assert not (config.vault_path / sealed.call_path(record.call_id) / sealed.RECORD).exists()
    moment = checkpoint.Checkpoint(smdr=join.memory(), jobs=vault.unfinished())
    checkpoint.save(run_dir, moment)
    for _ in range(2):
        remembered = checkpoint.load(run_dir)
        vault = writer(config, Source())
        join = SmdrJoin(config, vault, clock, vault.keep, remembered.smdr)
        vault.resume_jobs(remembered.jobs)
        assert vault.orphans(join.held_calls()) == []
        join.line(RAW, clock.utc_ns())
        clock.advance(3 * 10**9)
        join.turn()
        vault.step()
        assert vault.unfinished() == []
    meta = meta_of(unit, record.call_id)
    assert (meta["smdr"], meta["dialled"], meta["audio"]["samples"]) == (RAW, NUMBER, 80_000)
    assert "smdr" not in json.loads(public_of(config, record.call_id))
    assert NUMBER.encode() not in public_of(config, record.call_id)
    assert sealed_events(config) == [record.call_id]
    assert AUDIO.size > FIRST + 80_000


# --- the whole service over a terminal pair --------------------------------------------------------------------------


@pytest.fixture
def cable(tmp_path: Path) -> Iterator[Cable]:
    made = Cable(tmp_path / "ttyPBX")
    yield made
    made.close()


def start(config: Config) -> Service:
    return Service(config, SYSTEM, StateFile(config.run_path, "recorder", SYSTEM), _first_state(config, SYSTEM))


def listening(config: Config) -> Service:
    """A service with its port open: opening discards earlier bytes on the cable."""
    service = start(config)
    assert service.smdr is not None
    port = service.smdr._port
    eventually(lambda: port.connected)
    return service


def joined(service: Service) -> SmdrJoin:
    assert service.smdr is not None
    return service.smdr.join


def turn_until(service: Service, condition: Callable[[Service], bool]) -> None:
    def turned() -> bool:
        service.turn()
        return condition(service)

    eventually(turned)


def now_call(line: int) -> CallRecord:
    """A missed call of the last ten seconds: it has no audio, so that no card is needed."""
    now_s = (SYSTEM.utc_ns() - T0_NS) / 1e9
    return call(line, now_s - 10, now_s, "in", answered_at=None, disposition="missed")


def state_of(config: Config) -> RecorderState:
    state = read_state(config.run_path, "recorder", RecorderState)
    assert state is not None
    return state


def test_the_service_joins_what_comes_over_the_port(unit: Unit, cable: Cable, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    config = with_smdr(unit, str(cable.path))
    service = listening(config)
    killed, lost = now_call(1), now_call(2)
    raw = panasonic((SYSTEM.utc_ns() - T0_NS) / 1e9 - 10, 10, kind="I")
    joined(service).close(killed.call_id, None, killed)
    cable.say(raw.encode() + b"\r\n" + raw.replace(" 2101 ", " 2102 ").encode()[:40])
    turn_until(service, lambda service: bool(joined(service).memory().pending))
    assert service.smdr is not None
    service.smdr._port.stop()  # as the kernel does for a killed process
    service.control.close()
    service.vault.stop(5)
    assert sealed_events(config) == []

    successor = start(config)
    assert joined(successor).held_calls() == {killed.call_id}
    joined(successor).close(lost.call_id, None, lost)
    turn_until(successor, lambda _: sealed_events(config) == [killed.call_id])
    assert joined(successor).held_calls() == {lost.call_id}
    turn_until(successor, lambda _: state_of(config).smdr_lines == 1)
    state = state_of(config)
    assert (state.smdr_connected, state.smdr_unmatched) == (True, 0)
    successor.end()
    assert sealed_events(config) == [killed.call_id, lost.call_id]
    (report,) = (config.vault_path / "smdr").glob("*.json")
    written = report.read_text() + (config.run_path / "recorder" / "recorder.json").read_text() + caplog.text
    assert NUMBER not in written
    assert (config.run_path / "calls" / checkpoint.NAME).exists()


def test_a_recording_that_waits_is_no_orphan(unit: Unit, run_dir: Path) -> None:
    config, record = with_smdr(unit, "/dev/none"), call(1, 0, 30)
    whole_chunk = age.CHUNK_BYTES - len(mulaw.HEADER)  # kept: the next recorder needs no ring to write it again
    vault = writer(config, Source())
    join = SmdrJoin(config, vault, SYSTEM, vault.keep)
    join.open(record.call_id, 1, FIRST)
    vault.step()
    join.permit(record.call_id, FIRST + whole_chunk + 1000)
    vault.step()
    join.close(record.call_id, FIRST + whole_chunk, record)
    checkpoint.save(run_dir, checkpoint.Checkpoint(smdr=join.memory()))
    service = start(config)
    assert joined(service).held_calls() == {record.call_id}
    service.end()
    assert json.loads(public_of(config, record.call_id))["ended_by"] == "on_hook"
    assert sealed_events(config) == [record.call_id]


def test_a_recorder_without_a_port_seals_what_the_last_one_held(unit: Unit, run_dir: Path) -> None:
    config, record = with_smdr(unit, "/dev/none"), now_call(1)
    vault = writer(config, Source())
    join = SmdrJoin(config, vault, SYSTEM, vault.keep)
    join.close(record.call_id, None, record)
    checkpoint.save(run_dir, checkpoint.Checkpoint(smdr=join.memory()))
    service = start(msgspec.structs.replace(config, smdr=Smdr()))
    assert service.smdr is None
    eventually(lambda: sealed_events(config) == [record.call_id])
    service.end()


def test_after_a_power_cut_the_day_goes_on(unit: Unit, cable: Cable) -> None:
    config = with_smdr(unit, str(cable.path))
    service = listening(config)
    cable.say(b"garbage\r\n")
    turn_until(service, lambda service: joined(service).ledger.day_at(SYSTEM.utc_ns()).bad == 1)
    service.end()
    (config.run_path / "calls" / checkpoint.NAME).unlink()
    successor = start(config)
    assert joined(successor).ledger.day_at(SYSTEM.utc_ns()).bad == 1
    successor.end()


def test_a_call_that_a_power_cut_ended_is_known_to_the_account(unit: Unit, cable: Cable) -> None:
    config = with_smdr(unit, str(cable.path))
    now_s = (SYSTEM.utc_ns() - T0_NS) / 1e9
    begun = call(1, now_s, now_s, ended_at=None, ended_by=None, duration_s=None)
    service = listening(config)
    service.vault.snapshot(begun.call_id, CallSnapshot(begun, 0, SYSTEM.utc_ns()))
    service.end()
    for name in (checkpoint.NAME, OF_THIS_BOOT):
        (config.run_path / "calls" / name).unlink()
    successor = listening(config)
    turn_until(successor, lambda service: bool(joined(service).ledger.memory.late))
    (late,) = joined(successor).ledger.memory.late
    assert (late.call_id, late.times.cut_off, late.why) == (begun.call_id, True, "power")
    assert sealed_events(config) == [begun.call_id]
    assert joined(successor).ledger.day_at(SYSTEM.utc_ns()).unseen == 0
    successor.end()


def at_noon(config: Config) -> tuple[Config, str]:
    """A zone where it is about noon, so that yesterday is settled whenever this runs; and yesterday there."""
    now = from_utc_ns(SYSTEM.utc_ns())
    east_h = 12 - now.hour
    zone = f"Etc/GMT{-east_h:+d}"  # POSIX: west is positive
    yesterday = (now + timedelta(hours=east_h)).date() - timedelta(days=1)
    retention = msgspec.structs.replace(config.retention, zone=zone)
    return msgspec.structs.replace(config, retention=retention), yesterday.isoformat()


@pytest.mark.parametrize("kept", [b"", b"[", b'{"day":"2026-11-25"}'])
def test_after_a_power_cut_the_last_day_is_told_as_its_report_has_it(unit: Unit, cable: Cable, kept: bytes) -> None:
    config, yesterday = at_noon(with_smdr(unit, str(cable.path)))
    day = Day(day=yesterday, zone=config.retention.zone, counted=True, calls=9, recorded=6, missing=2, unseen=1)
    report = config.vault_path / "smdr" / f"{yesterday}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_bytes(kept or msgspec.json.encode(day))
    service = start(config)
    turn_until(service, lambda _: state_of(config).smdr_connected is True)
    told = state_of(config).pbx_day
    service.end()
    if kept:
        assert told is None
    else:
        assert told == PbxDay(day=yesterday, calls=9, recorded=6, missing=2, unseen=1)
        assert DAY_FILE.decode(report.read_bytes()) == day


def test_a_recorder_that_cannot_start_does_not_say_that_it_has_no_pbx(unit: Unit) -> None:
    assert _first_state(with_smdr(unit, "/dev/none"), SYSTEM).smdr_connected is False
    assert _first_state(unit.config, SYSTEM).smdr_connected is None
