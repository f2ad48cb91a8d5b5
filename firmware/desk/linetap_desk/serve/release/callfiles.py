# SPDX-License-Identifier: Apache-2.0
"""Reads the desk's files of a call: its second copy, the proof of its closing, re-wrapped keys, its officers' partials.

They are for display or for a package: each person's own tools verify them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from sqlalchemy import desc, select

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization import command, commandbody
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import hold, sealed
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_core.evidence.sealing import group
from linetap_core.evidence.sealing.group import MemberProgress
from linetap_core.evidence.signing import document, namespaces, sshsig, unitnames
from linetap_desk.copy import recordfile
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import KEY_LIMIT_BYTES
from linetap_desk.serve.database.tables import holds
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.release import store
from linetap_desk.serve.release.steps import Chain, Partial, StepFault
from linetap_desk.unsealing.wrapped import DOCUMENTS, Wrapped, verify_wrapped

ClosingState = Literal["there", "missing", "damaged"]


def copy_folder(site: Site, row: Mapping[str, Any]) -> Path:
    desk = site.settings.desk
    stored = recordfile.read_record(desk, row["unit"], row["call_id"], row["record_sha256"])
    folder = recordfile.folder_of(desk, row["unit"], row["call_id"])
    if stored.why or folder is None:
        raise StepFault(f"copy_{stored.why or 'elsewhere'}", f"{row['call_id']}: no second copy can be read here")
    return folder


def read_closing(site: Site, row: Mapping[str, Any]) -> bytes:
    """The proof of closing stored beside the copy; empty if none can be read."""
    try:
        return _read_closing(site, row)
    except (OSError, Refusal, BadInput):
        return b""


def closing_state(site: Site, row: Mapping[str, Any]) -> ClosingState:
    """Whether that proof is valid, by this desk's signers' file."""
    signers = site.settings.desk.signers
    try:
        data = _read_closing(site, row)
        if not data:
            return "missing"
        known = callfolder.load_signers(Path(signers)) if signers else None
        closing.check(closing.decode(data), row["unit"], row["call_id"], row["record_sha256"], known)
    except (OSError, Refusal, BadInput):
        return "damaged"
    return "there"


def _read_closing(site: Site, row: Mapping[str, Any]) -> bytes:
    copy = site.settings.desk.copy
    if copy is None or (parts := urlsplit(copy.store)).scheme != "file":
        return b""
    path = Path(unquote(parts.path)) / row["unit"] / closing_path(row["call_id"])
    return callfolder.read(path, closing.LIMIT_BYTES) if path.exists() else b""


MOST_COMMANDS = 20  # of one call, the newest


def newest_wrapped(site: Site, row: Mapping[str, Any], roles: Roles) -> Wrapped | None:
    """The latest re-wrapped key that `linetap unwrap --wrapped` accepts: from the vault officer's folder of holds, or
    from an uploaded command. `row`: of a request, or of a hold; a hold's own command is excluded."""
    call_id, sha256, signed = row["call_id"], row["record_sha256"], dict[str, Wrapped]()
    for one in (*(one for _, one in hold_documents(site, row)), *_uploaded_holds(site, row)):
        try:
            signed[verify_wrapped(one, one.name, call_id, sha256, roles).made_at] = one
        except Refusal:
            continue  # the check at the key would refuse it
    return signed[max(signed)] if signed else None


def hold_folders(site: Site, row: Mapping[str, Any]) -> list[Path]:
    """The call's places in the vault officer's folder of holds: by its id, and for papers of two units' calls of the
    same id also by its unit. Empty without such a folder."""
    copy, call_id, unit = site.settings.desk.copy, row["call_id"], row["unit"]
    if copy is None or copy.holds is None or sealed.CALL_ID.fullmatch(call_id) is None:
        return []
    return [Path(copy.holds) / name for name in (call_id, f"{call_id}.{unit}")[: 1 + unitnames.is_name(unit)]]


