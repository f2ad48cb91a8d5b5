# SPDX-License-Identifier: Apache-2.0
"""k of n: fewer members open nothing, the loss of one loses nothing, and a forged archive is refused in a line.

Stock `age` and `tar` verify both directions.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from group_rig import Members
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import group, grouptar, members
from linetap_core.evidence.sealing.group import OtherLayer
from linetap_core.evidence.sealing.grouptar import BadGroup
from linetap_core.evidence.sealing.members import Group
from linetap_desk.unsealing import stockage
from sealing_rig import run
from tar_rig import REG, archive, sized

DATA = b"AGE-SECRET-KEY-1 would stand here\n"
SIZES = [(1, 1), (1, 3), (2, 2), (2, 3), (3, 3), (3, 5), (4, 5)]


def stock(*paths: Path) -> Callable[[bytes], bytes]:
    return lambda data: stockage.decrypt(data, list(paths))


def quick(*identities: keys.AgeIdentity) -> Callable[[bytes], bytes]:
    """Decrypts by another implementation of age, without a process."""
    known = [pyrage.x25519.Identity.from_str(identity.secret) for identity in identities]

    def decrypt(data: bytes) -> bytes:
        try:
            return bytes(pyrage.decrypt(data, known))
        except pyrage.DecryptError as error:
            raise Refusal(str(error)) from None

    return decrypt


@pytest.mark.parametrize(("needed", "count"), SIZES)
def test_every_k_open_by_the_stock_recipe_and_no_fewer_do(tmp_path: Path, needed: int, count: int) -> None:
    who = Members.make(tmp_path, needed, count)
    (tmp_path / "key.age").write_bytes(group.seal(DATA, who.group))
    for numbers in who.subsets(needed):
        done = run(["sh", "-c", who.stock_recipe("key.age", numbers)], cwd=tmp_path)
        assert (done.stdout, done.returncode) == (DATA, 0), numbers
        assert group.open_whole((tmp_path / "key.age").read_bytes(), stock(*who.some(*numbers))) == DATA
    for numbers in who.subsets(needed - 1) if needed > 1 else ():
        with pytest.raises(Refusal):
            group.open_whole((tmp_path / "key.age").read_bytes(), stock(*who.some(*numbers)))
        assert not opened_by_trying_everything(tmp_path, who, numbers)


def opened_by_trying_everything(folder: Path, who: Members, numbers: tuple[int, ...]) -> bool:
    """Whether these few reach the data by removing every layer they can from any file with stock age."""
    identities = [word for path in who.some(*numbers) for word in ("-i", str(path))]
    waiting = list(grouptar.read((folder / "key.age").read_bytes()).values())
    while waiting:
        done = run(["age", "-d", *identities], stdin=waiting.pop())
        if done.returncode == 0:
            if done.stdout == DATA:
                return True
            waiting.append(done.stdout)
    return False


@pytest.mark.parametrize(("needed", "count"), [(2, 3), (3, 4)])
def test_what_stock_tools_build_by_the_recipe_opens_here(tmp_path: Path, needed: int, count: int) -> None:
    who = Members.make(tmp_path, needed, count)
    (tmp_path / "data").write_bytes(DATA)
    built = who.stock_seal(tmp_path / "data", tmp_path / "parts").read_bytes()
    assert group.needed(built) == needed
    for numbers in who.subsets(needed):
        assert group.open_whole(built, stock(*who.some(*numbers))) == DATA


def test_archives_of_1_of_1_and_1_of_n_are_plain_age_files(tmp_path: Path) -> None:
    for count in (1, 3):
        who = Members.make(tmp_path / str(count), 1, count)
        sealed = group.seal(DATA, who.text)
        assert sealed.startswith(b"age-encryption.org/v1\n")
        assert [line.split()[1] for line in sealed.split(b"---")[0].splitlines() if line[:2] == b"->"] == [
            b"X25519"
        ] * count
        assert len(sealed) == who.group.sealed_bytes(len(DATA))


@settings(max_examples=40)
@given(st.data())
def test_any_k_of_any_n(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, members.MOST_MEMBERS))
    needed = data.draw(st.integers(1, min(count, members.MOST_NEEDED)))
    secret = data.draw(st.binary(min_size=1, max_size=200))
    identities = [keys.new_identity() for _ in range(count)]
    who = Group(tuple(each.recipient for each in identities), needed)
    assert members.parse(str(who)) == who
    sealed = group.seal(bytearray(secret), str(who))
    assert len(sealed) == who.sealed_bytes(len(secret))
    chosen = data.draw(st.permutations(range(count)))
    assert group.open_whole(sealed, quick(*(identities[at] for at in chosen[:needed]))) == secret
    for fewer in range(needed):
        with pytest.raises(Refusal):
            group.open_whole(sealed, quick(*(identities[at] for at in chosen[:fewer])))


@settings(max_examples=30)
@given(st.data())
def test_members_in_different_places_hand_on_what_is_left(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, members.MOST_MEMBERS))
    needed = data.draw(st.integers(2, min(count, members.MOST_NEEDED)))
    identities = [keys.new_identity() for _ in range(count)]
    sealed = group.seal(DATA, Group(tuple(each.recipient for each in identities), needed))
    chosen = sorted(data.draw(st.permutations(range(count)))[:needed])
    part, left = sealed, needed
    for at in chosen:
        if part is not sealed:
            group.require_part(part, sealed)
        if left > 1:
            with pytest.raises(Refusal):
                group.open_whole(part, quick(identities[at]))
        peeled = group.peel(part, quick(identities[at]), 1)
        part, left = peeled.data, peeled.left
        assert left == needed - 1 - chosen.index(at)
    assert part == DATA


def test_the_loss_of_one_key_loses_nothing(tmp_path: Path) -> None:
    who = Members.make(tmp_path, 2, 3)
    sealed = group.seal(DATA, who.group)
    for lost in (1, 2, 3):
        left = [number for number in (1, 2, 3) if number != lost]
        assert group.open_whole(sealed, stock(*who.some(*left))) == DATA


def test_a_partial_of_another_key_is_refused(tmp_path: Path) -> None:
    """The first member opens a layer of call B and passes it on as call A's: the second would open B with
    A's approval.
    """
    who = Members.make(tmp_path, 3, 4)
    ours, theirs = group.seal(DATA, who.group), group.seal(b"call B", who.group)
    mine = group.peel(ours, stock(who.files[0]), 1).data
    group.require_part(mine, ours)
    group.require_part(group.peel(mine, stock(who.files[1]), 1).data, ours)
    other = group.peel(theirs, stock(who.files[0]), 1).data
    for part in (other, group.peel(other, stock(who.files[1]), 1).data):
        with pytest.raises(OtherLayer, match="did not come out of this key"):
            group.require_part(part, ours)
    built = dict(grouptar.read(ours))
    del built[grouptar.LAYERS]
    with pytest.raises(OtherLayer, match="no list of its layers"):
        group.require_part(mine, grouptar.write(built))


AGE = b"age-encryption.org/v1\n-> X25519 x\n"
HOSTILE: dict[str, tuple[bytes, str]] = {
    "above": (archive(("../1.age", REG, AGE)), "does not belong"),
    "absolute": (archive(("/1.age", REG, AGE)), "does not belong"),
    "in a folder": (archive(("x/1.age", REG, AGE)), "does not belong"),
    "behind a prefix": (archive(("x" * 90 + "/" + "y" * 90 + "/1.age", REG, AGE)), "does not belong"),
    "another file": (archive(("run.sh", REG, AGE)), "does not belong"),
    "member 7 before the last": (archive(("7.age", REG, AGE)), "does not belong"),
    "symlink": (archive(("1.age", tarfile.SYMTYPE, b"/etc/shadow")), "no regular file"),
    "hard link": (archive(("1.age", REG, AGE), ("2.age", tarfile.LNKTYPE, b"1.age")), "no regular file"),
    "device": (archive(("1.age", tarfile.CHRTYPE, b"")), "no regular file"),
    "fifo": (archive(("1.age", tarfile.FIFOTYPE, b"")), "no regular file"),
    "twice": (archive(("1.age", REG, AGE), ("1.age", REG, AGE)), "twice"),
    "long name": (archive(("1" * 200 + ".age", REG, AGE), form=tarfile.GNU_FORMAT), "does not belong"),
    "pax": (archive(("일.age", REG, AGE), form=tarfile.PAX_FORMAT), "does not belong"),
    "larger than it is": (sized("1.age", 1 << 30), "ends before"),
    "layers without end": (sized("layers", 1 << 20), "at most"),
    "10,000 files": (archive(*((f"1-{n}.age", REG, AGE) for n in range(10_000))), "does not belong"),
    "no file": (archive(("layers", REG, b"")), "no file in it"),
    "not age": (archive(("1.age", REG, b"#!/bin/sh\n")), "no age file"),
    "of 2 and of 3": (archive(("1.age", REG, AGE), ("1-2.age", REG, AGE)), "different numbers"),
    "out of order": (archive(("2-1.age", REG, AGE)), "not in order"),
    "the same member twice": (archive(("2-2.age", REG, AGE)), "not in order"),
    "cut short": (archive(("1.age", REG, AGE))[:700], "ends before|zeros"),
    "something behind it": (archive(("1.age", REG, AGE)) + b"x", "zeros"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_forged_archive_is_refused_in_one_line(name: str) -> None:
    data, wanted = HOSTILE[name]
    asked: list[bytes] = []
    with pytest.raises(BadGroup, match=wanted) as found:
        group.open_whole(data, lambda layer: asked.append(layer) or b"")  # type: ignore[func-returns-value]
    assert "\n" not in str(found.value)
    assert not asked, "an identity was used on it"


def test_more_files_than_any_group_has_are_refused() -> None:
    names = [(f"{a}-{b}-{c}.age", REG, AGE) for a in range(1, 7) for b in range(a, 7) for c in range(b, 7)]
    with pytest.raises(BadGroup, match="more than 20 files"):
        group.needed(archive(*names))


@given(st.binary(max_size=2000), st.integers(0, 40), st.integers(0, 255))
def test_a_damaged_archive_never_ends_in_a_traceback(noise: bytes, place: int, value: int) -> None:
    good = bytearray(GOOD)
    good[place * len(good) // 41] = value
    for data in (bytes(good), noise, GOOD[: len(noise)]):
        with pytest.raises(Refusal) as found:
            group.open_whole(data, quick(MINE))
        assert "\n" not in str(found.value)


MINE = keys.new_identity()
GOOD = group.seal(DATA, Group((MINE.recipient, keys.new_identity().recipient, keys.new_identity().recipient), 2))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2:{0}", "group of one"),
        ("3:{0},{1}", "1 to 2 needed"),
        ("0:{0},{1}", "expected"),
        ("2:{0},{0}", "twice"),
        ("2:{0},age1x", "member 2"),
        ("5:{0},{1},{2},{3},{4}", "at most 4 of 7"),
        ("2:{0}, {1}", "not a group"),
        ("02:{0},{1}", "not a group"),
    ],
)
def test_a_group_that_nobody_could_form_is_refused(text: str, why: str) -> None:
    some = [keys.new_identity().recipient for _ in range(5)]
    with pytest.raises(BadInput, match=why):
        members.parse(text.format(*some))


def test_groups_whose_layers_multiply_beyond_what_is_read_are_refused() -> None:
    some = tuple(keys.new_identity().recipient for _ in range(7))
    members.require_short(Group(some[:3], 2), Group(some[3:6], 2))
    members.require_short(Group(some[:5], 3), Group(some[:3], 2))
    with pytest.raises(BadInput, match="smaller groups"):
        members.require_short(Group(some, 4), Group(some, 4))


def test_the_same_files_are_the_same_archive() -> None:
    files = {"1.age": AGE, "2.age": AGE * 20}
    data = grouptar.write(files)
    assert hashlib.sha256(data).hexdigest() == hashlib.sha256(grouptar.write(files)).hexdigest()
    assert grouptar.read(data) == files
