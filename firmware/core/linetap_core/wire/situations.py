# SPDX-License-Identifier: Apache-2.0
"""The situations in which staff end a call, as shipped: `config init` and the desk's orders write them into unit.toml,
where a site changes them. docs/ending-a-call.md.
"""

from __future__ import annotations

from typing import NamedTuple


class Situation(NamedTuple):
    """A situation. `code`: dialled by staff. `notice`: the id of its notice, which is in the unit's image."""

    name: str
    code: str
    notice: str
    ko: str
    en: str


SITUATIONS = (
    Situation("abuse", "**2", "end-abuse", "폭언, 욕설", "abusive language"),
    Situation("sexual_harassment", "**3", "end-sexual-harassment", "성희롱", "sexual harassment"),
    Situation("threat", "**4", "end-threat", "협박", "a threat"),
    Situation("overlong", "**5", "end-overlong", "장시간 통화", "a call that is too long"),
    Situation("repeated", "**6", "end-repeated", "같은 내용의 반복 전화", "calls of the same content again and again"),
)
OVERLONG = "overlong"  # for a call that has reached its longest time
WARNING = "warn-overlong"  # the notice before that
