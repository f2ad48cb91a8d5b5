# SPDX-License-Identifier: Apache-2.0
"""The proof that a call stands in its unit's log, as the ingest has put it beside the copy.

The custodian's helper judges it by signers of its own; what is said of it here is for people, who can then look for
the log in time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from linetap.desk import callfolder
from linetap.desk.copy.store import closing_path
from linetap.desk.serve.release.steps import Found
from linetap.desk.serve.site import Site
from linetap.errors import BadInput, Refusal
from linetap.evidence import closing

State = Literal["there", "missing", "damaged"]


def read(site: Site, found: Found) -> bytes:
    """Empty where there is none that can be read."""
    try:
        return _read(site, found)
    except (OSError, Refusal, BadInput):
        return b""


def state(site: Site, found: Found) -> State:
    """By the signers that this desk knows."""
    row, signers = found.row, site.settings.desk.signers
    try:
        data = _read(site, found)
        if not data:
            return "missing"
        known = callfolder.load_signers(Path(signers)) if signers else None
        closing.check(closing.decode(data), row["unit"], row["call_id"], row["record_sha256"], known)
    except (OSError, Refusal, BadInput):
        return "damaged"
    return "there"


def _read(site: Site, found: Found) -> bytes:
    copy = site.settings.desk.copy
    if copy is None or (parts := urlsplit(copy.store)).scheme != "file":
        return b""
    path = Path(unquote(parts.path)) / found.row["unit"] / closing_path(found.row["call_id"])
    return callfolder.read(path, closing.LIMIT_BYTES) if path.exists() else b""
