# SPDX-License-Identifier: Apache-2.0
"""The page of new units: waiting units, the comparison of digits, missing certificates."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from linetap_core.clock import rfc3339
from linetap_core.enrolment import adoption
from linetap_core.enrolment.adoption import AdoptionFault
from linetap_core.enrolment.checkdigit import without_check
from linetap_core.errors import BadInput, Refusal
from linetap_desk.serve.adoption import printedpage, store, uploadchecks
from linetap_desk.serve.adoption.exchanges import Waiting
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.database.tables import adoptions
from linetap_desk.serve.handling.site import Route, Site, read_own
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import common
from linetap_desk.serve.release import store as logged
from linetap_desk.serve.release.common import error_texts
from linetap_desk.serve.release.uploadchecks import typed_field
from linetap_desk.web.roles import OFFICER, WATCH
from linetap_desk.web.text import N_

REFUSAL = {
    "adoption_digits": N_(
        "These are not the digits of this unit. The exchange has ended; the unit counts other digits now. If it "
        "happens again although they were read correctly, somebody may be between the unit and the desk: report it."
    ),
    "adoption_incomplete": N_(
        "Seven digits are needed. Nothing was compared, and the unit goes on counting: type them again."
    ),
    "adoption_miscounted": N_(
        "One of the seven digits was miscounted: they do not fit the last one. Nothing was compared, and the unit goes "
        "on counting: have them counted once more."
    ),
    "adoption_gone": N_("This unit does not wait, or has not begun to count. It asks again by itself; look once more."),
}


async def page(request: Request, site: Site) -> Response:
    return await refusal(request, site)


async def refusal(request: Request, site: Site, error: Exception | None = None) -> Response:
    """The page, with a refusal if there was one."""

    rows = await read_own(site, lambda db: list(store.listed(db)))
    now_ns, mono_ns = site.clock.utc_ns(), site.clock.monotonic_ns()
    waiting = [
        {"run": one.run, "of": one.begin, "address": one.address, "since_ns": now_ns - (mono_ns - one.began_ns),
         "is_chosen": one.answer is not None}
        for one in site.adoption.listed()
    ]  # fmt: skip
    return site.pages.page(
        request, "adoption/adoption.html", 200 if error is None else 409,
        waiting=waiting, refused=site.adoption.refused, rows=rows,
        signers=Path(site.settings.desk.signers or "allowed_signers").name,
        roles=Path(site.settings.desk.serve.roles or "roles.json").name,
        free=[one for one in rows if one["closed_at"] is None and one["pressed_at"] is None and one["has_order"]],
        error=None if error is None else _refusal_text(site, request, error), state=store.state_of,
        mark=_digest_of(rows, site),
    )  # fmt: skip


def _digest_of(rows: Iterable[Mapping[str, Any]], site: Site) -> str:
    """A hash that changes with the page's content; of refused units it covers only whether there are any. `rows`: of
    store.listed."""
    exchanges = [(one.run, one.answer is not None) for one in site.adoption.listed()]
    states = [(row["id"], store.state_of(row), row["fault"]) for row in rows]
    return hashlib.sha256(msgspec.json.encode((exchanges, states, site.adoption.refused > 0))).hexdigest()[:16]


async def page_state(_request: Request, site: Site) -> Response:
    """The digest of the present page; an open page with another digest reloads itself (static/adoption.js)."""

    return JSONResponse({"mark": _digest_of(await read_own(site, store.listed), site)})


async def printed(request: Request, site: Site) -> Response:
    return _paper(request, site, None)


async def printed_of(request: Request, site: Site) -> Response:
    """The printed page: unit, place, and a code with the public address of the unit's page at the desk."""

    return _paper(request, site, await read_own(site, lambda db: store.require(db, _id(request))))


