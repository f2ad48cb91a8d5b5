# SPDX-License-Identifier: Apache-2.0
"""A document that is signed: one line of JSON, keys in order, with its SSHSIG in a file beside it.

It has one spelling, the one that `jq -cS` writes, so that nobody can sign a text that two readers read differently
(a key that stands there twice, a field that one of them does not know).
"""

from __future__ import annotations

import unicodedata

import msgspec

from linetap_core import jsontext
from linetap_core.errors import BadInput

LIMIT_BYTES = 1024 * 1024


def encode(document: msgspec.Struct) -> bytes:
    """The bytes to sign, with the line's end."""
    return msgspec.json.encode(document, order="sorted") + b"\n"


def decode[T](data: bytes, kind: type[T]) -> T:
    """The document of exactly these bytes; BadInput says where it is not one. The line's end may be missing."""
    if len(data) > LIMIT_BYTES:
        raise BadInput(f"larger than {LIMIT_BYTES} bytes")
    try:
        document = jsontext.decode(data, type=kind)
    except ValueError as error:
        raise BadInput(str(error)) from None
    if msgspec.json.encode(document, order="sorted") != data.removesuffix(b"\n"):
        raise BadInput("not one line of JSON with its keys in order: what `jq -cS` writes would be right")
    return document


def require_plain(text: str, what: str, limit: int) -> None:
    """BadInput unless `text` is 1 to `limit` printable characters in Unicode's composed form, no space around."""
    if not 0 < len(text) <= limit or not text.isprintable() or text.strip() != text:
        raise BadInput(f"{what}: 1 to {limit} printable characters without a space around them would be right")
    if unicodedata.normalize("NFC", text) != text:
        raise BadInput(f"{what}: its characters are not in composed form (NFC)")


def name_key(name: str) -> str:
    """What two spellings of one person's name have in common: small and large letters and spaces do not count."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())
