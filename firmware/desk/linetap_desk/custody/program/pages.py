# SPDX-License-Identifier: Apache-2.0
"""The program's pages: the possible tasks, the open file from the desk, the settings, and the choice of files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linetap_core.errors import BadInput, LinetapError
from linetap_core.httplimits import Limits
from linetap_desk.custody import handlers, package
from linetap_desk.custody.helperapp import Handler, PageTable, app_of
from linetap_desk.custody.package import Package
from linetap_desk.custody.program import ceremonypages, documentpages, filekinds, holding, steps
from linetap_desk.custody.program.downloads import CallPapers, OverflowCalls
from linetap_desk.custody.program.filekinds import FILE_KINDS
from linetap_desk.custody.program.program import Program
from linetap_desk.custody.program.responses import field, page, redirect_to, roles_in_force, run_alone, run_step
from linetap_desk.custody.search import pages as searching
from linetap_desk.serve.release import texts as release_texts


async def home(request: Request, program: Program) -> Response:
    return _home(request, program)


def _home(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    return page(
        request, program, "program/home.html", error, role=program.role, may=program.may, printed=program.printed,
        is_ready=roles_in_force(program) is not None, open=program.open, release=program.release, search=program.search,
    )  # fmt: skip


async def papers(request: Request, program: Program) -> Response:
    return _papers(request, program)


def _papers(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    """Shows the open file's content and the possible steps."""
    found = program.open
    if found is None:
        return redirect_to(program, "/")
    if isinstance(found, OverflowCalls):
        return page(
            request, program, "program/overflow.html", error, papers=found, identities=program.suggested(),
            printed=program.printed, settings=program.settings,
        )  # fmt: skip
    roles = roles_in_force(program)
    purpose = roles.purpose(found.request.purpose) if roles and found.request else None
    return page(
        request, program, "program/papers.html", error, papers=found, is_package=isinstance(found, Package),
        purpose=purpose, identities=program.suggested(), may=program.may, printed=program.printed,
        settings=program.settings, party=release_texts.PARTY,
    )  # fmt: skip


async def settings(request: Request, program: Program) -> Response:
    return _settings(request, program)


