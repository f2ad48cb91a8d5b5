# SPDX-License-Identifier: Apache-2.0
"""The exchange of digits: what both sides get, against a computation of its own, and what somebody in between gets."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Literal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import AdoptionFault, Answer, Begin, Box, Channel, Opening, Question, Reply

UNIT, DESK, THIEF = (X25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2, 3))


def opening(key: X25519PrivateKey = UNIT, nonce: int = 7) -> Opening:
    return Opening(key=adoption.public_of(key), nonce=f"{nonce:064x}")


def begin(said: Opening) -> Begin:
    return Begin(commitment=adoption.commitment(said), serial="10000000abcdef01")


def answer(key: X25519PrivateKey = DESK, nonce: int = 9, run: int = 5) -> Answer:
    return Answer(run=f"{run:064x}", key=adoption.public_of(key), nonce=f"{nonce:064x}", name="서울 상황실")


def of_unit(own: X25519PrivateKey, said: Opening, got: Answer) -> Channel:
    return adoption.channel(own, begin(said), got, said, got.key)


def of_desk(own: X25519PrivateKey, asked: Begin, said: Answer, got: Opening) -> Channel:
    adoption.require_opened(asked.commitment, got)
    return adoption.channel(own, asked, said, got, got.key)


def test_both_sides_have_the_same_digits_and_keys() -> None:
    said, got = opening(), answer()
    unit, desk = of_unit(UNIT, said, got), of_desk(DESK, begin(said), got, said)
    assert (unit.digits, unit.unit_key, unit.desk_key) == (desk.digits, desk.unit_key, desk.desk_key)
    assert unit.digits.isdecimal()
    assert len(unit.digits) == 6
    box = unit.close("unit", 1, Question(pressed=True))
    assert desk.open("unit", box, Question) == Question(pressed=True)
    assert unit.open("desk", desk.close("desk", 1, Reply(state="order")), Reply).state == "order"


def test_the_digits_are_those_of_another_computation() -> None:
    """HKDF as RFC 5869 has it, written out with hmac; JSON in the order of the fields."""
    said, got = opening(), answer()
    committed = hashlib.sha256(b"linetap-adoption-1 commitment\n" + _json(said)).hexdigest()
    asked = f'{{"commitment":"{committed}","version":1,"serial":"10000000abcdef01","mac":"","firmware":""}}'
    sent = [asked.encode(), _json(got), _json(said)]
    salt = hashlib.sha256(
        b"linetap-adoption-1 transcript\n" + b"".join(len(part).to_bytes(8, "big") + part for part in sent)
    ).digest()
    shared = UNIT.exchange(X25519PublicKey.from_public_bytes(bytes.fromhex(got.key)))
    prk, made, block = hmac.digest(salt, shared, "sha256"), b"", b""
    for number in range(1, 4):
        block = hmac.digest(prk, block + b"linetap-adoption-1 digits and keys" + bytes([number]), "sha256")
        made += block
    unit = of_unit(UNIT, said, got)
    assert (unit.unit_key, unit.desk_key) == (made[:32], made[32:64])
    assert unit.digits == f"{int.from_bytes(made[64:72], 'big') % 1_000_000:06}"
    box = unit.close("unit", 3, Question(pressed=True))
    aad = b"linetap-adoption-1 " + got.run.encode()
    clear = ChaCha20Poly1305(made[:32]).decrypt((3).to_bytes(12, "big"), _base64(box.box), aad)
    assert msgspec.json.decode(clear)["pressed"] is True


def _json(message: Opening | Answer | Begin) -> bytes:
    return msgspec.json.encode(message)


def _base64(text: str) -> bytes:
    return base64.b64decode(text)


def test_somebody_in_between_has_one_chance_in_a_million() -> None:
    """The best they can do: the desk's nonce is known to them when they answer the unit, and the unit's is not. Of
    1,000 tries the last three digits meet as often as chance has it: once, and 8 times in one of 900,000 such tests.
    """
    met = 0
    for number in range(1000):
        own = opening(THIEF, nonce=number)
        real = answer(nonce=number + 1, run=number)
        with_desk = of_desk(DESK, begin(own), real, own)
        unit_said, fake = opening(nonce=number + 2), answer(THIEF, nonce=number + 3, run=number)
        met += of_unit(UNIT, unit_said, fake).digits[3:] == with_desk.digits[3:]
    assert met <= 8


@pytest.mark.parametrize("changed", ["key", "nonce", "name", "run"])
def test_every_field_of_the_answer_is_in_the_digits(changed: str) -> None:
    said, got = opening(), answer()
    other = msgspec.structs.replace(got, **{changed: adoption.public_of(THIEF) if changed != "name" else "x"})
    assert of_unit(UNIT, said, got).digits != of_unit(UNIT, said, other).digits


@pytest.mark.parametrize("changed", ["key", "nonce"])
def test_an_opening_that_was_not_committed_to_is_refused(changed: str) -> None:
    said = opening()
    other = msgspec.structs.replace(said, **{changed: "ff" * 32 if changed in ("key", "nonce") else "x"})
    with pytest.raises(AdoptionFault, match="adoption_commitment"):
        of_desk(DESK, begin(said), answer(), other)


@pytest.mark.parametrize("changed", ["version", "serial", "mac", "firmware"])
def test_what_the_unit_says_of_itself_is_in_the_digits(changed: str) -> None:
    said, got = opening(), answer()
    other = msgspec.structs.replace(begin(said), **{changed: 2 if changed == "version" else "x"})
    with_other = adoption.channel(UNIT, other, got, said, got.key)
    assert (of_unit(UNIT, said, got).digits, of_unit(UNIT, said, got).unit_key) != (
        with_other.digits, with_other.unit_key,
    )  # fmt: skip


def test_the_length_of_a_box_does_not_tell_whether_the_button_was_pressed() -> None:
    unit = of_unit(UNIT, opening(), answer())
    lengths = {len(unit.close("unit", 1, Question(pressed=pressed)).box) for pressed in (False, True)}
    assert len(lengths) == 1


@pytest.mark.parametrize("clear", [b'{"pressed":1}', b'{"pressed":false', b"\xff", b"[" * 100_000, b'{"more":1}', b""])
def test_a_good_box_of_what_is_no_message_is_a_fault_of_the_exchange(clear: bytes) -> None:
    """With Debian's msgspec 0.19 too, whose errors are not ValueErrors."""
    unit = of_unit(UNIT, opening(), answer())
    label = f"linetap-adoption-1 {unit.run}".encode()
    data = ChaCha20Poly1305(unit.unit_key).encrypt((1).to_bytes(12, "big"), clear, label)
    with pytest.raises(AdoptionFault, match="adoption_box"):
        unit.open("unit", Box(count=1, box=base64.b64encode(data).decode()), Question)


