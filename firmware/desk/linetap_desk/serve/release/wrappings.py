# SPDX-License-Identifier: Apache-2.0
"""A key of a call that was wrapped anew, as far as the desk has it: in the vault officer's folder of holds, or in a
hold's command that was brought to these pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import desc, select

from linetap_core.errors import Refusal
from linetap_core.evidence import command, commandbody, document, hold, namespaces, sealed, sshsig
from linetap_core.evidence.roles import Roles
from linetap_desk import foreign
from linetap_desk.proofs import callfolder
from linetap_desk.release.wrapped import DOCUMENTS, Wrapped, judged
from linetap_desk.serve.release.steps import Found
from linetap_desk.serve.site import Site
from linetap_desk.serve.tables import holds
from linetap_desk.unsealing.checkedcall import KEY_LIMIT_BYTES

MOST_COMMANDS = 20  # of one call, the newest


def newest(site: Site, found: Found, roles: Roles) -> Wrapped | None:
    """Of those that `linetap unwrap --wrapped` takes the one that was made last."""
    call_id, sha256, signed = found.row["call_id"], found.row["record_sha256"], dict[str, Wrapped]()
    for one in (*_laid_down(site, call_id), *_brought(site, found)):
        try:
            signed[judged(one, one.name, call_id, sha256, roles).made_at] = one
        except Refusal:
            continue  # as good as none: the gate at the key would refuse it
    return signed[max(signed)] if signed else None


def _laid_down(site: Site, call_id: str) -> Iterator[Wrapped]:
    copy = site.settings.desk.copy
    if copy is None or copy.holds is None or sealed.CALL_ID.fullmatch(call_id) is None:
        return
    folder = Path(copy.holds) / call_id
    for name in DOCUMENTS:
        try:
            text = callfolder.read(folder / name, hold.LIMIT_BYTES)
            sig = callfolder.read(folder / f"{name}{namespaces.SUFFIX}", sshsig.SIGNATURE_LIMIT_BYTES)
            yield Wrapped(name, text, sig, callfolder.read(folder / sealed.KEY, KEY_LIMIT_BYTES))
        except callfolder.Damaged:
            continue


def _brought(site: Site, found: Found) -> Iterator[Wrapped]:
    mine = (holds.c.unit == found.row["unit"], holds.c.call_id == found.row["call_id"], holds.c.command.is_not(None))
    with site.own.connect() as db:
        rows = db.execute(select(holds.c.command).where(*mine).order_by(desc(holds.c.command_at)).limit(MOST_COMMANDS))
        commands = [bytes(row.command) for row in rows]
    for data in commands:
        try:
            text = foreign.decode(data, command.Envelope).command
            found_in = document.decode(text.encode("utf-8"), command.Command)
            asked = commandbody.read(found_in, commandbody.Hold)
        except (ValueError, command.CommandFault):
            continue
        yield Wrapped(hold.HOLD, asked.data, asked.signature, asked.key_age)
