# SPDX-License-Identifier: Apache-2.0
"""The pages on which an order is made: the site's part once, then a unit's; the file to be signed, and its signature.

The authority's key is on no server (docs/adoption.md): its holders download the file and upload signatures.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import anyio.to_thread
import msgspec
from sqlalchemy import Connection, delete, insert, select
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core import jsontext
from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.signing.authority import Authority
from linetap_core.evidence.signing.sshsig import SIGNATURE_LIMIT_BYTES
from linetap_core.wire import smdrcolumns
from linetap_core.wire.situations import SITUATIONS
from linetap_desk.accesslog.deskfolder import read_authority
from linetap_desk.serve.adoption import routes as adoption
from linetap_desk.serve.adoption import store as adopted
from linetap_desk.serve.adoption import uploadchecks
from linetap_desk.serve.database.accesslog import Subject
from linetap_desk.serve.database.tables import adoptions, order_template
from linetap_desk.serve.handling.site import Route, Site, read_own
from linetap_desk.serve.orders import orderfile, sections, template, unitform
from linetap_desk.serve.orders.fields import MISTAKES, Form
from linetap_desk.serve.orders.template import Template
from linetap_desk.serve.people.sessions import session_user
from linetap_desk.serve.release import common
from linetap_desk.serve.release import store as logged
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.serve.release.uploadchecks import typed_field
from linetap_desk.web.roles import OFFICER

MOST_SIGNATURES = 8


class KeptTemplate(NamedTuple):
    """The stored part of the site: one row in serve's own database."""

    template: Template
    by: str
    at: str


def load_template(db: Connection) -> KeptTemplate | None:
    row = db.execute(select(order_template)).mappings().first()
    if row is None:
        return None
    return KeptTemplate(jsontext.decode(bytes(row["template"]), type=Template), row["by"], row["at"])


def keep_template(db: Connection, settings: Template, by: str, at: str) -> None:
    db.execute(delete(order_template))
    db.execute(insert(order_template).values(id=1, template=msgspec.json.encode(settings), by=by, at=at))


async def site_page(request: Request, site: Site) -> Response:
    found = await _load_template(site)
    return _site(request, site, Form(template.STANDARD if found is None else found.template.typed), found)


def _site(request: Request, site: Site, form: Form, found: KeptTemplate | None) -> Response:
    return site.pages.page(
        request, "adoption/site.html", 409 if form.mistakes else 200, form=form, kept=found,
        authority=_authority(site), authorities=template.AUTHORITIES, situations=SITUATIONS,
        situation_names=sections.SITUATION_NAMES,
    )  # fmt: skip


async def keep_site(request: Request, site: Site) -> Response:
    data, who, now = await request.form(), session_user(request), rfc3339(site.clock.utc_ns())
    authority, before = _authority(site), await _load_template(site)
    if authority is None:
        return RedirectResponse(_SITE, 303)
    form = _form_as_typed(data, template.FIELDS)
    files = {name: await _file(data, name) for name in template.FILES}
    kept = template.read(form, files, None if before is None else before.template, authority)
    if kept is None:
        await logged.log_refusal(request, site, "order_site", Subject(), BadInput("mistakes in the form"))
        return _site(request, site, form, before)
    await logged.run_logged(request, site, "order_site", Subject(), lambda db: keep_template(db, kept, who.name, now))
    return RedirectResponse(_ORDER, 303)


async def unit_page(request: Request, site: Site) -> Response:
    found = await _load_template(site)
    if found is None or _authority(site) is None:
        return RedirectResponse(_SITE, 303)
    networks = " ".join(found.template.networks)
    typed = sections.SMDR_STANDARD | {"broker_network": networks}
    return _unit(request, site, Form(typed), _cards(request.query_params.get("cards", "1")))


def _unit(request: Request, site: Site, form: Form, cards: int) -> Response:
    return site.pages.page(
        request, "adoption/order.html", 409 if form.mistakes else 200, form=form, cards=cards,
        most_cards=unitform.MOST_CARDS, lines_a_card=unitform.LINES_A_CARD, kinds=unitform.KINDS,
        formats=sections.SMDR_FORMATS, makers=smdrcolumns.MAKERS, bauds=sections.SMDR_BAUDS, times=sections.SMDR_TIMES,
    )  # fmt: skip


