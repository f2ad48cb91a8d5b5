# SPDX-License-Identifier: Apache-2.0
"""ECDSA P-256, the kind of key in hardware, compared with stock ssh-keygen in both directions."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import roles
from linetap_core.evidence.keys import keys, p256, publickeys
from linetap_core.evidence.keys.p256 import ORDER, P256Key
from linetap_core.evidence.signing import signers, sshsig
from sealing_rig import run

DATA = b'{"call_id":"20261128T090000.123Z-L03"}'
NAMESPACE = "linetap-record"
UNIT = "closet-3f"
AT = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)


@pytest.fixture
def stock(tmp_path: Path) -> Path:
    """A key made by ssh-keygen, and a signers' file that names it."""
    path = tmp_path / "unit.key"
    assert run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", "256", "-N", "", "-f", str(path)]).returncode == 0
    (tmp_path / "allowed_signers").write_text(f"{UNIT} {(tmp_path / 'unit.key.pub').read_text()}")
    return path


def load(path: Path) -> P256Key:
    key = keys.load_signing_key(path.read_bytes())
    assert isinstance(key, P256Key)
    return key


def stock_sign(path: Path) -> bytes:
    done = run(["ssh-keygen", "-Y", "sign", "-f", str(path), "-n", NAMESPACE], stdin=DATA)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stock_verifies(path: Path, armored: bytes) -> bool:
    folder = path.parent
    (folder / "sig").write_bytes(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "allowed_signers"), "-I", UNIT, "-n", NAMESPACE]
    return run([*command, "-s", str(folder / "sig")], stdin=DATA).returncode == 0


def ours(path: Path, armored: bytes) -> keys.PublicKey:
    named = signers.parse((path.parent / "allowed_signers").read_text())
    return signers.verify(DATA, armored, NAMESPACE, named, UNIT, AT)


def rebuilt(armored: bytes, raw: bytes) -> bytes:
    """The same signature file with other numbers."""
    blob = base64.b64decode(b"".join(armored.splitlines()[1:-1]))
    at = blob.rindex(publickeys.SSH_P256) + len(publickeys.SSH_P256)
    inner = publickeys.ssh_string(publickeys.SSH_P256) + publickeys.ssh_string(raw)
    outer = blob[: at - len(publickeys.SSH_P256) - 8] + publickeys.ssh_string(inner)
    text = base64.b64encode(outer).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""]).encode()


def numbers(armored: bytes) -> tuple[int, int]:
    blob = base64.b64decode(b"".join(armored.splitlines()[1:-1]))
    return p256.decode(blob[blob.rindex(publickeys.SSH_P256) + len(publickeys.SSH_P256) + 4 :])


def test_each_takes_what_the_other_signs(stock: Path) -> None:
    """Some of each length: a number of every second signature needs a leading zero for the sign."""
    for _ in range(12):
        ours(stock, stock_sign(stock))
        armored = sshsig.sign(DATA, load(stock), NAMESPACE).encode()
        assert stock_verifies(stock, armored)
        assert ours(stock, armored) == load(stock).public_key()


def test_key_is_written_as_ssh_keygen_writes_it(stock: Path) -> None:
    line = (stock.parent / "unit.key.pub").read_text().rsplit(" ", 1)[0]
    key = load(stock).public_key()
    assert keys.public_line(key) == line
    assert run(["ssh-keygen", "-l", "-f", f"{stock}.pub"]).stdout.decode().split()[1] == keys.fingerprint(key)
    assert keys.from_blob(keys.public_blob(key)) == key
    assert roles.public_key(line) == key


