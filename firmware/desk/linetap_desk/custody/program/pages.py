# SPDX-License-Identifier: Apache-2.0
"""The program's pages: what a person can do here, the file from the desk that is open, the settings, and a choice among
the files of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from anyio import to_thread
from starlette.applications import Starlette
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.errors import BadInput, LinetapError
from linetap_core.evidence.authorization.roles import Roles
from linetap_desk.custody import handlers, package
from linetap_desk.custody.package import Package
from linetap_desk.custody.program import chooser, choosing, steps
from linetap_desk.custody.program.choosing import WHAT
from linetap_desk.custody.program.papers import OverflowCalls, Papers
from linetap_desk.custody.program.program import Program
from linetap_desk.custody.search import pages as searching
from linetap_desk.serve.release import steps as release

REFUSAL = release.REFUSAL | handlers.REFUSAL


async def home(request: Request, program: Program) -> Response:
    return _home(request, program)


def _home(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    return _page(
        request, program, "program/home.html", error, role=program.role, may=program.may, said=program.said,
        is_ready=_roles(program) is not None, open=program.open, release=program.release, search=program.search,
    )  # fmt: skip


async def papers(request: Request, program: Program) -> Response:
    return _papers(request, program)


def _papers(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    """What the file says, and the steps that can be taken with it."""
    found = program.open
    if found is None:
        return _to(program, "/")
    if isinstance(found, OverflowCalls):
        return _page(
            request, program, "program/overflow.html", error, papers=found, identities=program.suggested(),
            said=program.said, settings=program.settings,
        )  # fmt: skip
    roles = _roles(program)
    purpose = roles.purpose(found.request.purpose) if roles and found.request else None
    return _page(
        request, program, "program/papers.html", error, papers=found, is_package=isinstance(found, Package),
        purpose=purpose, identities=program.suggested(), may=program.may, said=program.said, settings=program.settings,
        party=release.PARTY,
    )  # fmt: skip


async def settings(request: Request, program: Program) -> Response:
    return _settings(request, program)


def _settings(request: Request, program: Program, error: LinetapError | None = None) -> Response:
    roles = _roles(program)
    return _page(
        request, program, "program/settings.html", error, settings=program.settings, what=WHAT, chosen=program.chosen,
        people=[] if roles is None else roles.people, version=None if roles is None else roles.version,
        said=program.said, role=program.role,
    )  # fmt: skip


async def choose(request: Request, program: Program) -> Response:
    return _choose(request, program, request.query_params.get("what", ""), request.query_params.get("at", ""))


def _choose(request: Request, program: Program, what: str, at: str, error: LinetapError | None = None) -> Response:
    if what not in WHAT:
        raise HTTPException(404)
    places = chooser.places()
    listed = None
    try:
        folder = Path(at) if at else next(iter(places), Path.home())
        listed = chooser.listed(folder.absolute(), WHAT[what].suffixes)
    except LinetapError as fault:
        error = error or fault
    return _page(
        request, program, "program/choose.html", error, name=what, what=WHAT[what], listed=listed, places=places
    )


async def chosen(request: Request, program: Program) -> Response:
    form = await request.form()
    what, path = _word(form, "what"), Path(_word(form, "path"))
    if what not in WHAT:
        raise HTTPException(400)
    try:
        await _alone(program, lambda: choosing.take(program, what, path))
    except LinetapError as error:
        return _choose(request, program, what, str(path.parent), error)
    return _to(program, "/papers" if what == "archive" else "/" if WHAT[what].on_home else "/settings")


async def save(request: Request, program: Program) -> Response:
    form = await request.form()
    desk, name = _word(form, "desk").rstrip("/"), _word(form, "name")

    def do() -> None:
        if desk:
            package.connection_to(desk, program.settings.path("ca"), 1.0).close()
        program.keep(desk=desk, name=name)

    return await _do(request, program, do, _settings, "/settings")


async def remove(request: Request, program: Program) -> Response:
    form = await request.form()
    what, path = _word(form, "what"), _word(form, "path")
    if what not in ("identities", "index"):
        raise HTTPException(400)
    kept = [each for each in getattr(program.settings, what) if each != path]
    return await _do(request, program, lambda: program.keep(**{what: kept}), _settings, "/settings")


async def roles(request: Request, program: Program) -> Response:
    def do() -> None:
        program.said = steps.take_roles(program.chosen, program.desk_folder, program.clock)
        program.chosen.clear()

    return await _do(request, program, do, _settings, "/settings")


async def one_time(request: Request, program: Program) -> Response:
    wanted = _word(await request.form(), "id")

    def do() -> None:
        path, public = steps.one_time_key(wanted, program.settings, program.desk_folder, program.clock)
        program.add("identities", path)
        program.said = [str(path), public]

    return await _do(request, program, do, _home, "/")


async def hold_key(request: Request, program: Program) -> Response:
    def do() -> None:
        path, public = steps.hold_key(program.settings, program.clock)
        program.said = [str(path), public]

    return await _do(request, program, do, _papers, "/papers")


async def fetch(request: Request, program: Program) -> Response:
    ticket = _word(await request.form(), "ticket")

    def do() -> None:
        package.require_ticket(ticket)
        with package.fetched(program.settings.desk, program.settings.path("ca"), ticket) as source:
            try:
                program.take(source)
            except OSError as error:
                if isinstance(error, LinetapError):
                    raise
                raise BadInput(f"{program.settings.desk}: {error}") from None

    return await _do(request, program, do, _home, "/papers")


async def find(request: Request, program: Program) -> Response:
    ticket = _word(await request.form(), "ticket")

    def do() -> None:
        package.require_ticket(ticket)
        program.begin_search(ticket)

    return await _do(request, program, do, _home, "/search/")


async def approve(request: Request, program: Program) -> Response:
    def do() -> None:
        program.said = steps.approve(_opened(program), program.settings, program.desk_folder, program.clock)

    return await _do(request, program, do, _papers, "/papers")


async def unwrap(request: Request, program: Program) -> Response:
    form = await request.form()

    def do() -> None:
        program.said = steps.unwrap_call(
            _opened(program), program.settings, _identities(program, form), _word(form, "partial"), program.desk_folder,
            program.clock,
        )  # fmt: skip

    return await _do(request, program, do, _papers, "/papers")


async def hold(request: Request, program: Program) -> Response:
    form = await request.form()

    def do() -> None:
        program.said = steps.hold_call(
            _opened(program), program.settings, _identities(program, form), _word(form, "to"), _word(form, "partial"),
            program.desk_folder, program.clock,
        )  # fmt: skip

    return await _do(request, program, do, _papers, "/papers")


async def check_hold(request: Request, program: Program) -> Response:
    form = await request.form()

    def do() -> None:
        program.said = steps.check_hold(
            _opened(program), program.settings, _identities(program, form), program.desk_folder, program.clock
        )

    return await _do(request, program, do, _papers, "/papers")


async def rewrap(request: Request, program: Program) -> Response:
    form = await request.form()

    def do() -> None:
        program.said = steps.rewrap_calls(
            _overflow(program), program.settings, _identities(program, form), _word(form, "day"), program.desk_folder,
            program.clock,
        )  # fmt: skip

    return await _do(request, program, do, _papers, "/papers")


async def check(request: Request, program: Program) -> Response:
    form = await request.form()

    def do() -> None:
        program.said = steps.check_rewrapped(
            _overflow(program), program.settings, _identities(program, form), program.desk_folder, program.clock
        )

    return await _do(request, program, do, _papers, "/papers")


async def listen(request: Request, program: Program) -> Response:
    form = await request.form()
    return await _do(request, program, lambda: program.open_release(_identities(program, form)), _papers, "/release/")


async def leave(request: Request, program: Program) -> Response:
    return await _do(request, program, program.leave, _home, "/")


def _opened(program: Program) -> Papers:
    if not isinstance(program.open, Papers):
        raise BadInput("there is no file for this step open")
    return program.open


def _overflow(program: Program) -> OverflowCalls:
    if not isinstance(program.open, OverflowCalls):
        raise BadInput("there is no file for this step open")
    return program.open


def _identities(program: Program, form: FormData) -> list[Path]:
    """Of the person's own; a path that the form alone names is none."""
    named = {str(each) for each in form.getlist("identity")}
    found = [Path(each) for each in program.settings.identities if each in named]
    if not found:
        raise BadInput("choose your key")
    return found


