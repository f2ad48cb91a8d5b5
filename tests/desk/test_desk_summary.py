# SPDX-License-Identifier: Apache-2.0
"""The nightly summary: its numbers, and its delivery by a real SMTP and a real HTTPS server, with and
without errors.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import re
import smtplib
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from calls_house import NOW_NS, OTHER, UNIT, CallsHouse
from cryptography.hazmat.primitives.serialization import Encoding
from servesite import tls
from sqlalchemy import insert, update

from linetap_core.clock import NS_PER_S, ManualClock, from_utc_ns, rfc3339
from linetap_core.enrolment import certificates
from linetap_core.errors import BadInput
from linetap_desk.commands import desk
from linetap_desk.config.desk import SummaryConfig
from linetap_desk.ingest import tables
from linetap_desk.summary import delivery

HOST, LIMIT_S = "127.0.0.1", 120
ROOT = Path(__file__).resolve().parents[2]
DAY = "2026-11-24"


class Smtp(socketserver.StreamRequestHandler):
    """An SMTP server with the parts of RFC 5321, 3207 and 4954 that a client needs. `server.faults`: answers to RCPT,
    one for each letter, before it accepts any.
    """

    timeout = LIMIT_S
    server: Any

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def handle(self) -> None:
        if self.server.begins_with_tls:
            self.secure()
        self.say("220 here")
        told = False
        while line := self.rfile.readline(4096).decode().strip():
            verb, _, rest = line.partition(" ")
            match verb.upper():
                case "EHLO":
                    more = ["AUTH PLAIN"] if self.secured else ["STARTTLS"] * self.server.offers
                    words = ["me", *more, "8BITMIME"]
                    self.wfile.write("".join(f"250{'-' if n < len(words) - 1 else ' '}{word}\r\n"
                                             for n, word in enumerate(words)).encode())  # fmt: skip
                case "STARTTLS":
                    self.say("220 go on")
                    self.secure()
                case "AUTH":
                    self.server.logins.append(rest)
                    self.say("235 you are")
                case "RCPT" if self.server.faults and not told:
                    told = True
                    self.say(self.server.faults.pop(0))
                case "DATA":
                    self.say("354 write")
                    lines = []
                    while (text := self.rfile.readline(65_536)) not in (b".\r\n", b""):
                        lines.append(text)
                    self.server.letters.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
                    self.say("250 taken")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 yes")

    secured = False

    def secure(self) -> None:
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)
        self.secured = True

    def finish(self) -> None:
        with contextlib.suppress(OSError):
            super().finish()
            self.request.close()


class Hook(BaseHTTPRequestHandler):
    """`server.faults`: the first answers."""

    timeout = LIMIT_S
    server: Any

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.faults.pop(0) if self.server.faults else 204
        if status == 204:
            self.server.letters.append((self.headers["Content-Type"], json.loads(body)))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Quiet(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that does not trust the server disconnects in the handshake."""


class Hooks(ThreadingHTTPServer):
    daemon_threads = True

    def get_request(self) -> Any:
        sock, address = super().get_request()
        return self.context.wrap_socket(sock, server_side=True), address  # type: ignore[attr-defined]

    def handle_error(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serving(kind: Any, handler: Any, **more: Any) -> Iterator[Any]:
    pair, _ = tls()
    server = kind((HOST, 0), handler)
    server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(pair.certificate, pair.key)
    server.letters, server.logins, server.faults, server.begins_with_tls, server.offers = [], [], [], True, 1
    vars(server).update(more)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(LIMIT_S)
        server.server_close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[CallsHouse]:
    house = CallsHouse(tmp_path)
    house.fill()
    at = rfc3339(NOW_NS)
    with house.engine.begin() as db:
        db.execute(update(tables.units).where(tables.units.c.unit == UNIT).values(state="online", heard_at=at))
        db.execute(insert(tables.unit_alerts), [
            {"unit": UNIT, "check": "hum", "severity": "warning", "since": at},
            {"unit": UNIT, "check": "disk_full", "severity": "critical", "since": at},
            {"unit": "stranger", "check": "disk_full", "severity": "critical", "since": at},
        ])  # fmt: skip
        db.execute(insert(tables.pbx_days), [
            {"unit": UNIT, "day": DAY, "calls": 120, "recorded": 97, "missing": 2, "unseen": 1, "told_at": at},
            {"unit": UNIT, "day": "2026-11-23", "calls": 7, "recorded": 0, "missing": 7, "unseen": 7, "told_at": at},
            {"unit": "stranger", "day": DAY, "calls": 9, "recorded": 0, "missing": 9, "unseen": 9, "told_at": at},
        ])  # fmt: skip
        db.execute(insert(tables.alerts).values(unit=UNIT, origin="o", code="log_fork", first=1, last=2, since=at,
                                                alerted_at=at))  # fmt: skip
    yield house
    house.engine.dispose()


def configure(house: CallsHouse, top: str = "", **words: object) -> None:
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"pause_s": 60, "ca": str(tls()[1]), **words}.items()]
    text = "\n".join(['db = "sqlite:///desk.db"', top, "[summary]", *lines])
    (house.folder / "summary.toml").write_text(text)


