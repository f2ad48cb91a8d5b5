# SPDX-License-Identifier: Apache-2.0
"""Fuzz targets: every reader of foreign or old bytes, with its seeds. Pages, a broker's frames and packages are in
pages.py, brokered.py and packages.py.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import brokered
import msgspec
import numpy as np
import packages
import pages
from foreign import Find, Target

from linetap import learned
from linetap.config import load_config
from linetap.notices import load_notice
from linetap.provision import memory
from linetap.recorder import checkpoint as recorder_checkpoint
from linetap.recorder.pbx import ledger
from linetap.recorder.replay.events import read_events
from linetap.recorder.smdr import layouts
from linetap.recorder.vault import admission
from linetap.recorder.vault.journal import store
from linetap.ring.layout import read_header
from linetap.update import state as update_state
from linetap_core.cli import main
from linetap_core.clock import SYSTEM
from linetap_core.durable.smallfile import SmallFile
from linetap_core.enrolment import order, request
from linetap_core.evidence.authorization import command, roles
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.calls import hold, index, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing, merkle, unitlog
from linetap_core.evidence.sealing import age, group, keylist
from linetap_core.evidence.signing import authority, namespaces, signers, sshsig
from linetap_core.evidence.witness import checkpoint, note, quorum, tlogproof
from linetap_core.records import RecorderState
from linetap_core.tomlfile.source import Source
from linetap_core.vaultformat import outboxfiles, walkreport
from linetap_core.versions import entry
from linetap_core.versions import entry as versions
from linetap_desk.ingest import judge
from linetap_desk.proofs import callfolder
from linetap_desk.searching import departments

TESTS = Path(__file__).resolve().parent.parent
ROOT = TESTS.parent


def _run(*words: object) -> None:
    """Runs a command, which must exit with 0, 1 or 2 and print plain lines only."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([str(word) for word in words])
    said = err.getvalue()
    if status not in (0, 1, 2):
        raise Find(f"exit {status}: {said[:300]}")
    if "a fault in linetap itself" in said or "Traceback" in said:
        raise Find(said[:500])
    if status == 2 and not said.strip():
        raise Find("exit 2 without a word")


def all_targets(work: Path, held: contextlib.ExitStack) -> list[Target]:
    """All targets. `work`: their writable folder; `held`: keeps the servers of some targets open."""
    with tarfile.open(TESTS / "vectors" / "unit-0.1.tar.xz") as archive:
        archive.extractall(work, filter="data")
    unit = work / "unit-0.1"
    (unit / "notices").mkdir(exist_ok=True)
    desk, members = packages.case(work)
    return [
        *_texts(unit, work), *_documents(unit), *_recorders(unit, work), *_commands(unit, work),
        *pages.all_pages(work, held, desk, members), *packages.all_packages(work, members),
        *brokered.all_messages(work, held),
    ]  # fmt: skip


def _file(work: Path, name: str, take: Callable[[Path], object]) -> Callable[[bytes], object]:
    path = work / name

    def fed(data: bytes) -> object:
        path.write_bytes(data)
        return take(path)

    return fed


def _texts(unit: Path, work: Path) -> Iterator[Target]:
    """Readers of typed text."""
    toml = (unit / "unit.toml").read_bytes()
    yield Target("unit.toml", [toml], _file(work, "unit.toml", load_config))
    script = [path.read_bytes() for path in (TESTS / "scenarios").glob("*.toml")]
    yield Target("calls.toml", script, _file(work, "calls.toml", lambda path: Source(path)))
    signer = (unit / "allowed_signers").read_bytes()
    options = b'floor-*,!x namespaces="linetap-record",valid-before="20301231" ' + signer.partition(b" ")[2]
    yield Target("allowed_signers", [signer, options, signer + options], _file(work, "as", callfolder.load_signers))
    yield Target(
        "authority", [signer.split(b" ", 1)[1]], lambda data: authority.from_text(data.decode("utf-8", "replace"))
    )
    table = "unit,line,from,department\nfloor-03,1,2026-01-01,민원과\n".encode()
    yield Target(
        "departments.csv",
        [table],
        _file(work, "departments.csv", _departments),
        (OSError,),
    )
    lines = [
        {"t": 1.25, "line": 1, "hook": 1}, {"t": 2, "line": 1, "ring": 1}, {"t": 3, "line": 1, "volts": -47.8},
        {"t": 4, "smdr": "11/25/26 07:56AM 2101 01 01012345678 00:00'10"},
    ]  # fmt: skip
    text = b"\n".join(msgspec.json.encode(line) for line in lines)
    yield Target("events.jsonl", [text], _file(work, "events.jsonl", lambda path: read_events(path, [1, 2], 80_000)))


