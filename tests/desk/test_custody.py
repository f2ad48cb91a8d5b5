# SPDX-License-Identifier: Apache-2.0
"""The custodian's helper: its admission, its refusals, and that each step is logged before it is done."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import numpy as np
import pytest
from custody_rig import CALL, SECONDS, Helper, marked_call, pack, released

import sealing_rig
from broker import until
from https_server import Listening
from linetap_core.cli import main
from linetap_core.clock import NS_PER_S
from linetap_core.codecs import g711
from linetap_core.evidence.keys import keys
from linetap_desk.web import secure
from pki_rig import Pki
from release_rig import DAY_NS, ID, Desk
from sealing_rig import noise

LIMIT_S = 120


@pytest.fixture
def marked(desk: Desk) -> Path:
    return marked_call(desk)


@pytest.fixture
def members(desk: Desk, marked: Path) -> dict[str, bytes]:
    return released(desk, marked)


@pytest.fixture
def helper(desk: Desk, members: dict[str, bytes]) -> Iterator[Helper]:
    with Helper(desk, members) as helper:
        yield helper


# --- who comes in ---------------------------------------------------------------------------------------------------


def test_only_with_the_code_and_once(helper: Helper) -> None:
    stranger = helper.client()
    assert helper.get(stranger, "/").status_code == 403
    own = {"origin": helper.site.url}
    assert stranger.post("/", data={"code": "AAAA-AAAA"}, headers=own).status_code == 403
    inside = helper.inside()
    assert helper.get(inside, "/").status_code == 200
    for word in ("2026-117", "통화 내용 분쟁", helper.desk.requester.recipient):
        assert word in helper.get(inside, "/").text
    second = stranger.post("/", data={"code": helper.site.admission.code}, headers=own)
    assert second.status_code == 403
    assert "다른 브라우저" in second.text
    assert helper.get(stranger, "/").status_code == 403
    stranger.cookies.set("linetap-custody", "guessed", domain="127.0.0.1")
    assert helper.get(stranger, "/").status_code == 403


def test_five_wrong_codes_end_it(helper: Helper) -> None:
    stranger = helper.client()
    for _ in range(5):
        answer = stranger.post("/", data={"code": "AAAA-AAAA"}, headers={"origin": helper.site.url})
        assert answer.status_code == 403
    helper.thread.join(LIMIT_S)
    assert not helper.thread.is_alive()


def test_the_cookie_is_for_its_own_path_and_no_other_site(helper: Helper) -> None:
    answer = helper.client().post("/", data={"code": helper.site.admission.code}, headers={"origin": helper.site.url})
    cookie = answer.headers["set-cookie"]
    for word in ("HttpOnly", "SameSite=strict", f"Path={helper.site.admission.room}"):
        assert word in cookie
    assert helper.site.admission.code not in answer.headers["location"]


def test_another_host_is_not_answered(helper: Helper) -> None:
    inside = helper.inside()
    port = helper.site.url.rpartition(":")[2]
    for host in (f"evil.example:{port}", f"localhost:{port}", "127.0.0.1", f"127.0.0.1:{port}.evil.example"):
        for path in ("/", f"{helper.site.admission.room}/", "/static/base.css"):
            assert inside.get(path, headers={"host": host}).status_code == 421


def test_another_site_and_a_form_of_nobody(helper: Helper) -> None:
    inside = helper.inside()
    url = f"{helper.site.admission.room}/call/{CALL}/listen"
    token = {secure.FIELD: secure.token_of(str(inside.cookies.get("linetap-custody")))}
    own = {"origin": helper.site.url}
    assert inside.post(url, data=token, headers={"origin": "https://evil.example"}).status_code == 400
    assert inside.post(url, data=token).status_code == 400
    assert inside.post(url, data={}, headers=own).status_code == 400
    assert inside.post(url, data=token, headers=own | {"sec-fetch-site": "cross-site"}).status_code == 403
    assert inside.get(f"{helper.site.admission.room}/", headers={"sec-fetch-site": "same-site"}).status_code == 403
    assert helper.case.opened(CALL) is None
    assert "listen" not in [verb for verb, _, _ in helper.desk.steps()]


def test_its_headers_are_those_of_the_desk(helper: Helper) -> None:
    inside = helper.inside()
    helper.post(inside, f"/call/{CALL}/listen")
    for path in ("/", f"/call/{CALL}", f"/call/{CALL}/sound.json", f"/call/{CALL}/sound?from=0&speed=1.0"):
        answer = helper.get(inside, path)
        assert answer.status_code == 200
        assert answer.headers["content-security-policy"] == secure.POLICY
        assert answer.headers["cache-control"] == "no-store"


def test_the_helper_listens_on_the_loopback_alone(helper: Helper) -> None:
    told = sealing_rig.run(["ss", "-Hltn", f"sport = :{helper.site.url.rpartition(':')[2]}"]).stdout.decode()
    assert told.count("\n") == 1
    assert told.split()[3].startswith("127.0.0.1:")


# --- listening ------------------------------------------------------------------------------------------------------


def test_a_call_is_heard_and_that_is_written_down(helper: Helper) -> None:
    inside = helper.inside()
    before = helper.get(inside, f"/call/{CALL}").text
    assert "01012345678" not in before
    assert helper.get(inside, f"/call/{CALL}/sound.json").status_code == 404
    assert helper.post(inside, f"/call/{CALL}/listen").status_code == 303
    assert helper.post(inside, f"/call/{CALL}/listen").status_code == 303  # the second press
    assert "01012345678" in helper.get(inside, f"/call/{CALL}").text
    clear = noise(SECONDS * 8000, seed=7)
    heard = helper.get(inside, f"/call/{CALL}/sound?from=8000&speed=1.0").content
    assert heard == g711.decode(np.frombuffer(clear, np.uint8))[8000:].astype("<i2").tobytes()
    half = helper.get(inside, f"/call/{CALL}/sound?from=0&speed=2.0").content
    assert abs(len(half) / 16000 - SECONDS / 2) < 0.2
    shape = helper.get(inside, f"/call/{CALL}/sound.json").json()
    assert shape["samples"] == SECONDS * 8000
    assert [(one["kind"], one["from"], one["to"]) for one in shape["moments"]] == [
        ("notice", 0.0, 5.0), ("gap", 6.5, 7.0), ("mark", 8.0, 8.0),
    ]  # fmt: skip
    entry = helper.desk.log()[-1]
    assert (entry.verb, entry.outcome, entry.calls, entry.lines) == ("listen", "granted", [CALL], [5])
    assert (entry.request, entry.purpose, entry.case) == (ID, "dispute", "2026-117")
    assert [verb for verb, _, _ in helper.desk.steps()].count("listen") == 1


@pytest.mark.parametrize("query", ["", "from=-1&speed=1", "from=0&speed=9", "from=x&speed=1", "from=99999999&speed=1"])
def test_what_cannot_be_played(helper: Helper, query: str) -> None:
    inside = helper.inside()
    helper.post(inside, f"/call/{CALL}/listen")
    assert helper.get(inside, f"/call/{CALL}/sound?{query}").status_code == 400
    assert helper.get(inside, "/call/20261124T225600.123Z-L03/sound").status_code == 404


def refused(desk: Desk, members: dict[str, bytes], step: str, code: str, **more: object) -> str:
    """The page of a step refused with this code and logged so; asserts that nothing was opened or written."""
    with Helper(desk, members, **more) as helper:  # type: ignore[arg-type]
        page = helper.post(helper.inside(), step)
        assert page.status_code == 409
        assert helper.case.opened(CALL) is None
        assert list(helper.output.iterdir()) == []
        assert desk.log()[-1].outcome in ("refused", "failed")
        assert desk.log()[-1].code == code
        return page.text


STEPS = [f"/call/{CALL}/listen", f"/call/{CALL}/give"]


@pytest.mark.parametrize("step", STEPS)
def test_a_tampered_package(desk: Desk, members: dict[str, bytes], step: str) -> None:
    name = f"calls/{CALL}/audio.001.age"
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])
    assert "not what was sealed" in refused(desk, members, step, "call_not_as_sealed")


@pytest.mark.parametrize("step", [*STEPS, "/bundle"])
def test_a_request_that_was_changed(desk: Desk, members: dict[str, bytes], step: str) -> None:
    """The requester's key is replaced: the approvers have not approved that."""
    other = keys.new_identity().recipient.encode()
    mine = desk.requester.recipient.encode()
    members["request.json"] = members["request.json"].replace(mine, other)
    refused(desk, members, step, "approval_does_not_fit")