def hold_documents(site: Site, row: Mapping[str, Any]) -> Iterator[tuple[Path, Wrapped]]:
    """The documents in these places, each with its folder, unverified: they may be another call's."""
    for folder, name in product(hold_folders(site, row), DOCUMENTS):
        try:
            text = callfolder.read(folder / name, hold.LIMIT_BYTES)
            sig = callfolder.read(folder / f"{name}{namespaces.SUFFIX}", sshsig.SIGNATURE_LIMIT_BYTES)
            yield folder, Wrapped(name, text, sig, callfolder.read(folder / sealed.KEY, KEY_LIMIT_BYTES))
        except callfolder.Damaged:
            continue


def _uploaded_holds(site: Site, row: Mapping[str, Any]) -> Iterator[Wrapped]:
    of_call = (holds.c.unit == row["unit"], holds.c.call_id == row["call_id"], holds.c.id != row["id"])
    mine = (*of_call, holds.c.command.is_not(None))
    with site.own.connect() as db:
        rows = db.execute(select(holds.c.command).where(*mine).order_by(desc(holds.c.command_at)).limit(MOST_COMMANDS))
        commands = [bytes(row.command) for row in rows]
    for data in commands:
        try:
            yield of_command(data)
        except (ValueError, command.CommandFault):
            continue


def of_command(data: bytes) -> Wrapped:
    """The hold in a command, unverified. ValueError or CommandFault if there is none."""
    text = strict.decode(data, command.Envelope).command
    asked = commandbody.read(document.decode(text.encode("utf-8"), command.Command), commandbody.Hold)
    return Wrapped(hold.HOLD, asked.data, asked.signature, asked.key_age)


@dataclass(frozen=True, slots=True)
class OfficerPartial:
    """An earlier officer's partial. `file`: its name in the archive; `wrapped`: it belongs to the re-wrapped key."""

    partial: Partial
    place: MemberProgress
    file: str
    wrapped: bool
    mine: bool  # this person may continue it

    @property
    def is_last(self) -> bool:
        return self.place.left == 1


@dataclass(frozen=True, slots=True)
class Officers:
    """The officers of the call's key, or of the re-wrapped one: how many are needed, and which have taken their
    step."""

    start: MemberProgress
    ways: Sequence[OfficerPartial]
    begins: bool  # this person may remove the first layer

    @property
    def mine(self) -> list[OfficerPartial]:
        return [way for way in self.ways if way.mine]

    @property
    def ends(self) -> bool:
        """Whether this person may be the last."""
        return any(way.is_last for way in self.mine)


def officers_of(
    site: Site, row: Mapping[str, Any], chain: Chain, name: str, wrapped: bytes | None = None
) -> Officers | None:
    """The officers; None if one officer opens the key, or if there is no readable copy."""
    try:
        own = callfolder.read(copy_folder(site, row) / sealed.KEY, KEY_LIMIT_BYTES)
        keys = [own] if wrapped is None else [wrapped, own]
        start = max((group.progress_of(key) for key in keys), key=lambda place: place.left)
    except (OSError, Refusal, BadInput):
        return None
    if start.left < 2:
        return None
    open_to = chain.open_to(name)
    of_wrapped = "" if wrapped is None else hashlib.sha256(wrapped).hexdigest()
    by_hash = {hashlib.sha256(key).hexdigest(): key for key in keys}
    ways = []
    with site.own.connect() as db:
        for one in chain.officers:
            key = by_hash.get(one.key_sha256)
            data = store.partial_data(db, row["id"], one) if one.here and key is not None else b""
            if key is not None and data:
                file = partial_name(one, of_wrapped)
                place = group.progress_of(key, data)
                ways.append(OfficerPartial(one, place, file, one.key_sha256 == of_wrapped, one in open_to))
    ways.sort(key=lambda way: way.place.left)  # the chain closest to its end first
    return Officers(start, ways, all(one.by != name for one in chain.officers))


def partial_name(one: Partial, of_wrapped: str = "") -> str:
    """The partial's name in an archive. `of_wrapped`: the hash of the re-wrapped key."""
    return f"partial/{'wrapped-' if one.key_sha256 == of_wrapped else ''}{one.numbers}{sealing.SUFFIX}"
