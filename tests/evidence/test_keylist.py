# SPDX-License-Identifier: Apache-2.0
"""A list of epochs is accepted only from its authority, complete and newer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from msgspec.structs import replace

from epoch_rig import Authority
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys, publickeys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import (
    DaysMissing,
    Epoch,
    GoesBack,
    KeyList,
    KeyListFault,
    Malformed,
    NotSigned,
    Overflow,
    Stranger,
    UsedTwice,
)
from sealing_rig import run


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def read(authority: Authority, key_list: KeyList) -> KeyList:
    data = keylist.encode(key_list)
    return keylist.read(data, authority.sign(data), authority.key.public_key())


def test_what_the_authority_signed_is_read_back(authority: Authority) -> None:
    made = authority.make("2028-02-27", 4)
    assert read(authority, made) == made
    assert made.last_day == date(2028, 3, 1)
    assert made.epoch_of(date(2028, 2, 29)) == made.epochs[2]
    assert made.epoch_of(date(2028, 2, 26)) is None
    assert made.epoch_of(date(2028, 3, 2)) is None


def test_ssh_keygen_signs_the_same_bytes_and_checks_ours(authority: Authority) -> None:
    authority.publish(authority.make("2026-12-01", 3))
    private = authority.folder / "authority.key"
    private.write_bytes(keys.unit_key_file(authority.key))
    private.chmod(0o600)
    data, ours = authority.path.read_bytes(), authority.path.with_name("keylist.json.sig").read_bytes()
    done = run(["ssh-keygen", "-Y", "sign", "-q", "-f", str(private), "-n", "linetap-keylist"], stdin=data)
    assert done.stdout == ours
    (authority.folder / "signers").write_text(f"authority {authority.line}\n")
    command = ["ssh-keygen", "-Y", "verify", "-f", "signers", "-I", "authority", "-n", "linetap-keylist"]
    assert run([*command, "-s", "keylist.json.sig"], cwd=authority.folder, stdin=data).returncode == 0


def test_of_a_stranger_or_cut_short_or_changed(authority: Authority) -> None:
    data = keylist.encode(authority.make("2026-12-01", 3))
    public = authority.key.public_key()
    with pytest.raises(Stranger, match="the authority is SHA256:"):
        keylist.read(data, Authority(authority.folder).sign(data), public)
    signature = authority.sign(data)
    for wrong in (data[:-1], data[: len(data) // 2], b"", data.replace(b"2026-12-02", b"2026-12-12")):
        with pytest.raises(NotSigned, match="does not fit"):
            keylist.read(wrong, signature, public)
    with pytest.raises(NotSigned):
        keylist.read(data, signature[:-40], public)


def without(*places: int) -> Callable[[KeyList], KeyList]:
    return lambda made: replace(made, epochs=[one for n, one in enumerate(made.epochs) if n not in places])


LOW_ORDER = publickeys.encode_recipient(bytes(32))
SECRET = "AGE-SECRET-KEY-1" + "Q" * 58


@pytest.mark.parametrize(
    ("change", "fault", "words"),
    [
        (without(1), DaysMissing, "2026-12-01 is followed by 2026-12-03"),
        (lambda made: replace(made, epochs=made.epochs[::-1]), DaysMissing, "followed by"),
        (lambda made: replace(made, epochs=[made.epochs[0], *made.epochs]), DaysMissing, "followed by"),
        (without(0, 1, 2, 3), Malformed, "length >= 1"),
        (lambda made: replace(made, custodians=[made.epochs[1].recipient]), UsedTwice, "custodian 1 has the key of"),
        (lambda made: replace(made, epochs=[replace(made.epochs[0], index=made.epochs[0].recipient)]),
         UsedTwice, "has"),
        (lambda made: replace(made, overflow=[Overflow(2, made.epochs[3].index)]), UsedTwice, "overflow 2"),
        (lambda made: replace(made, overflow=[*made.overflow, *made.overflow]), UsedTwice, "numbered upwards"),
        (lambda made: replace(made, epochs=[Epoch("2026-02-30", "age1x", "age1y")]), Malformed, "not a key list"),
        (lambda made: replace(made, epochs=[Epoch("2026-12-01", "age1x", "age1y")]), Malformed, "2026-12-01 recipient"),
        (lambda made: replace(made, custodians=[LOW_ORDER]), Malformed, "low order"),
        (lambda made: replace(made, custodians=[SECRET]), Malformed, "private age identity"),
        (lambda made: replace(made, zone="Asia/Seul"), Malformed, "Seul"),
        (lambda made: replace(made, zone="../x"), Malformed, "not a key list"),
        (lambda made: replace(made, made_at="yesterday"), Malformed, "yesterday"),
        (lambda made: replace(made, version=0), Malformed, "version"),
    ],
)  # fmt: skip
def test_unsound_though_signed(
    authority: Authority, change: Callable[[KeyList], KeyList], fault: type[KeyListFault], words: str
) -> None:
    with pytest.raises(fault, match=words) as told:
        read(authority, change(authority.make("2026-12-01", 4)))
    assert "\n" not in str(told.value)


def test_a_list_goes_forward_and_a_day_keeps_its_keys(authority: Authority) -> None:
    old = authority.make("2026-12-01", 4, version=7)
    longer = replace(old, version=8, epochs=[*old.epochs, *authority.make("2026-12-05", 1).epochs])
    keylist.require_follows(longer, old)
    keylist.require_follows(replace(longer, epochs=longer.epochs[2:]), old)
    for version in (7, 6, 1):
        with pytest.raises(GoesBack, match=f"version {version}, and version 7 is in use"):
            keylist.require_follows(replace(longer, version=version), old)
    with pytest.raises(UsedTwice, match="2026-12-01 has other keys"):
        keylist.require_follows(replace(authority.make("2026-12-01", 4, version=8), overflow=old.overflow), old)
    with pytest.raises(UsedTwice, match="overflow-2 has other keys"):
        keylist.require_follows(replace(longer, overflow=[Overflow(2, authority.new("x"))]), old)


def test_how_long_the_longest_class_still_fits(authority: Authority) -> None:
    made = authority.make("2026-12-01", 31)
    assert made.days_that_fit(10, date(2026, 12, 21)) == 1
    assert made.days_that_fit(10, date(2026, 12, 22)) == 0
    assert made.days_that_fit(10, date(2027, 12, 22)) == 0
    assert made.days_that_fit(10, date(2026, 11, 22)) == 30
    assert keylist.too_short(made, 10) == "31 days; the longest class of 10 days and 400 more would be 410"
    assert keylist.too_short(replace(made, epochs=made.epochs * 20), 60) is None


@pytest.mark.parametrize("text", ["", "age1x", "ssh-rsa AAAA", "ssh-ed25519 AAAA", "한글", SECRET])
def test_an_authority_that_is_none(text: str) -> None:
    with pytest.raises(BadInput, match="authority's public key") as told:
        publickeys.authority(text)
    assert "SECRET" not in str(told.value)