def _departments(path: Path) -> object:
    return departments.Departments.load(path, ZoneInfo("Asia/Seoul"))


def _documents(unit: Path) -> Iterator[Target]:
    """Readers of documents that claim to be signed."""
    vault = unit / "vault"
    record = [path.read_bytes() for path in vault.rglob("record.json")]
    yield Target("record.json", record, sealed.decode_record, (msgspec.MsgspecError,))
    armored = [path.read_bytes() for path in vault.rglob("*.sig")]
    yield Target("signature", armored, lambda data: sshsig.check_all(record[0], data, "linetap-record"))
    head = (vault / "log" / "head.json").read_bytes()
    yield Target("head.json", [head], unitlog.decode_head)
    recipient, key = keys.new_identity().recipient, keys.new_unit_key()
    line = keys.public_line(key.public_key())
    days = [keylist.Epoch("2026-11-24", recipient, keys.new_identity().recipient)]
    over = [keylist.Overflow(1, keys.new_identity().recipient)]
    found = keylist.KeyList(
        version=1, made_at="2026-11-20T00:00:00.000Z", zone="Asia/Seoul", epochs=days, overflow=over,
        custodians=[recipient],
    )  # fmt: skip
    listed = keylist.encode(found)
    yield Target("key list", [listed], keylist.sound)
    people = [
        roles.Person("a", "desk", line),
        roles.Person("b", "privacy", keys.public_line(keys.new_unit_key().public_key())),
    ]
    named = msgspec.json.encode(roles.Roles(1, people, [roles.Purpose("p", "목적", "purpose", "law")]))
    yield Target("roles.json", [named], roles.parse)
    held = hold.encode(hold.Hold(call_id="20261124T225600.123Z-L03", unit="u", record_sha256="5f" * 32,
                                 key_sha256="5f" * 32, from_epoch="", to="", made_at="2026-11-24T03:00:00.000Z",
                                 case="1", basis="b", until="2027-11-24T03:00:00.000Z"))  # fmt: skip
    yield Target("hold.json", [held], hold.decode)
    asked = command.Command(
        unit="u", verb="identify", role="desk", counter=1, expires="2027-11-24T03:00:00.000Z", body={"seconds": "5"}
    )
    envelope = command.seal(asked, lambda data: sshsig.sign(data, key, namespaces.COMMAND))
    yield Target("command", [envelope], lambda data: command.check(data, "u", key.public_key(), None, Counters(), 0))
    yield Target("closing proof", [b'{"leaf":"x","index":1,"head":"","sig":""}'], closing.decode)
    yield Target("inclusion proof", [b"c2sp.org/tlog-proof@v1\nindex 1\n"], closing.decode_inclusion)
    yield Target(
        "tlog proof",
        [b"c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nname\n1\nAAAA\n\n\xe2\x80\x94 name AAAA\n"],
        tlogproof.decode,
    )
    logged_version = versions.Entry(
        product="linetap", version="0.2.0", payload="5f" * 32, root="5f" * 32, commit="5f" * 20
    ).encode()
    yield Target("entry of the log of versions", [logged_version], versions.decode)
    log_head = checkpoint.signed(
        checkpoint.Checkpoint(checkpoint.sigsum_origin(key.public_key()), 1, merkle.leaf_hash(logged_version)), key
    )
    demanded = quorum.Policy(logs={key.public_key().public_bytes_raw()}, quorum=quorum.NONE)
    proven = tlogproof.Proof(0, (), log_head, logged_version).encode()
    yield Target("proof of a version", [proven], lambda data: entry.of_proof(demanded, data))
    yield Target("note", [b"name\n1\nAAAA\n\n\xe2\x80\x94 name AAAAAAAA\n"], note.parse)
    yield Target("checkpoint", [b"name\n1\n" + b"A" * 43 + b"=\n"], checkpoint.decode)
    yield Target(
        "witness policy", [b"log 5f5f https://x.example\nwitness a 5f5f\ngroup g any a\nquorum g\n"], quorum.parse
    )
    yield Target(
        "walk report",
        [b'{"unit":"u","at":"2026-11-24T03:00:00.000Z","lines":[]}'],
        walkreport.decode,
        (msgspec.MsgspecError,),
    )
    sealed_key = [path.read_bytes() for path in vault.rglob("key.age")] + [age.encrypt(b"x", [recipient])]
    yield Target("age header", sealed_key, age.payload_offset)
    yield Target("group of age files", sealed_key, group.needed)
    event = next(iter(outboxfiles.read(next((vault / "outbox").glob("*.events"))))).entry
    known = signers.parse((unit / "allowed_signers").read_text())
    yield Target("report", [event.payload.encode()],
                 lambda data: judge.judge_event(judge.Report("u", data, event.sig, 0), known))  # fmt: skip
    yield Target(
        "report of its signer",
        [event.payload.encode()],
        lambda data: judge.event_fields(data),
        (ValueError, RecursionError),
    )
    yield Target(
        "index",
        [index.encode([]), b'{"call_id":"20261124T225600.123Z-L03","unit":"u","line":1}\n'],
        index.decode,
        (ValueError,),
    )
    yield Target("certificate request", [request_of(key)], request.check)


