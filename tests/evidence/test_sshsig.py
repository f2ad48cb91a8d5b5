# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import signers, sshsig
from sealing_rig import UNIT, Rig, run

DATA = b'{"call_id":"20261124T225600.123Z-L03"}'
NAMESPACE = "linetap-record"
AT = datetime(2026, 11, 24, 22, 56, tzinfo=UTC)


def stock_sign(rig: Rig, data: bytes = DATA, namespace: str = NAMESPACE) -> bytes:
    done = run(["ssh-keygen", "-Y", "sign", "-f", str(rig.root / "unit.key"), "-n", namespace], stdin=data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stock_verify(rig: Rig, armored: bytes, *options: str) -> bool:
    (rig.root / "sig").write_bytes(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(rig.signers_file), "-I", UNIT, "-n", NAMESPACE]
    return run([*command, "-s", str(rig.root / "sig"), *options], stdin=DATA).returncode == 0


def ours(rig: Rig, armored: bytes, at: datetime = AT) -> None:
    signers.verify(DATA, armored, NAMESPACE, signers.parse(rig.signers_file.read_text()), UNIT, at)


def test_we_write_the_very_bytes_of_ssh_keygen(rig: Rig) -> None:
    assert sshsig.sign(DATA, rig.unit_key, NAMESPACE).encode() == stock_sign(rig)


@pytest.mark.parametrize("namespace", ["linetap-head", "linetap-certificate", "x" * 47, "x" * 100])
def test_the_same_for_armors_of_every_length(rig: Rig, namespace: str) -> None:
    assert sshsig.sign(DATA, rig.unit_key, namespace).encode() == stock_sign(rig, namespace=namespace)


def test_ssh_keygen_accepts_ours_and_we_accept_its(rig: Rig) -> None:
    assert stock_verify(rig, sshsig.sign(DATA, rig.unit_key, NAMESPACE).encode())
    ours(rig, stock_sign(rig))


def test_every_single_bit_of_the_file_matters(rig: Rig) -> None:
    armored = stock_sign(rig)
    for at in range(len(armored) * 8):
        flipped = bytearray(armored)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(sshsig.SignatureFault):
            sshsig.check(DATA, bytes(flipped), NAMESPACE)


@pytest.mark.parametrize("changed", [b"\n%s", b"%s\n", b" %s", b"%s "])
def test_what_ssh_keygen_forgives_is_not_canonical(rig: Rig, changed: bytes) -> None:
    with pytest.raises(sshsig.NotCanonical):
        ours(rig, changed % stock_sign(rig))


def rebuilt(armored: bytes, old: bytes, new: bytes) -> bytes:
    """The armored signature with a piece of its binary content replaced."""
    blob = base64.b64decode(b"".join(armored.splitlines()[1:-1]))
    assert old in blob
    text = base64.b64encode(blob.replace(old, new, 1)).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (b"SSHSIG\0\0\0\1", b"SSHSIG\0\0\0\2", sshsig.WrongVersion),
        (b"SSHSIG\0\0\0\1", b"SSHSIX\0\0\0\1", sshsig.NotASignature),
        (b"sha512", b"sha256", sshsig.WrongHash),
        (b"linetap-record", b"linetap-Record", sshsig.WrongNamespace),
        (b"ssh-ed25519", b"ssh-ed25518", sshsig.WrongKeyType),
        (b"linetap-record\0\0\0\0", b"linetap-record\0\0\0\1x", sshsig.NotCanonical),
        (b"\0\0\0\x53\0\0\0\x0bssh-ed25519", b"\0\0\0\x52\0\0\0\x0bssh-ed25519", sshsig.NotASignature),
        (b"\0\0\0\x0bssh-ed25519\0\0\0\x20", b"\xff\0\0\x0bssh-ed25519\0\0\0\x20", sshsig.NotASignature),
    ],
)
def test_each_defect_has_its_kind(rig: Rig, old: bytes, new: bytes, kind: type[Refusal]) -> None:
    with pytest.raises(kind):
        ours(rig, rebuilt(stock_sign(rig), old, new))


@pytest.mark.parametrize("armored", [b"", b"hello", b"\xff\xfe", b"-----BEGIN SSH SIGNATURE-----\n", b"A" * 1_000_000])
def test_what_is_no_signature(rig: Rig, armored: bytes) -> None:
    with pytest.raises(sshsig.NotASignature):
        ours(rig, armored)


