# SPDX-License-Identifier: Apache-2.0
"""The one table of what is served: each row says who may, and what the access log writes before it is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput
from linetap_desk.serve.access.log import Subject
from linetap_desk.serve.roles import EVERYBODY, ROLES, SIGNED_IN
from linetap_desk.serve.site import Site

_METHODS = frozenset({"GET", "POST"})


Handler = Callable[[Request, Site], Awaitable[Response]]
SubjectOf = Callable[[Request], Awaitable[Subject]]


async def subject_of_path(request: Request) -> Subject:
    """The call or the unit that the path names."""
    values = request.path_params
    call = values.get("call_id")
    return Subject(calls=(str(call),) if call else (), terms=str(values.get("unit", "")))


@dataclass(frozen=True, slots=True)
class Route:
    """`act`: the verb that is written before the handler runs; None: nothing personal is seen there.

    `takes`: what is asked in the URL, of a POST the fields of its form. `answers`: what the handler itself may say,
    beside what the gate says before it; tools/desk_openapi.py writes both down, and a test holds the server to it.

    `menu`: the msgid under which the layout offers it to whoever may. `background`: what a page asks by itself, a
    stream for one, which is no sign that somebody sits there.
    """

    path: str
    methods: tuple[str, ...]
    roles: frozenset[str]
    act: str | None
    handler: Handler
    subject: SubjectOf = subject_of_path
    menu: str | None = None
    background: bool = False
    takes: tuple[str, ...] = ()
    answers: tuple[int, ...] = (200,)

    def __post_init__(self) -> None:
        """BadInput for a row that says too little: what nobody was given must not be open to anybody."""
        if not self.roles:
            raise BadInput(f"route {self.path}: it names no role that may")
        if strange := self.roles - SIGNED_IN - EVERYBODY:
            raise BadInput(f"route {self.path}: {', '.join(sorted(strange))}: known here: {', '.join(ROLES)}")
        if not self.methods or not set(self.methods) <= _METHODS:
            raise BadInput(f"route {self.path}: GET or POST would be right")
        if "{call_id" in self.path and self.act is None:
            raise BadInput(f"route {self.path}: it names a call, so it needs an act for the access log")

    @property
    def public(self) -> bool:
        return self.roles == EVERYBODY


def join(tables: Iterable[tuple[Route, ...]]) -> tuple[Route, ...]:
    """BadInput where two rows have the same path and method: which of them counts would be chance."""
    routes = tuple(route for table in tables for route in table)
    seen: set[tuple[str, str]] = set()
    for route in routes:
        for method in route.methods:
            if (route.path, method) in seen:
                raise BadInput(f"route {method} {route.path}: it stands there twice")
            seen.add((route.path, method))
    return routes
