# SPDX-License-Identifier: Apache-2.0
"""A signed document: one line of JSON, keys in order, with its SSHSIG in a file beside it.

It has one spelling, that of `jq -cS`, so that two readers cannot read one signed text differently (a duplicate key, a
field unknown to one of them).
"""

from __future__ import annotations

import unicodedata

import msgspec

from linetap_core import jsontext
from linetap_core.errors import BadInput
from linetap_core.evidence.signing import names

LIMIT_BYTES = 1024 * 1024


def encode(document: msgspec.Struct) -> bytes:
    """The bytes to sign, with the line end."""
    return msgspec.json.encode(document, order="sorted") + b"\n"


def decode[T](data: bytes, kind: type[T]) -> T:
    """The document in `data`; BadInput names the fault. The line end may be missing."""
    if len(data) > LIMIT_BYTES:
        raise BadInput(f"larger than {LIMIT_BYTES} bytes")
    try:
        document = jsontext.decode(data, type=kind)
    except ValueError as error:
        raise BadInput(str(error)) from None
    encoded = msgspec.json.encode(document, order="sorted")
    if encoded != data.removesuffix(b"\n"):
        written = _written_default(msgspec.json.decode(data), msgspec.json.decode(encoded))
        if written is not None and kind.__struct_config__.forbid_unknown_fields:  # type: ignore[attr-defined]
            raise BadInput(f"{written} is the default, which is left out: a document has one form, for its signature")
        raise BadInput("not one line of JSON with its keys in order: what `jq -cS` writes expected")
    return document


def _written_default(data: object, encoded: object, where: str = "") -> str | None:
    """The first entry of `data` that its encoding leaves out, as `rules[1].may: "copy"`; None without one."""
    if isinstance(data, list) and isinstance(encoded, list):
        pairs = zip(data, encoded, strict=False)
        found = (_written_default(*pair, f"{where}[{number}]") for number, pair in enumerate(pairs, 1))
        return next((each for each in found if each is not None), None)
    if not isinstance(data, dict) or not isinstance(encoded, dict):
        return None
    for key, value in data.items():
        at = f"{where}.{key}" if where else str(key)
        if key not in encoded:
            return f"{at}: {msgspec.json.encode(value).decode()}"
        if (inner := _written_default(value, encoded[key], at)) is not None:
            return inner
    return None


def require_plain(text: str, what: str, limit: int) -> None:
    """Raises BadInput unless `text` has 1 to `limit` visible characters, composed (Unicode), without outer spaces."""
    if not 0 < len(text) <= limit or text.strip(" ") != text:
        raise BadInput(f"{what}: 1 to {limit} printable characters without a space around them expected")
    if (fault := names.fault(text)) is not None:
        raise BadInput(f"{what}: {fault}")


def require_name(text: str, what: str, limit: int) -> None:
    """Raises BadInput unless `text` is plain, and has no character that looks like another one: a person's name."""
    require_plain(text, what, limit)
    if (fault := names.person_fault(text)) is not None:
        raise BadInput(f"{what}: {fault}")


def require_length(text: str, what: str, limit: int) -> None:
    """Raises BadInput unless `text` has 1 to `limit` characters, of any kind: an earlier version took it."""
    if not 0 < len(text) <= limit:
        raise BadInput(f"{what}: 1 to {limit} characters expected")


def name_key(name: str) -> str:
    """A key that is equal for all spellings of a person's name: case, spaces and what nobody sees are ignored."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(each for each in folded if each != " " and not names.is_unseen(each))
