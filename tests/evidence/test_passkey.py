# SPDX-License-Identifier: Apache-2.0
"""A passkey's assertion as an SSH signature: stock ssh-keygen and we agree, except where we require more."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys, passkey
from linetap_core.evidence.keys.passkey import PasskeyKey
from linetap_core.evidence.signing import assertion, document, namespaces, sshsig
from passkey_rig import SITE, SoftPasskey
from sealing_rig import run

DATA = b'{"id":"2026-0042"}\n'
HERE = SoftPasskey()


def ours(data: bytes, armored: bytes, namespace: str = namespaces.RELEASE) -> bool:
    try:
        return sshsig.check(data, armored, namespace) == HERE.key
    except sshsig.SignatureFault:
        return False


def stock(folder: Path, data: bytes, armored: bytes, namespace: str = namespaces.RELEASE) -> bool:
    (folder / "signers").write_text(f"kim {HERE.line}\n")
    (folder / "sig").write_bytes(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "signers"), "-I", "kim", "-n", namespace]
    return run([*command, "-s", str(folder / "sig")], stdin=data).returncode == 0


def test_stock_ssh_keygen_takes_it(tmp_path: Path) -> None:
    armored = HERE.sign(DATA)
    assert (ours(DATA, armored), stock(tmp_path, DATA, armored)) == (True, True)


@pytest.mark.parametrize("counter", [0, 1, 0xFFFF_FFFF])
@pytest.mark.parametrize("flags", [0x05, 0x0D, 0x1D])
def test_counters_and_keys_that_may_be_copied(tmp_path: Path, counter: int, flags: int) -> None:
    armored = HERE.sign(DATA, counter=counter, flags=flags)
    assert (ours(DATA, armored), stock(tmp_path, DATA, armored)) == (True, True)


def test_members_that_browsers_add(tmp_path: Path) -> None:
    armored = HERE.sign(DATA, other_keys_can_be_added_here="do not compare clientDataJSON against a template")
    assert (ours(DATA, armored), stock(tmp_path, DATA, armored)) == (True, True)


def test_other_bytes_and_another_namespace(tmp_path: Path) -> None:
    armored = HERE.sign(DATA)
    for data, namespace in ((DATA + b" ", namespaces.RELEASE), (DATA, namespaces.COMMAND)):
        assert (ours(data, armored, namespace), stock(tmp_path, data, armored, namespace)) == (False, False)


def test_every_bit_of_the_signature_matters() -> None:
    """Every third bit, because an armored signature has 9,000."""
    armored = HERE.sign(DATA)
    for at in range(0, len(armored) * 8, 3):
        flipped = bytearray(armored)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(sshsig.SignatureFault):
            sshsig.check(DATA, bytes(flipped), namespaces.RELEASE)


def test_every_shorter_one_is_none() -> None:
    armored = HERE.sign(DATA)
    body = base64.b64decode(sshsig.unarmored(armored.decode()))
    for end in range(len(body)):
        cut = sshsig.armored(base64.b64encode(body[:end]).decode()).encode()
        with pytest.raises(sshsig.SignatureFault):
            sshsig.check(DATA, cut, namespaces.RELEASE)


@pytest.mark.parametrize(
    "namespace", [namespaces.COMMAND, namespaces.RECORD, namespaces.ROLES, namespaces.HOLD, namespaces.CERTIFICATE]
)
def test_it_signs_approvals_and_nothing_else(tmp_path: Path, namespace: str) -> None:
    """Stock ssh-keygen uses the signers' file, in which a namespace can be named; ours is fixed."""
    armored = HERE.sign(DATA, namespace)
    with pytest.raises(sshsig.WrongKeyType):
        sshsig.check(DATA, armored, namespace)
    assert stock(tmp_path, DATA, armored, namespace)


def test_the_line_of_the_roles_file() -> None:
    assert passkey.from_line(HERE.line) == HERE.key
    assert passkey.credential_of(HERE.line) == HERE.credential
    assert roles.person_key(HERE.line) == HERE.key
    assert keys.fingerprint(HERE.key).startswith("SHA256:")
    assert passkey.from_line(keys.public_line(keys.new_unit_key().public_key())) is None


def test_stock_ssh_keygen_reads_the_same_line(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(HERE.line + "\n")
    told = run(["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]).stdout.decode()
    assert keys.fingerprint(HERE.key) in told
    assert "ECDSA-SK" in told


@pytest.mark.parametrize(
    "site", ["ssh:", "", "Sign.City.Example", "sign city", "a..b", "-a.b", "x" * 64, "시청.kr", "a\0b"]
)
def test_a_site_that_cannot_be(site: str) -> None:
    blob = passkey.blob(PasskeyKey("s" * 9, HERE.key.point))[: -4 - 9]
    raw = site.encode()
    with pytest.raises(BadInput):
        passkey.from_blob(blob + len(raw).to_bytes(4) + raw)


def test_a_point_that_is_not_on_the_curve() -> None:
    blob = passkey.blob(PasskeyKey(SITE, b"\x04" + b"\x01" * 64))
    with pytest.raises(BadInput):
        passkey.from_blob(blob)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://sign.city.example", True),
        ("https://sign.city.example:8443", True),
        ("http://sign.city.example", False),
        ("https://desk.city.example", False),
        ("https://a.sign.city.example", False),
        ("https://sign.city.example.evil.example", False),
        ("https://sign.city.example:", False),
        ("https://sign.city.example:84a", False),
        ("https://sign.city.example/", False),
        ("android:apk-key-hash:AAAA", False),
        ("null", False),
    ],
)
def test_whose_pages_may_use_it(origin: str, allowed: bool) -> None:
    assert HERE.key.may_come_from(origin) is allowed


def test_a_browsers_own_machine_needs_no_tls() -> None:
    assert PasskeyKey("sign.localhost", HERE.key.point).may_come_from("http://sign.localhost:8080")


def test_parts_of_a_browser() -> None:
    made = HERE.assertion(b"challenge")
    data = b"\0" * 32 + bytes([made.flags]) + made.counter.to_bytes(4)
    assert assertion.of_browser(data, made.client_data, made.numbers) == made
    for wrong in (data[:-1], data + b"\xa0", b""):
        with pytest.raises(assertion.PasskeyFault):
            assertion.of_browser(wrong, made.client_data, made.numbers)


def test_a_unit_names_a_change_of_passkeys_as_of_other_keys() -> None:
    """Units process roles.json like the desk, and compare it with the previous one."""
    file = keys.public_line(keys.new_unit_key().public_key())
    before = Roles(1, [Person("Kim", "privacy", file)], [])
    after = roles.parse(document.encode(Roles(2, [Person("Kim", "privacy", HERE.line)], [])))
    print_of = keys.fingerprint(HERE.key)
    assert roles.changes(before, after)[1:] == [f"new privacy {print_of}"]
    assert roles.changes(after, after) == []
