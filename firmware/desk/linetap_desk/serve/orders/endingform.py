# SPDX-License-Identifier: Apache-2.0
"""The form for ending calls: the situations for which staff have a code, and the longest time of a call. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from linetap_core.wire.situations import OVERLONG, SITUATIONS
from linetap_desk.serve.orders.fields import Form
from linetap_desk.web.text import N_

MOST_MINUTES: Final = 239  # a unit's longest recording is 4 h, and the end must come before
WARN, END = "warn_min", "end_min"
BOXES = tuple(f"situation_{each.name}" for each in SITUATIONS)
FIELDS = (*BOXES, WARN, END)
STANDARD = dict.fromkeys(BOXES, "1")

NAMES = {
    "abuse": N_("Abuse"), "sexual_harassment": N_("Sexual harassment"), "threat": N_("Threat"),
    "overlong": N_("Too long"), "repeated": N_("Repeated calls"),
}  # fmt: skip
SAYS = {
    "order": N_("The warning comes before the end: enter fewer minutes for it, or leave both empty."),
    "overlong": N_("A call is ended by time as too long: choose that situation too, or leave the end empty."),
}


class Ending(NamedTuple):
    """The settings for ending calls. `situations`: names. Minutes: 0 is never."""

    situations: list[str]
    warn_min: int
    end_min: int


def read(form: Form) -> Ending:
    """The form's values, valid only if the form has no mistakes."""
    chosen = [each.name for each, box in zip(SITUATIONS, BOXES, strict=True) if form.text(box)]
    warn = form.number(WARN, 0, MOST_MINUTES, is_required=False) or 0
    end = form.number(END, 0, MOST_MINUTES, is_required=False) or 0
    if end and not 0 < warn < end:
        form.wrong(WARN, SAYS["order"])
    if end and OVERLONG not in chosen:
        form.wrong(END, SAYS["overlong"])
    return Ending(chosen, warn, end)


def typed(situations: list[str], warn_min: int, end_min: int) -> dict[str, str]:
    """The form's fields for these values."""
    boxes = {box: "1" if each.name in situations else "" for each, box in zip(SITUATIONS, BOXES, strict=True)}
    return boxes | {WARN: str(warn_min or ""), END: str(end_min or "")}
