# SPDX-License-Identifier: Apache-2.0
"""What is no JSON, or not of the type, is a ValueError and msgspec's own error: with msgspec 0.19, which Debian has and
the image ships, the second alone would be no ValueError, and a recorder did not start."""

from __future__ import annotations

import msgspec
import pytest

from linetap_core import jsontext


class Named(msgspec.Struct):
    name: str


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'"\\ud800"', b"[" * 5000, b"null x"])
def test_no_json(data: bytes) -> None:
    with pytest.raises(jsontext.NotJson) as raised:
        jsontext.decode(data)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, msgspec.DecodeError)


def test_another_type() -> None:
    with pytest.raises(jsontext.NotOfType, match=r"`str`") as raised:
        jsontext.decode(b'{"name":1}', type=Named)
    assert isinstance(raised.value, ValueError)
    assert isinstance(raised.value, msgspec.ValidationError)
