# SPDX-License-Identifier: Apache-2.0
"""The writer's files are opened by stock `age` and by pyrage, two independent implementations."""

from __future__ import annotations

from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys, publickeys
from linetap_core.evidence.sealing import age
from sealing_rig import noise, run

SIZES = [0, 1, 65535, 65536, 65537, 131072, 200000]
IDENTITY = keys.new_identity()


def pyrage_opens(data: bytes, identity: keys.AgeIdentity = IDENTITY) -> bytes:
    return bytes(pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(identity.secret)]))


def stock_age_opens(data: bytes, tmp_path: Path, identity: keys.AgeIdentity = IDENTITY) -> tuple[int, bytes]:
    path = tmp_path / "identity.txt"
    path.write_text(identity.secret + "\n")
    done = run(["age", "-d", "-i", str(path)], stdin=data)
    return done.returncode, done.stdout


@pytest.mark.parametrize("size", SIZES)
def test_opened_by_stock_age_and_by_pyrage(size: int, tmp_path: Path) -> None:
    sealed = age.encrypt(noise(size), [IDENTITY.recipient])
    assert stock_age_opens(sealed, tmp_path) == (0, noise(size))
    assert pyrage_opens(sealed) == noise(size)
    assert age.plaintext_size(len(sealed) - age.payload_offset(sealed)) == size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 70_000), max_size=6))
def test_any_pieces_give_the_same_plaintext_in_whole_chunks(pieces: list[int]) -> None:
    writer = age.AgeWriter([IDENTITY.recipient])
    plain, sealed = b"", writer.header
    for number, size in enumerate(pieces):
        data = noise(size, number)
        chunks = writer.write(data)
        assert len(chunks) % age.SEALED_CHUNK_BYTES == 0
        plain += data
        sealed += chunks
    sealed += writer.finish()
    assert pyrage_opens(sealed) == plain


def test_every_recipient_opens_it_and_nobody_else(tmp_path: Path) -> None:
    others = [keys.new_identity() for _ in range(5)]
    raw = publickeys.decode_recipient(others[4].recipient)
    sealed = age.encrypt(b"hello", [*(identity.recipient for identity in others[:4]), raw])
    for identity in others:
        assert stock_age_opens(sealed, tmp_path, identity) == (0, b"hello")
    assert stock_age_opens(sealed, tmp_path)[0] == 1


def test_file_is_never_twice_the_same() -> None:
    first, second = (age.encrypt(bytes(1000), [IDENTITY.recipient]) for _ in range(2))
    assert first[age.payload_offset(first) :] != second[age.payload_offset(second) :]
    assert first[: age.payload_offset(first)] != second[: age.payload_offset(second)]


def test_finished_writer_has_forgotten_its_key() -> None:
    writer = age.AgeWriter([IDENTITY.recipient])
    writer.finish()
    with pytest.raises(ValueError, match="finished"):
        writer.finish()
    with pytest.raises(ValueError, match="finished"):
        writer.write(bytes(age.CHUNK_BYTES + 1))


@pytest.mark.parametrize("cut", [0, 1, 65551, 65552, 65553, 131103, 131104, 131120])
def test_cut_file_gives_its_whole_chunks_and_the_size_says_how_many(cut: int, tmp_path: Path) -> None:
    plain = noise(140_000)
    sealed = age.encrypt(plain, [IDENTITY.recipient])
    offset = age.payload_offset(sealed)
    kept = age.whole_chunks(cut) * age.CHUNK_BYTES
    code, opened = stock_age_opens(sealed[: offset + cut], tmp_path)
    assert (code, opened) == (1, plain[:kept])


@pytest.mark.parametrize("recipients", [1, 2, 20])
def test_payload_offset_of_a_file_of_stock_age(recipients: int) -> None:
    arguments = [a for _ in range(recipients) for a in ("-r", keys.new_identity().recipient)]
    sealed = run(["age", *arguments], stdin=noise(100_000)).stdout
    assert len(sealed) == age.payload_offset(sealed) + 100_000 + 2 * age.TAG_BYTES


def test_payload_offset_refuses_what_is_no_header_or_ends_in_it() -> None:
    sealed = age.encrypt(b"", [IDENTITY.recipient])
    for length in range(age.payload_offset(sealed)):
        with pytest.raises(age.NotAge):
            age.payload_offset(sealed[:length])
    for wrong in (b"hello", b"age-encryption.org/v2\n" + bytes(200), age.VERSION_LINE + b"x" * 70_000):
        with pytest.raises(age.NotAge):
            age.payload_offset(wrong)


@pytest.mark.parametrize(
    ("recipients", "says"),
    [
        ([], "at least one"),
        (["age1nonsense"], "not an age recipient"),
        ([b"short"], "32 bytes"),
        ([bytes(32)], "low order"),
    ],
)
def test_recipients_that_cannot_be_used(recipients: list[str | bytes], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        age.AgeWriter(recipients)
