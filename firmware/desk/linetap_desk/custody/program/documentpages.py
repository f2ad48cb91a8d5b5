# SPDX-License-Identifier: Apache-2.0
"""The pages for documents that a key holder signs: the authority's files, commands to units and second signatures, a
unit's certificate, the draft of the next roles."""

from __future__ import annotations

import contextlib
import hashlib

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput, LinetapError
from linetap_desk.custody.helperapp import PageTable
from linetap_desk.custody.program import ceremony, commanding, cosigning, drafting, signing, steps
from linetap_desk.custody.program.cosigning import ChosenCommand
from linetap_desk.custody.program.filekinds import FILE_KINDS
from linetap_desk.custody.program.program import Program
from linetap_desk.custody.program.responses import field, page, roles_in_force, run_step
from linetap_desk.custody.program.signing import AuthorityDocument

# --- the authority's signatures ---------------------------------------------------------------------------------------


async def sign_page(request: Request, program: Program) -> Response:
    return _sign(request, program)


def _sign(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    found = None
    try:
        found = _paper(program)
    except LinetapError as fault:
        error = error or fault
    return page(
        request, program, "program/sign.html", error, paper=found, titles=signing.TITLES, settings=program.settings,
        printed=program.printed,
    )  # fmt: skip


def _paper(program: Program) -> AuthorityDocument | None:
    path = program.ceremony_files.paper
    if path is None:
        return None
    return signing.read(path, roles_in_force(program), ceremony.current(program.settings), program.clock)


async def sign(request: Request, program: Program) -> Response:
    sha256 = field(await request.form(), "sha256")

    def step() -> None:
        found = _paper(program)
        if found is None:
            raise BadInput("choose the file to be signed first")
        program.printed = signing.sign(found, sha256, steps.needed(program.settings, "signing"))

    return await run_step(request, program, step, _sign, "/sign")


# --- commands to units ------------------------------------------------------------------------------------------------


async def commands_page(request: Request, program: Program) -> Response:
    return _commands(request, program)


def _commands(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    document, text, wrong, units = program.ceremony_files.document, "", "", 0
    try:
        text = commanding.configuration(document)
    except LinetapError as fault:  # the other tasks continue
        wrong = str(fault)
    with contextlib.suppress(LinetapError):
        units = len(commanding.published_units(program.desk_folder))
    return page(
        request, program, "program/commands.html", error, document=document, text=text, wrong=wrong, units=units,
        is_configuration=document is not None and document.suffix == commanding.CONFIGURATION,
        sha256=hashlib.sha256(text.encode()).hexdigest(), current=ceremony.current(program.settings),
        roles=roles_in_force(program), may=program.may, settings=program.settings, printed=program.printed,
    )  # fmt: skip


async def sign_command(request: Request, program: Program) -> Response:
    form = await request.form()
    verb, shown = field(form, "verb"), field(form, "sha256")
    if verb not in commanding.VERBS:
        raise HTTPException(400)

    def step() -> None:
        document = program.ceremony_files.document
        text = commanding.configuration(document) if verb == "config" else ""
        if verb == "config" and shown != hashlib.sha256(text.encode()).hexdigest():
            raise BadInput(f"{document}: has changed since it was shown: check it again")
        asked = commanding.CommandForm(verb, field(form, "about"), field(form, "url"), document, text)
        program.printed = commanding.sign(asked, program.settings, program.desk_folder, program.clock)

    return await run_step(request, program, step, _commands, "/commands")


# --- a second person's signature --------------------------------------------------------------------------------------


async def second_page(request: Request, program: Program) -> Response:
    return _second(request, program)


def _second(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    found = None
    try:
        found = _order(program)
    except LinetapError as fault:
        error = error or fault
    return page(
        request, program, "program/second.html", error, order=found, settings=program.settings,
        printed=program.printed,
    )  # fmt: skip


def _order(program: Program) -> ChosenCommand | None:
    path = program.ceremony_files.order
    return None if path is None else cosigning.read(path, program.desk.authority, program.roles(), program.clock)


async def second(request: Request, program: Program) -> Response:
    sha256 = field(await request.form(), "sha256")

    def step() -> None:
        found, key = _order(program), steps.needed(program.settings, "signing")
        if found is None:
            raise BadInput("choose the command first")
        output, authority = steps.output_of(program.settings), program.desk.authority
        program.printed = cosigning.cosign(found, sha256, key, output, authority, program.roles(), program.clock)

    return await run_step(request, program, step, _second, "/second")


# --- a unit's certificate ---------------------------------------------------------------------------------------------


async def certificate_page(request: Request, program: Program) -> Response:
    return _certificate(request, program)


def _certificate(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    path, asked = program.ceremony_files.request, None
    try:
        asked = None if path is None else signing.read_request(path)
    except LinetapError as fault:
        error = error or fault
    return page(
        request, program, "program/certificate.html", error, asked=asked, path=path, what=FILE_KINDS,
        fingerprint="" if asked is None else signing.fingerprint(asked), settings=program.settings,
        printed=program.printed,
    )  # fmt: skip


async def certify(request: Request, program: Program) -> Response:
    form = await request.form()

    def step() -> None:
        path = program.ceremony_files.request
        if path is None:
            raise BadInput("choose the unit's request first")
        renews, shown = form.get("renews") == "on", field(form, "fingerprint")
        program.printed = signing.enrol(path, shown, renews, program.settings, program.clock)

    return await run_step(request, program, step, _certificate, "/certificate")


# --- the next roles ---------------------------------------------------------------------------------------------------


async def draft(request: Request, program: Program) -> Response:
    return _draft(request, program)


def _draft(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    in_force = roles_in_force(program)
    found = program.ceremony_files.draft or drafting.next_draft(in_force)
    return page(
        request, program, "program/draft.html", error, next_roles=found, sections=drafting.SECTIONS, in_force=in_force,
        printed=program.printed,
    )  # fmt: skip


async def draft_add(request: Request, program: Program) -> Response:
    form = await request.form()
    section = _section(form)

    def step() -> None:
        before = program.ceremony_files.draft or drafting.next_draft(roles_in_force(program))
        typed = {name: field(form, name) for name in form}
        program.ceremony_files.draft = drafting.with_row(before, section, typed)
        program.printed = []

    return await run_step(request, program, step, _draft, f"/draft#{section}")


async def draft_remove(request: Request, program: Program) -> Response:
    form = await request.form()
    section, number = _section(form), field(form, "number")

    def step() -> None:
        before = program.ceremony_files.draft or drafting.next_draft(roles_in_force(program))
        program.ceremony_files.draft = drafting.without_row(before, section, int(number) if number.isdecimal() else -1)
        program.printed = []

    return await run_step(request, program, step, _draft, f"/draft#{section}")


async def draft_write(request: Request, program: Program) -> Response:
    """Writes the draft, and shows the page for signing it."""

    def step() -> None:
        if program.ceremony_files.draft is None:
            raise BadInput("nothing was changed yet")
        path = drafting.write(program.ceremony_files.draft, steps.output_of(program.settings))
        program.ceremony_files.paper, program.ceremony_files.draft = path, None
        program.printed = [str(path)]

    return await run_step(request, program, step, _draft, "/sign")


def _section(form: FormData) -> str:
    section = field(form, "section")
    if section not in drafting.SECTIONS:
        raise HTTPException(400)
    return section


PAGES: PageTable = (
    ("/sign", "GET", sign_page),
    ("/sign", "POST", sign),
    ("/commands", "GET", commands_page),
    ("/commands", "POST", sign_command),
    ("/second", "GET", second_page),
    ("/second", "POST", second),
    ("/certificate", "GET", certificate_page),
    ("/certificate", "POST", certify),
    ("/draft", "GET", draft),
    ("/draft/add", "POST", draft_add),
    ("/draft/remove", "POST", draft_remove),
    ("/draft/write", "POST", draft_write),
)
