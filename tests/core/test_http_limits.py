# SPDX-License-Identifier: Apache-2.0
"""The limits of an exchange hold against a server that sends a byte now and then, wherever it does."""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from dripping import BODY, HEAD, NAMES, PLACES, STATUS, dripping
from https_server import HOST, Answer, Server
from linetap_core import httplimits
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.httplimits import Limits, TooSlow
from pki_rig import Pki


def asked(limits: Limits, scheme: str, port: int) -> bytes:
    context = ssl.create_default_context() if scheme == "https" else None
    with contextlib.closing(limits.connection("127.0.0.1", port, context=context)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().read()


@pytest.mark.parametrize(("scheme", "first"), PLACES, ids=NAMES)
def test_an_exchange_ends(scheme: str, first: bytes) -> None:
    limits = Limits.within(0.5, 30)
    with dripping(first) as port, pytest.raises(TimeoutError):
        asked(limits, scheme, port)
    assert limits.is_over


@pytest.mark.parametrize(("scheme", "first"), PLACES, ids=NAMES)
def test_urllib_ends_too(scheme: str, first: bytes) -> None:
    limits = Limits.within(0.5, 30)
    with dripping(first) as port, pytest.raises(OSError, match="time"):
        limits.opener(ssl.create_default_context()).open(f"{scheme}://127.0.0.1:{port}/").read()
    assert limits.is_over


def test_a_proxy_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own answer, before TLS begins."""
    limits = Limits.within(0.5, 30)
    with dripping(HEAD) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises(OSError, match="time"):
            limits.opener(ssl.create_default_context()).open("https://stamps.example/")
    assert limits.is_over


def test_answers_before_the_answer() -> None:
    """`100 Continue` may come any number of times (RFC 9110, 15.2.1)."""
    with dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + STATUS) as port, pytest.raises(TimeoutError):
        asked(Limits.within(0.5, 30), "http", port)


class Passing(ManualClock):
    """Each look at it takes a second."""

    def monotonic_ns(self) -> int:
        self.advance(NS_PER_S)
        return super().monotonic_ns()


def test_a_large_download_has_a_least_speed(tmp_path: Path) -> None:
    made = Pki(tmp_path / "pki")
    made.host(HOST, name="updates")
    pair = made.unit("floor-03")
    context = ssl.create_default_context(cafile=made.ca)
    context.load_cert_chain(pair.certificate, pair.key)
    with Server(made, made.pair("updates"), b"bundle" * 1000) as server:
        server.answers = [Answer(drips="body"), Answer()]
        clock = Passing()
        limits = Limits(clock, clock.monotonic_ns() + 100_000 * NS_PER_S, 60, large=True)
        with contextlib.closing(limits.connection(HOST, server.port, context=context)) as connection:
            connection.request("GET", "/")
            with pytest.raises(TooSlow, match=f"bytes in {httplimits.LEAST_S} s"):
                connection.getresponse().read()


@pytest.mark.parametrize(("whole_s", "reached"), [(5, False), (100, True)])
def test_all_addresses_share_the_time(whole_s: int, reached: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may have any number of them, and the last one answers."""
    with socket.create_server(("127.0.0.2", 0)) as gone:
        closed = gone.getsockname()
    with dripping(BODY) as port:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", place) for place in [closed] * 9 + [("127.0.0.1", port)]]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_: found)
        clock = Passing()
        limits = Limits(clock, clock.monotonic_ns() + whole_s * NS_PER_S, 30)
        with contextlib.closing(limits.connection("many.example", 80)) as connection:
            with contextlib.nullcontext() if reached else pytest.raises(TooSlow):
                connection.connect()
            assert (connection.sock is not None) == reached


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example"])
def test_what_is_no_name_of_a_host(host: str) -> None:
    with pytest.raises(OSError, match="is no name of a host"):
        Limits.within(1, 1).connection(host, 80).connect()
