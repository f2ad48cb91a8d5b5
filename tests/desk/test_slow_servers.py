# SPDX-License-Identifier: Apache-2.0
"""A server that sends a byte now and then: the request to it ends, and a witness's does not hold up the others."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dripping import NAMES, PLACES, TLS_HELLO, dripping
from linetap_core.errors import BadInput
from linetap_core.evidence.witness import checkpoint
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.quorum import Policy, Witness
from linetap_core.httplimits import Limits
from linetap_desk.config.desk import SummaryConfig
from linetap_desk.custody import package
from linetap_desk.custody.search import connection
from linetap_desk.summary import delivery
from linetap_desk.witnessing import client, timestamp
from linetap_desk.witnessing.client import NotCosigned, request_cosignature


@pytest.mark.parametrize(("scheme", "first"), PLACES, ids=NAMES)
def test_a_witness(scheme: str, first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_EXCHANGE_S", 0.5)
    signed = checkpoint.signed(Checkpoint("log", 1, bytes(32)), Ed25519PrivateKey.generate())
    with dripping(first) as port:
        witness = Witness("slow", bytes(32), url=f"{scheme}://127.0.0.1:{port}/")
        with pytest.raises(NotCosigned, match=r"none within 0\.5 s") as raised:
            request_cosignature(witness, signed, 0, lambda _old: [])
    assert raised.value.code == "no_answer"


@pytest.mark.parametrize(("scheme", "first"), PLACES, ids=NAMES)
def test_an_authority(scheme: str, first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timestamp, "_EXCHANGE_S", 0.5)
    with dripping(first) as port, pytest.raises(timestamp.NoTimestamp, match=r"none within 0\.5 s"):
        timestamp._post(f"{scheme}://127.0.0.1:{port}/", b"query")


def test_a_desk_with_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "_PACKAGE_S", 0.5)
    with (
        dripping(TLS_HELLO) as port,
        pytest.raises(BadInput, match="timed out"),
        package.fetched(f"https://127.0.0.1:{port}", None, "ticket"),
    ):
        pass


def test_a_desk_with_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "INDEX_S", 0.5)
    with dripping(TLS_HELLO) as port, pytest.raises(BadInput, match="timed out"):
        connection.DeskConnection(f"https://127.0.0.1:{port}", None, "ticket")


@pytest.mark.parametrize(("scheme", "first"), PLACES, ids=NAMES)
def test_a_webhook(scheme: str, first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "EXCHANGE_S", 0.5)
    with dripping(first) as port, pytest.raises(delivery.NotDelivered, match="time"):
        delivery.webhook(SummaryConfig(webhook=f"{scheme}://127.0.0.1:{port}/"), {})


@pytest.mark.parametrize("url", ["http://[/", "https://witness.example:port/"])
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(BadInput, match="expected"):
        client.require_urls(Policy({"A": Witness("A", bytes(32), url=url)}))
    with pytest.raises(BadInput, match="expected"):
        package.connection_to(url, None, Limits.within(1, 1))


def test_what_is_no_name_of_a_desk() -> None:
    with pytest.raises(BadInput, match="is no name of a host"):
        connection.DeskConnection("https://desk..example", None, "ticket")
