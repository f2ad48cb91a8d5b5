# SPDX-License-Identifier: Apache-2.0
"""RFC 3161 tokens over a unit's head, from an authority made with stock openssl, behind a real HTTP server."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest

from epoch_desk import DAY, NEXT_DAY, Desk
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.cli import main
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import unitlog
from linetap_desk.witnessing import timestamp
from sealing_rig import UNIT, Rig, run

CONFIG = """
[tsa]
default_tsa = one
[one]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/ca.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ordering = yes
tsa_name = yes
"""
EXTENSIONS = "basicConstraints=critical,CA:false\nextendedKeyUsage=critical,timeStamping\n"


class Authority:
    """`answer` may be set to other bytes, or to a status."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ca = folder, folder / "ca.pem"
        self.answer: bytes | int | None = None
        self.asked = 0
        folder.mkdir()
        (folder / "tsa.cnf").write_text(CONFIG.format(folder=folder))
        (folder / "ext.cnf").write_text(EXTENSIONS)
        (folder / "serial").write_text("01\n")
        new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
        self.openssl("req", *new, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=test TSA")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext.cnf"]
        self.openssl("x509", "-req", "-in", "tsa.csr", *sign, "-out", "tsa.pem")

    def openssl(self, *arguments: str) -> None:
        command = ["openssl", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=120)

    def reply(self, query: bytes) -> bytes | int:
        self.asked += 1
        if self.answer is not None:
            return self.answer
        (self.folder / "query").write_bytes(query)
        self.openssl("ts", "-reply", "-config", "tsa.cnf", "-section", "one", "-queryfile", "query", "-out", "token")
        return (self.folder / "token").read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Authority, str]]:
    authority = Authority(tmp_path_factory.mktemp("ts") / "tsa")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            answer = authority.reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answer if isinstance(answer, int) else 200)
            self.end_headers()
            self.wfile.write(b"" if isinstance(answer, int) else answer)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield authority, f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig.make(tmp_path)
    rig.sealed_call(200)
    rig.publish()
    (tmp_path / "stamps").mkdir()
    return rig


def ask(rig: Rig, authority: Authority, url: str, head: Path | None = None) -> int:
    command = ["timestamp", "ask", str(head or rig.vault / "log"), "--tsa", url, "--ca", str(authority.ca)]
    return main([*command, "--signers", str(rig.signers_file), "-o", str(stamps(rig))])


def stamps(rig: Rig) -> Path:
    return rig.root / "stamps"


def check(rig: Rig, authority: Authority) -> int:
    head = str(stamps(rig) / f"{UNIT}-000000001.json")
    return main(["timestamp", "check", head, "--ca", str(authority.ca), "--signers", str(rig.signers_file)])


def test_a_head_is_stamped_and_stock_openssl_agrees(
    rig: Rig, served: tuple[Authority, str], capsys: pytest.CaptureFixture[str]
) -> None:
    authority, url = served
    authority.answer, authority.asked = None, 0
    assert ask(rig, authority, url) == 0
    assert "closet-3f, 1 leaves, stamped " in capsys.readouterr().out
    head = stamps(rig) / f"{UNIT}-000000001.json"
    verify = ["openssl", "ts", "-verify", "-data", str(head), "-in", f"{head}.tsr", "-CAfile", str(authority.ca)]
    assert run(verify).returncode == 0
    assert check(rig, authority) == 0
    assert ask(rig, authority, url) == 0
    assert authority.asked == 1  # the same head needs no second token