def _roles(program: Program) -> Roles | None:
    try:
        desk = program.desk
        return desk.roles(desk.access.entries())
    except LinetapError:
        return None


async def _alone(program: Program, do: Callable[[], None]) -> None:
    """One step at a time: what a command prints goes to its own page."""

    def alone() -> None:
        with program.one_at_a_time:
            do()

    await to_thread.run_sync(alone)


type Again = Callable[[Request, Program, LinetapError | None], Response]


async def _do(request: Request, program: Program, do: Callable[[], None], again: Again, then: str) -> Response:
    try:
        await _alone(program, do)
    except LinetapError as error:
        return again(request, program, error)
    return _to(program, then)


def _page(request: Request, program: Program, template: str, error: LinetapError | None, /, **context: Any) -> Response:
    status = 409 if error else 200
    return program.page(request, template, status, error=error, refusal=REFUSAL, **context)


def _to(program: Program, path: str) -> Response:
    return RedirectResponse(f"{program.room}{path}", 303)


def _word(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def _within(of: str, handler: handlers.Handler) -> handlers.Handler:
    """A page of the opened release, or of the search; without one, the home page."""

    async def answer(request: Request, program: Program) -> Response:
        site = getattr(program, of)
        return _to(program, "/") if site is None else await handler(request, site)

    return answer


def make_app(program: Program) -> Starlette:
    own: handlers.Inside = (
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
        ("/approve", "POST", approve),
        ("/unwrap", "POST", unwrap),
        ("/hold", "POST", hold),
        ("/check-hold", "POST", check_hold),
        ("/rewrap", "POST", rewrap),
        ("/check", "POST", check),
        ("/open", "POST", listen),
        ("/leave", "POST", leave),
    )
    parts = (("release", handlers.INSIDE), ("search", searching.INSIDE))
    below = [(f"/{of}{path}", method, _within(of, handler)) for of, inside in parts for path, method, handler in inside]
    return handlers.app_of(program, (*own, *below))