def _settings(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    roles = roles_in_force(program)
    return page(
        request, program, "program/settings.html", error, settings=program.settings, what=FILE_KINDS,
        chosen=program.chosen, people=[] if roles is None else roles.people, role=program.role,
        version=None if roles is None else roles.version, printed=program.printed,
    )  # fmt: skip


async def choose(request: Request, program: Program) -> Response:
    return _choose(request, program, request.query_params.get("what", ""), request.query_params.get("at", ""))


def _choose(request: Request, program: Program, what: str, at: str, error: LinetapError | None = None) -> Response:
    if what not in FILE_KINDS:
        raise HTTPException(404)
    places = filekinds.places()
    listed = None
    try:
        folder = Path(at) if at else next(iter(places), Path.home())
        listed = filekinds.listed(folder.absolute(), FILE_KINDS[what].suffixes)
    except LinetapError as fault:
        error = error or fault
    return page(
        request, program, "program/choose.html", error, name=what, what=FILE_KINDS[what], listed=listed, places=places
    )


async def chosen(request: Request, program: Program) -> Response:
    form = await request.form()
    what, path = field(form, "what"), Path(field(form, "path"))
    if what not in FILE_KINDS:
        raise HTTPException(400)
    try:
        await run_alone(program, lambda: filekinds.accept(program, what, path))
    except LinetapError as error:
        return _choose(request, program, what, str(path.parent), error)
    return redirect_to(program, "/papers" if what == "archive" else FILE_KINDS[what].back)


async def save(request: Request, program: Program) -> Response:
    form = await request.form()
    desk, name = field(form, "desk").rstrip("/"), field(form, "name")

    def step() -> None:
        if desk:
            package.connection_to(desk, program.settings.path("ca"), Limits.within(1, 1)).close()
        program.keep(desk=desk, name=name)

    return await run_step(request, program, step, _settings, "/settings")


async def remove(request: Request, program: Program) -> Response:
    form = await request.form()
    what, path = field(form, "what"), field(form, "path")
    if what not in ("identities", "index"):
        raise HTTPException(400)
    kept = [each for each in getattr(program.settings, what) if each != path]
    return await run_step(request, program, lambda: program.keep(**{what: kept}), _settings, "/settings")


async def roles(request: Request, program: Program) -> Response:
    def step() -> None:
        program.printed = steps.take_roles(program.chosen, program.desk_folder, program.clock)
        program.chosen.clear()

    return await run_step(request, program, step, _settings, "/settings")


async def one_time(request: Request, program: Program) -> Response:
    wanted = field(await request.form(), "id")

    def step() -> None:
        path, public = steps.one_time_key(wanted, program.settings, program.desk_folder, program.clock)
        program.add("identities", path)
        program.printed = [str(path), public]

    return await run_step(request, program, step, _home, "/")


async def hold_key(request: Request, program: Program) -> Response:
    def step() -> None:
        path, public = holding.hold_key(program.settings, program.clock)
        program.printed = [str(path), public]

    return await run_step(request, program, step, _papers, "/papers")


async def fetch(request: Request, program: Program) -> Response:
    ticket = field(await request.form(), "ticket")

    def step() -> None:
        package.require_ticket(ticket)
        with package.fetched(program.settings.desk, program.settings.path("ca"), ticket) as source:
            try:
                program.unpack(source)
            except OSError as error:
                if isinstance(error, LinetapError):
                    raise
                raise BadInput(f"{program.settings.desk}: {error}") from None

    return await run_step(request, program, step, _home, "/papers")


async def find(request: Request, program: Program) -> Response:
    ticket = field(await request.form(), "ticket")

    def step() -> None:
        package.require_ticket(ticket)
        program.begin_search(ticket)

    return await run_step(request, program, step, _home, "/search/")


def _with_papers[P: (CallPapers, OverflowCalls)](
    of: type[P], take: Callable[[P, Program, FormData], list[str]]
) -> Handler:
    """The handler of a step with the opened file from the desk; `take` returns the lines to show."""

    async def answer(request: Request, program: Program) -> Response:
        form = await request.form()

        def step() -> None:
            if not isinstance(program.open, of):
                raise BadInput("there is no file for this step open")
            program.printed = take(program.open, program, form)

        return await run_step(request, program, step, _papers, "/papers")

    return answer


def _approve(papers: CallPapers, at: Program, _: FormData) -> list[str]:
    return steps.approve(papers, at.settings, at.desk_folder, at.clock)


def _unwrap(papers: CallPapers, at: Program, form: FormData) -> list[str]:
    keys = _identities(at, form)
    return steps.unwrap_call(papers, at.settings, keys, field(form, "partial"), at.desk_folder, at.clock)


def _hold(papers: CallPapers, at: Program, form: FormData) -> list[str]:
    keys, to_whom, again = _identities(at, form), field(form, "to"), field(form, "by") == "held"
    return holding.hold_call(
        papers, at.settings, keys, to_whom, field(form, "partial"), again, at.desk_folder, at.clock
    )


def _check_hold(papers: CallPapers, at: Program, form: FormData) -> list[str]:
    return holding.check_hold(papers, at.settings, _identities(at, form), at.desk_folder, at.clock)


def _rewrap(papers: OverflowCalls, at: Program, form: FormData) -> list[str]:
    keys = _identities(at, form)
    return holding.rewrap_calls(papers, at.settings, keys, field(form, "day"), at.desk_folder, at.clock)


def _check(papers: OverflowCalls, at: Program, form: FormData) -> list[str]:
    return holding.check_rewrapped(papers, at.settings, _identities(at, form), at.desk_folder, at.clock)


async def listen(request: Request, program: Program) -> Response:
    form = await request.form()
    return await run_step(
        request, program, lambda: program.open_release(_identities(program, form)), _papers, "/release/"
    )


async def leave(request: Request, program: Program) -> Response:
    return await run_step(request, program, program.leave, _home, "/")


def _identities(program: Program, form: FormData) -> list[Path]:
    """The person's chosen key files; a path that only the form names is ignored."""
    named = {str(each) for each in form.getlist("identity")}
    found = [Path(each) for each in program.settings.identities if each in named]
    if not found:
        raise BadInput("choose your key")
    return found


def _page_of_open(of: str, handler: Handler) -> Handler:
    """The handler of a page of the opened release, or of the search; without one it returns the home page."""

    async def answer(request: Request, program: Program) -> Response:
        site = getattr(program, of)
        return redirect_to(program, "/") if site is None else await handler(request, site)

    return answer


def make_app(program: Program) -> Starlette:
    own: PageTable = (
        ("/", "GET", home),
        ("/papers", "GET", papers),
        ("/settings", "GET", settings),
        ("/choose", "GET", choose),
        ("/choose", "POST", chosen),
        ("/settings", "POST", save),
        ("/remove", "POST", remove),
        ("/roles", "POST", roles),
        ("/one-time", "POST", one_time),
        ("/hold-key", "POST", hold_key),
        ("/fetch", "POST", fetch),
        ("/find", "POST", find),
        ("/approve", "POST", _with_papers(CallPapers, _approve)),
        ("/unwrap", "POST", _with_papers(CallPapers, _unwrap)),
        ("/hold", "POST", _with_papers(CallPapers, _hold)),
        ("/check-hold", "POST", _with_papers(CallPapers, _check_hold)),
        ("/rewrap", "POST", _with_papers(OverflowCalls, _rewrap)),
        ("/check", "POST", _with_papers(OverflowCalls, _check)),
        ("/open", "POST", listen),
        ("/leave", "POST", leave),
    )
    parts = (("release", handlers.PAGES), ("search", searching.PAGES))
    below = [
        (f"/{of}{path}", method, _page_of_open(of, handler)) for of, table in parts for path, method, handler in table
    ]
    return app_of(program, (*own, *ceremonypages.PAGES, *documentpages.PAGES, *below))
