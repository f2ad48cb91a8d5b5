# SPDX-License-Identifier: Apache-2.0
"""The connection of `linetap search` to the desk: a session by its ticket, the sealed index of each unit, and the log
entry, without which no result is shown. No number is sent: the requests have no field for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import date
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import quote

import msgspec
from msgspec import Meta

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.httplimits import Limits
from linetap_desk.custody.package import connection_to
from linetap_desk.custody.search.memory import Kind
from linetap_desk.inputs import strict

ANSWER_S, INDEX_S = 60.0, 3600.0  # for a connection and each block; for the index of a unit, or a log entry
_LIMIT_BYTES = 1 << 20
_Name = Annotated[str, Meta(max_length=64)]
_WHY = {
    401: "the ticket or the session is no longer valid: enter the reason again on the desk's page",
    409: "these days were not granted",
    404: "the desk keeps no copies of indexes ([copy] in desk.toml)",
}


class NotLogged(Refusal):
    """The desk has not logged the search, so no result is shown."""

    code = "search_not_logged"


class GrantedSession(msgspec.Struct, frozen=True, kw_only=True):
    """The search session as the desk granted it."""

    token: Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{20,100}\Z")]
    id: _Name
    person: _Name
    purpose: _Name
    case: Annotated[str, Meta(max_length=200)]
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    zone: _Name
    units: Annotated[list[_Name], Meta(max_length=10_000)]

    def __post_init__(self) -> None:
        """ValueError, which the decoder reports, for days that no desk grants."""
        if self.last < self.first or not all(map(strict.is_possible_day, (self.first, self.last))):
            raise ValueError("`from` and `to` are no days of a search")


class Logged(msgspec.Struct, frozen=True, kw_only=True):
    seq: Annotated[int, Meta(ge=1)]
    head: str
    sig: str


class _Head(msgspec.Struct):
    kind: str
    seq: int
    hash: str


class DeskConnection:
    """A connection. BadInput for an unreachable desk, Refusal if the desk refuses."""

    def __init__(self, url: str, ca: Path | None, ticket: str) -> None:
        self._limits = Limits.within(INDEX_S, ANSWER_S, large=True)
        self._connection = connection_to(url, ca, self._limits)
        self.url = url.rstrip("/")
        self._token = ticket
        try:
            self.begun = self._post("/find/begin", {}, GrantedSession)
        except BaseException:  # re-raised; closes the connection
            self._connection.close()
            raise
        self._token = self.begun.token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(BadInput, Refusal):  # the session expires anyway
            self._post("/find/end", {}, dict)
        self._connection.close()

    @contextmanager
    def index(self, unit: str) -> Iterator[HTTPResponse]:
        """The archive of a unit's sealed index. OSError if the connection breaks while it is read."""
        with self._response("GET", f"/find/index/{quote(unit, safe='')}", None) as answer:
            yield answer

    def log(self, kind: Kind, first: date, last: date, units: int, entry: str) -> Logged:
        """Has the desk log the search. NotLogged unless the answer has the signed head of its log with the new row."""
        body = {"kind": kind, "from": first.isoformat(), "to": last.isoformat(), "units": units, "entry": entry}
        try:
            found = self._post("/find/search", body, Logged)
            sshsig.check(found.head.encode(), found.sig.encode("ascii", "replace"), namespaces.ACCESS_TABLE)
            head = strict.decode(found.head, _Head)
        except (BadInput, Refusal) as error:
            raise NotLogged(f"the desk has not logged the search, so nothing is shown: {error}") from None
        if (head.kind, head.seq) != ("head", found.seq):
            raise NotLogged("the desk's answer is not the head of its access log, so nothing is shown")
        return found

    def _post[T](self, path: str, body: object, kind: type[T]) -> T:
        with self._response("POST", path, msgspec.json.encode(body)) as answer:
            data = answer.read(_LIMIT_BYTES)
        try:
            return strict.decode(data, kind)
        except BadInput as error:
            raise Refusal(f"{self.url}{path}: not the answer of a desk: {error}") from None

    @contextmanager
    def _response(self, method: str, path: str, body: bytes | None) -> Iterator[HTTPResponse]:
        headers = {"Authorization": f"Bearer {self._token}", "User-Agent": "linetap", "Accept-Encoding": "identity"}
        self._connection.close()  # the desk closes idle connections, and a person types minutes later
        self._limits.begin(INDEX_S)
        try:
            self._connection.request(method, path, body=body, headers=headers)
            answer = self._connection.getresponse()
            if answer.status != 200:
                answer.read(_LIMIT_BYTES)
                raise Refusal(f"{self.url}: {answer.status}: {_WHY.get(answer.status, answer.reason)}")
            yield answer
        except (OSError, HTTPException) as error:
            self._connection.close()
            if isinstance(error, (BadInput, Refusal)):
                raise
            raise BadInput(f"{self.url}: {error}") from None
