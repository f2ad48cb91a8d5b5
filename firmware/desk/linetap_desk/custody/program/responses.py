# SPDX-License-Identifier: Apache-2.0
"""Responses of the program's pages: the page with a refusal, or a redirect; and the steps, which run one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from anyio import to_thread
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linetap_core.errors import LinetapError
from linetap_core.evidence.authorization.roles import Roles
from linetap_desk.custody.handlers import REFUSAL as OF_THE_HELPER
from linetap_desk.custody.program import steps
from linetap_desk.custody.program.program import Program
from linetap_desk.serve.release import texts as release_texts

REFUSAL = release_texts.REFUSAL | OF_THE_HELPER

type Again = Callable[[Request, Program, LinetapError | None], Response]


async def run_step(request: Request, program: Program, step: Callable[[], None], again: Again, then: str) -> Response:
    try:
        await run_alone(program, step)
    except LinetapError as error:
        return again(request, program, error)
    return redirect_to(program, then)


async def run_alone(program: Program, step: Callable[[], None]) -> None:
    """Runs a step under the lock of all steps, since each captures the output of its command. Of errors it raises
    LinetapError only."""

    def within() -> None:
        with program.one_at_a_time, steps.in_one_line():
            step()

    await to_thread.run_sync(within)


def page(request: Request, program: Program, template: str, error: LinetapError | None, /, **context: Any) -> Response:
    status = 409 if error else 200
    return program.page(request, template, status, error=error, refusal=REFUSAL, **context)


def redirect_to(program: Program, path: str) -> Response:
    return RedirectResponse(f"{program.room}{path}", 303)


def field(form: FormData, name: str) -> str:
    return str(form.get(name, "")).strip()


def roles_in_force(program: Program) -> Roles | None:
    try:
        return program.roles()
    except LinetapError:
        return None