def _paper(request: Request, site: Site, row: Any) -> Response:
    url = None if row is None else printedpage.unit_page_address(site.settings.url, row["unit"])
    language = site.pages.language(request)
    return site.pages.page(
        request, "adoption/paper.html", 200, row=row, url=url, code=None if url is None else printedpage.code_of(url),
        at={step: printedpage.rows(codes, language) for step, codes in printedpage.AT_STEP.items()},
        others=printedpage.others(language), number=printedpage.number(),
        lines=[] if row is None else printedpage.lines_of(row["order"] or row["draft"]),
    )  # fmt: skip


async def prepare(request: Request, site: Site) -> Response:
    form, who, now = await request.form(), session_user(request), rfc3339(site.clock.utc_ns())

    def do(db: Connection) -> Subject:
        found = uploadchecks.order_of(files[0], files[1])
        store.prepare(db, logged.new_id(db, site, adoptions, "A"), found, who.name, now)
        return Subject(terms=found.unit)

    files = [await _file(form, name) for name in ("file", "signature")]
    return await step(request, site, "adopt_prepare", Subject(), do)


async def choose(request: Request, site: Site) -> Response:
    """Chooses an exchange. Each choice gives an attacker one attempt at the digits, and is in the access log."""
    await request.form()
    try:
        one = site.adoption.get(run := str(request.path_params["run"]))
    except KeyError:
        return await _refusal_page(
            request, site, "adopt_choose", Subject(), AdoptionFault("adoption_gone", "not there")
        )

    def do(_: Connection) -> None:
        try:
            site.adoption.choose(run)
        except KeyError:
            raise AdoptionFault("adoption_gone", "not there") from None

    return await step(request, site, "adopt_choose", Subject(terms=f"{one.begin.serial} {one.address}"), do)


async def compare(request: Request, site: Site) -> Response:
    """Compares the typed digits, once: wrong digits end the exchange."""
    form, who, now = await request.form(), session_user(request), rfc3339(site.clock.utc_ns())
    typed = typed_digits(typed_field(form.get("digits")))
    chosen = typed_field(form.get("id"))[:40]
    run = str(request.path_params["run"])
    try:
        one = site.adoption.get(run)
    except KeyError:
        return await _refusal_page(
            request, site, "adopt_compare", Subject(), AdoptionFault("adoption_gone", "not there")
        )
    subject = Subject(terms=f"{chosen} {one.begin.serial} {one.address}")
    try:
        digits = compared_digits(typed)
    except AdoptionFault as fault:
        return await _refusal_page(request, site, "adopt_compare", subject, fault)

    def do(db: Connection) -> Subject:
        row = store.require_open(db, chosen)
        try:
            right.append(site.adoption.compare(run, digits))
            store.confirm(db, row["id"], right[0], who.name, now)
        except KeyError:
            raise AdoptionFault("adoption_gone", "not there") from None
        return Subject(terms=f"{row['unit']} {subject.terms}")

    answer, right = None, list[Waiting]()
    try:
        answer = await step(request, site, "adopt_compare", subject, do)
    finally:
        if right:
            site.adoption.settle(run, is_kept=answer is not None and answer.status_code == 303)
    return answer


def typed_digits(text: str) -> str:
    """The digits in any width and grouping: an East Asian keyboard may type full-width digits, and there is one
    attempt."""
    return "".join(str(unicodedata.decimal(each)) for each in text[:40] if each.isdecimal())


def compared_digits(typed: str) -> str:
    """The six digits to compare, which the check digit confirms. AdoptionFault for others: they are no attempt, since
    they would be wrong for every unit."""
    if len(typed) != adoption.DIGITS + 1:
        raise AdoptionFault("adoption_incomplete", f"{len(typed)} digits; {adoption.DIGITS + 1} expected")
    if (digits := without_check(typed)) is None:
        raise AdoptionFault("adoption_miscounted", "the seventh digit is not that of the six")
    return digits