def test_bytes_behind_the_signature_are_not_canonical(rig: Rig) -> None:
    armored = stock_sign(rig)
    blob = base64.b64decode(b"".join(armored.splitlines()[1:-1]))
    with pytest.raises(sshsig.NotCanonical):
        ours(rig, rebuilt(armored, blob, blob + b"more"))


def test_other_bytes_and_other_namespace(rig: Rig) -> None:
    with pytest.raises(sshsig.DoesNotFit):
        sshsig.check(DATA + b" ", stock_sign(rig), NAMESPACE)
    with pytest.raises(sshsig.WrongNamespace):
        ours(rig, stock_sign(rig, namespace="linetap-event"))


def test_other_kinds_of_key_are_refused(rig: Rig) -> None:
    for name, kind in (("rsa", ["rsa"]), ("p384", ["ecdsa", "-b", "384"])):
        assert run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-f", str(rig.root / name)]).returncode == 0
        done = run(["ssh-keygen", "-Y", "sign", "-f", str(rig.root / name), "-n", NAMESPACE], stdin=DATA)
        with pytest.raises(sshsig.WrongKeyType):
            ours(rig, done.stdout)


def test_good_signature_of_a_stranger(rig: Rig) -> None:
    armored = sshsig.sign(DATA, keys.new_unit_key(), NAMESPACE).encode()
    sshsig.check(DATA, armored, NAMESPACE)
    with pytest.raises(signers.UntrustedSigner):
        ours(rig, armored)
    assert not stock_verify(rig, armored)


LINES = [
    ("{unit} {key}", None),
    ("a,{unit},b {key}", None),
    ("closet-* {key}", None),
    ('"{unit}" {key} a comment', None),
    ("*,!{unit} {key}", signers.UntrustedSigner),
    ("closet-4f {key}", signers.UntrustedSigner),
    ("CLOSET-3F {key}", signers.UntrustedSigner),
    ('{unit} namespaces="linetap-record" {key}', None),
    ('{unit} namespaces="linetap-event,linetap-r*" {key}', None),
    ('{unit} namespaces="linetap-event" {key}', signers.SignerNamespace),
    ('{unit} namespaces="linetap-event" {key}\n{unit} {key}', None),
    ('{unit} valid-after="20261124Z" {key}', None),
    ('{unit} valid-after="202611250000Z" {key}', signers.SignerNotYetValid),
    ('{unit} valid-before="20261125Z" {key}', None),
    ('{unit} valid-before="20261124225559Z" {key}', signers.SignerExpired),
    ('{unit} namespaces="linetap-record",valid-after="20261101Z",valid-before="20261130Z" {key}', None),
    ("{unit} cert-authority {key}", signers.UntrustedSigner),
    ("# {unit} {key}", signers.UntrustedSigner),
]


@pytest.mark.parametrize(("line", "kind"), LINES)
def test_allowed_signers_are_read_as_ssh_keygen_reads_them(rig: Rig, line: str, kind: type[Refusal] | None) -> None:
    rig.signers_file.write_text(line.format(unit=UNIT, key=keys.public_line(rig.unit_key.public_key())) + "\n")
    armored = stock_sign(rig)
    assert stock_verify(rig, armored, "-Overify-time=20261124225600Z") == (kind is None)
    if kind is None:
        ours(rig, armored)
    else:
        with pytest.raises(kind):
            ours(rig, armored)


