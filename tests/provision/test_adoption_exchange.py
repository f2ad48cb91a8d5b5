# SPDX-License-Identifier: Apache-2.0
"""The unit's side of an exchange, turn by turn, against somebody in between who passes messages on, or keeps them.

The desk here is the protocol alone; the desk's own part is in tests/desk/test_serve_adoption_attacks.py.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from linetap.adoption import adoptionfiles, deskrequests, exchange
from linetap.adoption.adoptionfiles import KeptSession
from linetap.adoption.deskrequests import DeskAway
from linetap.adoption.exchange import Exchange
from linetap_core.clock import NS_PER_S, ManualClock
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import Answer, Begin, Box, Channel, Chosen, Opening, Question, Reply, Waits
from pki_rig import Pki


class Desk:
    """A desk that chooses every unit at once. `channels`: of each exchange, the oldest first."""

    def __init__(self) -> None:
        self.begun: list[Begin] = []
        self.channels: list[Channel] = []
        self.questions: list[Question] = []
        self.reply = Reply(state="compare")
        self.own = X25519PrivateKey.generate()

    def post(self, _: tuple[str, int], path: str, body: bytes) -> bytes:
        if path == "/adopt":
            self.begun.append(msgspec.json.decode(body, type=Begin))
            return msgspec.json.encode(Waits(run=f"{len(self.begun):064x}"))
        answer = Answer(run=f"{len(self.begun):064x}", key=adoption.public_of(self.own), nonce="ab" * 32)
        if path.endswith("/answer"):
            return msgspec.json.encode(Chosen(answer=answer))
        if path.endswith("/open"):
            opening = msgspec.json.decode(body, type=Opening)
            self.channels.append(adoption.channel(self.own, self.begun[-1], answer, opening, opening.key))
            return b"{}"
        box = msgspec.json.decode(body, type=Box)
        self.questions.append(self.channels[-1].open("unit", box, Question))
        return msgspec.json.encode(self.channels[-1].close("desk", box.count, self.reply))


def faithful(_path: str, answer: bytes) -> bytes:
    return answer


class Unit:
    """A unit. `between`: what happens to the desk's answers."""

    def __init__(self, folder: Path, desk: Desk) -> None:
        self.folder, self.desk, self.clock = folder, desk, ManualClock()
        self.run_dir, self.between = folder / "run", faithful
        self.run_dir.mkdir()
        self.start()

    between: Callable[[str, bytes], bytes]

    def start(self) -> None:
        """Starts the process, the first time or again."""
        home, kept = self.folder / "etc", KeptSession(self.folder / "session.json")
        self.exchange = Exchange(
            self.run_dir, home, self.folder / "adopted", kept, [("desk", 8443)], {}, self.clock, self._post
        )

    def _post(self, desk: tuple[str, int], path: str, body: bytes) -> bytes:
        return self.between(path, self.desk.post(desk, path, body))

    def turns(self, count: int, seconds: int = 3) -> bool:
        """Returns whether the last one was the last."""
        is_over = False
        for _ in range(count):
            is_over = self.exchange.turn()
            self.clock.advance(seconds * NS_PER_S)
        return is_over

    @property
    def shown(self) -> tuple[str, str]:
        said = adoptionfiles.read_shown(self.run_dir)
        assert said is not None
        return said.state, said.digits


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def unit(tmp_path: Path, desk: Desk) -> Unit:
    made = Unit(tmp_path, desk)
    made.turns(3)
    assert made.shown == ("code", desk.channels[0].digits)
    return made


def test_the_lights_say_that_a_desk_is_sought_before_the_first_question(tmp_path: Path, desk: Desk) -> None:
    """A network that leads nowhere delays the first question for half a minute."""
    seen: list[tuple[str, str]] = []
    made = Unit(tmp_path, desk)

    def between(_path: str, _answer: bytes) -> bytes:
        seen.append(made.shown)
        raise DeskAway("nobody there")

    made.between = between
    made.turns(1)
    assert seen == [("seek", "")]


def gone(_path: str, _answer: bytes) -> bytes:
    raise DeskAway("status 404", gone=True)


def broken(_path: str, _answer: bytes) -> bytes:
    raise DeskAway("status 500")


def not_json(_path: str, _answer: bytes) -> bytes:
    return b"<html>"


def other_box(_path: str, answer: bytes) -> bytes:
    return answer.replace(b'"count":', b'"count":9')


def other_key(_path: str, answer: bytes) -> bytes:
    box = msgspec.json.decode(answer, type=Box)
    return msgspec.json.encode(Box(count=box.count, box=base64.b64encode(bytes(64)).decode()))


@pytest.mark.parametrize("how", [gone, broken, not_json, other_box, other_key], ids=lambda how: how.__name__)
def test_a_press_is_counted_for_no_other_exchange(unit: Unit, desk: Desk, how: Callable[[str, bytes], bytes]) -> None:
    """Somebody forwards the first exchange, keeps the desk's answer to the press, and pretends to be the
    second's desk.
    """
    digits = desk.channels[0].digits
    adoptionfiles.press(unit.run_dir, digits)
    unit.between = how
    unit.turns(50)
    assert desk.questions[-1].pressed
    assert unit.shown == ("code", digits), "the person still sees what they have read out"
    desk.reply = Reply(state="order", order="theirs", signature="theirs")
    unit.clock.advance(exchange.RUN_S * NS_PER_S)
    unit.turns(1)
    unit.between = faithful
    assert unit.turns(100), "it is over"
    assert unit.shown == ("over", "")
    unit.start()
    assert unit.turns(100), "after the process was started again, too"
    assert len(desk.begun) == 1
    assert not (adoptionfiles.sent(unit.run_dir) / "linetap.toml").exists()


