# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import bech32, keys, publickeys
from sealing_rig import run

GOOD = keys.new_identity()


@settings(deadline=None)
@given(st.binary(max_size=100), st.sampled_from(["age", "age-secret-key-", "a1b"]))
def test_bech32_gives_back_what_it_was_given(data: bytes, prefix: str) -> None:
    assert bech32.decode(bech32.encode(prefix, data)) == (prefix, data)
    assert bech32.decode(bech32.encode(prefix, data).upper()) == (prefix, data)


@settings(deadline=None)
@given(st.integers(0, 61), st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
def test_bech32_notices_every_mistyped_character(at: int, character: str) -> None:
    text = GOOD.recipient
    wrong = text[:at] + character + text[at + 1 :]
    if wrong == text:
        return
    with pytest.raises(BadInput):
        publickeys.decode_recipient(wrong)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no '1'"),
        ("age1", "too short"),
        ("ssh-ed25519 AAAA", "mixed"),
        (GOOD.recipient[:-1], "checksum"),
        (GOOD.recipient.upper(), "lower case"),
        (GOOD.recipient.replace("age1", "age1b", 1), "character 5"),
        (bech32.encode("age", bytes(31)), "31 bytes"),
        ("age1qpu0j2ex", "padding"),  # ten bits, of which the last two are no byte and not zero
        ("age1qdd35qf", "padding"),  # five bits, which no byte needs
        (bech32.encode("npub", bytes(32)), "age1... expected"),
        (GOOD.secret, "private"),
    ],
)
def test_recipient_that_is_none_gives_the_reason(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        publickeys.decode_recipient(text)


def test_no_error_quotes_a_secret() -> None:
    mistyped = GOOD.secret[:-1] + ("P" if GOOD.secret.endswith("Q") else "Q")
    with pytest.raises(BadInput) as error:
        keys.decode_secret(mistyped)
    assert GOOD.secret[20:40] not in str(error.value)
    assert GOOD.secret[20:40] not in repr(GOOD)
    with pytest.raises(BadInput) as error:
        publickeys.decode_recipient(GOOD.secret)
    assert GOOD.secret[20:40] not in str(error.value)


def test_stock_age_keygen_reads_our_identity_file(tmp_path: Path) -> None:
    path = tmp_path / "id.txt"
    path.write_text(keys.identity_file(GOOD, "2026-11-24T22:56:00.123Z"))
    assert run(["age-keygen", "-y", str(path)]).stdout.decode().strip() == GOOD.recipient


def test_we_read_the_identity_file_of_stock_age_keygen(tmp_path: Path) -> None:
    path = tmp_path / "id.txt"
    assert run(["age-keygen", "-o", str(path)]).returncode == 0
    text = path.read_text()
    (identity,) = keys.parse_identity_file(text)
    assert f"# public key: {identity.recipient}\n" in text
    created = text.splitlines()[0].removeprefix("# created: ")
    assert keys.identity_file(identity, created) == text


@pytest.mark.parametrize(("text", "says"), [("# only a comment\n", "no AGE-SECRET"), ("\nhello\n", "line 2")])
def test_identity_file_that_is_none_says_where(text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        keys.parse_identity_file(text)


def test_stock_ssh_keygen_reads_our_unit_key(tmp_path: Path) -> None:
    key = keys.new_unit_key()
    path = tmp_path / "unit.key"
    path.write_bytes(keys.unit_key_file(key))
    path.chmod(0o600)
    assert run(["ssh-keygen", "-y", "-f", str(path)]).stdout.decode().strip() == keys.public_line(key.public_key())
    (tmp_path / "unit.key.pub").write_text(keys.public_line(key.public_key(), "closet") + "\n")
    printed = run(["ssh-keygen", "-l", "-f", str(tmp_path / "unit.key.pub")]).stdout.decode().split()
    assert printed[1:3] == [keys.fingerprint(key.public_key()), "closet"]
    assert keys.public_line(keys.load_unit_key(path.read_bytes()).public_key()) == keys.public_line(key.public_key())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["-t", "ed25519", "-N", "secret"], "passphrase"), (["-t", "rsa", "-b", "2048", "-N", ""], "Ed25519")],
)
def test_key_a_unit_cannot_use_gives_the_reason(tmp_path: Path, arguments: list[str], says: str) -> None:
    assert run(["ssh-keygen", "-q", "-f", str(tmp_path / "k"), *arguments]).returncode == 0
    with pytest.raises(BadInput, match=says):
        keys.load_unit_key((tmp_path / "k").read_bytes())


def test_text_that_is_no_unit_key_is_refused_as_such() -> None:
    with pytest.raises(BadInput, match="not an OpenSSH private key"):
        keys.load_unit_key(b"hello\n")