def test_keys_of_other_kinds_in_the_file_are_passed_over(rig: Rig) -> None:
    assert run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(rig.root / "rsa")]).returncode == 0
    others = f"{UNIT} {(rig.root / 'rsa.pub').read_text()}"
    rig.signers_file.write_text(others + rig.signers_file.read_text())
    ours(rig, stock_sign(rig))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("nobody", "line 2: not a signer"),
        ("closet-3f hello AAAA", "line 2: not a signer"),
        ("closet-3f ssh-ed25519 ????", "line 2: the key is not base64"),
        ("closet-3f ssh-ed25519 AAAAB3NzaC1yc2E=", "line 2: the key is not of ssh-ed25519"),
        ('closet-3f colour="red" ssh-ed25519 AAAA', "line 2: unknown option"),
        ('closet-3f valid-after="tomorrow" ssh-ed25519 AAAA', "line 2: .*not a time"),
    ],
)
def test_line_that_cannot_be_read_is_named(line: str, says: str) -> None:
    good = keys.public_line(keys.new_unit_key().public_key())
    with pytest.raises(BadInput, match=says):
        signers.parse(f"# units\n{line.replace('ssh-ed25519 AAAA', good) if '="' in line else line}\n")


class Signatories:
    """People with keys made by stock ssh-keygen, which signs for them and verifies modified blocks."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.names = folder, [f"person{number}" for number in range(count)]
        for name in self.names:
            made = run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)])
            assert made.returncode == 0
        lines = [f"{name} {(folder / f'{name}.pub').read_text()}" for name in self.names]
        (folder / "people").write_text("".join(lines))

    def sign(self, name: str, data: bytes = DATA) -> bytes:
        return run(["ssh-keygen", "-Y", "sign", "-f", str(self.folder / name), "-n", NAMESPACE], stdin=data).stdout

    def stock_verifies(self, name: str, block: Path) -> bool:
        command = ["ssh-keygen", "-Y", "verify", "-f", str(self.folder / "people"), "-I", name, "-n", NAMESPACE]
        return run([*command, "-s", str(block)], stdin=DATA).returncode == 0

    def public(self, name: str) -> bytes:
        return signers.parse(f"x {(self.folder / f'{name}.pub').read_text()}")[0].blob


@pytest.fixture
def three(tmp_path: Path) -> Signatories:
    return Signatories(tmp_path, 3)


def test_each_of_several_signatures_is_one_of_stock_ssh_keygen(three: Signatories) -> None:
    armored = b"".join(three.sign(name) for name in three.names)
    found = sshsig.check_all(DATA, armored, NAMESPACE)
    assert [keys.public_blob(key) for key in found] == [three.public(name) for name in three.names]
    (three.folder / "all").write_bytes(armored)
    split = "awk '/^-----BEGIN/ { n++ } { print > (\"block.\" n) }' all"
    assert run(["sh", "-ec", f"cd {three.folder} && {split}"]).returncode == 0
    for number, name in enumerate(three.names, 1):
        assert three.stock_verifies(name, three.folder / f"block.{number}")
        assert not three.stock_verifies(three.names[number % 3], three.folder / f"block.{number}")


def test_one_signature_is_one_of_several(rig: Rig) -> None:
    assert len(sshsig.check_all(DATA, stock_sign(rig), NAMESPACE)) == 1


def test_one_key_does_not_count_twice(three: Signatories) -> None:
    first, second = three.sign("person0"), three.sign("person1")
    for armored in (first + first, first + second + first):
        with pytest.raises(sshsig.SignedTwice):
            sshsig.check_all(DATA, armored, NAMESPACE)


def test_every_one_of_several_must_fit(three: Signatories) -> None:
    for armored in (
        three.sign("person0") + three.sign("person1", b"something else"),
        three.sign("person0", b"something else") + three.sign("person1"),
    ):
        with pytest.raises(sshsig.DoesNotFit):
            sshsig.check_all(DATA, armored, NAMESPACE)


@pytest.mark.parametrize("where", [b"%(more)s%(a)s%(b)s", b"%(a)s%(more)s%(b)s", b"%(a)s%(b)s%(more)s"])
@pytest.mark.parametrize("more", [b"\n", b" ", b"\0", b"-", b"-----BEGIN SSH SIGNATURE-----\n", b"a third by phone\n"])
def test_nothing_stands_between_several(three: Signatories, where: bytes, more: bytes) -> None:
    armored = where % {b"a": three.sign("person0"), b"b": three.sign("person1"), b"more": more}
    with pytest.raises((sshsig.NotCanonical, sshsig.NotASignature)):
        sshsig.check_all(DATA, armored, NAMESPACE)


def test_every_bit_of_several_matters(three: Signatories) -> None:
    armored = three.sign("person0") + three.sign("person1")
    for at in range(len(armored) * 8):
        flipped = bytearray(armored)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(sshsig.SignatureFault):
            sshsig.check_all(DATA, bytes(flipped), NAMESPACE)


def test_of_several_there_is_a_most() -> None:
    each = [sshsig.sign(DATA, keys.new_unit_key(), NAMESPACE).encode() for _ in range(sshsig.MOST_SIGNATURES + 1)]
    assert len(sshsig.check_all(DATA, b"".join(each[:-1]), NAMESPACE)) == sshsig.MOST_SIGNATURES
    for armored in (b"".join(each), b"x" * (1 << 20), b"-----END SSH SIGNATURE-----\n" * 1000):
        with pytest.raises(sshsig.TooMany):
            sshsig.check_all(DATA, armored, NAMESPACE)
    with pytest.raises(sshsig.NotASignature):
        sshsig.check_all(DATA, b"", NAMESPACE)
