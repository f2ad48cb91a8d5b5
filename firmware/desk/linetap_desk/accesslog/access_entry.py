# SPDX-License-Identifier: Apache-2.0
"""What one step at the desk leaves in the access log: who, when, from where, whose, what, and what became of it."""

from __future__ import annotations

import os
import pwd
import socket

import msgspec

_TEXT_LIMIT = 160  # characters of a field, as a leaf has a limit; keys and hashes are shorter
_MOST_APPROVERS = 4


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One leaf. `outcome` granted stands before the deed; `failed` says of leaf `grant` that nothing came of it."""

    verb: str
    at: str = ""
    outcome: str = ""
    user: str = ""
    host: str = ""
    origin: str = msgspec.field(name="from", default="")  # the address an ssh session came from
    name: str = ""  # the person, as far as the deed says it
    request: str = ""
    request_sha256: str = ""
    purpose: str = ""
    case: str = ""
    requester: str = ""
    recipient: str = ""
    one_time: str = ""
    calls: list[str] = msgspec.field(default_factory=list)
    key_sha256: str = ""  # of the key.age whose layer came off
    left: int = 0  # so many members of a group are still to come: nothing was given out yet
    lines: list[int] = msgspec.field(default_factory=list)
    approvers: list[str] = msgspec.field(default_factory=list)
    roles: int = 0  # the version in force
    roles_sha256: str = ""  # when they came into force
    unreleased: bool = False
    number: str = ""  # what was searched for, masked
    span: str = ""  # from/to of a search
    grant: int | None = None
    code: str = ""
    text: str = ""


def leaf_of(entry: Entry, at: str) -> dict[str, object]:
    """Every field that is set, cut to what fits into a leaf: nobody keeps a step out of the log by a long name."""
    entry = msgspec.structs.replace(entry, at=at, user=_user(), host=socket.gethostname(), origin=_origin())
    fields: dict[str, object] = msgspec.to_builtins(entry)
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = value[:_TEXT_LIMIT].encode("utf-8", "backslashreplace").decode("utf-8")
    fields |= {"approvers": entry.approvers[:_MOST_APPROVERS]} if entry.approvers else {}
    return fields


def _user() -> str:
    """The account; the one before sudo stands in front."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    before = os.environ.get("SUDO_USER", "")
    return f"{before} as {name}" if before else name


def _origin() -> str:
    return os.environ.get("SSH_CONNECTION", "").partition(" ")[0]
