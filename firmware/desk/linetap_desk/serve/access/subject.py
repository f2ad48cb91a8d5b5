# SPDX-License-Identifier: Apache-2.0
"""What a row of the access log says of what was asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose data, and why: what the access log has beside who, when and from where."""

    calls: tuple[str, ...] = ()
    terms: str = ""  # of a search or a unit; numbers in it are masked
    request: str = ""  # the id that this server gave it: nobody typed it, so it stands as it is
    purpose: str = ""
    case: str = ""
    remark: str = ""
