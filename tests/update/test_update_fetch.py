# SPDX-License-Identifier: Apache-2.0
"""A bundle over real TLS with the unit's own certificate: complete or not at all, and resumed after an interruption."""

from __future__ import annotations

import hashlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from https_server import HOST, Answer, Server
from linetap.update import state
from linetap.update.fetch import fetch, fetch_small
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core import httplimits
from linetap_core.broker.client import tls_context
from linetap_core.broker.link import Patience
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.errors import BadInput
from linetap_core.wire import updates
from linetap_core.wire.mqtt import Broker
from pki_rig import Pair, Pki

BUNDLE = bytes(range(256)) * 4096  # 1 MiB
AGAIN = Patience(first_ms=1000, longest_ms=4000)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    made = Pki(tmp_path_factory.mktemp("pki") / "ours")
    made.unit("floor-03")
    made.host(HOST, name="updates")
    return made


@pytest.fixture
def server(pki: Pki) -> Iterator[Server]:
    with Server(pki, pki.pair("updates"), BUNDLE) as running:
        yield running


class Fetching:
    def __init__(self, pki: Pki, server: Server, folder: Path) -> None:
        self.into = folder / state.FETCHED
        self.clock: ManualClock = ManualClock()
        self.told = list[tuple[int, str]]()
        self.pair = Pair(pki.root / "floor-03-0.pem", pki.root / "floor-03-0.key")
        self.ca = pki.ca
        self.wanted = UpdateRequest(
            version="0.2.0", sha256=hashlib.sha256(BUNDLE).hexdigest(), size=len(BUNDLE),
            url=f"https://{HOST}:{server.port}/linetap/linetap-0.2.0.raucb",
        )  # fmt: skip

    @property
    def part(self) -> Path:
        return self.into.with_name(f"{self.into.name}.{self.wanted.sha256[:16]}.part")

    def context(self) -> ssl.SSLContext:
        context = tls_context(Broker(ca=str(self.ca), certificate=str(self.pair.certificate), key=str(self.pair.key)))
        assert context is not None
        return context

    def run(self, patience_s: float = 60) -> None:
        told = self.told.append
        fetch(
            self.wanted, self.into, self.context(), self.clock, lambda size, why: told((size, why)), patience_s, AGAIN
        )  # fmt: skip

    def fails(self, patience_s: float = 60) -> UpdateFault:
        with pytest.raises(UpdateFault) as raised:
            self.run(patience_s)
        assert not self.into.exists()
        return raised.value


@pytest.fixture
def fetching(pki: Pki, server: Server, tmp_path: Path) -> Fetching:
    return Fetching(pki, server, tmp_path)


def test_a_bundle_is_fetched_whole(fetching: Fetching, server: Server) -> None:
    fetching.run()
    assert fetching.into.read_bytes() == BUNDLE
    assert server.paths == ["/linetap/linetap-0.2.0.raucb"]
    assert fetching.told[-1] == (len(BUNDLE), "")
    assert list(fetching.into.parent.iterdir()) == [fetching.into]


def test_a_connection_that_is_cut_goes_on_where_it_was(fetching: Fetching, server: Server) -> None:
    server.answers = [Answer(cut_at=300_000), Answer(cut_at=200_000), Answer(status=503)]
    fetching.run()
    assert fetching.into.read_bytes() == BUNDLE
    assert server.asked == [None, "bytes=300000-", "bytes=500000-", "bytes=500000-"]
    assert any("503" in why for _, why in fetching.told)


def test_a_server_that_knows_no_parts_gives_all_of_it_again(fetching: Fetching, server: Server) -> None:
    server.answers = [Answer(cut_at=300_000), Answer(ranges=False)]
    fetching.run()
    assert fetching.into.read_bytes() == BUNDLE


def test_what_a_power_cut_has_spoiled_is_found_and_fetched_again(fetching: Fetching, server: Server) -> None:
    fetching.part.write_bytes(bytes(400_000))
    fetching.run()
    assert fetching.into.read_bytes() == BUNDLE
    assert server.asked == ["bytes=400000-", None]


def test_what_is_whole_already_is_not_asked_for(fetching: Fetching, server: Server) -> None:
    fetching.part.write_bytes(BUNDLE)
    fetching.run()
    assert server.asked == []
    assert fetching.into.read_bytes() == BUNDLE


def test_another_bundles_rest_goes(fetching: Fetching) -> None:
    other = fetching.into.with_name(f"{fetching.into.name}.{'0' * 16}.part")
    other.write_bytes(b"old")
    fetching.run()
    assert not other.exists()


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_another_object_in_place_of_the_rest_is_replaced(fetching: Fetching, kind: str) -> None:
    """A FIFO would wait for its reader for ever, and no update be reported as failed."""
    kept = fetching.part.with_name("kept")
    kept.write_bytes(b"kept")
    if kind == "fifo":
        os.mkfifo(fetching.part)
    elif kind == "folder":
        (fetching.part / "within").mkdir(parents=True)
    else:
        fetching.part.symlink_to(kept)
    fetching.run()
    assert fetching.into.read_bytes() == BUNDLE
    assert kept.read_bytes() == b"kept"