@pytest.mark.parametrize("suffix", ["", ".sig", ".tsr"])
def test_what_was_changed_since_is_found(
    rig: Rig, served: tuple[Authority, str], capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    authority, url = served
    authority.answer = None
    ask(rig, authority, url)
    file = stamps(rig) / f"{UNIT}-000000001.json{suffix}"
    good = file.read_bytes()
    file.write_bytes(good[:-30] + bytes([good[-30] ^ 1]) + good[-29:])
    assert check(rig, authority) == 1
    file.unlink()
    assert check(rig, authority) == 1
    assert capsys.readouterr().err.count("\n") == 2


def der(tag: int, content: bytes) -> bytes:
    """A DER element of at least 128 bytes (X.690, 8.1.3.5)."""
    size = len(content).to_bytes(2, "big")
    return bytes([tag, 0x82]) + size + content if len(content) > 255 else bytes([tag, 0x81, len(content)]) + content


def test_the_time_is_the_signed_one(
    rig: Rig, served: tuple[Authority, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The status of an answer is not signed (RFC 3161, 2.4.2), and openssl prints its text before the time."""
    authority, url = served
    authority.answer = None
    ask(rig, authority, url)
    said = capsys.readouterr().out
    token = stamps(rig) / f"{UNIT}-000000001.json.tsr"
    signed, answer = rig.root / "signed.der", token.read_bytes()
    run(["openssl", "ts", "-reply", "-in", str(token), "-token_out", "-out", str(signed)])
    text = b"Operation Okay\nTime stamp: Jan  1 00:00:00 2020 GMT".ljust(128)
    token.write_bytes(der(0x30, der(0x30, b"\x02\x01\x00" + der(0x30, der(0x0C, text))) + signed.read_bytes()))
    assert token.read_bytes() != answer
    assert check(rig, authority) == 0
    assert capsys.readouterr().out == said


def test_a_stamp_of_another_head(rig: Rig, served: tuple[Authority, str]) -> None:
    authority, url = served
    authority.answer = None
    ask(rig, authority, url)
    rig.sealed_call(200, "20261124T235700.000Z-L04")
    rig.publish()
    ask(rig, authority, url)
    (stamps(rig) / f"{UNIT}-000000002.json.tsr").rename(stamps(rig) / f"{UNIT}-000000001.json.tsr")
    assert check(rig, authority) == 1


def write_head(rig: Rig, **other: str) -> Path:
    """A head like the vault's, but with these fields, signed by the unit."""
    head = unitlog.decode_head((rig.vault / "log/head.json").read_bytes())
    data = unitlog.encode_head(msgspec.structs.replace(head, **other))
    path = rig.root / "other.json"
    path.write_bytes(data)
    path.with_name(f"{path.name}.sig").write_text(rig.sign_head(data))
    return path


def test_another_log_of_the_same_size(
    rig: Rig, served: tuple[Authority, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that began anew grows over the sizes of the one before it."""
    authority, url = served
    authority.answer, authority.asked = None, 0
    assert ask(rig, authority, url) == 0
    other = write_head(rig, log="00112233aabbccdd", root="ab" * 32)
    assert ask(rig, authority, url, other) == ask(rig, authority, url, other) == 0
    assert authority.asked == 2
    assert (stamps(rig) / f"{UNIT}.00112233aabbccdd-000000001.json").read_bytes() == other.read_bytes()
    assert timestamp.is_stamped_that_day(unitlog.decode_head(other.read_bytes()), stamps(rig))
    head = unitlog.decode_head((rig.vault / "log/head.json").read_bytes())
    assert timestamp.is_stamped_that_day(head, stamps(rig))
    capsys.readouterr()
    assert ask(rig, authority, url, write_head(rig, root="cd" * 32)) == 1
    assert "the log was rewritten" in capsys.readouterr().err


@pytest.mark.parametrize("answer", [b"", b"hello", b"x" * 100_000, 500])
def test_an_authority_that_does_not_do_its_work(
    rig: Rig, served: tuple[Authority, str], capsys: pytest.CaptureFixture[str], answer: bytes | int
) -> None:
    authority, url = served
    authority.answer = answer
    assert ask(rig, authority, url) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert list(stamps(rig).iterdir()) == []


def test_an_old_answer_is_not_taken_for_a_new_one(rig: Rig, served: tuple[Authority, str]) -> None:
    authority, url = served
    authority.answer = None
    ask(rig, authority, url)
    (token,) = stamps(rig).glob("*.tsr")
    authority.answer = token.read_bytes()
    token.unlink()
    assert ask(rig, authority, url) == 1
    assert not token.exists()


def test_a_stranger_as_authority(rig: Rig, served: tuple[Authority, str], tmp_path: Path) -> None:
    authority, url = served
    authority.answer = None
    assert ask(rig, Authority(tmp_path / "stranger"), url) == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://127.0.0.1:1/", "http://[/"])
def test_where_there_is_no_authority(
    rig: Rig, served: tuple[Authority, str], capsys: pytest.CaptureFixture[str], url: str
) -> None:
    assert ask(rig, served[0], url) in (1, 2)
    assert capsys.readouterr().err.count("\n") == 1


# --- automatic requests ----------------------------------------------------------------------------------------------


def witness(rig: Rig, authority: Authority, url: str, key: Path) -> int:
    command = ["witness", "--state", rig.root / "seen.json", "--key", key, "--signers", rig.signers_file]
    command += ["--tsa", url, "--ca", authority.ca, "--stamps", stamps(rig), "-o", rig.root / "heads"]
    return main([*map(str, command), "--log", str(rig.vault / "log")])


def publish(rig: Rig, call_id: str, at: str) -> None:
    """Adds another call to the log, and a head of that time."""
    rig.sealed_call(200, call_id)
    log = UnitLog(rig.vault, UNIT, rig.unit_key, ManualClock(parse_rfc3339(at)))
    log.publish()
    log.close()


def test_the_witness_has_a_head_of_each_day_stamped(rig: Rig, served: tuple[Authority, str]) -> None:
    authority, url = served
    authority.answer = None
    (rig.root / "heads").mkdir()
    key = rig.root / "witness.key"
    key.write_bytes(keys.unit_key_file(keys.new_unit_key()))
    assert witness(rig, authority, url, key) == witness(rig, authority, url, key) == 0
    publish(rig, "20261124T235700.000Z-L04", "2026-11-24T23:58:00Z")
    assert witness(rig, authority, url, key) == 0
    assert [path.name for path in stamps(rig).glob("*.tsr")] == [f"{UNIT}-000000001.json.tsr"]
    publish(rig, "20261124T235800.000Z-L04", "2026-11-25T00:01:00Z")
    authority.answer = 500
    assert witness(rig, authority, url, key) == 1
    assert (rig.root / "heads" / f"{UNIT}.json").read_bytes() == (rig.vault / "log/head.json").read_bytes()
    authority.answer = None
    assert witness(rig, authority, url, key) == 0  # the next time
    assert {path.name for path in stamps(rig).glob("*.tsr")} == {f"{UNIT}-00000000{n}.json.tsr" for n in (1, 3)}


def test_a_certificate_of_destruction_is_stamped(
    tmp_path: Path, served: tuple[Authority, str], capsys: pytest.CaptureFixture[str]
) -> None:
    authority, url = served
    authority.answer = 500
    desk = Desk.make(tmp_path)
    named = ["--tsa", url, "--ca", str(authority.ca)]
    assert desk.destroy(DAY, *named) == 1
    certificate = desk.certificates / f"{DAY}.destroyed.json"
    assert certificate.exists()  # the destroyed key stays destroyed, and certified
    assert f"linetap timestamp file {certificate}" in capsys.readouterr().err
    authority.answer = None
    assert main(["timestamp", "file", str(certificate), *named]) == 0
    assert desk.destroy(NEXT_DAY, *named, at="2026-12-03T09:00:00Z") == 0
    for name in (DAY, NEXT_DAY):
        path = desk.certificates / f"{name}.destroyed.json"
        verify = ["openssl", "ts", "-verify", "-data", str(path), "-in", f"{path}.tsr", "-CAfile", str(authority.ca)]
        assert run(verify).returncode == 0


@pytest.mark.parametrize("words", [["--tsa", "https://tsa.example/"], ["--ca", "ca.pem"], ["--stamps", "."]])
def test_an_authority_is_named_whole(rig: Rig, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (rig.root / "heads").mkdir()
    command = ["witness", "--log", rig.vault / "log", "--state", rig.root / "seen.json", "--key", rig.root / "unit.key"]
    assert main([*map(str, command), "--signers", str(rig.signers_file), "-o", str(rig.root / "heads"), *words]) == 2
    assert "belong together" in capsys.readouterr().err


@pytest.mark.parametrize("digest", ["md5", "sha1", "sha512"])
def test_a_token_over_a_hash_for_which_another_file_can_be_found(
    served: tuple[Authority, str], tmp_path: Path, digest: str
) -> None:
    """Genuine, of an authority that stamps any hash; `openssl ts -verify` takes it."""
    authority, _ = served
    file, query = tmp_path / "paper.json", tmp_path / "query.tsq"
    file.write_bytes(b"a paper")
    authority.openssl("ts", "-query", "-data", str(file), f"-{digest}", "-cert", "-out", str(query))
    config = (authority.folder / "tsa.cnf").read_text()
    (authority.folder / "any.cnf").write_text(config.replace("digests = sha256", "digests = md5, sha1, sha512"))
    token = file.with_name(file.name + timestamp.TOKEN_SUFFIX)
    authority.openssl(
        "ts", "-reply", "-config", "any.cnf", "-section", "one", "-queryfile", str(query), "-out", str(token)
    )
    authority.openssl("ts", "-verify", "-data", str(file), "-in", str(token), "-CAfile", "ca.pem")
    if digest == "sha512":
        assert timestamp.time_of(file, authority.ca)
    else:
        with pytest.raises(timestamp.NoTimestamp, match=f"over {digest}, for which other bytes can be made"):
            timestamp.time_of(file, authority.ca)
