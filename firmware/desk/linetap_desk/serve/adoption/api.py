# SPDX-License-Identifier: Apache-2.0
"""The units' requests for adoption, as JSON: the beginning of an exchange, the officer's choice, its opening, and
encrypted questions.

There is no session and no form, and every answer is covered by the digits. Requests are bounded in size here, and in
time by the server; each fault is a bare status.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.to_thread
import msgspec
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute

from linetap_core.clock import rfc3339
from linetap_core.enrolment.adoption import AdoptionFault, Begin, Box, Opening, Question, Reply
from linetap_core.errors import BadInput, Refusal
from linetap_desk.serve.adoption import store, uploadchecks
from linetap_desk.serve.adoption.exchanges import TooMany
from linetap_desk.serve.database.transactions import overwrite, writing
from linetap_desk.serve.handling.site import Site, json_body
from linetap_desk.web.secure import client_address

MOST_BYTES = 64 * 1024
RETRY_S = "30"

log = logging.getLogger("linetap.serve")
Handler = Callable[[Request, Site], Awaitable[bytes]]


async def begin(request: Request, site: Site) -> bytes:
    first = await json_body(request, Begin, MOST_BYTES)
    return msgspec.json.encode(site.adoption.begin(first, client_address(request, site.settings.proxies)))


async def chosen(request: Request, site: Site) -> bytes:
    await json_body(request, dict, MOST_BYTES)
    return msgspec.json.encode(site.adoption.answer(_run(request)))


async def opened(request: Request, site: Site) -> bytes:
    site.adoption.open(_run(request), await json_body(request, Opening, MOST_BYTES))
    return b"{}"


async def ask(request: Request, site: Site) -> bytes:
    box, run = await json_body(request, Box, MOST_BYTES), _run(request)
    try:
        waiting = site.adoption.get(run)
    except KeyError:
        return await anyio.to_thread.run_sync(_confirmed_reply, site, run, box)
    if waiting.channel is None:
        raise KeyError(run)
    if waiting.is_compared:
        raise AdoptionFault("adoption_again", "its digits are being stored")
    waiting.channel.open("unit", box, Question)
    if box.count <= waiting.count:
        raise AdoptionFault("adoption_again", f"question {box.count} was sent before")
    waiting.count = box.count
    return msgspec.json.encode(waiting.channel.close("desk", box.count, Reply(state="compare")))


def _confirmed_reply(site: Site, run: str, box: Box) -> bytes:
    """The encrypted reply to a unit's question. KeyError if no confirmed exchange has this name."""
    with site.own.connect() as db:  # any client may send requests, so none of them locks the database
        row = store.of_run(db, run)
    channel = None if row is None else store.channel_of(row)
    if row is None or channel is None:
        raise KeyError(run)
    if row["closed_at"] is not None:
        over = Reply(state="done" if row["outcome"] == "adopted" else "ended")
        return msgspec.json.encode(channel.close("desk", box.count, over))
    question = channel.open("unit", box, Question)
    with writing(site.own) as db:
        row = store.of_run(db, run)
        if row is None or row["closed_at"] is not None:
            raise KeyError(run)  # closed just now; the unit's next question gets the answer
        if not store.record_count(db, run, box.count):
            raise AdoptionFault("adoption_again", f"question {box.count} was sent before")
        reply = _reply(db, row, question, rfc3339(site.clock.utc_ns()))
    if question.has_certificate:
        overwrite(site.own)
    return msgspec.json.encode(channel.close("desk", box.count, reply))


def _reply(db: Connection, row: dict[str, Any] | Any, question: Question, now: str) -> Reply:
    """Stores the unit's report, and returns the due reply."""
    changes: dict[str, Any] = {"fault": question.fault, "asked_at": now}
    if question.pressed and row["pressed_at"] is None:
        changes["pressed_at"] = now
    if question.has_order and row["taken_at"] is None:
        changes["taken_at"] = now
    if question.request is not None and row["certificate"] is None:
        data = question.request.encode()
        try:
            uploadchecks.require_request(data, row["unit"])
            changes["request"] = data
        except (Refusal, BadInput) as error:
            changes["fault"] = str(error)[:500]
    store.change(db, row["id"], **changes)
    if question.has_certificate:
        store.close(db, row["id"], "adopted", now)
        return Reply(state="done")
    if question.has_order:
        certificate = row["certificate"]
        return (
            Reply(state="certificate") if certificate is None else Reply(state="done", certificate=certificate.decode())
        )
    if not question.pressed:
        return Reply(state="compare")
    return Reply(state="order", order=bytes(row["order"]).decode(), signature=bytes(row["signature"]).decode())


def _run(request: Request) -> str:
    return str(request.path_params["run"])


def api_routes(site: Site) -> list[StarletteRoute]:
    """The routes without session and role, separate from the table of pages."""

    def guarded(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return Response(await handler(request, site), media_type="application/json")
            except KeyError:
                return PlainTextResponse("404\n", 404)
            except TooMany as fault:
                log.warning("%s: %s", fault.code, fault)
                return PlainTextResponse("503\n", 503, {"Retry-After": RETRY_S})
            except AdoptionFault as fault:
                log.warning("%s: %s", fault.code, fault)
                return PlainTextResponse("409\n", 409)
            except SQLAlchemyError:
                log.error("desk_database_away: an adoption waits")
                return PlainTextResponse("503\n", 503, {"Retry-After": RETRY_S})
            except ClientDisconnect:
                return PlainTextResponse("400\n", 400)

        return answer

    table: tuple[tuple[str, Handler], ...] = (
        ("/adopt", begin), ("/adopt/{run}/answer", chosen), ("/adopt/{run}/open", opened), ("/adopt/{run}", ask)
    )  # fmt: skip
    return [StarletteRoute(path, guarded(handler), methods=["POST"]) for path, handler in table]
