# SPDX-License-Identifier: Apache-2.0
"""JSON that reaches the desk: bounded in size, and BadInput of one line for whatever is wrong with it.

The desk reads JSON in no other way; tests/desk/test_foreign.py checks the code for that.
"""

from __future__ import annotations

from typing import Any, overload

import msgspec

from linetap_core import jsontext
from linetap_core.errors import BadInput

MOST_BYTES = 16 << 20  # nothing that the desk reads as one piece of JSON is larger


@overload
def decode[T](data: bytes | str, kind: type[T], where: object = "") -> T: ...
@overload
def decode(data: bytes | str, kind: object, where: object = "") -> Any: ...
def decode(data: bytes | str, kind: Any, where: object = "") -> Any:
    """An instance of `kind`. BadInput begins with `where` if given: a file, or a line of one."""
    before = f"{where}: " if where else ""
    if len(data) > MOST_BYTES:
        raise BadInput(f"{before}{len(data)} bytes of JSON; at most {MOST_BYTES} would be right")
    try:
        return jsontext.decode(data, kind)
    except msgspec.DecodeError as error:
        raise BadInput(f"{before}{' '.join(str(error).split())}") from None
