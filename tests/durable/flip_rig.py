# SPDX-License-Identifier: Apache-2.0
"""A working unit with all its small files, one flipped bit in one of them, and the reaction of its services."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import msgspec

import config_file
from attack_house import House
from broker import until
from linetap import learned, unitkeys
from linetap.checks import Watch, run, take_snapshot
from linetap.config import Config, load_config
from linetap.learned import Learned
from linetap.notices import load_notices
from linetap.recorder.pbx.ledger import DAY_FILE, Day
from linetap.recorder.service import Service, _first_state
from linetap.recorder.vault import admission
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.reporter.feed import Cursor
from linetap.ring import Stretch
from linetap.update import state as update_state
from linetap_core.clock import SYSTEM, compact, rfc3339
from linetap_core.durable import broken
from linetap_core.durable import copies as kept
from linetap_core.errors import LinetapError
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import Epoch, KeyList, Overflow
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallEvent, CallRecord, UpdateState
from linetap_core.service import StateFile, ask_to_start_again
from state_files import capture, panel, reporter
from unit_rig import spoken

PATIENCE_S = 120.0
SIGNED = {"hold.json", "hold.json.sig", "key.age", "roles.json", "roles.json.sig"}
A_PERSONS = {"unit.toml", "ko.wav"}  # made by a person; a copy lies next to each
OF_ITS_OWN = {"unit.key"}  # in a format of its own; a copy lies next to it
AUDIO = spoken(3.0)


class Source:
    """The line's audio, from a simulated ring."""

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        assert line == 2
        return Stretch(AUDIO[first:end], [])


@dataclass
class Outcome:
    """The result of a start of the unit. `fault`: it did not start; `crashed`: by an unforeseen exception."""

    fault: str = ""
    crashed: str = ""
    named: set[str] = field(default_factory=set)
    recorded: bool = False
    lost: list[str] = field(default_factory=list)  # missing calls, events, holds


