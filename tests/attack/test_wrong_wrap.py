# SPDX-License-Identifier: Apache-2.0
"""A vault officer who wraps a held call for a key that nobody has, or wraps something else: the day's key stays until
another officer has opened the result and verified that it is this call's.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import msgspec
import pytest

from epoch_desk import DAY, MADE, NEXT_DAY, Desk
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age, group
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.ceremony import hold as holds
from linetap_desk.unsealing import stockage
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX

SECOND = "the second"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.make(tmp_path)


@pytest.fixture
def second(desk: Desk) -> Path:
    path = desk.folder / "second.key"
    path.write_bytes(keys.unit_key_file(keys.new_unit_key()))
    path.chmod(0o600)
    return path


def hold_key(desk: Desk, name: str = "hold.txt") -> tuple[Path, str]:
    identity = keys.new_identity()
    path = desk.folder / name
    path.write_text(keys.identity_file(identity, MADE))
    path.chmod(0o600)
    return path, identity.recipient


def check(desk: Desk, folder: Path, call: Path, identity: Path, by: Path, *more: object) -> int:
    words = [folder, call, "--identity", identity, "--key", by, "--signers", desk.rig.signers_file, *more]
    return desk.run(holds, "check", *words)


def put_inside(desk: Desk, folder: Path, key_age: bytes) -> None:
    """Wraps as a dishonest officer's own tool could: the document names the file, and is signed."""
    (folder / "key.age").write_bytes(key_age)
    path, officer = folder / hold.HOLD, keys.load_unit_key((desk.folder / "officer.key").read_bytes())
    fields = json.loads(path.read_text()) | {"key_sha256": hashlib.sha256(key_age).hexdigest()}
    data = hold.encode(hold.decode(json.dumps(fields).encode()))
    path.write_bytes(data)
    path.with_name(f"{path.name}.sig").write_text(sshsig.sign(data, officer, namespaces.HOLD))


def test_a_hold_for_a_key_that_nobody_has(desk: Desk, second: Path) -> None:
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    put_inside(desk, folder, group.seal(b"age-encryption.org/v1\n", keys.new_identity().recipient))
    roles, _ = desk.with_roles("vault", {SECOND: second})
    with pytest.raises(Refusal, match="does not open"):
        check(desk, folder, call, identity, second)
    with pytest.raises(Refusal, match="it is not shown that its key opens"):
        desk.destroy(DAY, "--desk", roles)
    assert len(desk.keys_of(DAY)) == 2, "and the call opens as before"


def test_a_hold_over_something_else(desk: Desk, second: Path) -> None:
    """It opens, and its content is age too."""
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    put_inside(desk, folder, group.seal(age.encrypt(b"x", desk.rig.custodians), to))
    with pytest.raises(Refusal, match="not what this call was sealed with"):
        check(desk, folder, call, identity, second)
    assert not (folder / f"{hold.HOLD}{CHECK_SUFFIX}").exists()


