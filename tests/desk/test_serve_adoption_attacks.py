# SPDX-License-Identifier: Apache-2.0
"""An attacker between a new unit and its desk, or a neighbour who answers first, as seen by the two people.

The unit's process and the desk's pages are real; the attacker speaks the protocol with both, with separate keys.
"""

from __future__ import annotations

import contextlib
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from adoption_officer import Officer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from servesite import ServeSite

from adoption_rig import LIMIT_S, NewUnit
from broker import until
from linetap.adoption import adoptionfiles, deskrequests
from linetap.adoption.deskrequests import DeskAway
from linetap.cardresult import ADOPTED, CARD_WRONG, DESK
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import Answer, Begin, Box, Channel, Chosen, Opening, Question, Reply, Waits
from linetap_core.errors import LinetapError
from linetap_desk.serve.adoption.exchanges import TooMany
from pki_rig import Pki


class Thief:
    """A false desk. `real`: the address of the desk that it queries in the unit's name; None: a neighbour."""

    def __init__(
        self, real: tuple[str, int] | None, order: tuple[str, str], choose: Callable[[str], object] | None = None
    ) -> None:
        self.real, self.order, self.choose = real, order, choose
        self.own = X25519PrivateKey.generate()
        self.with_unit: Channel | None = None
        self.with_desk: Channel | None = None
        self.pressed = False
        self._begun: Begin | None = None
        self._answer: Answer | None = None

    def answer(self, path: str, body: bytes) -> bytes:
        if path == "/adopt":
            self._begun = msgspec.json.decode(body, type=Begin)
            self._ask_desk()
            self._answer = Answer(run=secrets.token_hex(32), key=adoption.public_of(self.own), nonce="ab" * 32)
            return msgspec.json.encode(Waits(run=self._answer.run))
        if path.endswith("/answer"):
            return msgspec.json.encode(Chosen(answer=self._answer))
        if path.endswith("/open"):
            opening = msgspec.json.decode(body, type=Opening)
            assert self._begun is not None
            assert self._answer is not None
            self.with_unit = adoption.channel(self.own, self._begun, self._answer, opening, opening.key)
            return b"{}"
        assert self.with_unit is not None
        box = msgspec.json.decode(body, type=Box)
        self.pressed = self.with_unit.open("unit", box, Question).pressed
        reply = Reply(state="order", order=self.order[0], signature=self.order[1])
        return msgspec.json.encode(self.with_unit.close("desk", box.count, reply))

    def _ask_desk(self) -> None:
        if self.real is None:
            return
        assert self.choose is not None
        self.with_desk = exchanged(self.real, self.own, self.choose, serial="as the unit has it")


def exchanged(
    desk: tuple[str, int], own: X25519PrivateKey, choose: Callable[[str], object], serial: str = ""
) -> Channel:
    """A unit's exchange with a desk; `choose` acts as the officer."""
    opening = Opening(key=adoption.public_of(own), nonce="cd" * 32)
    begin = Begin(commitment=adoption.commitment(opening), serial=serial)
    run = msgspec.json.decode(deskrequests.post(desk, "/adopt", msgspec.json.encode(begin)), type=Waits).run
    assert answer_of(desk, run) is None, "nobody has chosen it yet"
    choose(run)
    got = answer_of(desk, run)
    assert got is not None
    deskrequests.post(desk, f"/adopt/{run}/open", msgspec.json.encode(opening))
    return adoption.channel(own, begin, got, opening, got.key)


def answer_of(desk: tuple[str, int], run: str) -> Answer | None:
    return msgspec.json.decode(deskrequests.post(desk, f"/adopt/{run}/answer", b"{}"), type=Chosen).answer


@contextlib.contextmanager
def listening(thief: Thief, pki: Pki) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = thief.answer(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None: ...

    pair = pki.host("127.0.0.1", name="thief")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LIMIT_S)


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[NewUnit]:
    with NewUnit.of(tmp_path) as made:
        yield made


def order_of(unit: NewUnit) -> tuple[str, str]:
    desk = unit.card.desk
    return (desk / "linetap.toml").read_text(), (desk / "linetap.toml.sig").read_text()


def test_a_neighbour_who_answers_first_gets_nothing_without_the_button(unit: NewUnit, tmp_path: Path) -> None:
    """The neighbour may offer a valid order: nobody at the desk has these digits, so nobody presses."""
    thief = Thief(None, order_of(unit))
    with listening(thief, Pki(tmp_path / "theirs")) as url:
        unit.start(url)
        digits = unit.digits()
        until(lambda: thief.with_unit is not None and thief.with_unit.digits == digits, LIMIT_S)
        seen: list[int] = []
        whole = thief.answer

        def counted(path: str, body: bytes) -> bytes:
            seen.append(1)
            return whole(path, body)

        thief.answer = counted  # type: ignore[method-assign]
        until(lambda: len(seen) >= 5, LIMIT_S)
        assert not thief.pressed
        assert not (unit.sent / "linetap.toml").exists()
        assert not (unit.card.home / "unit.key").exists()
        adoptionfiles.press(unit.run_dir, "000000" if digits != "000000" else "111111")  # a press for other digits
        until(lambda: len(seen) >= 10, LIMIT_S)
        assert not (unit.sent / "linetap.toml").exists()


