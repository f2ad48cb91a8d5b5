# SPDX-License-Identifier: Apache-2.0
"""JSON that somebody else may have written, read in one place: bounded, and whatever is wrong with it is one line.

What msgspec raises has three bases (its own, UnicodeDecodeError, RecursionError), and a reader that forgets one ends in
a traceback. So nothing at the desk calls it otherwise; a test reads the code for that (tests/desk/test_foreign.py).
"""

from __future__ import annotations

from typing import Any, overload

import msgspec

from linetap.errors import BadInput

MOST_BYTES = 16 << 20  # nothing that the desk reads as one piece of JSON is larger


@overload
def decode[T](data: bytes | str, kind: type[T], where: object = "") -> T: ...
@overload
def decode(data: bytes | str, kind: object, where: object = "") -> Any: ...
def decode(data: bytes | str, kind: Any, where: object = "") -> Any:
    """An instance of `kind`. BadInput, which begins with `where` if that is said: a file, or a line of one."""
    before = f"{where}: " if where else ""
    if len(data) > MOST_BYTES:
        raise BadInput(f"{before}{len(data)} bytes of JSON; at most {MOST_BYTES} would be right")
    try:
        return msgspec.json.decode(data, type=kind)
    except RecursionError:
        raise BadInput(f"{before}JSON that is nested too deep") from None
    except ValueError as error:  # msgspec's, and UnicodeDecodeError
        raise BadInput(f"{before}{' '.join(str(error).split())}") from None
