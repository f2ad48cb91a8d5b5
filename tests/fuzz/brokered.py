# SPDX-License-Identifier: Apache-2.0
"""Fuzzed input from a broker: frames and publications on every topic of ingest, the desk's fleet view, unit commands.

A real ingest runs on a socket. It acknowledges a publication once the database has stored it. An invalid frame ends the
connection, and the next trial opens a new one.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from foreign import HANG_S, Find, Target

from ingest_rig import Teller
from linetap.reporter.inbox import Inbox
from linetap_core.clock import SYSTEM
from linetap_core.durable import files
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.signing import sshsig
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_desk.config.desk import Settings
from linetap_desk.copy import incoming
from linetap_desk.ingest import service
from linetap_desk.ingest.link import Patience
from linetap_desk.ingest.process import writer_of
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.service import Ingest
from linetap_desk.serve.live import journal
from linetap_desk.watch.places import Place
from linetap_desk.watch.units import Units

CONNACK = bytes.fromhex("2003000000")
PUBACK, PUBLISH_QOS_1 = 0x40, 0x32
UNIT = "floor-03"
_FAR = '"9999-12-31T23:59:59.999Z"'
_NOTICES = {
    "status": ['{"state":"online","session":"ab","version":"1","since":"2026-11-24T22:56:00.000Z"}'],
    "health": [
        '{"at":"2026-11-24T22:56:00.000Z","storage_days_left":12.5,"clock_offset_ms":-0.5,"recording_refused":null}',
        '{"at":"2026-11-24T22:56:00.000Z","services_dead":"","temperature_c":51.5,"outbox_seq":3,"unconfirmed":2}',
        '{"at":' + _FAR + ',"storage_days_left":1e999,"clock_offset_ms":NaN}',
    ],
    "alert/storage_low": [
        '{"severity":"critical","line":null,"since":"2026-11-24T22:56:00.000Z","text_ko":"저장","text_en":"disk"}',
        '{"severity":"warning","line":3,"since":"x","text_ko":"","text_en":"","action_ko":"교체","led":"fault"}',
    ],
    "line/1": ['{"state":"idle","since":"2026-11-24T22:56:00.000Z","call_id":null}'],
    "reply/ack": ['{"id":"x","verb":"ack","done":false,"code":"ack_origin","text":"x","at":' + _FAR + ',"body":{}}'],
    "reply/resend": ['{"verb":"resend","done":true,"code":"done","text":""}'],
    "reply/fetch": ['{"verb":"fetch","done":true,"code":"done","text":""}', "[" * 3000],
}  # fmt: skip


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return len(data).to_bytes(2) + data


def publication(topic: bytes, payload: bytes, sig: bytes = b"", mid: int = 1) -> bytes:
    """An MQTT 5 PUBLISH of QoS 1; the signature is a user property."""
    properties = b"\x26" + _text("sig") + _text(sig[:65_535]) if sig else b""
    body = _text(topic[:65_535]) + mid.to_bytes(2) + _length(len(properties)) + properties + payload
    return bytes([PUBLISH_QOS_1]) + _length(len(body)) + body


def _length(value: int) -> bytes:
    out = b""
    while True:
        value, low = divmod(value, 128)
        out += bytes([low | (0x80 if value else 0)])
        if not value:
            return out


class Desk:
    """An ingest that trusts one unit; this class acts as its broker."""

    def __init__(self, folder: Path, held: contextlib.ExitStack) -> None:
        folder.mkdir()
        self._server = held.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._server.settimeout(HANG_S)
        self.teller = Teller(folder)
        held.callback(self.teller.outbox.close)
        signers, key = folder / "allowed_signers", folder / "desk.key"
        signers.write_text(self.teller.signer)
        key.write_bytes(keys.unit_key_file(keys.new_unit_key()))
        settings = Settings(
            broker=BrokerConfig(host="127.0.0.1", port=self._server.getsockname()[1]),
            client_id="desk", signers=signers, key=key, db=f"sqlite:///{folder / 'desk.db'}",
        )  # fmt: skip
        engine = held.enter_context(writer_of(settings.db, shared=False))
        held.callback(setattr, service, "TURN_S", service.TURN_S)
        service.TURN_S = 0.005  # short turns: power does not matter here
        patience = Patience(first_ms=1, longest_ms=1)
        self._ingest = Ingest(settings, engine, SignersFile(signers), SYSTEM, patience, None)
        held.callback(self._ingest.end)
        held.callback(self._hang_up)
        self._peer: socket.socket | None = None
        self._mid = 0
        self._faults: list[str] = []
        held.callback(setattr, threading, "excepthook", threading.excepthook)
        threading.excepthook = lambda found: self._faults.append(f"{found.exc_type.__name__}: {found.exc_value}")

    def publish(self, data: bytes) -> None:
        """Publishes `data`: a line with the topic, a line with the signature, and the payload.

        A namespace in place of the signature: signed here with the unit's key, as a hostile unit would.
        """
        topic, _, rest = data.partition(b"\n")
        sig, _, payload = rest.partition(b"\n")
        if sig in (b"linetap-event", b"linetap-head"):
            sig = unarmored(sshsig.sign(payload, self.teller.key, sig.decode())).encode()
        self._mid = self._mid % 60_000 + 1
        self.send(publication(topic, payload, sig, self._mid), self._mid)

    def send(self, frame: bytes, mid: int = 0) -> None:
        """Sends a frame, then waits until ingest acknowledges `mid` or disconnects.

        `mid` 0: disconnects after the frame, and waits until ingest has detected it.
        """
        peer = self._connected()
        peer.sendall(frame)
        if not mid:
            self._hang_up()
        end_ns, heard = SYSTEM.monotonic_ns() + HANG_S * 10**9, b""
        while self._peer is not None:
            self._ingest.turn()
            try:
                piece = peer.recv(1 << 16)
                if not piece:
                    self._hang_up()
                heard += piece
            except BlockingIOError:
                pass
            if re.search(bytes([PUBACK]) + b"." + re.escape(mid.to_bytes(2)), heard, re.DOTALL):
                break
            if SYSTEM.monotonic_ns() > end_ns:
                raise Find(f"not taken within {HANG_S} s: {frame[:500]!r}")
        while not mid and self._ingest.connected:
            self._ingest.turn()
        if self._faults:
            raise Find(f"a thread of the ingest ended: {self._faults}; {frame[:500]!r}")

    def _connected(self) -> socket.socket:
        if self._peer is None:
            accepted: list[socket.socket] = []
            waiting = threading.Thread(target=lambda: accepted.append(self._accept()))
            waiting.start()
            while waiting.is_alive() or not self._ingest.connected:
                self._ingest.turn()
            (self._peer,) = accepted
            self._peer.setblocking(False)
        return self._peer

    def _accept(self) -> socket.socket:
        while True:
            peer, _ = self._server.accept()
            peer.settimeout(HANG_S)
            if self._greeted(peer):
                return peer
            peer.close()

    def _greeted(self, peer: socket.socket) -> bool:
        """Whether the connection is still open: ingest closes a connection without an answer from the broker."""
        heard = peer.recv(4096)
        if not heard:
            return False
        peer.sendall(CONNACK)
        while not (found := re.search(b"\x82.(..)", heard[20:], re.DOTALL)):
            more = peer.recv(4096)
            if not more:
                return False
            heard += more
        peer.sendall(b"\x90\x0b" + found[1] + b"\x00" + b"\x01" * 8)
        return True

    def _hang_up(self) -> None:
        if self._peer is not None:
            self._peer.close()
            self._peer = None


def all_messages(work: Path, held: contextlib.ExitStack) -> Iterator[Target]:
    desk = Desk(work / "ingest", held)
    said = [
        f"linetap/v1/{UNIT}/{kind}\n\n{text}".encode()
        for kind, texts in _NOTICES.items() for text in texts
    ]  # fmt: skip
    desk.teller.call(1)
    desk.teller.tell("copied", 1, why="x", record_sha256="ab" * 32)
    events = [report.payload for report in desk.teller.reports()]
    events += [payload.replace(b'"2026-', b'"9999-') for payload in events[:1]]
    calls = [f"linetap/v1/{UNIT}/call\nlinetap-event\n".encode() + payload for payload in events]
    calls.append(f"linetap/v1/{UNIT}/call\n\n".encode() + events[0])
    head = unitlog.Head(
        unit=UNIT, size=3, log="", root="5f" * 32, at="2026-11-24T22:56:00.000Z", origin=desk.teller.origin
    )
    heads = [f"linetap/v1/{UNIT}/log\nlinetap-head\n".encode() + unitlog.encode_head(head)]
    yield Target("broker, notices", said, desk.publish, trials=60)
    yield Target("broker, events of a hostile unit", calls, desk.publish, trials=100)
    yield Target("broker, heads of a hostile unit", heads, desk.publish)
    frames = [publication(f"linetap/v1/{UNIT}/health".encode(), b"{}", b"x"), b"\xe0\x00", b"\x40\x02\x00\x01",
              b"\xd0\x00", b"\x90\x04\x00\x01\x00\x01", CONNACK, b"\x36\xff\xff\xff\x7f"]  # fmt: skip
    yield Target("broker, frames", frames, desk.send)
    units = Units([UNIT])
    place = Place("본관", "3층")

    def shown(data: bytes) -> None:
        topic, _, payload = data.partition(b"\n")
        units.receive(topic.decode("utf-8", "replace"), payload, SYSTEM.monotonic_ns())
        for unit in list(units.units.values()):
            msgspec.json.encode(journal.picture(unit, place, SYSTEM.monotonic_ns(), str))

    yield Target("broker, picture of the fleet", [each.replace(b"\n\n", b"\n", 1) for each in said], shown, trials=200)
    inbox = Inbox(work / "run", SYSTEM)

    def commanded(data: bytes) -> None:
        verb, _, payload = data.partition(b"\n")
        inbox.receive(verb.decode("utf-8", "replace"), payload, payload[:8])
        for path in (work / "run").rglob("net-*"):
            path.unlink()
        inbox.__dict__["_waiting"].clear()

    yield Target("broker, commands", [b'identify\n{"command":"e30=","sig":"x"}', b"ack\n\xff", b"../x\n{}"], commanded)
    yield Target("copied record", _records(work), lambda data: _copied(work, data), trials=60)


def _records(work: Path) -> list[bytes]:
    return [path.read_bytes() for path in (work / "unit-0.1" / "vault").rglob("record.json")]


def _copied(work: Path, data: bytes) -> Any:
    """The copied record, with the hash stated in the unit's event: the unit itself is hostile."""
    whose = msgspec.json.decode(_records(work)[0])
    folder = work / "copied"
    for path in folder.glob("*"):
        path.unlink()
    (work / "digest").write_bytes(data)
    call = incoming.Call(whose["unit"], whose["call_id"], files.sha256(work / "digest"))
    coming = incoming.Incoming(folder, call, [])
    if coming.store("record.json", 0, len(data), data):
        incoming.Incoming(folder, call, [])