def run(house: CallsHouse, clock: ManualClock | None = None, day: str = DAY) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    desk.add_arguments(parser)
    args = parser.parse_args(["summary", "--config", str(house.folder / "summary.toml"), "--day", day])
    return desk.run(args, clock or ManualClock(NOW_NS, NS_PER_S))


def test_the_numbers_and_nobody_in_them(house: CallsHouse, capsys: pytest.CaptureFixture[str]) -> None:
    configure(house)
    assert run(house) == 0
    said = capsys.readouterr().out
    with house.engine.connect() as db:
        total = db.exec_driver_sql("SELECT count(*) FROM calls").scalar_one()
        gone = db.exec_driver_sql("SELECT count(*) FROM calls WHERE destroyed_at IS NOT NULL").scalar_one()
    assert min(total, gone) > 0
    assert f"통화 calls: total {total}, " in said
    figures = "교환기 통화 PBX calls 120, 녹음 recorded 97, 누락 missing 2, 교환기에 없는 녹음 not at the PBX 1"
    assert f"교환기 대조 coverage against the PBX: 98.3 %; 기기 units 1, {figures}\n" in said
    assert "교환기와 다른 기기 units that differ from the PBX: 1\n" in said
    assert f"  {UNIT}: {figures}\n" in said
    assert "이날 대조 없음 no report for this day: 0\n" in said
    assert f"교환기 연결 여부 미확인 PBX connection unknown: 1 ({OTHER})\n" in said
    assert "현재 경보 alerts now: critical 1, warning 1" in said
    assert "log_fork 1" in said
    assert f"파기 destroyed: 통화 calls {gone}, " in said
    assert f"고장 at fault: 1 ({UNIT})" in said
    assert not re.search(r"\d{8}T|\d{2,3}-[\d*]{3,4}-\d{4}|200[123]|민원실|세무과", said)