def request_of(key: keys.SigningKey) -> bytes:
    from cryptography.hazmat.primitives.asymmetric import ec

    return request.make("floor-03", ec.generate_private_key(ec.SECP256R1()), key)


def _recorders(unit: Path, work: Path) -> Iterator[Target]:
    """Readers of files that an older recorder or another service wrote, or that a medium damaged."""
    vault = unit / "vault"
    events = next((vault / "outbox").glob("*.events")).read_bytes()
    yield Target("outbox segment", [events], lambda data: list(outboxfiles.scan(data)))
    leaves = (vault / "log" / "leaves.jsonl").read_bytes()
    yield Target("leaf", leaves.splitlines(), lambda data: certificate_or_leaf(data))
    config = load_config(unit / "unit.toml")
    parse = layouts.parser(config)
    smdr = [
        b"11/25/26 07:56AM 2101 01 01012345678                 00:00'10",
        b"11/25 07:56:00 00:00:10 2101 01012345678",
    ]
    yield Target("line of a PBX", smdr, lambda data: parse(data.decode("latin-1"), SYSTEM.utc_ns()))
    journal = work / "journal"
    journal.mkdir(exist_ok=True)

    def of_journal(path: Path) -> object:
        return store.read(path.parent)

    yield Target("journal", [bytes(8192), os.urandom(8192)], _file(journal, "a.journal", of_journal))
    yield Target("ring header", [b"LTRING" + bytes(4090), bytes(4096)], _file(work, "ring-1", read_header))
    state = b'{"service":"recorder","version":"1","pid":1,"started_ns":1,"mono_ns":1,"progress":1,"lines":[]}'
    kinds: dict[str, SmallFile[Any]] = {
        "state file": SmallFile("state", RecorderState),
        "learned": learned.FILE, "update state": update_state._FILE, "requested update": update_state.REQUEST_FILE,
        "PBX day": ledger.DAY_FILE,
        "line fault": admission._FILE, "order memory": memory._FILE, "recorder checkpoint": recorder_checkpoint._FILE,
    }  # fmt: skip
    for name, kind in kinds.items():
        old = [state, b'{"day":"2026-11-25","zone":"Asia/Seoul"}', b'{"learned_at":"2026-11-24T22:56:00.123Z"}']
        yield Target(name, [*old, *(msgspec.json.encode({"linetap_file": kind.kind}) + b"\n" + each for each in old)],
                     kind.decode, (ValueError,))  # fmt: skip
    card = b'[unit]\nunit = "floor-03"\n[files]\n"unit.toml" = """\n' + (unit / "unit.toml").read_bytes() + b'"""\n'
    yield Target("order on the card", [card], _file(work, "linetap.toml", lambda path: order.read(Source(path))))