async def asked(request: Request, site: Site) -> Response:
    """The unit's request, for `linetap pki unit`."""

    row = await read_own(site, lambda db: store.require(db, _id(request)))
    if row["request"] is None:
        return await refusal(request, site, AdoptionFault("step_not_yet", "the unit has not sent its request yet"))
    name = {"Content-Disposition": f'attachment; filename="{row["unit"]}.request"'}
    return Response(bytes(row["request"]), media_type="application/octet-stream", headers=name)


async def certificate(request: Request, site: Site) -> Response:
    form, now = await request.form(), rfc3339(site.clock.utc_ns())

    def do(db: Connection) -> Subject:
        row = store.require_open(db, _id(request))
        if row["request"] is None:
            raise AdoptionFault("step_not_yet", "the unit has not sent its request yet")
        uploadchecks.require_certificate(data, bytes(row["request"]))
        store.change(db, row["id"], certificate=data, certified_by=session_user(request).name, certified_at=now)
        return Subject(terms=row["unit"])

    data = await _file(form, "file")
    return await step(request, site, "adopt_certificate", Subject(terms=_id(request)), do)


async def end(request: Request, site: Site) -> Response:
    await request.form()

    def do(db: Connection) -> Subject:
        row = store.require_open(db, _id(request))
        store.close(db, row["id"], "ended", rfc3339(site.clock.utc_ns()))
        return Subject(terms=row["unit"])

    return await step(request, site, "adopt_end", Subject(terms=_id(request)), do, forgets=True)


async def step(
    request: Request, site: Site, act: str, subject: Subject, do: Callable[[Connection], Subject | None],
    forgets: bool = False,
) -> Response:  # fmt: skip
    try:
        await logged.run_logged(request, site, act, subject, do, forgets=forgets)
    except (Refusal, BadInput) as error:
        return await refusal(request, site, error)
    return RedirectResponse("/adoption", 303)


async def _refusal_page(request: Request, site: Site, act: str, subject: Subject, error: Exception) -> Response:
    await logged.log_refusal(request, site, act, subject, error)
    return await refusal(request, site, error)


def _refusal_text(site: Site, request: Request, error: Exception) -> dict[str, str]:
    code = logged.code_of(error)
    found = error_texts(site, request, error)
    return found | {"text": site.pages.translated(request, REFUSAL[code])} if code in REFUSAL else found


def _id(request: Request) -> str:
    return common.id_of(request)


async def _file(form: FormData, name: str) -> bytes:
    found = form.get(name)
    return (await found.read(uploadchecks.MOST_ORDER_BYTES + 1)) if isinstance(found, UploadFile) else b""


_DONE = (303, 409)
# An order contains a key list.
LARGER = {"/adoption/prepare": uploadchecks.MOST_ORDER_BYTES + 128 * 1024}
ROUTES: tuple[Route, ...] = (
    Route("/adoption", ("GET",), OFFICER, None, page, menu=N_("New units")),
    Route("/adoption/news", ("GET",), OFFICER, None, page_state, background=True),
    Route("/adoption/paper", ("GET",), OFFICER | WATCH, None, printed),
    Route("/adoption/{id}/paper", ("GET",), OFFICER | WATCH, None, printed_of, answers=(200, 404)),
    Route("/adoption/prepare", ("POST",), OFFICER, None, prepare, takes=("file", "signature"), answers=_DONE),
    Route("/adoption/run/{run}", ("POST",), OFFICER, None, compare, takes=("digits", "id"), answers=_DONE),
    Route("/adoption/run/{run}/choose", ("POST",), OFFICER, None, choose, answers=_DONE),
    Route("/adoption/{id}/request", ("GET",), OFFICER, None, asked, answers=(200, 404, 409)),
    Route(
        "/adoption/{id}/certificate", ("POST",), OFFICER, None, certificate, takes=("file",), answers=(303, 404, 409)
    ),
    Route("/adoption/{id}/end", ("POST",), OFFICER, None, end, answers=(303, 404, 409)),
)
