# SPDX-License-Identifier: Apache-2.0
"""Shared by the routes of releases and holds: the requested call, the subject of a log row, uploads, refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio.to_thread
from sqlalchemy import Connection, select
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from linetap_core.evidence.authorization.release import NamedCall
from linetap_desk.copy import recordfile
from linetap_desk.ingest.tables import calls
from linetap_desk.serve.database.accesslog import Subject, has_number
from linetap_desk.serve.database.tables import holds, requests
from linetap_desk.serve.handling.site import Site, read_ingest
from linetap_desk.serve.release import store, texts, uploadchecks
from linetap_desk.serve.release.steps import StepFault


@dataclass(frozen=True, slots=True)
class Call:
    unit: str
    named: NamedCall


def require_call_name(unit: str, call_id: str) -> None:
    """404 unless these are names of a unit and a call. A telephone number must not reach a query: SQLAlchemy caches the
    first values of a statement."""
    if not (unit + call_id).isprintable() or has_number(unit) or has_number(call_id):
        raise HTTPException(404)


async def find_call(site: Site, unit: str, call_id: str) -> Mapping[str, Any]:
    """The call's row; 404 if there is none."""
    require_call_name(unit, call_id)

    def read(db: Connection) -> Mapping[str, Any] | None:
        row = db.execute(select(calls).where(calls.c.unit == unit, calls.c.call_id == call_id)).mappings().first()
        return None if row is None else dict(row)

    row = await read_ingest(site, read)
    if row is None:
        raise HTTPException(404)
    return row


def require_recorded(row: Mapping[str, Any]) -> Call:
    """The call as a request names it. StepFault if it has nothing to open or hold."""
    if row["destroyed_at"] is not None:
        raise StepFault("call_destroyed", f"{row['call_id']}: it is destroyed")
    if row["record_sha256"] is None or row["disposition"] != "recorded":
        raise StepFault("call_not_recorded", f"{row['call_id']}: nothing of it was recorded and sealed")
    if not recordfile.is_call_id(row["call_id"]):
        raise StepFault("copy_no_call_id", f"{row['call_id']}: not the name of a call")
    return Call(row["unit"], NamedCall(row["call_id"], row["line"], row["record_sha256"]))


def may_be_requested(row: Mapping[str, Any]) -> bool:
    try:
        require_recorded(row)
    except StepFault:
        return False
    return True


DONE_OR_NOT, FILE = (303, 404, 409), ("file",)
REMARK_LIMIT = 300


def id_of(request: Request) -> str:
    return str(request.path_params["id"])


async def subject_of(request: Request) -> Subject:
    """The request or hold in the path; if it does not exist, the text of the path."""
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
    """The uploaded file, within the size limit of a request."""
    found = form.get("file")
    data = await found.read() if isinstance(found, UploadFile) else b""
    if not data:
        raise StepFault("bad_input", "file: it is empty, or none was chosen")
    uploadchecks.require_public(data)
    return data


def remark(form: FormData, needed: bool) -> str:
    text = uploadchecks.typed_field(form.get("remark"))
    if len(text) > REMARK_LIMIT or (needed and not text):
        raise StepFault("no_remark", f"remark: 1 to {REMARK_LIMIT} characters expected")
    return text


def error_texts(site: Site, request: Request, error: Exception) -> dict[str, str]:
    """Code and text, for the page."""
    code = store.code_of(error)
    text = str(error).removesuffix(f" [{code}]")
    refusal = site.pages.translated(request, texts.REFUSAL[code]) if code in texts.REFUSAL else text
    return {"code": code, "text": refusal, "detail": text if code == "bad_input" else ""}


def outgoing_folder(site: Site) -> Path | None:
    """The folder of files that the ingest sends to units; None if it sends none."""
    found = site.settings.desk.outgoing
    return None if found is None else Path(found)