class WorkingUnit:
    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = folder / "unit", folder / "kept"
        self.folder.mkdir()
        house = House(self.folder)
        smdr = msgspec.structs.replace(house.config.smdr, port=str(self.folder / "no-port"))
        config_file.write(house.file, msgspec.structs.replace(house.config, smdr=smdr))
        house.restart()
        self._fill(house)
        self.config_file = house.file
        for name in ("allowed_signers", "custodian.txt", "epoch.txt"):  # files of the rig, not of a unit
            (self.folder / name).unlink()
        house.outbox.close()
        house.log._log.close()
        with self.started():  # the present code writes all files in its own format
            self.record_a_call()
        self._states()
        unitkeys.keep_copy(Path(self.config.key))
        self.events = self._events()
        shutil.copytree(self.folder, self.kept, symlinks=True)

    @property
    def config(self) -> Config:
        return load_config(self.config_file)

    def _fill(self, house: House) -> None:
        self._key_list(house)
        self.calls = [house.call().call_id, house.call(suffix="-b", marked=True).call_id]
        record = house.call(suffix="-c")
        self.calls.append(record.call_id)
        until_ns = house.clock.utc_ns() + 100 * 86_400 * 10**9
        assert house.command(house.hold(record, until_ns)).done
        house.passes(0.1)
        vault = house.vault
        admission.write(vault, 2, house.clock.utc_ns())
        learned.save(Path(house.config.learned), 1, Learned(on_hook_v=48.0, learned_at=rfc3339(house.clock.utc_ns())))
        house.outbox.confirm(house.outbox.last_seq)
        house.upkeep._rebuild.request(1, 2)
        (vault / "smdr").mkdir(exist_ok=True)
        day = f"{compact(SYSTEM.utc_ns())[:8]}"
        name = f"{day[:4]}-{day[4:6]}-{day[6:]}"
        (vault / "smdr" / f"{name}.json").write_bytes(DAY_FILE.encode(Day(day=name, zone="Asia/Seoul", counted=True)))
        (self.folder / "update").mkdir()
        update_state.save(
            self.folder / "update",
            UpdateState(step="done", version="0.2.0", sha256="5f" * 32, by="command", at="2026-11-24T03:00:00.000Z"),
        )
        cursor = Cursor(vault.parent / "reporter" / "cursor.json", SYSTEM)
        cursor.move(1, "ab" * 32)
        cursor.save(at_once=True)

    def _key_list(self, house: House) -> None:
        first = date(2026, 11, 24)
        days = [(first + timedelta(n)).isoformat() for n in range(200)]

        def new() -> str:
            return keys.new_identity().recipient

        epochs = [Epoch(day, new(), new()) for day in days]
        made = KeyList(version=1, made_at="2026-11-20T00:00:00.000Z", zone="Asia/Seoul", epochs=epochs,
                       overflow=[Overflow(2, new())], custodians=house.config.keys.custodians)  # fmt: skip
        data = keylist.encode(made)
        assert house.command(house.signed("key_list", "authority", data, namespaces.KEY_LIST)).done

    def _states(self) -> None:
        """Writes the states of the other services; the recorder has written its own."""
        run_dir = self.config.run_path
        for name, state in (("capture@1", capture()), ("reporter", reporter()), ("panel", panel())):
            StateFile(run_dir, name, SYSTEM).write(state)
        ask_to_start_again(run_dir, SYSTEM, [])

    # --- one trial -----------------------------------------------------------------------------------------------

    def small_files(self) -> list[Path]:
        """Relative names of all small files. Sealed calls are excluded, because they are verified; and log, outbox and
        journal, because their own tests flip each of their bits.
        """
        found = []
        for path in sorted(self.kept.rglob("*")):
            name = path.relative_to(self.kept)
            if path.is_file() and not _is_another_tests(str(name)):
                found.append(name)
        return found

    def restore(self) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder, symlinks=True)
        for written in (self.config_file, self.folder / "notices" / "ko.wav"):
            kept.keep(written)  # a copy has another inode
        unitkeys.keep_copy(Path(self.config.key))
        broken.forget()

    def flip(self, name: Path, bit: int) -> None:
        """Flips a bit as a medium does: nothing else changes, not even the time of the file. A file on disk changes
        while the power is off: the content of RAM is lost too.
        """
        path = self.folder / name
        if name.parts[0] == "vault":
            (self.folder / "calls" / "recorder.checkpoint").unlink()
        before = path.stat()
        data = bytearray(path.read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        mode = before.st_mode
        path.chmod(0o600)
        path.write_bytes(data)
        path.chmod(mode & 0o777)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @contextmanager
    def started(self) -> Iterator[Service]:
        config = load_config(self.config_file)
        state_file = StateFile(config.run_path, "recorder", SYSTEM)
        service = Service(config, SYSTEM, state_file, _first_state(config, SYSTEM), self.config_file)
        service.vault.vault.source = Source()
        self.service = service
        try:
            yield service
        finally:
            service.end()

    def record_a_call(self) -> str:
        """Records a call from its announcement to its seal, by the recorder's own threads."""
        service, config = self.service, self.config
        call_id = f"{compact(SYSTEM.utc_ns())}-L02"
        now = rfc3339(SYSTEM.utc_ns())
        service.vault.report(CallEvent(seq=0, event="started", at=now, unit=config.unit, call_id=call_id, line=1))
        service.vault.open(call_id, 2, 0)
        record = CallRecord(call_id=call_id, unit=config.unit, line=2, ended_at=now, duration_s=2.0, why="")
        service.vault.close(call_id, 16_000, record)
        until(lambda: not service.vault.unfinished() or service.vault.failure is not None, PATIENCE_S)
        return call_id

    def trial(self, then: Callable[[], None] = lambda: None) -> Outcome:
        """`then` is called when the unit has stopped again, before its files are compared."""
        outcome = Outcome()
        try:
            with self.started() as service:
                call_id = self.record_a_call()
                service.turn()
                self.neighbours()
                if service.vault.failure is not None:
                    outcome.crashed = repr(service.vault.failure)
            then()
            outcome.recorded = self.is_sealed(call_id)
            outcome.lost = self._lost()
        except LinetapError as error:
            outcome.fault = str(error)
        except Exception as error:  # noqa: BLE001 - the searched-for fault
            outcome.crashed = repr(error)
        outcome.named = {name.rpartition("/")[2] for name in broken.names()}
        return outcome

    def neighbours(self) -> None:
        """Reads the files of capture, reporter and panel at their start, by their own code."""
        config = load_config(self.config_file)
        Cursor(config.vault_path.parent / "reporter" / "cursor.json", SYSTEM)
        learned.load(Path(config.learned))
        load_notices(Path(config.notices))
        found = take_snapshot(config, Watch(config, SYSTEM), SYSTEM)
        run(found)

    def is_sealed(self, call_id: str) -> bool:
        folder = self.config.vault_path / sealed.call_path(call_id)
        try:
            record, signature = ((folder / name).read_bytes() for name in (sealed.RECORD, sealed.SIGNATURE))
            sshsig.check(record, signature, namespaces.RECORD)
        except (OSError, sshsig.SignatureFault):
            return False
        return bool(msgspec.json.decode(record)["disposition"] == "recorded")

    def _lost(self) -> list[str]:
        vault = self.config.vault_path
        gone = [call for call in self.calls if not (vault / sealed.call_path(call) / sealed.RECORD).exists()]
        if self._events()[: len(self.events)] != self.events:
            gone.append("events")
        for name in SIGNED:
            path = next((each for each in (self.kept / "vault").rglob(name) if "/20" not in str(each.parent)), None)
            if path is not None and (self.folder / path.relative_to(self.kept)).read_bytes() != path.read_bytes():
                gone.append(name)
        return gone

    def _events(self) -> list[bytes]:
        return [payload for _, payload, _ in OutboxReader(self.config.vault_path / "outbox").from_seq(1, 100_000)]


def _is_another_tests(name: str) -> bool:
    """Whether other tests cover the file: those of log, outbox and journal, and those of `verify` for sealed files."""
    top = name.split("/")
    if top[0] != "vault":
        return name.endswith((".lock", "journal.begun")) or top[0] in ("audio",)
    sealed_there = top[1].isdigit() or top[1] in ("log", "journal", "index", "ballast")
    return sealed_there or (top[1] == "outbox" and not name.endswith(("confirmed.json", "places.json")))
