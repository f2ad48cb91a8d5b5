# SPDX-License-Identifier: Apache-2.0
"""One bit of a small file of the desk is flipped: it is detected and named, and duplicated data stay usable."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from linetap_core.durable import broken, smallfile
from linetap_core.durable.copies import twin_of
from linetap_core.enrolment.request import PkiFault
from linetap_core.errors import BadInput, LinetapError
from linetap_desk.accesslog.access import AccessFault, read_log, require_head
from linetap_desk.accesslog.access import read_head as access_head
from linetap_desk.accesslog.deskfolder import read_authority, read_roles
from linetap_desk.pki.register import Issued, Register, Revoked
from linetap_desk.witnessing import signedheads
from linetap_desk.witnessing.witness import SEEN, Last
from release_rig import Desk

HEADS = {f"closet-{n:02d}": Last(n, f"{n:064x}") for n in range(1, 4)}


def flipped(path: Path, step: int = 1) -> Iterator[int]:
    """Flips each bit in turn, or every `step`th; the file is restored afterwards."""
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), step):
        one = bytearray(whole)
        one[bit // 8] ^= 1 << bit % 8
        path.write_bytes(one)
        yield bit
    path.write_bytes(whole)


def issued(number: int) -> Issued:
    return Issued(
        at="2026-11-24T22:56:00.000Z", serial=f"{number:x}", role="unit", name=f"closet-{number:02d}",
        until="2027-11-24T22:56:00Z", key="ab" * 32, sha256="cd" * 32, signer=f"ssh-ed25519 AAAA{number}",
    )  # fmt: skip


class TestAWitness:
    def test_goes_on_from_the_twin_whichever_bit(self, tmp_path: Path) -> None:
        path = tmp_path / "seen.json"
        signedheads.keep_state(SEEN, path, HEADS)
        assert smallfile.is_wrapped(path.read_bytes())
        for _ in flipped(path, 7):  # every bit of every envelope: tests/durable/test_small_file.py
            broken.forget()
            assert signedheads.load_state(SEEN, path) == HEADS
            assert [f"{tmp_path.name}/seen.json"] == broken.names()

    def test_mends_the_twin(self, tmp_path: Path) -> None:
        path = tmp_path / "seen.json"
        signedheads.keep_state(SEEN, path, HEADS)
        for _ in flipped(twin_of(path), 101):
            assert signedheads.load_state(SEEN, path) == HEADS
            assert twin_of(path).read_bytes() == path.read_bytes()

    def test_remembers_where_the_file_is_gone(self, tmp_path: Path) -> None:
        path = tmp_path / "seen.json"
        assert signedheads.load_state(SEEN, path) == {}
        signedheads.keep_state(SEEN, path, HEADS)
        path.unlink()
        assert signedheads.load_state(SEEN, path) == HEADS

    def test_cosigns_nothing_where_both_are_damaged(self, tmp_path: Path) -> None:
        path = tmp_path / "seen.json"
        signedheads.keep_state(SEEN, path, HEADS)
        for each in (path, twin_of(path)):
            each.write_bytes(each.read_bytes().replace(b'"size":2', b'"size":3'))
        for _ in range(2):
            with pytest.raises(BadInput, match=r"seen\.json: .* and so is its twin"):
                signedheads.load_state(SEEN, path)

    def test_reads_what_version_0_1_wrote(self, tmp_path: Path) -> None:
        path = tmp_path / "seen.json"
        path.write_text(f'{{"closet-01":{{"size":1,"root":"{1:064x}"}}}}')
        assert signedheads.load_state(SEEN, path) == {"closet-01": HEADS["closet-01"]}
        assert smallfile.is_wrapped(path.read_bytes())
        assert path.read_bytes() == twin_of(path).read_bytes()


class TestTheRegister:
    def test_takes_no_changed_bit_for_an_entry(self, tmp_path: Path) -> None:
        """Nor does it lose one: not even a flipped bit of the last line's end has an effect."""
        path = tmp_path / "issued.jsonl"
        path.write_bytes(b"")
        register = Register(path)
        register.append(issued(1), issued(2))
        register.append(Revoked(at="2026-11-25T00:00:00.000Z", serial="1", since="2026-11-25T00:00:00.000Z"))
        whole = Register(path).entries
        assert len(whole) == 3
        good = path.read_bytes()
        for bit in flipped(path, 3):
            assert Register(path).entries == whole, bit
            assert path.read_bytes() == good
        for bit in flipped(twin_of(path), 3):
            assert Register(path).entries == whole, bit
            assert twin_of(path).read_bytes() == good

    def test_names_the_line(self, tmp_path: Path) -> None:
        """If both are damaged, nothing is issued from the rest."""
        path = tmp_path / "issued.jsonl"
        path.write_bytes(b"")
        Register(path).append(issued(1), issued(2), issued(3))
        for each in (path, twin_of(path)):
            each.write_bytes(each.read_bytes().replace(b"closet-02", b"closet-06"))
        with pytest.raises(PkiFault, match=r"issued\.jsonl: line 2: this line or an earlier one was changed"):
            Register(path)

    def test_of_which_the_medium_has_lost_the_end_has_it_from_its_twin(self, tmp_path: Path) -> None:
        path = tmp_path / "issued.jsonl"
        path.write_bytes(b"")
        Register(path).append(issued(1), issued(2))
        good = path.read_bytes()
        for left in (b"", good[:-1], good[: good.index(b"\n") + 1]):
            path.write_bytes(left)
            assert len(Register(path).entries) == 2
            assert path.read_bytes() == good
        twin_of(path).unlink()
        assert len(Register(path).entries) == 2
        assert twin_of(path).read_bytes() == good
        assert twin_of(path).stat().st_mode & 0o777 == 0o600

    def test_of_version_0_1_is_covered_by_the_next_line(self, tmp_path: Path) -> None:

        path = tmp_path / "issued.jsonl"
        path.write_bytes(b"".join(msgspec.json.encode(issued(n)) + b"\n" for n in (1, 2)))
        register = Register(path)
        register.append(issued(3))
        assert [entry.name for entry in Register(path).issued()] == ["closet-01", "closet-02", "closet-03"]
        for each in (path, twin_of(path)):
            each.write_bytes(each.read_bytes().replace(b"closet-01", b"closet-07"))
        with pytest.raises(PkiFault, match="line 3"):
            Register(path)


def test_what_is_signed_is_held_against_its_signature(desk: Desk, call: Path) -> None:
    """Roles, and the access log's leaves and head: no flipped bit changes the result silently."""
    desk.approved(call)
    roles, authority = desk.folder / "roles.json", read_authority(desk.folder / "authority.pub")
    before = read_roles(roles, authority)
    chosen = random.Random(17)
    for path in (roles, roles.with_name("roles.json.sig")):
        for bit in flipped(path, 97):
            with contextlib.suppress(LinetapError):
                assert read_roles(roles, authority)[2] == before[2], f"{path.name}: {bit}"
    log = desk.folder / "access"
    head, (entries, _) = access_head(log / "head.json"), read_log(log)
    size = 8 * (log / "leaves.jsonl").stat().st_size
    for bit in sorted(chosen.sample(range(size), 300)):
        whole = (log / "leaves.jsonl").read_bytes()
        one = bytearray(whole)
        one[bit // 8] ^= 1 << bit % 8
        (log / "leaves.jsonl").write_bytes(one)
        with pytest.raises(AccessFault):
            require_head(head, read_log(log)[1], log)
        (log / "leaves.jsonl").write_bytes(whole)
    assert read_log(log)[0] == entries