@pytest.mark.parametrize("word", ["serial", "mac", "firmware"])
def test_a_word_ends_without_a_line_end(word: str) -> None:
    sent = _json(begin(opening())).replace(f'"{word}":"'.encode(), f'"{word}":"\\n'.encode())
    for text in (sent, sent.replace(b"10000000abcdef01", b"1\\n")):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=Begin)


@pytest.mark.parametrize("low", [bytes(32), bytes([1]) + bytes(31)])
def test_a_key_of_small_order_is_none(low: bytes) -> None:
    """RFC 7748, 6.1: the shared secret would be zero, which everybody knows."""
    said, got = opening(), msgspec.structs.replace(answer(), key=low.hex())
    with pytest.raises(AdoptionFault, match="adoption_key"):
        of_unit(UNIT, said, got)


def test_a_box_of_another_exchange_number_or_side_opens_nowhere() -> None:
    said, got = opening(), answer()
    unit, other = of_unit(UNIT, said, got), of_unit(UNIT, said, answer(run=6))
    box = unit.close("unit", 1, Question())
    changed = box.box[:-4] + ("AAA=" if box.box[-4:] != "AAA=" else "AAB=")
    tries: tuple[tuple[Channel, Literal["unit", "desk"], Box], ...] = (
        (other, "unit", box),
        (unit, "desk", box),
        (unit, "unit", Box(count=2, box=box.box)),
        (unit, "unit", Box(count=1, box=changed)),
        (unit, "unit", Box(count=1, box="no base64")),
        (unit, "unit", Box(count=1, box="")),
    )
    for opener, side, each in tries:
        with pytest.raises(AdoptionFault, match="adoption_box"):
            opener.open(side, each, Question)