def test_another_content_is_refused(fetching: Fetching, server: Server) -> None:
    server.bundle = BUNDLE[:-1] + b"?"
    fault = fetching.fails()
    assert fault.code == "update_sha256"
    assert not fetching.part.exists()


@pytest.mark.parametrize(
    ("answer", "code", "word"),
    [
        (Answer(status=404), "update_fetch", "404"),
        (Answer(status=403), "update_fetch", "403"),
        (Answer(total=len(BUNDLE) + 1), "update_size", str(len(BUNDLE) + 1)),
        (Answer(total=10), "update_size", "has 10 bytes"),
        (Answer(status=302), "update_fetch", "302"),
    ],
    ids=["gone", "forbidden", "longer", "shorter", "elsewhere"],
)
def test_what_does_not_pass_is_reported_in_one_line(
    fetching: Fetching, server: Server, answer: Answer, code: str, word: str
) -> None:
    server.answers = [answer] * 50
    fault = fetching.fails(patience_s=5)
    assert fault.code == code
    assert word in str(fault)
    assert "\n" not in str(fault)


def test_another_part_than_was_asked_for_is_none(fetching: Fetching, server: Server) -> None:
    server.answers = [Answer(cut_at=300_000), Answer(begins=0)]
    assert "another part" in str(fetching.fails())


def test_a_server_that_is_away_is_asked_again_for_a_while(fetching: Fetching, server: Server) -> None:
    server.answers = [Answer(status=503)] * 1000
    fault = fetching.fails(patience_s=30)
    assert fault.code == "update_fetch"
    assert "not within 30 s" in str(fault)
    assert 5 < len(server.asked) < 100


class Passing(ManualClock):
    """Each look at it takes a second: of a server that gives a byte at a time, the time of a byte."""

    def monotonic_ns(self) -> int:
        self.advance(NS_PER_S)
        return super().monotonic_ns()


@pytest.mark.parametrize("drips", ["header", "body"])
def test_a_server_that_gives_a_byte_at_a_time_ends_with_the_patience(
    fetching: Fetching, server: Server, drips: str
) -> None:
    server.answers = [Answer(drips=drips)] * 1000
    fetching.clock = Passing()
    fault = fetching.fails(patience_s=100)
    assert fault.code == "update_fetch"
    assert "not within 100 s: the server did not send all of it in time" in str(fault)
    assert len(server.asked) == 1, "it was the time, and not a connection that broke"


@pytest.mark.parametrize("drips", ["header", "body"])
def test_a_connection_that_is_too_slow_is_left_for_another(fetching: Fetching, server: Server, drips: str) -> None:
    server.answers = [Answer(drips=drips)]
    fetching.clock = Passing()
    fetching.run(patience_s=100_000)
    assert fetching.into.read_bytes() == BUNDLE
    assert len(server.asked) == 2
    assert (server.asked[1] is None) == (drips == "header"), "what the slow one gave is kept"
    assert any(f"bytes in {httplimits.LEAST_S} s" in why for _, why in fetching.told)


@pytest.mark.parametrize("drips", ["header", "body"])
def test_a_small_file_a_byte_at_a_time_is_asked_for_again(fetching: Fetching, server: Server, drips: str) -> None:
    """The proof beside a bundle."""
    server.beside["proof"] = b"proof" * 1000
    server.answers = [Answer(drips=drips)]
    found = fetch_small(
        f"https://{HOST}:{server.port}/proof", 10_000, "gone", fetching.context(), Passing(), lambda *_: None
    )
    assert (found, len(server.asked)) == (b"proof" * 1000, 2)


def test_a_stranger_is_not_believed(fetching: Fetching, server: Server, tmp_path: Path) -> None:
    stranger = Pki(tmp_path / "stranger")
    fetching.ca = stranger.ca
    fault = fetching.fails(patience_s=3)
    assert "certificate verify failed" in str(fault)
    assert server.asked == []


def test_nobody_but_a_unit_gets_it(fetching: Fetching, server: Server, tmp_path: Path) -> None:
    fetching.pair = Pki(tmp_path / "stranger").unit("floor-03")
    assert fetching.fails(patience_s=3).code == "update_fetch"
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    [
        "http://broker/x", "https://", "https:///x", "ftp://broker/x", "https://me:word@broker/x", "https://broker/x#y",
        "https://broker:99999/x", "https://broker:0/x", "https://broker/\nx", "https://broker/한", "https://[::1/x", "",
        "https://broker/a b", "https://broker..example/x", f"https://{'x' * 64}.example/x", "https://127.1/x",
    ],
)  # fmt: skip
def test_only_https_is_an_address(url: str) -> None:
    with pytest.raises(BadInput, match="expected"):
        updates.check_url(url)


def test_the_usual_place_is_beside_the_broker(tmp_path: Path) -> None:
    from state_files import unit

    config = msgspec.structs.replace(unit(tmp_path), broker=Broker(host="broker.city.example"))
    assert state.usual_url(config, "0.2.0") == "https://broker.city.example/linetap/linetap-0.2.0.raucb"
    config = msgspec.structs.replace(config, broker=Broker(host="fd00::5"))
    found = state.usual_url(config, "0.2.0")
    assert found == "https://[fd00::5]/linetap/linetap-0.2.0.raucb"
    updates.check_url(found)
