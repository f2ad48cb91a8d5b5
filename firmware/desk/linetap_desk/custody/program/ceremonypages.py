# SPDX-License-Identifier: Apache-2.0
"""The pages of the ceremonies: keys of the days, what the authority signs, the next roles, the destruction of a day."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput, LinetapError
from linetap_desk.ceremony.sheets import INDEX
from linetap_desk.custody.inside import Inside
from linetap_desk.custody.program import ceremony, drafting, signing, steps
from linetap_desk.custody.program.answering import do, page, roles_in_force, to, word
from linetap_desk.custody.program.ceremony import DaysWanted, Destruction
from linetap_desk.custody.program.choosing import WHAT
from linetap_desk.custody.program.program import Program
from linetap_desk.custody.program.signing import Paper

# --- keys of the days -------------------------------------------------------------------------------------------------


async def days(request: Request, program: Program) -> Response:
    return _days(request, program)


def _days(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    return page(
        request, program, "program/days.html", error, what=WHAT, settings=program.settings,
        current=ceremony.current(program.settings), officers=program.at_hand.officers, said=program.said,
    )  # fmt: skip


async def make_days(request: Request, program: Program) -> Response:
    form = await request.form()
    wanted = DaysWanted(
        first=word(form, "first"), days=word(form, "days"), longest=word(form, "longest"),
        custodians=word(form, "custodians").split(), custodians_needed=word(form, "needed") or "1",
        overflow=form.get("overflow") == "on", on_paper=word(form, "to") == "paper",
    )  # fmt: skip
    made: list[ceremony.Made] = []

    def step() -> None:
        made.append(ceremony.make_days(wanted, program.settings, program.clock))
        _took(program, made[0])

    answer = await do(request, program, step, _days, "/days")
    if not made or not made[0].sheets:
        return answer
    return page(request, program, "program/sheets.html", None, sheets=made[0].sheets)  # on this one answer


async def merge(request: Request, program: Program) -> Response:
    needed = word(await request.form(), "needed")

    def step() -> None:
        _took(program, ceremony.merge(program.at_hand.officers, needed, program.settings, program.clock))
        program.at_hand.officers.clear()

    return await do(request, program, step, _days, "/days")


def _took(program: Program, made: ceremony.Made) -> None:
    program.keep(keylist=str(made.key_list))
    program.said = made.lines


# --- what the authority signs -----------------------------------------------------------------------------------------


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
        said=program.said,
    )  # fmt: skip


def _paper(program: Program) -> Paper | None:
    path = program.at_hand.paper
    return None if path is None else signing.read(path, roles_in_force(program), ceremony.current(program.settings))


async def sign(request: Request, program: Program) -> Response:
    sha256 = word(await request.form(), "sha256")

    def step() -> None:
        found = _paper(program)
        if found is None:
            raise BadInput("choose the file to be signed first")
        program.said = signing.sign(found, sha256, steps.needed(program.settings, "signing"))

    return await do(request, program, step, _sign, "/sign")


# --- the next roles ---------------------------------------------------------------------------------------------------


async def draft(request: Request, program: Program) -> Response:
    return _draft(request, program)


def _draft(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    in_force = roles_in_force(program)
    found = program.at_hand.draft or drafting.begun(in_force)
    return page(
        request, program, "program/draft.html", error, next_roles=found, sections=drafting.SECTIONS, in_force=in_force,
        said=program.said,
    )  # fmt: skip


async def draft_add(request: Request, program: Program) -> Response:
    form = await request.form()
    section = _section(form)

    def step() -> None:
        before = program.at_hand.draft or drafting.begun(roles_in_force(program))
        typed = {name: word(form, name) for name in form}
        program.at_hand.draft = drafting.with_row(before, section, typed)
        program.said = []

    return await do(request, program, step, _draft, f"/draft#{section}")


async def draft_remove(request: Request, program: Program) -> Response:
    form = await request.form()
    section, number = _section(form), word(form, "number")

    def step() -> None:
        before = program.at_hand.draft or drafting.begun(roles_in_force(program))
        program.at_hand.draft = drafting.without_row(before, section, int(number) if number.isdecimal() else -1)
        program.said = []

    return await do(request, program, step, _draft, f"/draft#{section}")


async def draft_write(request: Request, program: Program) -> Response:
    """The file is then shown as whoever signs it sees it."""

    def step() -> None:
        if program.at_hand.draft is None:
            raise BadInput("nothing was changed yet")
        path = drafting.write(program.at_hand.draft, steps.output_of(program.settings))
        program.at_hand.paper, program.at_hand.draft = path, None
        program.said = [str(path)]

    return await do(request, program, step, _draft, "/sign")


def _section(form: FormData) -> str:
    section = word(form, "section")
    if section not in drafting.SECTIONS:
        raise HTTPException(400)
    return section


# --- a day is over ----------------------------------------------------------------------------------------------------


async def destroy_page(request: Request, program: Program) -> Response:
    return _destroy(request, program)


def _destroy(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    return page(
        request, program, "program/destroy.html", error, what=WHAT, settings=program.settings,
        current=ceremony.current(program.settings), at_hand=program.at_hand, said=program.said,
        late=ceremony.late(program.settings, program.clock), certificates=ceremony.certificates(program.settings),
    )  # fmt: skip


async def check_destruction(request: Request, program: Program) -> Response:
    return await _end_day(request, program, only_check=True)


async def destroy(request: Request, program: Program) -> Response:
    return await _end_day(request, program, only_check=False)


async def _end_day(request: Request, program: Program, *, only_check: bool) -> Response:
    form = await request.form()
    day = word(form, "day")
    asked = Destruction(
        day=day, media=list(program.at_hand.doomed), sheets=word(form, "sheets"),
        from_sheets={day: word(form, "key"), f"{day}{INDEX}": word(form, "index")}, shredded=word(form, "shredded"),
        officers=word(form, "officers").replace(",", " ").split(), rule=word(form, "rule"), today=word(form, "today"),
    )  # fmt: skip

    def step() -> None:
        program.said = ceremony.destroy(
            asked, program.settings, program.at_hand.second, program.desk_folder, program.clock, only_check=only_check
        )
        if not only_check:
            program.at_hand.doomed.clear()
            program.at_hand.second = None

    return await do(request, program, step, _destroy, "/destroy")


async def sign_commands(request: Request, program: Program) -> Response:
    name = word(await request.form(), "certificate")

    def step() -> None:
        program.said = ceremony.sign_commands(name, program.settings, program.desk_folder, program.clock)

    return await do(request, program, step, _destroy, "/destroy")


async def put_away(request: Request, program: Program) -> Response:
    """Whatever was chosen for one ceremony."""
    back = word(await request.form(), "back")
    if back not in ("/days", "/sign", "/draft", "/destroy"):
        raise HTTPException(400)
    program.at_hand = type(program.at_hand)()
    program.said = []
    return to(program, back)


INSIDE: Inside = (
    ("/days", "GET", days),
    ("/days", "POST", make_days),
    ("/merge", "POST", merge),
    ("/sign", "GET", sign_page),
    ("/sign", "POST", sign),
    ("/draft", "GET", draft),
    ("/draft/add", "POST", draft_add),
    ("/draft/remove", "POST", draft_remove),
    ("/draft/write", "POST", draft_write),
    ("/destroy", "GET", destroy_page),
    ("/destroy/check", "POST", check_destruction),
    ("/destroy", "POST", destroy),
    ("/destroy/commands", "POST", sign_commands),
    ("/put-away", "POST", put_away),
)