def test_signature_of_other_bytes_or_another_key_is_refused(stock: Path) -> None:
    with pytest.raises(sshsig.DoesNotFit):
        sshsig.check(DATA + b" ", stock_sign(stock), NAMESPACE)
    stranger = P256Key(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(signers.UntrustedSigner):
        ours(stock, sshsig.sign(DATA, stranger, NAMESPACE).encode())


def test_every_bit_of_the_file_matters(stock: Path) -> None:
    armored = stock_sign(stock)
    for at in range(len(armored) * 8):
        flipped = bytearray(armored)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(sshsig.SignatureFault):
            sshsig.check(DATA, bytes(flipped), NAMESPACE)


def test_the_twin_of_a_signature_is_good_here_and_for_ssh_keygen(stock: Path) -> None:
    """In ECDSA (r, n - s) is as valid as (r, s): no code may identify a signature by its bytes."""
    armored = stock_sign(stock)
    r, s = numbers(armored)
    twin = rebuilt(armored, p256.encode(r, ORDER - s))
    assert twin != armored
    assert rebuilt(armored, p256.encode(r, s)) == armored
    assert stock_verifies(stock, twin)
    ours(stock, twin)


def bad_numbers(r: int, s: int) -> list[bytes]:
    def number(data: bytes) -> bytes:
        return publickeys.ssh_string(data)

    good_s = p256.encode(r, s)[len(p256.encode(r, 1)) - 5 :]
    padded = number(b"\0" + r.to_bytes(r.bit_length() // 8 + 1, "big"))
    return [
        padded + good_s,  # a needless zero
        number((r | 1 << 255).to_bytes(32, "big")) + good_s,  # negative
        p256.encode(r + ORDER, s), p256.encode(r, s + ORDER), p256.encode(ORDER, s),  # out of range
        number(b"") + good_s, number(b"\0") + good_s,  # zero
        p256.encode(r, s) + number(b"\1"), p256.encode(r, s) + b"\0", p256.encode(r, s)[:-1],
        number(r.to_bytes(33, "big")), b"", b"\xff\xff\xff\xff", r.to_bytes(32, "big") + s.to_bytes(32, "big"),
    ]  # fmt: skip


def test_numbers_have_one_spelling(stock: Path) -> None:
    """ssh-keygen accepts some of them, and then a file could be changed without detection."""
    armored = stock_sign(stock)
    for raw in bad_numbers(*numbers(armored)):
        with pytest.raises(sshsig.SignatureFault):
            ours(stock, rebuilt(armored, raw))


@given(st.integers(1, ORDER - 1), st.integers(1, ORDER - 1))
def test_numbers_come_back(r: int, s: int) -> None:
    assert p256.decode(p256.encode(r, s)) == (r, s)


@given(st.binary(max_size=90))
def test_bytes_are_read_or_refused_and_never_taken_twice(raw: bytes) -> None:
    try:
        found = p256.decode(raw)
    except ValueError:
        return
    assert p256.encode(*found) == raw


def test_point_that_is_not_on_the_curve_is_no_key(stock: Path) -> None:
    blob = bytearray(keys.public_blob(load(stock).public_key()))
    blob[-1] ^= 1
    line = f"ecdsa-sha2-nistp256 {base64.b64encode(blob).decode()}"
    with pytest.raises(BadInput, match="not a point of the curve"):
        roles.public_key(line)
    with pytest.raises(BadInput, match="line 1: not a point of the curve"):
        signers.parse(f"{UNIT} {line}\n")


@pytest.mark.parametrize("bits", ["384", "521"])
def test_other_curves_are_passed_over(stock: Path, bits: str) -> None:
    other = stock.with_name("other")
    assert run(["ssh-keygen", "-q", "-t", "ecdsa", "-b", bits, "-N", "", "-f", str(other)]).returncode == 0
    signers_file = stock.parent / "allowed_signers"
    signers_file.write_text(f"{UNIT} {other.with_suffix('.pub').read_text()}{signers_file.read_text()}")
    ours(stock, stock_sign(stock))
    with pytest.raises(BadInput, match="ECDSA P-256"):
        keys.load_signing_key(other.read_bytes())
    with pytest.raises(Refusal):
        ours(stock, stock_sign(other))


def test_compressed_point_and_a_label_that_lies_are_no_key(stock: Path) -> None:
    public = load(stock).public_key()
    blob, numbers_ = keys.public_blob(public), public.public_numbers()
    short = blob[:-69] + publickeys.ssh_string(bytes([2 + numbers_.y % 2]) + numbers_.x.to_bytes(32, "big"))
    for wrong in (short, blob + b"\0", blob[:-1]):
        assert publickeys.ssh_blob(f"ecdsa-sha2-nistp256 {base64.b64encode(wrong).decode()}") is None
    text = base64.b64encode(blob).decode()
    assert publickeys.ssh_blob(f"ecdsa-sha2-nistp256 {text}") == blob
    assert publickeys.ssh_blob(f"ssh-ed25519 {text}") is None
    with pytest.raises(BadInput, match="line 1: the key is not of ssh-ed25519"):
        signers.parse(f"{UNIT} ssh-ed25519 {text}\n")
