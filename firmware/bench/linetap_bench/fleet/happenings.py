# SPDX-License-Identifier: Apache-2.0
"""What befalls a fleet, and when: `storm@30`, `outage@60+10`, `partition@90+600:200`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from linetap_core.errors import BadInput

_TEXT = re.compile(r"(storm)@(\d{1,6})|(outage)@(\d{1,6})\+(\d{1,6})|(partition)@(\d{1,6})\+(\d{1,6}):(\d{1,5})")
_EXAMPLES = "storm@30, outage@60+10 or partition@90+600:200 would be right"


@dataclass(frozen=True, slots=True)
class Happening:
    """storm: every idle line a call at once. outage, partition: all units, or so many, are cut off for `for_s`."""

    kind: Literal["storm", "outage", "partition"]
    at_s: int
    for_s: int = 0
    units: int | None = None


def parse(text: str) -> Happening:
    """BadInput for what is none."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise BadInput(f"--happens {text}: {_EXAMPLES}")
    kind, *numbers = [part for part in found.groups() if part is not None]
    return Happening(cast(Literal["storm", "outage", "partition"], kind), *map(int, numbers))
