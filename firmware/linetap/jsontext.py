# SPDX-License-Identifier: Apache-2.0
"""JSON from others, decoded with one error for all that is wrong with it.

msgspec has three: its own, UnicodeDecodeError for a text that is no UTF-8, and RecursionError for what is nested too
deep. A reader that names the first alone ends at the other two.
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
