# SPDX-License-Identifier: Apache-2.0
"""JSON from outside the process, decoded with one exception type for every fault.

msgspec raises three: its own, UnicodeError for invalid UTF-8 and RecursionError for deep nesting. The other two end a
reader that catches only the first.
"""

from __future__ import annotations

import builtins
import re
import threading
from typing import Any, overload

import msgspec


def line(value: Any) -> str:
    """One line of JSON for a terminal, with its line end. Unprintable characters are escaped, which does not change the
    JSON, so that foreign text cannot move the cursor.
    """
    text = msgspec.json.encode(value).decode("utf-8")
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else _spelled(sign) for sign in text)
    return text + "\n"


def _spelled(sign: str) -> str:
    units = sign.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


# With msgspec 0.19, Debian's version, its errors are no ValueError; from 0.20 on they are.
class NotJson(msgspec.DecodeError, ValueError):
    pass


class NotOfType(msgspec.ValidationError, ValueError):
    pass


# msgspec compiles a type at its first use. A second thread that decodes meanwhile uses the unfinished type, and the
# process ends by SIGSEGV (0.19 and 0.22; tests/core/test_jsontext.py). All types are compiled under this lock.
COMPILING = threading.RLock()
_LONG_BYTES, _LONG_TEXT = re.compile(rb"[0-9]{19}"), re.compile(r"[0-9]{19}")  # fewer digits fit into 64 bits
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {}  # by type: as many as the program uses


def decoder(type: Any) -> msgspec.json.Decoder[Any]:
    found = _DECODERS.get(type)
    if found is None:
        with COMPILING:
            found = _DECODERS.setdefault(type, msgspec.json.Decoder(type))
    return found


@overload
def decode(data: bytes | str) -> Any: ...
@overload
def decode[T](data: bytes | str, type: builtins.type[T]) -> T: ...
@overload
def decode(data: bytes | str, type: Any) -> Any: ...
def decode(data: bytes | str, type: Any = Any) -> Any:
    """Decodes a value. NotJson or NotOfType, each a ValueError, unless it is one of `type`."""
    try:
        value = decoder(type).decode(data)
        if (_LONG_BYTES.search(data) if isinstance(data, bytes) else _LONG_TEXT.search(data)) is not None:
            _require_64_bits(decoder(Any).decode(data))
    except msgspec.ValidationError as error:
        raise NotOfType(str(error)) from None
    except msgspec.MsgspecError as error:
        raise NotJson(str(error)) from None
    except UnicodeDecodeError as error:
        raise NotJson(f"not UTF-8 at byte {error.start}: {error.reason}") from None
    except UnicodeEncodeError:
        raise NotJson("half of a surrogate pair is no character") from None
    except RecursionError:
        raise NotJson("nested too deep") from None
    return value


def _require_64_bits(value: Any) -> None:
    """NotOfType for an integer beyond 64 bits. msgspec takes one of any length, and arithmetic with it ends a service
    by OverflowError."""
    values = [value]
    while values:
        match values.pop():
            case dict() as members:
                values += members.values()
            case list() as items:
                values += items
            case int() as number if not -(1 << 63) <= number < 1 << 64:
                raise NotOfType("an integer beyond 64 bits")
