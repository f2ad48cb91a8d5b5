# SPDX-License-Identifier: Apache-2.0
"""The form of one unit's SMDR: the speed of the PBX's port, and the layout of its lines. Pure.

A later command can change the layout, but not the port (docs/commands.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import get_args

from linetap_core.errors import BadInput
from linetap_core.wire import smdrcolumns
from linetap_desk.serve.orders.fields import Form
from linetap_desk.web.text import N_

FORMATS = ("", *smdrcolumns.MAKERS, smdrcolumns.COLUMNS)
BAUDS = tuple(map(str, sorted(get_args(smdrcolumns.Baud), reverse=True)))
TIMES = get_args(smdrcolumns.TimeIs)
_CHECKS: dict[str, Callable[[str], object]] = {
    "columns": smdrcolumns.columns,
    "kinds": smdrcolumns.kinds,
    **{
        name: partial(smdrcolumns.picture, needed=need, allowed=may)
        for name, (need, may) in smdrcolumns.PICTURES.items()
    },
}
STANDARD = {
    f"smdr_{name}": str(getattr(smdrcolumns.Standard, name))
    for name in ("baud", "date", "time", "duration", "time_is", "kinds")
}
FIELDS = ("smdr_format", "smdr_baud", "smdr_time_is", *(f"smdr_{name}" for name in _CHECKS))

SAYS = {
    "columns": N_("Enter the columns as the PBX's manual has them, such as date:8 time:7 ext:5 trunk:2 number:25:"),
    "picture": N_("Enter letters for digits (Y, M, D; H, M, S), such as YY/MM/DD or HH:MM:SS:"),
    "kinds": N_("Enter the letter of each kind of call, such as I=in O=out:"),
}


@dataclass(frozen=True, slots=True)
class Smdr:
    """A unit's SMDR. `layout`: key of [smdr] -> its value, of the format `columns` only."""

    baud: int
    format: str
    layout: dict[str, str]


def read(form: Form) -> Smdr | None:
    """The form's values, valid only if the form has no mistakes. None without a PBX that prints."""
    chosen = form.choice("smdr_format", FORMATS)
    if not chosen:
        return None
    baud = int(typed) if (typed := form.choice("smdr_baud", BAUDS)) in BAUDS else 0
    if chosen != smdrcolumns.COLUMNS:
        return Smdr(baud, chosen, {})
    layout = {name: _layout(form, name) for name in _CHECKS} | {"time_is": form.choice("smdr_time_is", TIMES)}
    return Smdr(baud, chosen, layout)


def _layout(form: Form, name: str) -> str:
    """The layout, parsed by the unit's own grammar; its message on a mistake follows ours."""
    text = form.text(f"smdr_{name}", is_required=True)
    try:
        if text:
            _CHECKS[name](text)
    except BadInput as error:
        form.wrong(f"smdr_{name}", SAYS.get(name, SAYS["picture"]))
        form.details[f"smdr_{name}"] = str(error)[:300]
    return text