def test_who_is_in_between_shows_each_side_other_digits(unit: NewUnit, tmp_path: Path) -> None:
    with ServeSite(tmp_path / "serve") as served:
        desk = ("127.0.0.1", int(served.url.rpartition(":")[2]))
        thief = Thief(desk, order_of(unit), served.site.adoption.choose)
        with listening(thief, Pki(tmp_path / "theirs")) as url:
            unit.start(url)
            shown = unit.digits()
            (waiting,) = served.site.adoption.listed()
            assert waiting.channel.digits != shown, "once in a million"
            assert thief.with_desk is not None
            assert thief.with_desk.digits == waiting.channel.digits, "the desk's exchange is theirs"
            with pytest.raises(adoption.AdoptionFault, match="adoption_digits"):
                served.site.adoption.compare(waiting.run, shown)
            assert served.site.adoption.wrong == 1


@pytest.mark.parametrize("what", ["again", "lower", "strange", "reply of another question"])
def test_a_replay_is_answered_by_nobody(tmp_path: Path, what: str) -> None:
    """On the wire in both directions."""
    with ServeSite(tmp_path / "serve") as served:
        desk = ("127.0.0.1", int(served.url.rpartition(":")[2]))
        own = X25519PrivateKey.generate()
        made = exchanged(desk, own, served.site.adoption.choose)

        def ask(box: Box) -> Box:
            data = deskrequests.post(desk, f"/adopt/{made.run}", msgspec.json.encode(box))
            return msgspec.json.decode(data, type=Box)

        first = made.close("unit", 5, Question())
        answer = ask(first)
        assert made.open("desk", answer, Reply).state == "compare"
        if what == "reply of another question":
            with pytest.raises(adoption.AdoptionFault):
                made.open("desk", Box(count=6, box=answer.box), Reply)
            return
        again = {
            "again": first,
            "lower": made.close("unit", 4, Question()),
            "strange": Box(count=7, box=first.box),
        }[what]
        with pytest.raises(DeskAway, match="status 409"):
            ask(again)
        assert made.open("desk", ask(made.close("unit", 8, Question())), Reply).state == "compare", "it goes on"


def test_a_desk_tells_nobody_its_part_before_an_officer_has_chosen_them(tmp_path: Path) -> None:
    """Otherwise somebody who knows a unit's digits could retry until the desk's are the same."""
    with ServeSite(tmp_path / "serve") as served:
        desk, runs = ("127.0.0.1", int(served.url.rpartition(":")[2])), served.site.adoption
        opening = Opening(key=adoption.public_of(X25519PrivateKey.generate()), nonce="cd" * 32)
        begin = msgspec.json.encode(Begin(commitment=adoption.commitment(opening)))
        run = msgspec.json.decode(deskrequests.post(desk, "/adopt", begin), type=Waits).run
        assert answer_of(desk, run) is None
        with pytest.raises(DeskAway, match="status 409"):
            deskrequests.post(desk, f"/adopt/{run}/open", msgspec.json.encode(opening))
        assert answer_of(desk, run) is None
        officer = Officer(served)
        assert officer.chooses() == run
        first = answer_of(desk, run)
        assert first is not None
        officer.post(f"/adoption/run/{run}/choose")
        assert answer_of(desk, run) == first, "one number, however often"
        assert officer.log() == [("adopt_choose", "done")] * 2
        deskrequests.post(desk, f"/adopt/{run}/open", msgspec.json.encode(opening))
        deskrequests.post(desk, f"/adopt/{run}/open", msgspec.json.encode(opening))  # its answer was lost
        assert runs.get(run).channel is not None
        other = msgspec.structs.replace(opening, nonce="ce" * 32)
        with pytest.raises(DeskAway, match="status 409"):
            deskrequests.post(desk, f"/adopt/{run}/open", msgspec.json.encode(other))
        with pytest.raises(DeskAway, match="status 404"):
            answer_of(desk, run)


def test_while_right_digits_are_being_noted_the_unit_is_not_sent_away(tmp_path: Path) -> None:
    """A 404 at that moment would end the exchange on the unit, and the desk would wait for its button."""
    with ServeSite(tmp_path / "serve") as served:
        desk, runs = ("127.0.0.1", int(served.url.rpartition(":")[2])), served.site.adoption
        made = exchanged(desk, X25519PrivateKey.generate(), runs.choose)

        def ask(count: int) -> bytes:
            return deskrequests.post(
                desk, f"/adopt/{made.run}", msgspec.json.encode(made.close("unit", count, Question()))
            )

        ask(1)
        runs.compare(made.run, made.digits)
        with pytest.raises(DeskAway, match="status 409") as caught:
            ask(2)
        assert not caught.value.gone
        with pytest.raises(KeyError):
            runs.compare(made.run, made.digits)
        runs.settle(made.run, is_kept=False)
        ask(3)
        runs.compare(made.run, made.digits)
        runs.settle(made.run, is_kept=True)
        with pytest.raises(DeskAway, match="status 404"):
            ask(4)


