# SPDX-License-Identifier: Apache-2.0
"""The pages of the ceremonies of days' keys: they are made, merged, and destroyed after their day."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import LinetapError
from linetap_desk.ceremony.sheets import INDEX
from linetap_desk.custody.helperapp import PageTable
from linetap_desk.custody.program import ceremony
from linetap_desk.custody.program.ceremony import DaysForm, Destruction
from linetap_desk.custody.program.filekinds import FILE_KINDS
from linetap_desk.custody.program.program import Program
from linetap_desk.custody.program.responses import field, page, redirect_to, run_step

# --- keys of the days -------------------------------------------------------------------------------------------------


async def days(request: Request, program: Program) -> Response:
    return _days(request, program)


def _days(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    return page(
        request, program, "program/days.html", error, what=FILE_KINDS, settings=program.settings,
        current=ceremony.current(program.settings), officers=program.ceremony_files.officers, printed=program.printed,
    )  # fmt: skip


async def make_days(request: Request, program: Program) -> Response:
    form = await request.form()
    wanted = DaysForm(
        first=field(form, "first"), days=field(form, "days"), longest=field(form, "longest"),
        custodians=field(form, "custodians").split(), custodians_needed=field(form, "needed") or "1",
        overflow=form.get("overflow") == "on", on_paper=field(form, "to") == "paper",
    )  # fmt: skip
    made: list[ceremony.NewKeyList] = []

    def step() -> None:
        made.append(ceremony.make_days(wanted, program.settings, program.clock))
        _keep_key_list(program, made[0])

    answer = await run_step(request, program, step, _days, "/days")
    if not made or not made[0].sheets:
        return answer
    return page(request, program, "program/sheets.html", None, sheets=made[0].sheets)  # shown in this response only


async def merge(request: Request, program: Program) -> Response:
    needed = field(await request.form(), "needed")

    def step() -> None:
        _keep_key_list(
            program, ceremony.merge(program.ceremony_files.officers, needed, program.settings, program.clock)
        )
        program.ceremony_files.officers.clear()

    return await run_step(request, program, step, _days, "/days")


def _keep_key_list(program: Program, made: ceremony.NewKeyList) -> None:
    program.keep(keylist=str(made.key_list))
    program.printed = made.lines


# --- a day is over ----------------------------------------------------------------------------------------------------


async def destroy_page(request: Request, program: Program) -> Response:
    return _destroy(request, program)


def _destroy(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    return page(
        request, program, "program/destroy.html", error, what=FILE_KINDS, settings=program.settings,
        current=ceremony.current(program.settings), ceremony_files=program.ceremony_files, printed=program.printed,
        late=ceremony.late(program.settings, program.clock), certificates=ceremony.certificates(program.settings),
    )  # fmt: skip


async def check_destruction(request: Request, program: Program) -> Response:
    return await _end_day(request, program, only_check=True)


async def destroy(request: Request, program: Program) -> Response:
    return await _end_day(request, program, only_check=False)


async def _end_day(request: Request, program: Program, *, only_check: bool) -> Response:
    form = await request.form()
    day = field(form, "day")
    asked = Destruction(
        day=day, media=list(program.ceremony_files.doomed), sheets=field(form, "sheets"),
        from_sheets={day: field(form, "key"), f"{day}{INDEX}": field(form, "index")}, shredded=field(form, "shredded"),
        officers=field(form, "officers").replace(",", " ").split(), rule=field(form, "rule"),
        today=field(form, "today"),
    )  # fmt: skip

    def step() -> None:
        program.printed = ceremony.destroy(
            asked,
            program.settings,
            program.ceremony_files.second,
            program.desk_folder,
            program.clock,
            only_check=only_check,
        )
        if not only_check:
            program.ceremony_files.doomed.clear()
            program.ceremony_files.second = None

    return await run_step(request, program, step, _destroy, "/destroy")


async def sign_commands(request: Request, program: Program) -> Response:
    name = field(await request.form(), "certificate")

    def step() -> None:
        program.printed = ceremony.sign_commands(name, program.settings, program.desk_folder, program.clock)

    return await run_step(request, program, step, _destroy, "/destroy")


async def put_away(request: Request, program: Program) -> Response:
    """Forgets the files chosen for one ceremony."""
    back = field(await request.form(), "back")
    if back not in ("/days", "/sign", "/commands", "/second", "/certificate", "/draft", "/destroy"):
        raise HTTPException(400)
    program.ceremony_files = type(program.ceremony_files)()
    program.printed = []
    return redirect_to(program, back)


PAGES: PageTable = (
    ("/days", "GET", days),
    ("/days", "POST", make_days),
    ("/merge", "POST", merge),
    ("/destroy", "GET", destroy_page),
    ("/destroy/check", "POST", check_destruction),
    ("/destroy", "POST", destroy),
    ("/destroy/commands", "POST", sign_commands),
    ("/put-away", "POST", put_away),
)
