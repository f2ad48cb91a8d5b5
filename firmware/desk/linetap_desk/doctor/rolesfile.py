# SPDX-License-Identifier: Apache-2.0
"""Checks the signed roles.json of this desk: whether it is valid, names this desk's key, and leaves no office without a
person."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from linetap_core.errors import LinetapError, file_and_reason
from linetap_core.evidence.authorization.release import APPROVERS
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import public_blob
from linetap_core.evidence.signing.namespaces import signature_path
from linetap_desk.accesslog import deskfolder
from linetap_desk.accesslog.roles import UNHELD
from linetap_desk.config.desk import DeskConfig
from linetap_desk.doctor import Finding
from linetap_desk.setup import machine
from linetap_desk.setup.machine import as_user, run_program

_NEXT = "the authority signs a next roles.json: docs/release.md"


def roles(config: DeskConfig) -> Iterator[Finding]:
    """The findings; several for several faults. A desk before its first roles has none."""
    file, authority = config.serve.roles, config.serve.authority
    if file is None and authority is None:
        yield Finding("roles", "none yet: no releases, holds or commands on the pages")
        return
    if file is None or authority is None:
        missing = "serve.roles" if file is None else "serve.authority"
        yield Finding("roles", f"desk.toml lacks {missing}", f"{missing} in desk.toml: docs/install-desk.md")
        return
    try:
        _, _, found = deskfolder.read_roles(Path(file), deskfolder.read_authority(Path(authority)))
    except LinetapError as error:
        text = str(error) if str(error).startswith(file) else f"{file}: {error}"
        yield Finding("roles", text, f"linetap roles check {file} --authority {authority}")
        return
    except OSError as error:
        yield Finding("roles", file_and_reason(error, file), "roles.json, roles.json.sig and authority.pub in it")
        return
    for path, user in product((file, str(signature_path(Path(file))), authority), (machine.DESK, machine.PAGES)):
        if run_program(as_user(user, "test", "-r", path)).returncode:
            yield Finding("roles", f"{path} is not readable by {user}", f"chmod 644 {path}")
            return
    faults = [f"nobody holds {office}: {UNHELD[office]}" for office in found.unheld_offices]
    if "desk" not in found.unheld_offices and not _names_key(found, config.key):
        faults.append(f"{config.key}.pub is of no person of role desk: units do not obey this desk")
    if len(found.approver_roles) < APPROVERS:
        have = ", ".join(found.approver_roles) or "none"
        faults.append(f"approvers of {APPROVERS} roles are needed for a release without a rule; there are: {have}")
    for fault in faults:
        yield Finding("roles", f"{file}: {fault}", _NEXT)
    if not faults:
        yield Finding("roles", f"{file}: version {found.version}, every office is held")


def _names_key(found: Roles, key: str | None) -> bool:
    """Whether the desk's key is that of a person of role desk; also for a key that another check reports."""
    try:
        blob = b"" if key is None else public_blob(keys.load_unit_key(Path(key).read_bytes()).public_key())
    except (LinetapError, OSError):
        blob = b""
    return not blob or any(person.role == "desk" and person.blob == blob for person in found.people)
