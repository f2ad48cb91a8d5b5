# SPDX-License-Identifier: Apache-2.0
"""What routes of releases and of holds have in common: who is meant, and how a refusal is said."""

from __future__ import annotations

import anyio.to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from linetap_desk.serve.access.log import Subject
from linetap_desk.serve.release import judge, store, words
from linetap_desk.serve.release.stepfault import StepFault
from linetap_desk.serve.site import Site
from linetap_desk.serve.tables import holds, requests

MAY = frozenset({"officer", "approver-legal", "approver-manager", "vault", "custodian", "auditor"})
TAKES_PART = MAY - {"auditor"}
DONE_OR_NOT, FILE = (303, 404, 409), ("file",)
REMARK_LIMIT = 300


def id_of(request: Request) -> str:
    return str(request.path_params["id"])


async def subject_of(request: Request) -> Subject:
    """Of the request or hold that the path names; of one that is none, what was typed."""
    named, site = id_of(request), request.state.site
    table = holds if named.startswith("H") else requests
    if store.ID.fullmatch(named) is None:
        return Subject(terms=named)

    def read() -> Subject:
        with site.own.connect() as db:
            row = db.execute(table.select().where(table.c.id == named)).mappings().first()
        return Subject(terms=named) if row is None else store.subject(row)

    return await anyio.to_thread.run_sync(read)


async def upload(form: FormData) -> bytes:
    """The bytes of its one file; at most what a request may have."""
    found = form.get("file")
    data = await found.read() if isinstance(found, UploadFile) else b""
    if not data:
        raise StepFault("bad_input", "file: it is empty, or none was chosen")
    judge.require_public(data)
    return data


def remark(form: FormData, needed: bool) -> str:
    text = judge.typed(form.get("remark"))
    if len(text) > REMARK_LIMIT or (needed and not text):
        raise StepFault("no_remark", f"remark: 1 to {REMARK_LIMIT} characters would be right")
    return text


def said(site: Site, request: Request, error: Exception) -> dict[str, str]:
    """Code and text, for the page."""
    code = store.code_of(error)
    text = str(error).removesuffix(f" [{code}]")
    return {"code": code, "text": site.pages.say(request, words.REFUSAL[code]) if code in words.REFUSAL else text,
            "detail": text if code == "bad_input" else ""}  # fmt: skip