def test_certificates_that_end_are_named_two_months_before(
    house: CallsHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the end of the broker's or the desk's certificate no unit reaches the desk any more."""
    key = certificates.new_key()
    now = from_utc_ns(NOW_NS)
    began = now - timedelta(days=certificates.DAYS - 59)
    ca = certificates.root(key, "linetap", began, ["city.example"], [])
    lines = ["[broker]"]
    for name, at in (("desk", began), ("other", began + timedelta(days=2))):
        made = certificates.issue(ca, key, at, "desk", name, key.public_key(), [])
        (house.folder / f"{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (house.folder / "desk.key").write_bytes(certificates.key_pem(key))
    for certificate, told in (("desk.pem", True), ("other.pem", False)):
        configure(house, "\n".join([*lines, f'certificate = "{certificate}"', 'key = "desk.key"']))
        assert run(house) == 0
        until = f"{now + timedelta(days=59):%Y-%m-%d}"
        text = f"곧 만료되는 인증서 certificates that end soon: {house.folder}/desk.pem {until}\n"
        assert (text in capsys.readouterr().out) == told


@pytest.mark.parametrize("kind", ["tls", "starttls"])
def test_by_mail(house: CallsHouse, kind: str) -> None:
    (house.folder / "word").write_text("secret\n")
    with serving(Quiet, Smtp, begins_with_tls=kind == "tls") as server:
        configure(house, mail_server=f"{HOST}:{server.server_address[1]}", mail_tls=kind, mail_from="desk@city.example",
                  mail_to=["kim@city.example", "lee@city.example"], mail_user="desk", mail_password="word")  # fmt: skip
        assert run(house) == 0
        (letter,) = server.letters
        assert len(server.logins) == 1
    assert isinstance(letter, EmailMessage)
    assert (letter["from"], letter["to"]) == ("desk@city.example", "kim@city.example, lee@city.example")
    assert letter["subject"].startswith(f"linetap {DAY}: 통화 calls ")
    assert f"{DAY} (Asia/Seoul)" in letter.get_content().splitlines()


def test_by_webhook(house: CallsHouse) -> None:
    with serving(Hooks, Hook) as server:
        configure(house, webhook=f"https://{HOST}:{server.server_address[1]}/hook")
        assert run(house) == 0
        ((kind, found),) = server.letters
    assert kind == "application/json"
    assert (found["day"], found["zone"], found["units"]["at_fault"]) == (
        DAY,
        "Asia/Seoul",
        {"count": 1, "units": [UNIT]},
    )


def test_a_failed_one_is_tried_again_later_each_time(house: CallsHouse, capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock(NOW_NS, NS_PER_S)
    with serving(Hooks, Hook, faults=[500, 302]) as server:
        configure(house, webhook=f"https://{HOST}:{server.server_address[1]}/hook")
        assert run(house, clock) == 0
        assert len(server.letters) == 1
    assert clock.monotonic_ns() - NS_PER_S == (60 + 120) * NS_PER_S
    said = capsys.readouterr().err
    assert "attempt 1 of 4: webhook: 500 Internal Server Error; again in 60 s" in said
    assert "attempt 2 of 4: webhook: 302 Found; again in 120 s" in said, "a redirect is not followed"


@pytest.mark.parametrize(("more", "why"), [
    ({"faults": ["451 later", "550 nobody", "451 later"]}, r"1 of 2 were refused"),
    ({"offers": 0, "begins_with_tls": False}, r"STARTTLS"),
])  # fmt: skip
def test_in_the_end_it_is_given_up_and_said(
    house: CallsHouse, capsys: pytest.CaptureFixture[str], more: dict[str, Any], why: str
) -> None:
    with serving(Quiet, Smtp, **more) as server:
        configure(house, mail_server=f"{HOST}:{server.server_address[1]}", attempts=3, mail_from="desk@city.example",
                  mail_tls="tls" if "faults" in more else "starttls",
                  mail_to=["a@b.example", "c@b.example"])  # fmt: skip
        assert run(house) == 1
        assert not server.logins
    said = capsys.readouterr().err
    assert said.count("summary_not_delivered") == 3
    assert re.search(rf"attempt 3 of 3: .*{why}.*; given up", said)


def test_a_server_that_is_not_the_named_one_gets_nothing(house: CallsHouse, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Hooks, Hook) as hook, serving(Quiet, Smtp) as mail:
        for words in (
            {"webhook": f"https://localhost:{hook.server_address[1]}/"},
            {
                "mail_server": f"localhost:{mail.server_address[1]}",
                "mail_from": "a@b.example",
                "mail_to": ["c@d.example"],
            },
        ):
            configure(house, attempts=1, **words)
            assert run(house) == 1
        assert not hook.letters + mail.letters
    assert capsys.readouterr().err.count("CERTIFICATE_VERIFY_FAILED") == 2


def test_every_unit_of_the_signers_file_is_in_it(house: CallsHouse, capsys: pytest.CaptureFixture[str]) -> None:
    """One that never reported is listed; one that the file does not name any more is not; and one that did not record
    for an hour of the day, and does now.
    """
    with house.engine.begin() as db:
        db.execute(insert(tables.units).values(unit="retired-01", named=True, heard_at="2026-01-01T00:00:00.000Z"))
        db.execute(insert(tables.outages), [
            {"unit": UNIT, "kind": "not_recording", "why": "capture", "began_at": f"2026-11-{day}T02:00:00.000Z",
             "ended_at": f"2026-11-{day}T03:00:00.000Z", "times": 1} for day in (23, 24)
        ])  # fmt: skip
    signers = house.folder / "allowed_signers"
    key = signers.read_text().splitlines()[0].split(maxsplit=1)[1]
    signers.write_text(signers.read_text() + f"never-01 {key}\nfloor-* {key}\n")
    configure(house, top='signers = "allowed_signers"')
    assert run(house) == 0
    said = capsys.readouterr().out
    assert "기기 units: 3\n" in said
    assert "보고 이력 없음 never reported: 1 (never-01)\n" in said
    assert "retired-01" not in said
    assert f"이날 녹음 중단 not recording for part of the day: 1 ({UNIT})\n" in said


def test_no_word_of_a_unit_stands_for_the_total(house: CallsHouse, capsys: pytest.CaptureFixture[str]) -> None:
    configure(house)
    assert run(house) == 0
    total = int(re.search(r"calls: total (\d+)", capsys.readouterr().out)[1])  # type: ignore[index]
    for number, word in enumerate(("total", "01012345678")):
        house.passed(word, UNIT, 5, 2000 + number, word)
    house._store()
    assert run(house) == 0
    said = capsys.readouterr().out
    assert f"calls: total {total + 2}, " in said
    assert "other 2" in said
    assert "01012345678" not in said


@pytest.mark.parametrize("day", ["0001-01-01", "1970-01-01", "9999-12-31", "24.11.2026"])
def test_a_day_that_is_none(house: CallsHouse, day: str) -> None:
    configure(house)
    with pytest.raises(BadInput, match=f"--day {day}: a day as"):
        run(house, day=day)


class Unending(socketserver.StreamRequestHandler):
    """A first answer that does not end: `server.piece`, again and again."""

    server: Any

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while not self.server.done.wait(self.server.every_s):
                self.wfile.write(self.server.piece)


@pytest.mark.parametrize(("piece", "every_s"), [(b"220-" + b"x" * 996 + b"\r\n", 0.0), (b"x", 0.05)])
def test_a_mail_server_whose_answer_does_not_end(piece: bytes, every_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "EXCHANGE_S", 60 if every_s == 0 else 0.5)
    done = threading.Event()
    with serving(Quiet, Unending, piece=piece, every_s=every_s, done=done) as server:
        config = SummaryConfig(mail_server=f"{HOST}:{server.server_address[1]}", mail_tls="starttls",
                               mail_from="a@b.example", mail_to=("c@d.example",))  # fmt: skip
        with pytest.raises(smtplib.SMTPException, match="more than any answer" if every_s == 0 else "time"):
            delivery._connected(config, *config.mail_host(), ssl.create_default_context())
        done.set()


def test_what_the_mail_cannot_does_not_keep_the_webhook(house: CallsHouse) -> None:
    """A password file that is missing, or has a word that RFC 4616's client of Python cannot send."""
    with serving(Hooks, Hook) as hook, serving(Quiet, Smtp) as mail:
        words: dict[str, Any] = {
            "mail_server": f"{HOST}:{mail.server_address[1]}",
            "mail_from": "a@b.example",
            "attempts": 1,
        }
        words |= {"mail_to": ["c@d.example"], "mail_user": "desk", "mail_password": "word"}
        configure(house, webhook=f"https://{HOST}:{hook.server_address[1]}/hook", **words)
        with pytest.raises(BadInput, match=r"summary\.mail_password"):
            run(house)
        assert len(hook.letters) == 1
        (house.folder / "word").write_text("비밀번호")
        assert run(house) == 1
        assert len(hook.letters) == 2
        assert not mail.letters


@pytest.mark.parametrize(("words", "wanted"), [
    ({"webhook": "http://chat.example/"}, "https://"), ({"webhook": "https://chat.example/훅"}, "https://"),
    ({"webhook": "https://["}, "https://"), ({"webhook": "https://chat.example:x/"}, "https://"),
    ({"mail_server": "mail"}, "mail.city.example:465"),
    ({"mail_server": "mail:465"}, "mail_from and mail_to"), ({"mail_to": ["a@b\nBcc: c@d"]}, "mail_to"),
])  # fmt: skip
def test_what_cannot_be_is_refused_at_the_start(house: CallsHouse, words: dict[str, Any], wanted: str) -> None:
    configure(house, **words)
    with pytest.raises(ValueError, match=wanted):
        run(house)


def test_systemd_accepts_its_units() -> None:
    units = [str(ROOT / "systemd/desk" / f"linetap-summary.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True,
                          timeout=LIMIT_S, check=False)  # fmt: skip
    own = [line for line in done.stderr.splitlines() if "linetap-summary" in line and "not executable" not in line]
    assert own == []
    assert delivery.TIMEOUT_S * 2 * 10 < 3 * 3600, "all attempts fit into TimeoutStartSec but for their pauses"