def test_a_flood_of_exchanges_is_bounded_and_a_unit_still_comes_through(tmp_path: Path) -> None:
    with ServeSite(tmp_path / "serve") as served:
        desk, runs = ("127.0.0.1", int(served.url.rpartition(":")[2])), served.site.adoption
        unit = runs.begin(Begin(commitment="ab" * 32, serial="the unit"), "10.1.1.1").run
        chosen = runs.begin(Begin(commitment="ac" * 32, serial="compared"), "127.0.0.1").run
        runs.choose(chosen)
        sent_away = 0
        for number in range(40):
            try:
                deskrequests.post(desk, "/adopt", msgspec.json.encode(Begin(commitment=f"{number:064x}")))
            except DeskAway:
                sent_away += 1
        assert sent_away == 32, "8 of one address"
        for number in range(400):
            with contextlib.suppress(TooMany):
                runs.begin(Begin(commitment=f"{number:064x}"), f"fd00:0:0:{number % 12}::{number:x}")
        assert len(runs.listed()) == 65, "64, and what was chosen"
        newcomer = runs.begin(Begin(commitment="ad" * 32), "10.1.1.2").run
        assert {unit, chosen, newcomer} <= {one.run for one in runs.listed()}
        assert str(runs.refused) in Officer(served).page()
        with pytest.raises(DeskAway, match=r"status 413|Broken pipe|reset|EOF"):
            deskrequests.post(desk, "/adopt", b" " * 200_000)
        with pytest.raises(DeskAway, match="status 400"):
            deskrequests.post(desk, "/adopt", b'{"commitment":"xyz"}')
        with pytest.raises(DeskAway, match="status 404"):
            deskrequests.post(desk, f"/adopt/{'0' * 64}", msgspec.json.encode(Box(count=1, box="")))


def test_a_commissioned_unit_asks_nobody(unit: NewUnit) -> None:
    unit.stop.set()
    for name in ("linetap.toml", "linetap.toml.sig"):
        (unit.card.boot / name).write_bytes((unit.card.desk / name).read_bytes())
    assert unit.card.start() == 0
    assert unit.start("https://127.0.0.1:9").wait(LIMIT_S) == 0
    before = (unit.card.home / "unit.toml").read_bytes()
    unit.pack()  # younger, and signed by its own authority: on a card it would be accepted
    unit.sent.mkdir(parents=True, exist_ok=True)
    for name in ("linetap.toml", "linetap.toml.sig"):
        (unit.sent / name).write_bytes((unit.card.desk / name).read_bytes())
    unit.take()
    assert (unit.card.home / "unit.toml").read_bytes() == before
    assert not (unit.card.run / CARD_WRONG).exists(), "nor do the LEDs speak of it"


def test_root_leaves_what_a_card_has_said(unit: NewUnit) -> None:
    """The exchange may call root any number of times."""
    unit.stop.set()
    unit.sent.mkdir(parents=True)
    (unit.sent / adoptionfiles.ASKED).touch()
    for name in (CARD_WRONG, DESK):
        (unit.card.run / name).write_text("desk.city.example\n")
    unit.take()
    assert (unit.card.run / CARD_WRONG).exists()
    assert (unit.card.run / DESK).read_text() == "desk.city.example\n"


def test_a_refused_order_can_be_read_by_nobody(unit: NewUnit) -> None:
    """It may contain a Wi-Fi passphrase."""
    unit.stop.set()
    unit.sent.mkdir(parents=True)
    (unit.sent / "linetap.toml").write_text("[files]\npassphrase = 1\n")
    with contextlib.suppress(LinetapError):
        unit.take()
    there = [path for path in (unit.card.run / ADOPTED).iterdir() if path.stat().st_mode & 0o004]
    assert [path.name for path in there] == ["linetap-error.txt"]
    assert not (unit.card.run / ADOPTED / "linetap.toml").exists()


@pytest.mark.parametrize("what", ["no signature", "changed", "a link", "a folder"])
def test_root_takes_nothing_else_out_of_the_exchanges_folder(unit: NewUnit, what: str) -> None:
    unit.stop.set()
    unit.sent.mkdir(parents=True)
    order, signature = order_of(unit)
    secret = unit.card.root / "secret"
    secret.write_text(order)
    (unit.sent / "linetap.toml.sig").write_text(signature)
    match what:
        case "no signature":
            (unit.sent / "linetap.toml.sig").unlink()
            (unit.sent / "linetap.toml").write_text(order)
        case "changed":
            (unit.sent / "linetap.toml").write_text(order + "# more\n")
        case "a link":
            (unit.sent / "linetap.toml").symlink_to(secret)
        case _:
            (unit.sent / "linetap.toml").mkdir()
    unit.take()
    assert not (unit.card.home / "unit.key").exists()
    assert secret.read_text() == order, "and wiped nothing through a link"