async def make(request: Request, site: Site) -> Response:
    data, who, now = await request.form(), session_user(request), rfc3339(site.clock.utc_ns())
    authority, found = _authority(site), await _load_template(site)
    if found is None or authority is None:
        return RedirectResponse(_SITE, 303)
    cards = _cards(str(data.get("cards", "")))
    form = _form_as_typed(data, unitform.fields_of(cards))
    unit = unitform.read(form, cards)
    try:
        order = b"" if unit is None else orderfile.order_of(found.template, unit, authority, now)
    except BadInput as error:
        await logged.log_refusal(request, site, "order_make", Subject(), error)
        return await adoption.refusal(request, site, error)
    if unit is None:
        await logged.log_refusal(request, site, "order_make", Subject(), BadInput("mistakes in the form"))
        return _unit(request, site, form, cards)
    name, place = unit.name, unit.place

    def do(db: Connection) -> None:
        adopted.draft(db, logged.new_id(db, site, adoptions, "A"), name, order, place, who.name, now)

    return await adoption.step(request, site, "order_make", Subject(terms=unit.name), do)


async def order_file(request: Request, site: Site) -> Response:
    """The file for the authority to sign, named after the unit, as several may be in one folder; with `?card` named as
    a unit expects it on its card."""

    def read() -> tuple[str, bytes | None]:
        with site.own.connect() as db:
            row = adopted.require(db, common.id_of(request))
        return row["unit"], row["draft"]

    unit, draft = await anyio.to_thread.run_sync(read)
    if draft is None:
        return await adoption.refusal(request, site, StepFault("step_not_yet", "there is no order to be signed"))
    name = "linetap.toml" if "card" in request.query_params else f"{unit}.linetap.toml"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(bytes(draft), media_type="application/octet-stream", headers=headers)


async def sign(request: Request, site: Site) -> Response:
    """Stores an uploaded signature. Each of k of n keys' signatures may be in a file of its own."""
    form, who, now = await request.form(), session_user(request), rfc3339(site.clock.utc_ns())

    def do(db: Connection) -> Subject:
        row = adopted.require_open(db, common.id_of(request))
        if row["draft"] is None:
            raise StepFault("step_not_yet", f"{row['unit']}: there is no order to be signed")
        found = uploadchecks.order_of(bytes(row["draft"]), b"".join(signatures))
        adopted.prepare(db, row["id"], found, who.name, now)
        return Subject(terms=found.unit)

    files = [one for one in form.getlist("file") if isinstance(one, UploadFile)][:MOST_SIGNATURES]
    signatures = [await one.read(SIGNATURE_LIMIT_BYTES) for one in files]
    return await adoption.step(request, site, "order_sign", Subject(terms=common.id_of(request)), do)


async def _load_template(site: Site) -> KeptTemplate | None:
    return await read_own(site, load_template)


def _authority(site: Site) -> Authority | None:
    """The authority; None if desk.toml names none, or one that cannot be read."""
    path = site.settings.desk.serve.authority
    try:
        return None if path is None else read_authority(Path(path))
    except (Refusal, BadInput):
        return None


def _cards(text: str) -> int:
    known = map(str, range(1, unitform.MOST_CARDS + 1))
    return int(text) if text in known else 1


def _form_as_typed(data: FormData, names: list[str] | tuple[str, ...]) -> Form:
    """The form as typed. A private key in a field is a mistake of that field, and is not shown again."""
    form = Form(typed := {})
    for name in names:
        try:
            typed[name] = typed_field(data.get(name))
        except StepFault:
            form.wrong(name, MISTAKES["private"])
    return form


async def _file(data: FormData, name: str) -> bytes:
    found = data.get(name)
    return (await found.read(template.MOST_FILE_BYTES + 1)) if isinstance(found, UploadFile) else b""


_SITE, _ORDER = "/adoption/site", "/adoption/order"
LARGER = {_SITE: 2 * template.MOST_FILE_BYTES}
ROUTES: tuple[Route, ...] = (
    Route(_SITE, ("GET",), OFFICER, None, site_page),
    Route(_SITE, ("POST",), OFFICER, None, keep_site, takes=(*template.FIELDS, *template.FILES), answers=(303, 409)),
    Route(_ORDER, ("GET",), OFFICER, None, unit_page, takes=("cards",), answers=(200, 303)),
    Route(
        _ORDER, ("POST",), OFFICER, None, make, takes=("cards", *unitform.fields_of(unitform.MOST_CARDS)),
        answers=(303, 409),
    ),
    Route("/adoption/{id}/order", ("GET",), OFFICER, None, order_file, answers=(200, 404, 409)),
    Route("/adoption/{id}/signature", ("POST",), OFFICER, None, sign, takes=("file",), answers=(303, 404, 409)),
)  # fmt: skip
