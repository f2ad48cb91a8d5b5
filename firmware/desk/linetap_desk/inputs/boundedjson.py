# SPDX-License-Identifier: Apache-2.0
"""JSON that reaches the desk, limited in size. Every fault is a BadInput of one line.

The desk decodes JSON by this function only; tests/desk/test_foreign.py checks that.
"""

from __future__ import annotations

from typing import Any, overload

import msgspec

from linetap_core import jsontext
from linetap_core.errors import BadInput

MOST_BYTES = 16 << 20  # no single JSON document of the desk is larger


@overload
def decode[T](data: bytes | str, kind: type[T], where: object = "") -> T: ...
@overload
def decode(data: bytes | str, kind: object, where: object = "") -> Any: ...
def decode(data: bytes | str, kind: Any, where: object = "") -> Any:
    """An instance of `kind`. A BadInput begins with `where`, if given: a file, or a line of it."""
    before = f"{where}: " if where else ""
    if len(data) > MOST_BYTES:
        raise BadInput(f"{before}{len(data)} bytes of JSON; at most {MOST_BYTES} expected")
    try:
        return jsontext.decode(data, kind)
    except msgspec.DecodeError as error:
        raise BadInput(f"{before}{' '.join(str(error).split())}") from None
