# SPDX-License-Identifier: Apache-2.0
"""JSON from outside the process, decoded with one error for every fault.

msgspec raises three: its own, UnicodeError for bad text and RecursionError for deep nesting. A reader that catches only
the first is ended by the others.
"""

from __future__ import annotations

import builtins
from typing import Any, overload

import msgspec


@overload
def decode(data: bytes | str) -> Any: ...
@overload
def decode[T](data: bytes | str, type: builtins.type[T]) -> T: ...
@overload
def decode(data: bytes | str, type: Any) -> Any: ...
def decode(data: bytes | str, type: Any = Any) -> Any:
    """The value. msgspec.DecodeError (a ValueError) unless it is one of `type`."""
    try:
        return msgspec.json.decode(data, type=type)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(f"not UTF-8 at byte {error.start}: {error.reason}") from None
    except UnicodeEncodeError:
        raise msgspec.DecodeError("half of a surrogate pair is no character") from None
    except RecursionError:
        raise msgspec.DecodeError("nested too deep") from None
