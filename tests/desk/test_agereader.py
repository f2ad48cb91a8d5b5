# SPDX-License-Identifier: Apache-2.0
"""Our reader of age compared with stock `age` and pyrage: the same bytes, the same refusals."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pyrage
import pytest

import sealing_rig
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_desk.proofs import callfolder
from linetap_desk.unsealing import agereader, stockage

CHUNK = age.SEALED_CHUNK_BYTES
MINE = keys.new_identity()


def stock(data: bytes, folder: Path) -> tuple[bytes, bool]:
    """The output of stock `age`, and whether it ends with status 0."""
    path = folder / "identity.txt"
    path.write_text(keys.identity_file(MINE, "2026-11-24T00:00:00Z"))
    done = sealing_rig.run(["age", "-d", "-i", str(path)], stdin=data)
    return done.stdout, done.returncode == 0


def ours(data: bytes) -> tuple[bytes, bool]:
    try:
        plain, complaint = agereader.decrypt(data, [keys.new_identity(), MINE])
    except agereader.Unopened:
        return b"", False
    return plain, not complaint


@pytest.mark.parametrize("size", [0, 1, age.CHUNK_BYTES, age.CHUNK_BYTES + 1, 2 * age.CHUNK_BYTES, 200_000])
def test_what_stock_age_wrote(size: int) -> None:
    plain = os.urandom(size)
    other = keys.new_identity().recipient
    done = sealing_rig.run(["age", "-r", other, "-r", MINE.recipient], stdin=plain)
    assert ours(done.stdout) == (plain, True)


def test_what_was_cut_short_or_has_more_behind_it(tmp_path: Path) -> None:
    data = age.encrypt(os.urandom(3 * age.CHUNK_BYTES), [MINE.recipient])
    start = age.payload_offset(data)
    cuts = [1, start - 20, start - 1, start, start + 1, start + CHUNK - 1, start + CHUNK, start + CHUNK + 15]
    cuts += [start + 2 * CHUNK, len(data) - 1]
    for cut in cuts:
        assert ours(data[:cut]) == stock(data[:cut], tmp_path), cut
    assert ours(data[: start + 2 * CHUNK]) == (ours(data)[0][: 2 * age.CHUNK_BYTES], False)
    for more in (b"\0", bytes(CHUNK), data[start:]):
        assert ours(data + more)[1] is stock(data + more, tmp_path)[1] is False


def test_a_bit_anywhere_is_noticed() -> None:
    """pyrage, another implementation, also refuses them."""
    identity = pyrage.x25519.Identity.from_str(MINE.secret)
    data = age.encrypt(b"who called", [keys.new_identity().recipient, MINE.recipient], b"-> linetap-call a b\n\n")
    assert ours(data) == (b"who called", True)
    for place in range(len(data)):
        for bit in (1, 32):
            changed = bytearray(data)
            changed[place] ^= bit
            with pytest.raises((pyrage.DecryptError, ValueError, OverflowError)):
                pyrage.decrypt(bytes(changed), [identity])
            assert ours(bytes(changed))[1] is False, (place, bit)


FULL, SHARE = b"A" * 64 + b"\n", b"A" * 43
MALFORMED = [
    b"x\n", b"->\n\n", b"-> X25519\n", b"-> X25519\n\n", b"-> X25519  \n\n", b"-> grease\n", b"-> grease\n" + FULL,
    b"-> grease\n" + b"A" * 65 + b"\n", b"-> X25519 " + SHARE[1:] + b"\n" + SHARE + b"\n",
    b"-> X25519 " + SHARE + b"\n" + SHARE + b"\n", b"-> X25519 " + SHARE + b"\n" + SHARE[1:] + b"B\n",
]  # fmt: skip


@pytest.mark.parametrize("header", MALFORMED)
def test_a_malformed_header_is_refused(header: bytes) -> None:
    data = age.VERSION_LINE + header + b"--- " + b"A" * 43 + b"\n" + bytes(40)
    with pytest.raises(agereader.Unopened):
        agereader.decrypt(data, [MINE])


def stock_blocks(file: agereader.Readable) -> stockage.PlainBlocks:
    return stockage.PlainBlocks(file, keys.identity_file(MINE, "2026-11-24T00:00:00Z").encode())


@pytest.mark.parametrize("size", [0, 1, age.CHUNK_BYTES, 3_000_001])
def test_stock_age_opens_in_blocks(size: int) -> None:
    plain = os.urandom(size)
    data = age.encrypt(plain, [MINE.recipient])
    blocks = stock_blocks(io.BytesIO(data))
    assert (b"".join(blocks), blocks.complaint) == (plain, "")
    for cut, whole in ((len(data) - 1, (size - 1) // age.CHUNK_BYTES), (100, 0)):
        blocks = stock_blocks(io.BytesIO(data[:cut]))
        assert b"".join(blocks) == plain[: max(0, whole) * age.CHUNK_BYTES]
        assert blocks.complaint


def test_a_reader_that_stops_early_leaves_no_process_and_no_thread() -> None:
    file = io.BytesIO(age.encrypt(bytes(10_000_000), [MINE.recipient]))
    before, blocks = threading.active_count(), iter(stock_blocks(file))
    assert next(blocks)
    blocks.close()
    assert threading.active_count() == before
    assert file.read(1), "it was read to its end for nobody"


def test_a_medium_that_cannot_be_read_is_named_and_not_a_cut_part() -> None:
    class Failing(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            if self.tell() > 1 << 20:
                raise callfolder.Damaged("file_unreadable", "audio.001.age: Input/output error")
            return super().read(count)

    blocks = stock_blocks(Failing(age.encrypt(bytes(3_000_000), [MINE.recipient])))
    with pytest.raises(callfolder.Damaged, match="Input/output error"):
        b"".join(blocks)


class TestWithoutAge:
    @pytest.fixture(autouse=True)
    def _nothing_installed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("PATH", f"{tmp_path}:.")

    def test_a_plain_identity_opens(self, tmp_path: Path) -> None:
        path = tmp_path / "identity.txt"
        path.write_text(keys.identity_file(MINE, "2026-11-24T00:00:00Z").replace("\n", "\r\n"))
        assert stockage.decrypt(age.encrypt(b"words", [MINE.recipient]), [path]) == b"words"
        with pytest.raises(stockage.DoesNotOpen, match="no identity matched"):
            stockage.decrypt(age.encrypt(b"words", [keys.new_identity().recipient]), [path])

    def test_one_with_a_passphrase_names_the_program(self, tmp_path: Path) -> None:
        path = tmp_path / "identity.txt"
        path.write_bytes(b"age-encryption.org/v1\n")
        with pytest.raises(BadInput, match=r"^age is not installed: apt install age; "):
            stockage.decrypt(age.encrypt(b"words", [MINE.recipient]), [path])
