# SPDX-License-Identifier: Apache-2.0
"""Permissions to search, in this process's memory only: a ticket, shown once, begins one search session within ten
minutes; the session's token fetches sealed indexes of the granted days and logs searches.

Only hashes are stored. A restart of the server ends all permissions, and a person states their reason again.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import date

from linetap_core.clock import NS_PER_S, Clock
from linetap_desk.web import secure

TICKET_S = 600
SESSION_S = 4 * 3600
MOST = 200  # tickets and sessions at once; the oldest is removed


@dataclass(frozen=True, slots=True)
class Grant:
    """A person's permission to search these days, and the reason. `first` and `last` are days in the desk's zone."""

    id: str
    person: str
    purpose: str
    case: str
    first: date
    last: date

    @property
    def span(self) -> str:
        return f"{self.first}/{self.last}"


class Grants:
    """The permissions, for use by the event loop only."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tickets: dict[str, tuple[Grant, int]] = {}  # by hash; valid until, monotonic ns
        self._sessions: dict[str, tuple[Grant, int]] = {}

    def ticket(self, grant: Grant) -> str:
        return self._add(self._tickets, grant, TICKET_S)

    def begin(self, ticket: str) -> tuple[Grant, str] | None:
        """Uses up the ticket; returns its grant and the session's token. None: unknown, used or expired."""
        found = self._of(self._tickets, ticket)
        self._tickets.pop(secure.digest(ticket), None)
        return None if found is None else (found, self._add(self._sessions, found, SESSION_S))

    def of(self, token: str) -> Grant | None:
        return self._of(self._sessions, token)

    def end(self, token: str) -> None:
        self._sessions.pop(secure.digest(token), None)

    def _add(self, table: dict[str, tuple[Grant, int]], grant: Grant, for_s: int) -> str:
        token = secrets.token_urlsafe(32)
        table[secure.digest(token)] = grant, self._clock.monotonic_ns() + for_s * NS_PER_S
        while len(table) > MOST:
            del table[next(iter(table))]
        return token

    def _of(self, table: dict[str, tuple[Grant, int]], token: str) -> Grant | None:
        grant, until_ns = table.get(secure.digest(token), (None, 0))
        return grant if self._clock.monotonic_ns() < until_ns else None
