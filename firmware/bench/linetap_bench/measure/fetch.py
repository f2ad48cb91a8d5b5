# SPDX-License-Identifier: Apache-2.0
"""The second copy: recordings of five minutes over a line of 10 Mbit/s, while eight lines record and report over it.

Services, broker and ingest are real. The recordings are sealed in the vault before the recorder starts.
"""

from __future__ import annotations

import hashlib
import queue
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import paho.mqtt.client as mqtt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from linetap.commission.commandapply import ask
from linetap.commission.init import SIGNERS
from linetap.config import Config
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.signing import UnitKey
from linetap_bench.figures import Row, quantile
from linetap_bench.script.scenarios import eight_busy
from linetap_bench.stage.processes import ChildFailed
from linetap_bench.stage.servers import end_client
from linetap_bench.stage.slowline import SlowLine
from linetap_bench.stage.stage import Stage
from linetap_core.clock import (
    NS_PER_DAY,
    NS_PER_MS,
    NS_PER_S,
    SYSTEM,
    compact,
    from_utc_ns,
    ns_of,
    parse_rfc3339,
    rfc3339,
)
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import AUTHORITY, DESK, Command
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import Epoch, KeyList, Overflow
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.records import CallEvent, CallRecord, Retention
from linetap_core.wire.topics import Topics
from linetap_core.zones import KOREA
from linetap_desk.ingest import database, tables

LINE_KBIT_S = 10_000
RECORDINGS, RECORDING_S = 6, 300
WARM_UP_S = 18.0  # as in services.py: all lines are recorded by then
PROBE_EVERY_MS = 200
PROBED_S = 15.0  # without a copy in progress
LIMIT_S = 90.0
SERVICES = ("panel", "capture", "recorder", "reporter")


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    script = folder / "calls.toml"
    script.write_text(eight_busy(2.4))
    authority, desk = keys.new_unit_key(), keys.new_unit_key()
    (folder / "desk.key").write_bytes(keys.unit_key_file(desk))
    (folder / "store").mkdir()
    (folder / "desk.toml").write_text(f'[copy]\nstore = "file://{folder}/store"\nday_kbit_s = 1000000\n')
    with Stage(folder) as stage, SlowLine(stage.port, LINE_KBIT_S) as line:
        changes = {
            f"port = {stage.port}": f"port = {line.port}",
            '# authority = "ssh-ed25519 AAAA..."': f'authority = "{keys.public_line(authority.public_key())}"',
            '# key_list = "keylist.json"': f'key_list = "{_key_list(folder, authority)}"',
        }
        config = stage.prepare(notices, changes)
        ours = _recordings(config)
        stage.start_exchange(script, voices=voices)
        for service in SERVICES:
            stage.start(service)
        SYSTEM.sleep(WARM_UP_S)
        _name_desk(config, authority, desk)
        with _probing(stage.port) as probes:
            quiet = probes.for_s(PROBED_S)
            db = f"sqlite:///{folder / 'desk.db'}"
            words = [
                "desk", "ingest", "--config", folder / "desk.toml", "--broker", f"mqtt://127.0.0.1:{stage.port}",
                "--signers", folder / SIGNERS, "--db", db, "--key", folder / "desk.key",
            ]  # fmt: skip
            stage.children.start("ingest", [sys.executable, "-m", "linetap", *map(str, words)])
            busy = probes.until(lambda: len(_stored(db, ours)) == RECORDINGS)
        stage.children.check()
        stored = sorted(_stored(db, ours).values())
    # From one stored call to the next: requested, transferred, verified, synced, stored. The first has no start time.
    each_s = [(b - a) / NS_PER_S for a, b in pairwise(stored)]
    return [
        Row(
            name="a recording of 5 minutes fetched over 10 Mbit/s",
            figure=max(each_s),
            unit="s",
            target=10,
            method=f"{RECORDING_S * 8 // 10 / 100:.1f} MB in blocks of 128 KiB, the longest of {len(each_s)} one after "
            f"the other (the shortest {min(each_s):.1f} s), eight lines recording and reporting over the same line",
        ),
        Row(
            name="a small message on that line, 99 of 100, while it is fetched",
            figure=quantile(busy, 0.99),
            unit="ms",
            target=500,
            method=f"from a command to its answer, with the 350 ms at which recorder and reporter look; "
            f"{quantile(quiet, 0.99):.0f} ms without a copy; half of them within {quantile(busy, 0.5):.0f} and "
            f"{quantile(quiet, 0.5):.0f} ms",
        ),
    ]


def _key_list(folder: Path, authority: Ed25519PrivateKey) -> Path:
    """Writes a key list, which a configuration with an authority must name."""
    first = from_utc_ns(SYSTEM.utc_ns()).date() - timedelta(days=1)
    made = KeyList(
        version=1, made_at=rfc3339(SYSTEM.utc_ns()), zone=KOREA, custodians=[],
        epochs=[Epoch((first + timedelta(days=n)).isoformat(), _recipient(), _recipient()) for n in range(400)],
        overflow=[Overflow(2, _recipient())],
    )  # fmt: skip
    data, path = keylist.encode(made), folder / "keylist.json"
    path.write_bytes(data)
    (folder / f"keylist.json{namespaces.SUFFIX}").write_text(sshsig.sign(data, authority, namespaces.KEY_LIST))
    return path


