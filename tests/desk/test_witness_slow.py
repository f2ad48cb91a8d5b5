# SPDX-License-Identifier: Apache-2.0
"""A witness that sends a byte now and then: its request ends, so that the other witnesses get theirs."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.evidence.witness import checkpoint
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.quorum import Witness
from linetap_desk.witnessing import client
from linetap_desk.witnessing.client import NotCosigned, request_cosignature

DRIPS, EVERY_S = 100, 0.1
TLS_HELLO = b"\x16\x03\x03\x40\x00"  # a record of 16 KiB begins


@contextlib.contextmanager
def dripping(first: bytes) -> Iterator[int]:
    """The port of a server that answers with these bytes, and then with one byte after another."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                line, _ = server.accept()
                with line:
                    line.recv(65536)
                    line.sendall(first)
                    for _ in range(DRIPS):
                        line.sendall(b"x")
                        if done.wait(EVERY_S):
                            return

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("scheme", "first"),
    [("http", b"HTTP/1.1 200 OK\r\n\r\n"), ("http", b"HTTP/1.1 200 OK\r\nX: "), ("http", b""), ("https", TLS_HELLO)],
    ids=["answer", "header", "status", "TLS"],
)
def test_its_request_ends(scheme: str, first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_EXCHANGE_S", 0.5)
    signed = checkpoint.signed(Checkpoint("log", 1, bytes(32)), Ed25519PrivateKey.generate())
    with dripping(first) as port:
        witness = Witness("slow", bytes(32), url=f"{scheme}://127.0.0.1:{port}/")
        with pytest.raises(NotCosigned, match=r"none within 0\.5 s") as raised:
            request_cosignature(witness, signed, 0, lambda _old: [])
    assert raised.value.code == "no_answer"