def certificate_or_leaf(data: bytes) -> object:
    from linetap.recorder.vault.log.leaves import decode_leaf

    return decode_leaf(data)


def _commands(unit: Path, work: Path) -> Iterator[Target]:
    """The same readers, run through their commands."""
    wav = io.BytesIO()
    with wave.open(wav, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((np.sin(np.arange(4000) / 3) * 8000).astype("<i2").tobytes())
    sound = [wav.getvalue()]
    yield Target("signals", sound, _file(work, "lines.wav", lambda path: _run("signals", "--audio", path)), slow=True)
    notices = ("--text", "x", "--folder", work / "imported", "--replace")
    yield Target(
        "notice import",
        sound,
        _file(work, "hall.wav", lambda path: _run("notice", "import", path, *notices)),
        slow=True,
    )
    yield Target("notice", sound, _file(work, "ko.wav", load_notice))
    told = (b'{"t":0.1,"line":1,"hook":1}\n{"t":0.2,"line":1,"volts":-47.8}\n',)
    (work / "still.wav").write_bytes(sound[0])
    yield Target(
        "signals --events",
        [*told],
        _file(work, "e.jsonl", lambda path: _run("signals", "--audio", work / "still.wav", "--events", path)),
        slow=True,
    )
    yield Target(
        "config check",
        [(unit / "unit.toml").read_bytes()],
        _file(unit, "unit.toml.try", lambda path: _run("config", "check", path)),
    )
    call = next((unit / "vault").glob("2*/*/*/*L01"))
    yield Target(
        "verify, signers",
        [(unit / "allowed_signers").read_bytes()],
        _file(work, "signers", lambda path: _run("verify", call, "--signers", path)),
    )
    for name in ("record.json", "record.json.sig", "key.age", "meta.age"):
        yield Target(f"verify, {name}", [(call / name).read_bytes()], _in_place(call / name, unit, call), slow=True)
    vault = unit / "vault"
    for path in (
        vault / "log" / "leaves.jsonl",
        vault / "log" / "head.json",
        vault / "log" / "tree.bin",
        next((vault / "outbox").glob("*.events")),
    ):
        yield Target(f"verify, {path.name}", [path.read_bytes()], _in_place(path, unit, vault), slow=True)
    bundle = (unit / "case.zip").read_bytes()
    yield Target(
        "verify, bundle",
        [bundle],
        _file(work, "case.zip", lambda path: _run("verify", path, "--signers", unit / "allowed_signers")),
        slow=True,
    )
    yield Target(
        "tones learn",
        sound,
        _file(
            work,
            "busy.wav",
            lambda path: _run("tones", "learn", "--name", "pbx", f"busy={path}", "-o", work / "p.toml"),
        ),
        slow=True,
    )
    documents = [b'{"version":1,"people":[],"purposes":[]}', b'{"call_id":"x","unit":"u"}']
    by = ("--authority", unit / "unit.key.pub")
    yield Target("roles check", documents, _file(work, "roles.json", lambda path: _run("roles", "check", path, *by)))
    yield Target("release show", documents, _file(work, "request.json", lambda path: _run("release", "show", path)))


def _in_place(path: Path, unit: Path, what: Path) -> Callable[[bytes], object]:
    whole = path.read_bytes()

    def fed(data: bytes) -> None:
        path.write_bytes(data)
        try:
            _run("verify", what, "--signers", unit / "allowed_signers")
        finally:
            path.write_bytes(whole)

    return fed
