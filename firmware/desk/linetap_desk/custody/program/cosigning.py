# SPDX-License-Identifier: Apache-2.0
"""Adds a second person's signature to a command. The unit's own code parses the command; it is shown in words, and the
shown bytes are signed. Required for a hold that ends early, a weakening, and the time."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from linetap_core.clock import Clock
from linetap_core.durable import privatefile, signedfile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import OF_MANY, Signed
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.roles import OFFICES, Roles
from linetap_core.evidence.calls import hold as holds
from linetap_core.evidence.calls.hold import Hold
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority
from linetap_core.rundir import read_small
from linetap_desk.ingest.batches import LIMIT_BYTES, lines_of
from linetap_desk.ingest.commandfiles import unverified
from linetap_desk.inputs import strict


@dataclass(frozen=True, slots=True)
class ChosenCommand:
    """A chosen command, for one unit or several. `hold`: the hold that it orders, if any; `lines`: the content of any
    other command."""

    path: Path
    data: bytes
    units: list[str]
    signed: Signed  # the command of the first unit
    hold: Hold | None
    lines: list[str]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def read(path: Path, authority: Authority, roles: Roles, clock: Clock) -> ChosenCommand:
    """Reads the command. BadInput or a Refusal if no unit would accept it with any signature, or if it differs among
    units."""
    data = read_small(path, LIMIT_BYTES if path.suffix == OF_MANY else envelopes.LIMIT_BYTES)
    try:
        each = [checked_command(line, authority, roles, clock) for line in lines_of(data)]
    except BadInput as error:
        raise BadInput(f"{path}: not a command: {error}") from None
    signed = each[0]
    for one in each:
        if one.by != signed.by or msgspec.structs.replace(one.command, unit=signed.command.unit) != signed.command:
            raise BadInput(f"{path}: not the same command to each unit")
    body = signed.command.body
    found = None
    if signed.command.verb == "hold":
        asked = commandbody.read(signed.command, commandbody.Hold)
        envelopes.signed_by(asked.data, asked.signature, namespaces.HOLD, roles, envelopes.VAULT)
        with contextlib.suppress(Refusal):
            document = holds.decode(asked.data)
            found = document if isinstance(document, Hold) else None
        if found is None:
            raise BadInput(f"{path}: there is no hold in this command")
    text = "\n".join(f"{name}: {body[name]}".removesuffix("\n") for name in sorted(body))
    lines = [] if found else strict.legible_lines(text, path)
    return ChosenCommand(path, data, [one.command.unit for one in each], signed, found, lines)


def cosign(
    order: ChosenCommand, sha256: str, key: Path, output: Path, authority: Authority, roles: Roles, clock: Clock
) -> list[str]:
    """Writes the command with one more signature into a separate file. A Refusal if that person's signature does not
    count."""
    if sha256 != order.sha256:
        raise BadInput(f"{order.path}: has changed since it was shown: check it again")
    signer = signedfile.load_key(key)
    made = [
        envelopes.cosign(line, lambda text: sshsig.sign(text, signer, namespaces.COMMAND))
        for line in lines_of(order.data)
    ]
    each = [checked_command(line, authority, roles, clock) for line in made]
    signed = each[0]
    if not _counts(signed):
        last = signed.by[-1]
        raise Refusal(f"a signature of {last.name} ({last.role}) adds nothing to this command: {signed.command.verb}")
    whole = b"".join(made)
    if len(whole) > LIMIT_BYTES:
        raise BadInput(f"{order.path}: with one more signature it is more than the desk takes at once")
    target = output / f"{order.path.stem}.both{order.path.suffix}"
    privatefile.write(target, whole)
    return [*(f"{one.name} ({one.role})" for one in signed.by), str(target)]


def _counts(signed: Signed) -> bool:
    """Whether the last signature is one that a unit requires."""
    command, role = signed.command, signed.by[-1].role
    if role == envelopes.AUTHORITY:
        return command.role == envelopes.AUTHORITY
    if command.verb in (envelopes.TIME, "destroy"):
        return role == envelopes.VAULT
    return command.verb in ("hold", "config", "key_list") and (role == envelopes.VAULT or role not in OFFICES)


def checked_command(data: bytes, authority: Authority, roles: Roles, clock: Clock) -> Signed:
    """The command. BadInput or a Refusal if no unit would accept it, whoever signs in addition. Of an authority of
    several keys one signature is enough here: the others sign later."""
    one_of = dataclasses.replace(authority, needed=1)
    return envelopes.check_signed(data, unverified(data).unit, one_of, roles, Counters(), clock.utc_ns())