@pytest.mark.parametrize("step", STEPS)
def test_a_wrong_key(desk: Desk, members: dict[str, bytes], step: str) -> None:
    stranger = desk.root / "stranger.txt"
    stranger.write_text(keys.identity_file(keys.new_identity(), "now"))
    page = refused(desk, members, step, "refused", identities=[stranger, desk.one_time_file()])
    assert "layer does not open" in page


@pytest.mark.parametrize("step", [*STEPS, "/bundle"])
def test_an_expired_request(desk: Desk, members: dict[str, bytes], step: str) -> None:
    desk.clock.advance(8 * DAY_NS)
    assert "만료" in refused(desk, members, step, "request_expired")


@pytest.mark.parametrize("step", STEPS)
def test_another_recipient_than_the_custodian_knows(desk: Desk, members: dict[str, bytes], step: str) -> None:
    stranger = keys.new_identity().recipient
    refused(desk, members, step, "recipient_differs", recipient=stranger)


def test_what_cannot_be_written_down_is_not_done(desk: Desk, members: dict[str, bytes]) -> None:
    with Helper(desk, members) as helper:
        inside = helper.inside()
        leaves = desk.folder / "access" / "leaves.jsonl"
        leaves.write_bytes(leaves.read_bytes().replace(b"2026-117", b"2026-118"))
        for step in STEPS:
            assert "access_log_rewritten" in helper.post(inside, step).text
        assert helper.case.opened(CALL) is None
        assert list(helper.output.iterdir()) == []


