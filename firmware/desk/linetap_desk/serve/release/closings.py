# SPDX-License-Identifier: Apache-2.0
"""The proof that a call stands in its unit's log, as the ingest has put it beside the copy.

The custodian's helper judges it by signers of its own; what is said of it here is for people, who can then look for
the log in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import closing
from linetap_core.evidence.closing import closing_path
from linetap_desk.proofs import callfolder
from linetap_desk.serve.site import Site

State = Literal["there", "missing", "damaged"]


def read(site: Site, row: Mapping[str, Any]) -> bytes:
    """Empty where there is none that can be read."""
    try:
        return _read(site, row)
    except (OSError, Refusal, BadInput):
        return b""


def state(site: Site, row: Mapping[str, Any]) -> State:
    """By the signers that this desk knows."""
    signers = site.settings.desk.signers
    try:
        data = _read(site, row)
        if not data:
            return "missing"
        known = callfolder.load_signers(Path(signers)) if signers else None
        closing.check(closing.decode(data), row["unit"], row["call_id"], row["record_sha256"], known)
    except (OSError, Refusal, BadInput):
        return "damaged"
    return "there"


def _read(site: Site, row: Mapping[str, Any]) -> bytes:
    copy = site.settings.desk.copy
    if copy is None or (parts := urlsplit(copy.store)).scheme != "file":
        return b""
    path = Path(unquote(parts.path)) / row["unit"] / closing_path(row["call_id"])
    return callfolder.read(path, closing.LIMIT_BYTES) if path.exists() else b""