def test_a_document_that_is_replaced_while_its_key_is_opened(
    desk: Desk, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passphrase or a token takes minutes: the officer who wrapped it changes the folder meanwhile."""
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    roles, _ = desk.with_roles("vault", {SECOND: second})
    decrypt = stockage.decrypt

    def slowly(data: bytes, identities: list[Path]) -> bytes:
        put_inside(desk, folder, group.seal(b"age-encryption.org/v1\n", keys.new_identity().recipient))
        return decrypt(data, identities)

    with monkeypatch.context() as patch:
        patch.setattr(stockage, "decrypt", slowly)
        with pytest.raises(Refusal, match="changed while it was being checked"):
            check(desk, folder, call, identity, second)
    with pytest.raises(Refusal, match="it is not shown that its key opens"):
        desk.destroy(DAY, "--desk", roles)


def full_for(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    sync = os.fsync

    def synced(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}") == str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(fd)

    monkeypatch.setattr(os, "fsync", synced)


def test_on_a_full_disk_neither_a_hold_nor_its_check_is_written_in_part(
    desk: Desk, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    folder = desk.holds / call.name
    for name in ("key.age", "hold.json.sig", "hold.json"):
        with monkeypatch.context() as patch:
            full_for(patch, folder / name)
            with pytest.raises(BadInput, match=f"{name}: No space left"):
                desk.hold(call, desk.media / f"{DAY}.txt", to)
        assert list(folder.iterdir()) == []
    desk.hold(call, desk.media / f"{DAY}.txt", to)
    with monkeypatch.context() as patch:
        full_for(patch, folder / "hold.json.check.sig")
        with pytest.raises(BadInput, match="No space left"):
            check(desk, folder, call, identity, second)
    assert check(desk, folder, call, identity, second) == 0


def test_the_officer_who_wrapped_it_does_not_check_it(desk: Desk, second: Path) -> None:
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    roles, _ = desk.with_roles("vault", {SECOND: second})
    assert check(desk, folder, call, identity, desk.folder / "officer.key") == 0
    with pytest.raises(Refusal, match="who checked it may not"):
        desk.destroy(DAY, "--desk", roles)
    with pytest.raises(BadInput, match="exists"):
        check(desk, folder, call, identity, second)
    (folder / f"{hold.HOLD}{CHECK_SUFFIX}").unlink()
    assert check(desk, folder, call, identity, second) == 0
    assert desk.destroy(DAY, "--desk", roles) == 0
    assert desk.opens(folder, identity)


def test_a_check_of_another_paper_is_none(desk: Desk, second: Path) -> None:
    """Its key was changed after it was checked."""
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    roles, _ = desk.with_roles("vault", {SECOND: second})
    assert check(desk, folder, call, identity, second) == 0
    put_inside(desk, folder, group.seal(b"age-encryption.org/v1\n", keys.new_identity().recipient))
    with pytest.raises(Refusal, match="not destroyed"):
        desk.destroy(DAY, "--desk", roles)
    assert len(desk.keys_of(DAY)) == 2


def test_one_officer_alone_still_has_to_open_it_once(desk: Desk) -> None:
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    roles, _ = desk.with_roles("vault")
    with pytest.raises(Refusal, match="it is not shown"):
        desk.destroy(DAY, "--desk", roles)
    assert check(desk, folder, call, identity, desk.folder / "officer.key") == 0
    assert desk.destroy(DAY, "--desk", roles) == 0


def test_of_a_group_as_many_as_open_it_check_it_together(desk: Desk, second: Path) -> None:
    call, made = desk.call(DAY), [hold_key(desk, f"hold-{number}.txt") for number in (1, 2, 3)]
    to = "2:" + ",".join(recipient for _, recipient in made)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    with pytest.raises(BadInput, match="too few keys of the group: 1 more"):
        check(desk, folder, call, made[0][0], second)
    assert check(desk, folder, call, made[0][0], second, "--identity", made[2][0]) == 0


def test_a_re_wrapping_to_a_days_own_key(desk: Desk, second: Path) -> None:
    """A call of a pending class: the document is a rewrap.json, and the key is a day's of the list."""
    call = desk.call(DAY, pending=True)
    folder = desk.rewrap(call, desk.media / f"{DAY}.txt", NEXT_DAY)
    roles, _ = desk.with_roles("vault", {SECOND: second})
    with pytest.raises(Refusal, match="it is not shown"):
        desk.destroy(DAY, "--desk", roles)
    assert check(desk, folder, call, desk.media / f"{NEXT_DAY}.txt", second) == 0
    assert desk.destroy(DAY, "--desk", roles) == 0
    assert desk.opens(folder, desk.media / f"{NEXT_DAY}.txt")


@pytest.mark.parametrize("renewed", [False, True])
def test_a_hold_of_before_the_checks_goes_on_and_keeps_the_days_key(desk: Desk, second: Path, renewed: bool) -> None:
    """Signed before documents were checked, of a call whose record names no inner key. Roles are introduced, and a
    renewal: it opens, it is renewed, and the day's key stays until the newest document was checked once; one line gives
    the command.
    """
    call, (identity, to) = desk.call(DAY), hold_key(desk)
    of_version_0_1(desk, call)
    folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    roles, _ = desk.with_roles("vault", {SECOND: second})
    if renewed:
        shutil.rmtree(folder)
        identity, to = hold_key(desk, "again.txt")
        folder = desk.hold(call, desk.media / f"{DAY}.txt", to)
    assert desk.opens(folder, identity), "it is as good as before"
    with pytest.raises(Refusal) as refused:
        desk.destroy(DAY, "--desk", roles)
    _, paper = str(refused.value).splitlines()
    assert f"linetap hold check {folder}" in paper
    assert len(desk.keys_of(DAY)) == 2
    assert check(desk, folder, call, identity, second) == 0
    assert desk.destroy(DAY, "--desk", roles) == 0
    assert desk.opens(folder, identity)


def of_version_0_1(desk: Desk, call: Path) -> None:
    record = sealed.decode_record((call / sealed.RECORD).read_bytes())
    record.inner_sha256 = msgspec.UNSET
    data = sealed.public_json(record)
    (call / sealed.RECORD).write_bytes(data)
    (call / sealed.SIGNATURE).write_text(desk.rig.sign(data))
