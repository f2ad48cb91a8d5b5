# SPDX-License-Identifier: Apache-2.0
"""The authority: its certificates and revocations, tested with stock openssl and ssh-keygen."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from linetap.commission import tlsrequest
from linetap.reporter.link import Certificate
from linetap_core.cli import main
from linetap_core.clock import rfc3339
from linetap_core.durable.copies import twin_of
from linetap_core.enrolment import request
from linetap_core.enrolment.request import PkiFault, client_id
from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, signers, sshsig
from linetap_core.evidence.signing.signers import SignerExpired
from linetap_desk.bundle.container import BadBundle
from linetap_desk.bundle.layout import exact_certificates
from linetap_desk.doctor import keyfiles
from linetap_desk.pki import authority
from linetap_desk.pki.authority import opened
from linetap_desk.serve.adoption.uploadchecks import require_certificate
from pki_rig import TIMEOUT_S, Asking, Pki, openssl
from unit_rig import make_unit


@pytest.fixture
def pki(run_dir: Path) -> Pki:
    return Pki(run_dir / "authority")


def text(certificate: Path) -> str:
    return openssl("x509", "-in", str(certificate), "-noout", "-text").stdout


def refused(pki: Pki, *words: str) -> str:
    """The code of the refusal; asserts that nothing was entered in the register."""
    before = pki.register.read_bytes()
    with pytest.raises(LinetapError) as told:
        pki.run(*words)
    assert pki.register.read_bytes() == before
    return told.value.code


class TestIssued:
    def test_openssl_takes_what_was_issued(self, pki: Pki) -> None:
        unit, desk, broker = pki.unit("floor-03"), pki.desk("seoul"), pki.host("127.0.0.1")
        assert pki.verified(unit.certificate, "-purpose", "sslclient") == ""
        assert pki.verified(desk.certificate, "-purpose", "sslclient") == ""
        for purpose in ("sslserver", "sslclient"):
            assert pki.verified(broker.certificate, "-purpose", purpose, "-verify_ip", "127.0.0.1") == ""
        assert "IP address mismatch" in pki.verified(broker.certificate, "-verify_ip", "127.0.0.2")
        assert pki.verified(pki.ca) == ""

    def test_a_unit_is_no_broker(self, pki: Pki) -> None:
        assert "unsuitable certificate purpose" in pki.verified(
            pki.unit("floor-03").certificate, "-purpose", "sslserver"
        )

    def test_names_say_what_they_are_of(self, pki: Pki) -> None:
        made = [pki.unit("seoul"), pki.desk("seoul"), pki.host("127.0.0.1", name="b")]
        subjects = [openssl("x509", "-in", str(one.certificate), "-noout", "-subject").stdout.strip() for one in made]
        assert subjects == ["subject=CN=seoul", "subject=CN=desk:seoul", "subject=CN=broker:127.0.0.1"]

    def test_400_days_and_then_no_more(self, pki: Pki) -> None:
        unit = pki.unit("floor-03")
        for days, why in ((399, ""), (401, "certificate has expired"), (-1, "not yet valid")):
            at = str(pki.days_from_now(days).utc_ns() // 10**9)
            found = pki.verified(unit.certificate, "-attime", at)
            assert (why in found) if why else found == ""

    def test_nothing_outlives_the_root(self, pki: Pki) -> None:
        late = pki.days_from_now(3600)
        unit = pki.unit("floor-03", clock=late)
        ends = [openssl("x509", "-in", str(c), "-noout", "-enddate").stdout for c in (unit.certificate, pki.ca)]
        assert ends[0] == ends[1]
        with pytest.raises(PkiFault, match="ca_ended"):
            pki.unit("floor-04", clock=pki.days_from_now(3700))

    def test_private_files_are_private(self, pki: Pki) -> None:
        for path in (pki.folder / "ca.key", pki.desk("seoul").key, pki.host("127.0.0.1").key):
            assert path.stat().st_mode & 0o777 == 0o600
        assert pki.folder.stat().st_mode & 0o777 == 0o700

    def test_the_register_names_each_and_no_serial_comes_twice(self, pki: Pki) -> None:
        unit, asking = "floor-03", Asking.new("floor-03")
        pki.unit(unit, asking=asking)
        pki.unit(unit, "renew", asking=asking)
        pki.desk("seoul")
        entries = [json.loads(line) for line in pki.register.read_text().splitlines()]
        assert [(e["role"], e["name"]) for e in entries] == [("unit", unit), ("unit", unit), ("desk", "seoul")]
        assert len({e["serial"] for e in entries}) == 3
        assert len({e["sha256"] for e in entries}) == 3
        assert min(len(e["serial"]) for e in entries) >= 32  # of 159 random bits
        der = der_of((pki.root / "floor-03-1.pem").read_bytes())
        assert openssl("dgst", "-sha256", given=der).stdout.split()[-1] == entries[1]["sha256"]

    def test_a_line_without_an_end_is_no_line(self, pki: Pki) -> None:
        pki.unit("floor-03")
        whole = pki.register.read_bytes()
        pki.register.write_bytes(whole + b'{"entry":"issued","at":"20')
        pki.unit("floor-04")
        lines = pki.register.read_bytes().splitlines()
        assert lines[0] + b"\n" == whole
        assert [json.loads(line)["name"] for line in lines] == ["floor-03", "floor-04"]

    def test_a_damaged_register_stops_everything(self, pki: Pki) -> None:
        for each in (pki.register, twin_of(pki.register)):
            each.write_bytes(b'{"entry":"issued"}\n')
        assert refused(pki, "desk", "seoul", "-o", str(pki.root / "x.pem")) == "register_damaged"


class TestConstraints:
    def test_the_authority_speaks_for_its_own_hosts(self, run_dir: Path) -> None:
        pki = Pki(run_dir / "city", "--domain", "police.example", "--network", "10.20.0.0/16")
        made = pki.host("mqtt.police.example", "10.20.0.5")
        assert pki.verified(made.certificate, "-verify_hostname", "mqtt.police.example") == ""
        for host in ("mqtt.bank.example", "notpolice.example", "10.21.0.5", "::1"):
            assert refused(pki, "broker", host, "-o", str(pki.root / "x.pem")) == "host_not_permitted"
        assert not (pki.root / "x.key").exists()

    @pytest.mark.parametrize(
        ("where", "host", "good"),
        [
            (("--domain", "police.example"), "IP:10.0.0.1", False),
            (("--domain", "police.example"), "DNS:www.bank.example", False),
            (("--domain", "police.example"), "DNS:a.police.example", True),
            (("--network", "10.0.0.0/8"), "DNS:www.bank.example", False),
            (("--network", "10.0.0.0/8"), "IP:10.0.0.1", True),
        ],
    )
    def test_a_stolen_key_does_not_reach_further(
        self, run_dir: Path, where: tuple[str, str], host: str, good: bool
    ) -> None:
        """openssl signs any request with the root's key: the client's check counts."""
        pki = Pki(run_dir / "city", *where)
        key, csr, made = (str(run_dir / name) for name in ("k", "csr", "made.pem"))
        names = run_dir / "names"
        names.write_text(f"subjectAltName={host}\n")
        subject = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x")
        assert openssl("req", "-new", *subject, "-keyout", key, "-out", csr).returncode == 0
        signing = ("-CA", str(pki.ca), "-CAkey", str(pki.folder / "ca.key"), "-extfile", str(names))
        assert openssl("x509", "-req", "-in", csr, "-out", made, *signing).returncode == 0
        said = openssl("verify", "-CAfile", str(pki.ca), made)
        assert (said.returncode == 0) == good
        assert good or "subtree violation" in said.stderr

    def test_it_issues_no_further_authority(self, pki: Pki) -> None:
        assert "pathlen:0" in text(pki.ca)
        assert "CA:FALSE" in text(pki.unit("floor-03").certificate)

    @pytest.mark.parametrize(
        "words", [(), ("--network", "10.0.0.1/8"), ("--domain", "Police.example"), ("--domain", "10.0.0.1")]
    )
    def test_init_says_what_would_be_right(self, run_dir: Path, words: tuple[str, ...]) -> None:
        with pytest.raises(BadInput):
            Pki(run_dir / "city", *(words or ("--name", "x")))
        assert not (run_dir / "city" / "pki").exists()

    def test_init_overwrites_nothing(self, pki: Pki) -> None:
        key = (pki.folder / "ca.key").read_bytes()
        with pytest.raises(BadInput, match=r"ca\.key: exists"):
            pki.run("init", str(pki.folder), "--domain", "police.example", at_authority=False)
        assert (pki.folder / "ca.key").read_bytes() == key


class TestRequest:
    def test_the_unit_asks_and_keeps_its_key(
        self,
        tmp_path: Path,
        run_dir: Path,
        pki: Pki,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        unit = make_unit(tmp_path, run_dir)
        monkeypatch.setattr("linetap.commission.tlsrequest.load_config", lambda _: unit.config)
        asked, certificate, tls = tmp_path / "floor-03.request", tmp_path / "tls.pem", tmp_path / "tls.key"
        assert main(["pki", "request", "--config", "unit.toml", "-o", str(asked)]) == 0
        assert tls.stat().st_mode & 0o777 == 0o600
        fingerprint = capsys.readouterr().out.split()[1]
        listed = subprocess.run(
            ["ssh-keygen", "-l", "-f", tmp_path / "unit.key"], capture_output=True, text=True, check=True
        )
        assert fingerprint == listed.stdout.split()[1]
        words = ("unit", str(asked), "-o", str(certificate))
        assert refused(pki, *words, "--fingerprint", "SHA256:other") == "request_fingerprint"
        assert pki.run(*words, "--fingerprint", fingerprint) == 0
        assert capsys.readouterr().out.strip() in pki.signers.read_text().splitlines()
        publics = [
            openssl("x509", "-in", str(certificate), "-noout", "-pubkey").stdout,
            openssl("pkey", "-in", str(tls), "-pubout").stdout,
        ]
        assert publics[0] == publics[1] != ""
        assert f"linetap-signer:{fingerprint}" in text(certificate)

        again = tmp_path / "again.request"
        key = tls.read_bytes()
        assert main(["pki", "request", "--config", "unit.toml", "-o", str(again)]) == 0
        assert tls.read_bytes() == key
        other = tmp_path / "other.request"
        assert main(["pki", "request", "--config", "unit.toml", "--new-key", "-o", str(other)]) == 0
        assert tls.read_bytes() != key
        assert pki.run("renew", str(other), "-o", str(tmp_path / "new.pem")) == 0

    def test_stock_tools_check_both_halves(self, tmp_path: Path) -> None:
        envelope = json.loads(Asking.new("floor-03").request())
        csr, sig = envelope["csr"].encode(), tmp_path / "sig"
        said = openssl("req", "-verify", "-noout", "-text", given=csr)
        assert said.returncode == 0
        assert "self-signature verify OK" in said.stdout
        assert "Subject: CN=floor-03" in said.stdout
        sig.write_text(envelope["sig"])
        command = ["ssh-keygen", "-Y", "check-novalidate", "-n", "linetap-enrol", "-s", str(sig)]
        assert subprocess.run(command, input=csr, capture_output=True, timeout=TIMEOUT_S, check=False).returncode == 0

    def test_neither_half_can_be_swapped(self) -> None:
        one, other = Asking.new("floor-03"), Asking.new("floor-03")
        mine, theirs = (msgspec.json.decode(it.request(), type=request.Envelope) for it in (one, other))
        with pytest.raises(LinetapError, match="does not fit") as told:
            request.check(msgspec.json.encode(request.Envelope(mine.csr, theirs.sig)))
        assert told.value.code == "signature_does_not_fit"
        stolen = sshsig.sign(mine.csr.encode(), other.signer, namespaces.ENROL)
        with pytest.raises(PkiFault, match="request_signer"):
            request.check(msgspec.json.encode(request.Envelope(mine.csr, stolen)))

    def test_the_request_is_signed_by_the_key_it_asks_for(self) -> None:
        """Somebody submits another unit's TLS key as their own: the name in the request is changed, its
        signature not.
        """
        asking = Asking.new("floor-03")
        envelope = msgspec.json.decode(asking.request(), type=request.Envelope)
        changed = pem_of(der_of(envelope.csr.encode()).replace(b"floor-03", b"floor-04"))
        sig = sshsig.sign(changed.encode(), asking.signer, namespaces.ENROL)
        with pytest.raises(PkiFault, match="request_tls_signature"):
            request.check(msgspec.json.encode(request.Envelope(changed, sig)))

    @pytest.mark.parametrize("name", ["Floor-03", "desk:seoul", "floor/03", "+", "#", "x" * 41])
    def test_a_name_that_is_no_units(self, name: str) -> None:
        with pytest.raises(PkiFault, match="request_name"):
            request.check(Asking.new(name).request())

    @pytest.mark.parametrize(
        "data", [b"", b"{}", b"x" * 20_000, b'{"csr":"","sig":""}', b'{"csr":"x","sig":"y","z":1}']
    )
    def test_what_is_no_request(self, data: bytes) -> None:
        with pytest.raises(LinetapError):
            request.check(data)


class TestUnreadable:
    """X.509 that is well-formed DER and that `cryptography` refuses by exceptions that are no ValueError."""

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b"\x02\x01\x00", b"\x02\x01\x05"),  # a version that does not exist
            (bytes.fromhex("0603551d13"), bytes.fromhex("0603551d11")),  # two extensions of one kind
            (b"\x86\x41linetap-signer:", b"\xa3\x41linetap-signer:"),  # a name of kind x400Address
        ],
        ids=["version", "duplicate", "name"],
    )
    def test_a_request(self, old: bytes, new: bytes) -> None:
        asking = Asking.new("floor-03")
        uri = request.signer_name(keys.fingerprint(asking.signer.public_key()))
        csr = (
            x509.CertificateSigningRequestBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "floor-03")]))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=False)
            .sign(asking.tls, hashes.SHA256())
            .public_bytes(Encoding.DER)
        )
        assert old in csr
        changed = pem_of(csr.replace(old, new, 1))
        sig = sshsig.sign(changed.encode(), asking.signer, namespaces.ENROL)
        with pytest.raises(PkiFault, match="request_malformed"):
            request.check(msgspec.json.encode(request.Envelope(changed, sig)))

    def test_a_certificate(self, pki: Pki, tmp_path: Path, run_dir: Path) -> None:
        der = x509.load_pem_x509_certificate(pki.desk("seoul").certificate.read_bytes()).public_bytes(Encoding.DER)
        version = bytes.fromhex("a003020102")
        assert version in der
        body = base64.encodebytes(der.replace(version, bytes.fromhex("a003020109"), 1)).decode()
        pem = f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n".encode()
        path = tmp_path / "strange.pem"
        path.write_bytes(pem)
        assert "not a certificate in PEM" in keyfiles.certificate_and_key(path, None, datetime.now(UTC)).said
        assert client_id(pem) is None
        assert Certificate(str(path)).until() is None
        with pytest.raises(BadBundle, match="no certificate in PEM"):
            exact_certificates(pem, "tsa.pem")
        with pytest.raises(BadInput, match="not a certificate in PEM"):
            require_certificate(pem, Asking.new("floor-03").request())
        with pytest.raises(BadInput, match="not a certificate"):
            tlsrequest.require_own(make_unit(tmp_path, run_dir).config, pem, "floor-03.pem")
        pki.ca.write_bytes(pem)
        with pytest.raises(BadInput, match="not a certificate in PEM"):
            pki.desk("busan")


class TestOneNameOneKey:
    def test_who_has_what_already(self, pki: Pki) -> None:
        mine = Asking.new("floor-03")
        pki.unit("floor-03", asking=mine)
        for asking, verb, code in (
            (mine, "unit", "enrolled"),
            (Asking.new("floor-03"), "unit", "name_taken"),
            (Asking.new("floor-03"), "renew", "name_taken"),
            (Asking.new("floor-04"), "renew", "not_enrolled"),
            (Asking("floor-04", Asking.new("x").tls, mine.signer), "unit", "signer_taken"),
            (Asking("floor-04", mine.tls, keys.new_unit_key()), "unit", "key_taken"),
        ):
            file = pki.root / "x.request"
            file.write_bytes(asking.request())
            assert refused(pki, verb, str(file), "-o", str(pki.root / "x.pem")) == code
            assert not (pki.root / "x.pem").exists()

    def test_one_command_at_a_time(self, pki: Pki) -> None:
        with opened(pki.folder, pki.clock):
            assert refused(pki, "desk", "seoul", "-o", str(pki.root / "x.pem")) == "ca_busy"


class TestRevoked:
    def test_certificate_and_signatures_end(self, pki: Pki, tmp_path: Path) -> None:
        asking = Asking.new("floor-03")
        unit, other = pki.unit("floor-03", asking=asking), pki.unit("floor-04")
        assert pki.verified(unit.certificate) == ""
        since = rfc3339(pki.clock.utc_ns() - 3_600_000_000_000)
        assert pki.run("revoke", "floor-03", "--since", since) == 0
        assert "certificate revoked" in pki.verified(unit.certificate)
        assert pki.verified(other.certificate) == ""

        record, sig = tmp_path / "record.json", tmp_path / "sig"
        record.write_bytes(b"{}\n")
        sig.write_text(sshsig.sign(b"{}\n", asking.signer, "linetap-record"))
        before, after = ((pki.clock.utc_ns() // 10**9) - back_s for back_s in (7200, 1800))
        assert stock_verify(pki, record, sig, before) == 0
        assert stock_verify(pki, record, sig, after) != 0
        named = signers.parse(pki.signers.read_text())
        assert signers.verify(b"{}\n", sig.read_bytes(), "linetap-record", named, "floor-03", moment(before))
        with pytest.raises(SignerExpired):
            signers.verify(b"{}\n", sig.read_bytes(), "linetap-record", named, "floor-03", moment(after))

    def test_the_list_is_there_from_the_first_day_and_counts_up(self, pki: Pki) -> None:
        def number() -> int:
            said = openssl("crl", "-in", str(pki.crl), "-CAfile", str(pki.ca), "-noout", "-crlnumber")
            assert "verify OK" in said.stderr
            return int(said.stdout.split("=")[1], 16)

        first = number()
        pki.unit("floor-03")
        second = number()
        pki.run("revoke", "floor-03")
        assert first < second < number()
        assert (
            pki.verified(pki.desk("seoul").certificate, "-attime", str(pki.days_from_now(390).utc_ns() // 10**9)) == ""
        )

    def test_what_was_revoked_does_not_come_back(self, pki: Pki) -> None:
        lost = Asking.new("floor-03")
        pki.unit("floor-03", asking=lost)
        pki.run("revoke", "floor-03")
        for asking, code in (
            (lost, "signer_revoked"),
            (Asking("floor-03", lost.tls, keys.new_unit_key()), "key_revoked"),
        ):
            file = pki.root / "x.request"
            file.write_bytes(asking.request())
            assert refused(pki, "unit", str(file), "-o", str(pki.root / "x.pem")) == code
        again = pki.unit("floor-03")
        assert pki.verified(again.certificate) == ""
        assert len([line for line in pki.signers.read_text().splitlines() if line.startswith("floor-03 ")]) == 2

    def test_the_tls_key_alone(self, pki: Pki) -> None:
        asking = Asking.new("floor-03")
        unit = pki.unit("floor-03", asking=asking)
        pki.run("revoke", "floor-03", "--keep-signer")
        assert "certificate revoked" in pki.verified(unit.certificate)
        assert "valid-before" not in pki.signers.read_text()
        fresh = pki.unit("floor-03", asking=Asking("floor-03", Asking.new("x").tls, asking.signer))
        assert pki.verified(fresh.certificate) == ""

    def test_doubt_may_begin_earlier_than_was_said_and_never_later(self, pki: Pki) -> None:
        pki.unit("floor-03")
        pki.run("revoke", "floor-03", "--since", "2026-11-20T12:00:00Z")
        assert refused(pki, "revoke", "floor-03", "--since", "2026-11-21T00:00:00Z") == "not_issued"
        pki.run("revoke", "floor-03", "--since", "2026-11-19T12:00:00Z")
        assert 'valid-before="20261119120000Z"' in pki.signers.read_text()
        assert openssl("crl", "-in", str(pki.crl), "-noout", "-text").stdout.count("Serial Number:") == 1

    def test_what_cannot_be_revoked(self, pki: Pki) -> None:
        assert refused(pki, "revoke", "floor-09") == "not_issued"
        pki.unit("floor-03")
        assert refused(pki, "revoke", "desk:floor-03") == "not_issued"
        for time in ("yesterday", rfc3339(pki.days_from_now(1).utc_ns())):
            assert refused(pki, "revoke", "floor-03", "--since", time) == "bad_input"

    @pytest.mark.parametrize("next_words", [("revoke", "floor-03"), ("list",)])
    def test_a_revocation_interrupted_before_its_list_is_published_by_the_next_command(
        self, pki: Pki, monkeypatch: pytest.MonkeyPatch, next_words: tuple[str, ...]
    ) -> None:
        unit = pki.unit("floor-03")

        def full(*_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(authority, "replace_durably", full)
            with pytest.raises(BadInput, match=r"crl\.pem: No space left on device; the register has the entry"):
                pki.run("revoke", "floor-03")
        assert pki.verified(unit.certificate) == ""
        if next_words[0] == "revoke":
            with pytest.raises(PkiFault, match=r"floor-03: revoked at .*; crl\.pem and allowed_signers have it"):
                pki.run(*next_words)
        else:
            assert pki.run(*next_words) == 0
        assert "certificate revoked" in pki.verified(unit.certificate)
        assert "valid-before" in pki.signers.read_text()

    def test_what_was_lost_of_it_is_made_again_of_the_register(self, pki: Pki) -> None:
        unit = pki.unit("floor-03")
        pki.run("revoke", "floor-03")
        pki.crl.unlink()
        pki.signers.unlink()
        pki.desk("seoul")
        assert "certificate revoked" in pki.verified(unit.certificate)
        assert "valid-before" in pki.signers.read_text()


def test_no_byte_of_a_request_can_be_changed() -> None:
    made = request.make("floor-03", ec.generate_private_key(ec.SECP256R1()), keys.new_unit_key())
    assert request.check(made).unit == "floor-03"
    for place in range(len(made)):
        for bit in (1, 2, 0x20):
            changed = bytearray(made)
            changed[place] ^= bit
            with pytest.raises(LinetapError):
                request.check(bytes(changed))


def test_a_refusal_names_the_file(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "floor-03.request"
    path.write_bytes(b"{}")
    with pytest.raises(LinetapError) as told:
        pki.run("unit", str(path), "--dir", str(pki.folder), "-o", str(tmp_path / "floor-03.pem"))
    assert str(path) in str(told.value)


def test_the_list_shows_what_ends_soon(pki: Pki, capsys: pytest.CaptureFixture[str]) -> None:
    asking = Asking.new("floor-03")
    pki.unit("floor-03", asking=asking)
    pki.unit("floor-04")
    pki.desk("seoul")
    pki.run("revoke", "floor-04")
    later = pki.days_from_now(350)
    pki.unit("floor-03", "renew", clock=later, asking=asking)
    capsys.readouterr()
    assert pki.run("list") == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["desk:seoul", "floor-03"]
    assert pki.run("list", "--days", "60") == 0
    assert pki.run("list", "--days", "60", clock=later) == 1
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["desk:seoul"]


def der_of(pem: bytes) -> bytes:
    return base64.b64decode(b"".join(line for line in pem.splitlines() if not line.startswith(b"-----")))


def pem_of(csr: bytes) -> str:
    return openssl("req", "-inform", "DER", given=csr).stdout


def stock_verify(pki: Pki, record: Path, sig: Path, at_s: int) -> int:
    time = f"verify-time={moment(at_s):%Y%m%d%H%M%S}Z"
    command = ["ssh-keygen", "-Y", "verify", "-f", str(pki.signers), "-I", "floor-03", "-n", "linetap-record"]
    return subprocess.run(
        [*command, "-s", str(sig), "-O", time],
        input=record.read_bytes(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    ).returncode


def moment(at_s: int) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)


class TestRabbitmq:
    """The definitions file. Its effect is measured with a RabbitMQ: `./build.sh bench cluster`."""

    def made(self, pki: Pki, folder: Path, *words: str) -> dict[str, dict[str, str]]:
        """The rights of each user: write and read."""
        pki.run("rabbitmq", *words, "-o", str(folder / "definitions.json"))
        found = json.loads((folder / "definitions.json").read_bytes())
        assert {row["user"] for row in found["permissions"]} == {row["name"] for row in found["users"]}
        assert not any(row["password_hash"] for row in found["users"])
        assert found["policies"][0]["definition"] == {"delivery-limit": -1}  # the default is 20
        return {row["user"]: row for row in found["topic_permissions"]}

    def test_a_unit_speaks_for_itself_and_a_screen_is_silent(self, pki: Pki, tmp_path: Path) -> None:
        for name in ("floor-03", "floor-04"):
            pki.unit(name)
        for name in ("seoul", "wall"):
            pki.desk(name)
        pki.host("127.0.0.1")
        rights = self.made(pki, tmp_path, "--silent", "wall")
        assert rights.keys() == {"floor-03", "floor-04", "desk:seoul", "desk:wall"}

        def may(user: str, what: str, topic: str) -> bool:
            return re.search(rights[user][what], topic.replace("/", ".")) is not None

        for kind in ("status", "line/1", "call", "health", "alert/hum", "log", "reply/ack"):
            assert may("floor-03", "write", f"linetap/v1/floor-03/{kind}")
            assert not may("floor-03", "write", f"linetap/v1/floor-04/{kind}")
            assert not may("floor-03", "write", f"linetap/v1/floor-030/{kind}")
            assert not may("desk:seoul", "write", f"linetap/v1/floor-03/{kind}")
            assert may("desk:wall", "read", f"linetap/v1/+/{kind}")
        assert may("floor-03", "read", "linetap/v1/floor-03/cmd/+")
        assert not may("floor-03", "read", "linetap/v1/+/cmd/+")
        assert not may("floor-03", "read", "linetap/v1/#")
        assert may("desk:seoul", "write", "linetap/v1/floor-03/cmd/ack")
        assert not may("desk:wall", "write", "linetap/v1/floor-03/cmd/ack")

    def test_a_units_queue_has_the_name_of_the_key_in_its_certificate(self, pki: Pki, tmp_path: Path) -> None:
        """RabbitMQ admits a client only under that name: `mqtt.ssl_cert_client_id_from`."""
        names = {unit: client_id(pki.unit(unit).certificate.read_bytes()) for unit in ("floor-03", "floor-04")}
        assert all(name is not None and name.startswith("linetap-signer:SHA256:") for name in names.values())
        self.made(pki, tmp_path)
        found = json.loads((tmp_path / "definitions.json").read_bytes())["permissions"]
        for unit, name in names.items():
            may = {row["user"] for row in found if re.search(row["configure"], f"mqtt-subscription-{name}qos0")}
            assert may == {unit}

    def test_who_is_revoked_is_nobody(self, pki: Pki, tmp_path: Path) -> None:
        pki.unit("floor-03")
        pki.desk("seoul")
        pki.run("revoke", "floor-03")
        assert self.made(pki, tmp_path).keys() == {"desk:seoul"}

    def test_a_silent_desk_that_does_not_exist(self, pki: Pki, tmp_path: Path) -> None:
        with pytest.raises(BadInput, match="--silent wal: no desk of this name"):
            self.made(pki, tmp_path, "--silent", "wal")
