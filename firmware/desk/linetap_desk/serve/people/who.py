# SPDX-License-Identifier: Apache-2.0
"""Somebody who is logged in, as handlers see them."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True, slots=True)
class Who:
    """`locked`: the session wants the password again, and until then nothing is shown."""

    person: int
    name: str
    shown: str
    roles: frozenset[str]
    session: str  # SHA-256 of the token
    locked: bool


def who_of(request: Request) -> Who:
    """Of a request that has passed the gate of a route that is not public."""
    who: Who = request.state.who
    return who