def _recipient() -> str:
    return keys.new_identity().recipient


def _recordings(config: Config) -> set[str]:
    """Seals and reports calls as a recorder does, with incompressible noise; returns their names."""
    key = UnitKey(Path(config.key))
    config.vault_path.mkdir(parents=True, exist_ok=True)
    outbox, log = key.open_outbox(config), key.open_log(config, SYSTEM)
    found = set()
    for n in range(RECORDINGS):
        at_ns = SYSTEM.utc_ns() - (RECORDINGS - n) * RECORDING_S * NS_PER_S
        at, call_id = rfc3339(at_ns), f"{compact(at_ns)}-L01"
        folder = CallFolder.create(
            config.vault_path, OfCall(config.unit, call_id), config.keys.overflow_epoch, config.keys.custodians
        )  # fmt: skip
        folder.write(random.Random(n).randbytes(RECORDING_S * 8000))
        until = rfc3339(at_ns + 60 * NS_PER_DAY)
        record = CallRecord(
            call_id=call_id, unit=config.unit, line=1, ended_at=at,
            retention=Retention(class_="standard", epoch=until[:10], until=until),
        )  # fmt: skip
        record = folder.seal(record, key.signer(namespaces.RECORD))
        log.close_call(call_id)
        digest = hashlib.sha256(sealed.public_json(record)).hexdigest()
        event = CallEvent(seq=0, event="sealed", at=at, unit="", call_id=call_id, line=1, record_sha256=digest)
        outbox.append(event)
        found.add(call_id)
    outbox.close()
    log.close()
    return found


def _name_desk(config: Config, authority: Ed25519PrivateKey, desk: Ed25519PrivateKey) -> None:
    person = Person(name="the desk", role=DESK, key=keys.public_line(desk.public_key()))
    text = document.encode(Roles(version=1, people=[person], purposes=[]))
    body = {"document": text.decode(), "sig": sshsig.sign(text, authority, namespaces.ROLES)}
    expires = rfc3339(SYSTEM.utc_ns() + 600 * NS_PER_S)
    command = Command(unit=config.unit, verb="roles", role=AUTHORITY, counter=1, expires=expires, body=body)
    envelope = envelopes.seal(command, lambda data: sshsig.sign(data, authority, namespaces.COMMAND))
    if not (answer := ask(config, envelope, 10, SYSTEM)).done:
        raise ChildFailed(f"the unit does not take its roles: {answer.text}")


def _stored(db: str, ours: set[str]) -> dict[str, int]:
    """The time at which each of our calls was stored, UTC ns."""
    if not (path := database.file_of(database.parse_url(db))) or not path.exists():
        return {}
    engine = database.open_reader(db)
    try:
        with engine.connect() as connection:
            found = connection.execute(select(tables.copies.c.call_id, tables.copies.c.stored_at)).all()
    except SQLAlchemyError:
        return {}  # its tables do not exist yet
    finally:
        engine.dispose()
    return {call_id: parse_rfc3339(at) for call_id, at in found if call_id in ours}


class _Probes:
    """Sends invalid commands, which the unit answers through recorder and reporter."""

    def __init__(self, client: mqtt.Client, answers: queue.SimpleQueue[int]) -> None:
        self._client, self._answers = client, answers

    def for_s(self, seconds: float) -> list[float]:
        end_ns = SYSTEM.monotonic_ns() + ns_of(seconds)
        return self.until(lambda: SYSTEM.monotonic_ns() >= end_ns)

    def until(self, over: object) -> list[float]:
        """Milliseconds of each answer, sorted. ChildFailed if `over` never becomes true."""
        assert callable(over)
        took_ms, limit_ns = [], SYSTEM.monotonic_ns() + ns_of(LIMIT_S)
        while not over():
            if SYSTEM.monotonic_ns() > limit_ns:
                raise ChildFailed(f"not all is copied within {LIMIT_S:g} s")
            before_ns = SYSTEM.monotonic_ns()
            self._client.publish(Topics("floor-03").command("identify"), b"none", 1)
            try:
                took_ms.append((self._answers.get(timeout=10) - before_ns) / NS_PER_MS)
            except queue.Empty:
                raise ChildFailed("the unit does not answer within 10 s") from None
            SYSTEM.sleep(PROBE_EVERY_MS / 1000)
        return sorted(took_ms)


@contextmanager
def _probing(port: int) -> Iterator[_Probes]:
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-probe", protocol=mqtt.MQTTv5)
    client.on_message = lambda *_: answers.put(SYSTEM.monotonic_ns())
    client.connect("127.0.0.1", port, 10)
    client.subscribe(Topics("floor-03").replies("identify"), 1)
    client.loop_start()
    try:
        SYSTEM.sleep(1)
        yield _Probes(client, answers)
    finally:
        end_client(client)
