# SPDX-License-Identifier: Apache-2.0
"""Our own witness over HTTP: what it cosigns, its answers to everything else, and that it forgets nothing."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dripping import DRIPS, EVERY_S
from linetap_core.cli import main
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog.merkle import EMPTY_ROOT, Tree
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.checkpoint import AddRequest, Checkpoint
from linetap_core.evidence.witness.note import Note
from linetap_core.service import InstanceLock
from linetap_desk.web import server
from linetap_desk.witnessing import signedheads
from linetap_desk.witnessing.witness import CheckpointWitness, Server

AT = "2026-11-24T23:10:00.000Z"
AT_S = parse_rfc3339(AT) // 1_000_000_000
LOG, WITNESS, STRANGER = keys.new_unit_key(), keys.new_unit_key(), keys.new_unit_key()
ORIGIN = checkpoint.sigsum_origin(LOG.public_key())


@dataclass
class Asked:
    status: int
    kind: str
    body: bytes


@dataclass
class Served:
    state: Path
    port: int

    def post(self, body: bytes, path: str = "/add-checkpoint", **headers: str) -> Asked:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return Asked(answer.status, answer.getheader("Content-Type", ""), answer.read())
        finally:
            connection.close()

    def ask(self, tree: Tree, old: int, size: int, key: keys.SigningKey = LOG, **change: Checkpoint) -> Asked:
        found = change.get("found") or Checkpoint(ORIGIN, size, tree.root(size))
        assert isinstance(key, type(LOG))
        signed = Note(found.text(), (note.sign(found.text(), found.origin, key),))
        return self.post(AddRequest(old, tuple(tree.consistency(old, size)) if old <= size else (), signed).encode())


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    log = checkpoint.log_key(LOG.public_key())
    clock = ManualClock(parse_rfc3339(AT))
    witness = CheckpointWitness("w.example", WITNESS, {log.name: log}, tmp_path / "seen.json", clock)
    with Server(("127.0.0.1", 0), witness) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield Served(tmp_path / "seen.json", int(server.server_address[1]))
        finally:
            server.shutdown()
            thread.join()


def grown(count: int, first: bytes = b"leaf 0") -> Tree:
    tree = Tree()
    tree.append_all([first, *(b"leaf %d" % n for n in range(1, count))])
    return tree


def test_the_witness_cosigns_a_log_that_grows(served: Served) -> None:
    tree = grown(7)
    for old, size in ((0, 3), (3, 3), (3, 7)):
        got = served.ask(tree, old, size)
        assert got.status == 200, got.body
        text = Checkpoint(ORIGIN, size, tree.root(size)).text()
        found = Note(text, note.parse_lines(got.body))
        assert checkpoint.cosigned_at(found, WITNESS.public_key().public_bytes_raw(), "w.example") == AT_S
    assert json.loads(served.state.read_bytes().splitlines()[-1]) == {ORIGIN: {"root": tree.root(7).hex(), "size": 7}}


def test_what_the_standard_says_no_to(served: Served) -> None:
    tree, other = grown(7), grown(7, b"another")
    assert served.ask(tree, 0, 3).status == 200
    got = served.ask(tree, 2, 7)
    assert (got.status, got.kind, got.body) == (409, "text/x.tlog.size", b"3\n")
    assert served.ask(other, 3, 7).status == 422, "a fork"
    assert served.ask(other, 3, 3).status == 422, "another root of the same size"
    assert served.ask(tree, 8, 7).status == 400
    assert served.ask(tree, 3, 7, STRANGER).status == 403
    assert served.ask(tree, 3, 7, found=Checkpoint("unknown.example", 7, tree.root(7))).status == 404
    assert served.ask(tree, 3, 7, found=Checkpoint(ORIGIN, 7, other.root(7))).status == 422
    assert served.post(b"old 0\n\n" + Note(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text(), ()).encode()).status == 400
    assert json.loads(served.state.read_bytes().splitlines()[-1])[ORIGIN]["size"] == 3, "nothing of it was taken in"
    assert served.ask(tree, 3, 7).status == 200


@pytest.mark.parametrize("body", [b"", b"old", b"old 0\n\n", b"\0" * 1000, b"old 0\n" * 100, "old 0\n\n—".encode()])
def test_what_is_no_request_is_400(served: Served, body: bytes) -> None:
    assert served.post(body).status == 400
    assert not served.state.exists()


def test_its_bounds(served: Served) -> None:
    assert served.post(b"", "/").status == 404
    assert served.post(b"", "/add-checkpoint", **{"Content-Length": str(checkpoint.LIMIT_BYTES + 1)}).status == 413
    assert served.post(b"", "/add-checkpoint", **{"Content-Length": "9" * 5000}).status == 413
    assert served.post(b"", "/add-checkpoint", **{"Content-Length": "-1"}).status == 413
    assert served.ask(grown(3), 0, 3).status == 200


def test_a_state_that_cannot_be_written(
    served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says so, here and to the keeper, and cosigns nothing."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(served.state))

    with monkeypatch.context() as disk:
        disk.setattr(signedheads, "keep_state", full)
        assert served.ask(grown(3), 0, 3) == Asked(500, "text/plain; charset=utf-8", b"")
    assert "No space left on device" in capsys.readouterr().err
    assert served.ask(grown(3), 0, 3).status == 200


@pytest.mark.parametrize("first", [b"PO", b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 1000\r\n\r\n"])
def test_a_client_that_sends_a_byte_now_and_then(served: Served, first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight of them would be all that the witness serves."""
    monkeypatch.setattr(server, "REQUEST_S", 0.5)
    with socket.create_connection(("127.0.0.1", served.port)) as line:
        line.sendall(first)
        line.settimeout(EVERY_S)
        for _ in range(DRIPS):
            with contextlib.suppress(TimeoutError):
                assert line.recv(1) == b""
                break
            line.sendall(b"x")
        else:
            pytest.fail("it waits for the whole request")


def test_who_forgets_does_not_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody else's state would let it cosign forks; so would a key that is no log's, or an invalid name."""
    (tmp_path / "w.key").write_bytes(keys.unit_key_file(WITNESS))
    (tmp_path / "w.key").chmod(0o600)
    signers = tmp_path / "signers"
    signers.write_text(f'closet namespaces="linetap-checkpoint" {keys.public_line(LOG.public_key())}\n')
    (tmp_path / "seen.json").write_text('{"x": 1}')
    named = {"key": tmp_path / "w.key", "state": tmp_path / "seen.json", "signers": signers, "name": "w.example"}

    def refused(**change: object) -> str:
        words = [
            word
            for name, value in {**named, "listen": "127.0.0.1:0", **change}.items()
            for word in (f"--{name}", str(value))
        ]
        assert main(["witness", *words]) == 2
        return capsys.readouterr().err

    assert "what this witness has written expected" in refused()
    assert "--name 'a b': a name without spaces and +" in refused(name="a b")
    assert "only on the loopback" in refused(listen="0.0.0.0:7380", state=tmp_path / "new")
    with InstanceLock(tmp_path, "new.witness"):  # two would read it at the same moment, and cosign a fork
        told = refused(listen="0.0.0.0:7380", state=tmp_path / "new")
        assert told.endswith(f"new.witness is already running, held by pid {os.getpid()}\n")
    signers.write_text(f"closet {keys.public_line(LOG.public_key())}\n")
    assert "names no keeper" in refused()