def test_the_desks_own_answer_after_such_a_press_still_counts(unit: Unit, desk: Desk) -> None:
    adoptionfiles.press(unit.run_dir, desk.channels[0].digits)
    unit.between = gone
    unit.turns(20)
    unit.between, desk.reply = faithful, Reply(state="order", order="order", signature="signature")
    unit.turns(1)
    assert (adoptionfiles.sent(unit.run_dir) / "linetap.toml").read_text() == "order"
    assert unit.shown == ("confirmed", "")


def test_of_many_errors_in_the_order_the_desk_hears_the_first(unit: Unit, desk: Desk) -> None:
    """It heard nothing of more than 1500 bytes, and both people waited."""
    told = unit.folder / "adopted"
    told.mkdir()
    lines = [f"linetap.toml: unit.toml:{number}: unknown key k{number}" for number in range(1, 101)]
    (told / "linetap-error.txt").write_text("\n".join(lines))
    unit.turns(1)
    assert (desk.questions[-1].fault or "").startswith(lines[0])


@pytest.mark.parametrize("how", [gone, other_box, other_key, "ended"], ids=str)
def test_other_digits_come_after_a_long_dark(unit: Unit, desk: Desk, how: Callable[[str, bytes], bytes] | str) -> None:
    """Ended between the desk's comparison and the press: who wants to press sees no digits."""
    if how == "ended":
        desk.reply = Reply(state="ended")
    else:
        assert not isinstance(how, str)
        unit.between = how
    unit.turns(1)
    unit.between, desk.reply = faithful, Reply(state="compare")
    for _ in range(exchange.PAUSE_TURNS):
        assert unit.shown == ("seek", "")
        unit.turns(1)
    assert len(desk.begun) == 1
    unit.turns(2)
    assert unit.shown == ("code", desk.channels[1].digits)


def test_an_opening_that_nobody_answers_is_a_number_too(tmp_path: Path, desk: Desk) -> None:
    """Somebody in between has the digits, and would let only fitting ones be shown."""
    unit = Unit(tmp_path, desk)

    def no_opening(path: str, answer: bytes) -> bytes:
        return gone(path, answer) if path.endswith("/open") else answer

    unit.between = no_opening
    unit.turns(200)
    assert len(desk.channels) == 1 + 199 // (exchange.PAUSE_TURNS + 2)
    assert adoptionfiles.numbers(unit.run_dir) == len(desk.channels)


def test_the_digits_go_after_their_time_whatever_the_desk_answers(unit: Unit) -> None:
    unit.between = broken
    unit.turns(exchange.RUN_S // 3)
    assert unit.shown == ("seek", "")


def test_the_numbers_are_counted_over_a_start_of_the_process(unit: Unit, desk: Desk) -> None:
    for _ in range(5):
        unit.start()
        unit.turns(exchange.PAUSE_TURNS)
    assert len(desk.begun) == 1, "a start does not shorten the dark"
    adoptionfiles.note_numbers(unit.run_dir, exchange.MOST_RUNS)
    unit.start()
    assert unit.turns(1)
    assert unit.shown == ("over", "")


@pytest.mark.parametrize("clear", [b'{"state":1}', b'{"state":', b"\xff", b"[" * 100_000])
def test_a_good_box_of_what_is_no_reply_ends_no_process(unit: Unit, desk: Desk, clear: bytes) -> None:
    """Somebody whose digits are shown can make valid boxes. With Debian's msgspec 0.19 its errors are not
    ValueErrors.
    """

    def bad(_: str, answer: bytes) -> bytes:
        count, made = msgspec.json.decode(answer, type=Box).count, desk.channels[-1]
        label = f"linetap-adoption-1 {made.run}".encode()
        data = ChaCha20Poly1305(made.desk_key).encrypt(count.to_bytes(12, "big"), clear, label)
        return msgspec.json.encode(Box(count=count, box=base64.b64encode(data).decode()))

    unit.between = bad
    unit.turns(1)
    assert unit.shown == ("seek", "")


@pytest.mark.parametrize("what", ["continue", "head", "body", "no TLS"])
def test_an_answer_that_comes_by_single_bytes_ends(tmp_path: Path, what: str) -> None:
    """A timeout of the socket alone begins anew with each byte, and the digits would be shown for ever."""
    pair = Pki(tmp_path).host("127.0.0.1", name="slow")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server, stop = socket.create_server(("127.0.0.1", 0)), threading.Event()
    words = {
        "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "head": (b"HTTP/1.1 200 OK\r\nx: ", b"x"),
        "body": (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
        "no TLS": (b"\x16\x03\x03\x40\x00", b"\x02"),
    }[what]

    def drip() -> None:
        connected, _ = server.accept()
        with connected:
            speaks = connected if what == "no TLS" else context.wrap_socket(connected, server_side=True)
            try:
                speaks.sendall(words[0])
                while not stop.wait(0.05):
                    speaks.sendall(words[1])
            except OSError:
                pass
            finally:
                speaks.close()

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(DeskAway):
            deskrequests.post(("127.0.0.1", server.getsockname()[1]), "/adopt", b"{}", total_s=1)
    finally:
        stop.set()
        thread.join(60)
        server.close()
