# SPDX-License-Identifier: Apache-2.0
"""Stores the papers of a hold in the desk's folder of holds, where `linetap epoch destroy --holds` counts them: first
when the vault officer uploads the command, then the check by another vault officer.

The folder is named after the hold's id, since a call may have several holds, and a re-wrapped key.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linetap_core.durable.files import replace_durably
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import hold
from linetap_core.evidence.signing import sshsig
from linetap_desk.proofs import callfolder
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.release import callfiles
from linetap_desk.serve.release.steps import StepFault
from linetap_desk.unsealing import wrapped
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX, Wrapped

_CHECK = f"{hold.HOLD}{CHECK_SUFFIX}"
_MODE = 0o644  # the officers of the ceremony are other users


def folder_of(site: Site, hold_id: str) -> Path | None:
    """The hold's folder; None if desk.toml names no folder of holds."""
    copy = site.settings.desk.copy
    return None if copy is None or copy.holds is None else Path(copy.holds) / hold_id


def write_files(site: Site, hold_id: str, papers: Wrapped) -> None:
    """Writes the files, replacing those of an earlier command; the document is written last. StepFault if that
    fails."""
    folder = folder_of(site, hold_id)
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _CHECK).unlink(missing_ok=True)
        files = papers.members()
        for name in sorted(files, key=lambda name: (name == papers.name, name)):
            replace_durably(folder / name, files[name], mode=_MODE)
    except OSError as error:
        raise StepFault("holds_missing", f"[copy] holds: {folder.name}: {error.strerror}") from None


def checked_by(site: Site, row: Mapping[str, Any], roles: Roles) -> str:
    """The vault officer who confirmed that the wrapped key opens; empty before that."""
    folder = folder_of(site, row["id"])
    if folder is None or row["command"] is None:
        return ""
    try:
        armored = callfolder.read(folder / _CHECK, sshsig.SIGNATURE_LIMIT_BYTES)
        return _checker(of_row(row), armored, roles, row["signer"])
    except (OSError, Refusal, BadInput):
        return ""


def take_check(site: Site, row: Mapping[str, Any], armored: bytes, roles: Roles) -> None:
    """Stores the check. StepFault unless another vault officer has signed that the key of this hold opens, or if it
    cannot be stored."""
    folder, papers = folder_of(site, row["id"]), of_row(row)
    if folder is None:
        raise StepFault("holds_missing", "[copy] holds: desk.toml names no folder for them")
    try:
        _checker(papers, armored, roles, row["signer"])
    except Refusal as error:
        raise StepFault("hold_check", f"{row['id']}: {error}") from None
    try:
        if not (folder / papers.name).exists() or (folder / papers.name).read_bytes() != papers.document:
            write_files(site, row["id"], papers)  # uploaded in a version that stored no papers
        replace_durably(folder / _CHECK, armored, mode=_MODE)
    except OSError as error:
        raise StepFault("holds_missing", f"[copy] holds: {folder.name}: {error.strerror}") from None


def of_row(row: Mapping[str, Any]) -> Wrapped:
    """The papers in the uploaded command."""
    return callfiles.of_command(bytes(row["command"]))


def _checker(papers: Wrapped, armored: bytes, roles: Roles, signer: str) -> str:
    return wrapped.require_check_signature(papers.document, armored, roles, signer).name