# --- what is given on -----------------------------------------------------------------------------------------------


def test_to_the_requester_and_closed(helper: Helper) -> None:
    inside = helper.inside()
    helper.post(inside, f"/call/{CALL}/listen")
    assert helper.post(inside, f"/call/{CALL}/give").status_code == 303
    assert helper.post(inside, f"/call/{CALL}/give").status_code == 409  # nothing is overwritten
    for name in ("wav", "json"):
        path = helper.output / f"{CALL}.{name}.age"
        done = sealing_rig.run(["age", "-d", "-i", str(helper.desk.root / "requester.txt"), str(path)])
        assert done.returncode == 0, done.stderr
        (helper.desk.root / f"heard.{name}").write_bytes(done.stdout)
    with wave.open(str(helper.desk.root / "heard.wav"), "rb") as heard:
        assert heard.getnframes() == SECONDS * 8000
    assert json.loads((helper.desk.root / "heard.json").read_bytes())["caller"]["number"] == "01012345678"
    assert "01012345678" in helper.get(inside, f"/call/{CALL}").text
    ended = helper.post(inside, "/close")
    assert ended.status_code == 200
    assert "일회용 키를 파기" in ended.text
    helper.thread.join(LIMIT_S)
    assert not helper.thread.is_alive()
    assert not helper.desk.one_time_file().exists()
    assert helper.case.opened(CALL) is None
    words = [(verb, outcome) for verb, outcome, _ in helper.desk.steps()][-4:]
    assert words == [("listen", "granted"), ("open", "granted"), ("open", "refused"), ("close", "granted")]


def test_the_bundle_is_that_of_the_command(helper: Helper, marked: Path) -> None:
    assert helper.post(helper.inside(), "/bundle").status_code == 303
    made = helper.output / f"{ID}.zip"
    words = ["--signers", str(helper.desk.rig.signers_file), "--case", "2026-117", "--desk", str(helper.desk.folder)]
    assert main(["bundle", str(marked), *words, "-o", str(helper.output / "own.zip")]) == 0
    assert made.read_bytes() == (helper.output / "own.zip").read_bytes()
    assert main(["verify", str(made), "--signers", str(helper.desk.rig.signers_file)]) == 0
    entry = next(entry for entry in helper.desk.log() if entry.verb == "bundle")
    assert (entry.outcome, entry.request, entry.calls) == ("granted", ID, [CALL])


def test_without_a_log_there_is_no_bundle(desk: Desk, members: dict[str, bytes]) -> None:
    with Helper(desk, members, logs=False) as helper:
        inside = helper.inside()
        assert "--log" in helper.get(inside, "/").text
        assert helper.post(inside, "/bundle").status_code == 409


def test_the_helper_ends_when_it_is_idle(helper: Helper) -> None:
    inside = helper.inside()
    helper.desk.clock.advance(899 * NS_PER_S)
    assert helper.get(inside, "/").status_code == 200
    helper.desk.clock.advance(899 * NS_PER_S)
    helper.get(inside, "/alive")  # which a page asks by itself
    assert helper.thread.is_alive()
    helper.desk.clock.advance(2 * NS_PER_S)
    helper.thread.join(LIMIT_S)
    assert not helper.thread.is_alive()


# --- the command, and the desk it fetches from -----------------------------------------------------------------------


class Packages(BaseHTTPRequestHandler):
    """A server of GET /package for one ticket, once."""

    ticket, package, used = "t1cket-of-ten-minutes", b"", False
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        own = self.path == "/package" and self.headers.get("Authorization") == f"Bearer {self.ticket}"
        if not own or type(self).used:
            self.send_error(401)
            return
        type(self).used = True
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.package)))
        self.end_headers()
        self.wfile.write(self.package)

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture
def desk_server(tmp_path: Path, members: dict[str, bytes]) -> Iterator[tuple[str, Path]]:
    pki = Pki(tmp_path / "made")
    pair = pki.host("127.0.0.1", name="serve")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server = Listening(("127.0.0.1", 0), type("Once", (Packages,), {"package": pack(members)}))
    server.context = context
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}", pki.ca
    server.shutdown()
    thread.join()
    server.server_close()


