# SPDX-License-Identifier: Apache-2.0
"""The roles in force at the server: a signed public file, verified at each use, never an older version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select

from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.roles import Roles, RolesFault
from linetap_desk.accesslog.deskfolder import read_authority, read_roles
from linetap_desk.serve.site import Site
from linetap_desk.serve.tables import roles_seen
from linetap_desk.serve.transactions import one_at_a_time, writing

_LOCK = 0x6C74726F6C
_ONLY = 1


@dataclass(frozen=True, slots=True)
class InForce:
    data: bytes
    sig: bytes
    roles: Roles


def in_force(site: Site) -> InForce:
    """RolesFault says why no roles are in force."""
    serve = site.settings.desk.serve
    if serve.roles is None or serve.authority is None:
        raise RolesFault("roles_missing", "serve.roles and serve.authority stand in no desk.toml")
    with site.own.connect() as db:
        version, sha256 = _seen(db)
    try:
        data, sig, roles = read_roles(Path(serve.roles), read_authority(Path(serve.authority)), version)
    except BadInput as error:
        raise RolesFault("roles_missing", str(error)) from None
    digest = hashlib.sha256(data).hexdigest()
    if roles.version == version and sha256 and digest != sha256:
        raise RolesFault("roles_version_taken", f"another version {version} was in use here")
    if digest != sha256:
        with writing(site.own) as db:
            one_at_a_time(db, _LOCK)
            if _seen(db)[0] <= roles.version:
                db.execute(delete(roles_seen))
                db.execute(insert(roles_seen).values(id=_ONLY, version=roles.version, sha256=digest))
    return InForce(data, sig, roles)


def _seen(db: Connection) -> tuple[int, str]:
    found = db.execute(select(roles_seen.c.version, roles_seen.c.sha256)).one_or_none()
    return (1, "") if found is None else (found.version, found.sha256)
