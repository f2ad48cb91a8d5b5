# SPDX-License-Identifier: Apache-2.0
"""Opening an index by pyrage or stock `age` gives equal results."""

from __future__ import annotations

from pathlib import Path

import pytest

from linetap_core.evidence.keys import bech32, keys
from linetap_core.evidence.sealing import age
from linetap_desk.searching import indexsearch
from linetap_desk.unsealing.stockage import DoesNotOpen

IDENTITY, OTHER = keys.new_identity(), keys.new_identity()
PLAIN = bytes(range(256)) * 300  # more than a chunk
SEALED = age.encrypt(PLAIN, [IDENTITY.recipient])


@pytest.fixture(params=["pyrage", "age"])
def opener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name == "age":
        monkeypatch.setattr(indexsearch, "pyrage", None)
    else:
        monkeypatch.setenv("PATH", "")  # `age` is not found: starting it fails
    return name


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "2027-01-24.index.txt"
    path.write_text(keys.identity_file(IDENTITY, "2026-01-01T00:00:00.000Z"))
    return path


@pytest.mark.usefixtures("opener")
def test_any_of_the_keys_opens(key: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(f"{OTHER.secret}\n")
    assert indexsearch.decrypt_segment(SEALED, [other, key]) == PLAIN


@pytest.mark.usefixtures("opener")
@pytest.mark.parametrize(
    "damaged",
    [SEALED[:-1], SEALED[: -len(PLAIN) // 2], SEALED + b"x", SEALED[:-1] + bytes([SEALED[-1] ^ 1]), b"", b"no age"],
    ids=["cut", "cut_by_a_chunk", "longer", "changed", "empty", "no_age"],
)
def test_what_is_damaged_does_not_open(key: Path, damaged: bytes) -> None:
    with pytest.raises(DoesNotOpen):
        indexsearch.decrypt_segment(damaged, [key])


@pytest.mark.usefixtures("opener")
def test_anothers_key_does_not_open(key: Path) -> None:
    with pytest.raises(DoesNotOpen):
        indexsearch.decrypt_segment(age.encrypt(PLAIN, [OTHER.recipient]), [key])


@pytest.mark.usefixtures("opener")
def test_a_key_that_was_copied_badly_does_not_open(key: Path) -> None:
    key.write_text(f"{IDENTITY.secret[:-1]}{'Q' if IDENTITY.secret[-1] != 'Q' else 'P'}\n")
    with pytest.raises(DoesNotOpen):
        indexsearch.decrypt_segment(SEALED, [key])


def test_a_token_in_the_file_is_for_stock_age(key: Path) -> None:
    token = bech32.encode("age-plugin-none-", b"serial").upper()
    key.write_text(f"{key.read_text()}{token}\n")
    assert indexsearch.decrypt_segment(SEALED, [key]) == PLAIN


def test_a_key_that_cannot_be_read_is_for_stock_age(tmp_path: Path) -> None:
    with pytest.raises(DoesNotOpen, match="no such file"):
        indexsearch.decrypt_segment(SEALED, [tmp_path / "none.txt"])