def words_of(desk: Desk, *more: object) -> list[str]:
    words = ["custody", "--identity", desk.rig.custodian_files[0], "--identity", desk.one_time_file()]
    words += ["--signers", desk.rig.signers_file, "--desk-folder", desk.folder, "-o", desk.root, *more]
    return [str(word) for word in words]


def folders(process: subprocess.Popen[bytes]) -> list[Path]:
    """The folders of this process alone: others on the machine may have one at the same moment."""
    return list(Path("/dev/shm").glob(f"linetap-custody-{process.pid}-*"))


def test_from_the_desk_by_a_ticket(desk: Desk, desk_server: tuple[str, Path]) -> None:
    url, ca = desk_server
    command = [sys.executable, "-m", "linetap", *words_of(desk, "--desk", url, "--ca", ca)]
    said = desk.root / "said"
    with said.open("wb") as err, subprocess.Popen(command, stdin=subprocess.PIPE, stderr=err) as process:
        assert process.stdin is not None
        process.stdin.write(f"{Packages.ticket}\n".encode())
        process.stdin.close()
        until(lambda: b"code: " in said.read_bytes() or process.poll() is not None, LIMIT_S)
        assert said.read_text().startswith("http://127.0.0.1:"), said.read_text()
        assert Packages.ticket not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert len(folders(process)) == 1
        limits = Path(f"/proc/{process.pid}/limits").read_text()
        assert limits.partition("Max core file size")[2].split()[:2] == ["0", "0"]
        httpx.get(said.read_text().split()[0], timeout=LIMIT_S)  # who answers hears a signal too
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0
    assert folders(process) == []


def test_ended_before_it_has_a_package_it_leaves_nothing(desk: Desk, desk_server: tuple[str, Path]) -> None:
    command = [sys.executable, "-m", "linetap", *words_of(desk, "--desk", desk_server[0], "--ca", desk_server[1])]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:  # and nobody types a ticket
        until(lambda: folders(process), LIMIT_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 128 + signal.SIGTERM
    assert folders(process) == []


@pytest.mark.parametrize(
    ("ticket", "url", "says"),
    [
        ("another-ticket", None, "401: the ticket is not known"),
        ("x", None, "what the request's page at the desk shows"),
        (Packages.ticket, "http://127.0.0.1:1", "https://desk.city.example:8443 expected"),
        (Packages.ticket, "https://127.0.0.1:1", "Connection refused"),
        (Packages.ticket, "https://127.0.0.1:1/elsewhere", "expected"),
    ],
)
def test_a_desk_that_gives_nothing(
    desk: Desk, desk_server: tuple[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    ticket: str, url: str | None, says: str,
) -> None:  # fmt: skip
    own, ca = desk_server
    monkeypatch.setattr("sys.stdin", os.fdopen(os.memfd_create("ticket"), "w+"))
    sys.stdin.write(f"{ticket}\n")
    sys.stdin.seek(0)
    assert main(words_of(desk, "--desk", url or own, "--ca", ca)) != 0
    sys.stdin.close()
    told = capsys.readouterr().err
    assert says in told
    assert told.count("\n") == 1


def test_a_desk_of_another_authority(
    desk: Desk, desk_server: tuple[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linetap_desk.custody.package.ask_ticket", lambda: Packages.ticket)
    assert main(words_of(desk, "--desk", desk_server[0])) == 2
    assert "CERTIFICATE_VERIFY_FAILED" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "one of the two expected"),
        (["absent.tar"], "No such file"),
        (["x.tar", "--signers", "absent"], "absent: not there"),
        (["x.tar", "--for", "age1x"], "--for: "),
        (["x.tar", "--port", "99999"], "--port 99999"),
        (["x.tar", "--idle-minutes", "0"], "--idle-minutes 0"),
        (["x.tar", "--zone", "Asia/Nowhere"], "--zone Asia/Nowhere"),
        (["x.tar", "-o", "absent"], "absent: not a folder"),
        (["x.tar", "--identity", "absent.txt"], "absent.txt: No such file"),
    ],
)
def test_arguments_that_cannot_be_used(
    desk: Desk, members: dict[str, bytes], capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    assert members
    assert main(words_of(desk, *more)) == 2
    assert says in capsys.readouterr().err
