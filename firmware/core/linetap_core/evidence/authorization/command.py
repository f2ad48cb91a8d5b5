# SPDX-License-Identifier: Apache-2.0
"""A signed command to a unit: its envelope, and the conditions under which the unit executes it.

`{"command": TEXT, "sig": ARMORED}`, where TEXT is one line of JSON with its keys in order, signed in namespace
linetap-command: `jq -j .command FILE | ssh-keygen -Y check-novalidate -n linetap-command -s SIG` verifies it too. Files
and the network carry the same form. `sig` may hold the signatures of several people over the same text, one block after
the other: the first belongs to the role that commands, the others to cosigners. There is no verb that plays, silences,
listens, or shortens a retention.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.clock import parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.authorization.counters import MOST_SEEN, Bound, Counters
from linetap_core.evidence.calls.indexhead import SignedListHead
from linetap_core.evidence.keys.keys import PublicKey, fingerprint
from linetap_core.evidence.merklelog.closing import Closing
from linetap_core.evidence.signing import authority as authorities
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.evidence.signing.authority import Authority

if TYPE_CHECKING:  # a carrier of commands loads no roles
    from linetap_core.evidence.authorization.roles import Roles

ANY_TIME = Bound()
LIMIT_BYTES = document.LIMIT_BYTES  # of an envelope
SUFFIX, OF_MANY = ".command", ".commands"  # of a file with one command; with several, one a line
AUTHORITY, VAULT, DESK, OPERATOR = "authority", "vault", "desk", "operator"
APPROVER = "approver"  # any role that is not an office of the desk: privacy, legal

# Expires with its challenge at the next boot: a wrong retention time must not prevent its own correction.
TIME = "time"

# The roles that may send each verb.
MAY: dict[str, tuple[str, ...]] = {
    "identify": (DESK,), "self_test": (DESK,), "ack": (DESK,), "resend": (DESK,), "fetch": (DESK,),
    "config": ("operator",), "update": ("operator",), "learn": ("operator",),
    "time": (DESK, VAULT), "hold": (VAULT,), "destroy": (VAULT,),
    "roles": (AUTHORITY,), "key_list": (AUTHORITY,),
    "confirm": (VAULT, APPROVER, AUTHORITY), "cancel": (VAULT, APPROVER, AUTHORITY),
}  # fmt: skip
IDENTIFY_LONGEST_S = 600
# Sent every second and harmless when repeated: no leaf of the log, and no counter on disk before it is done.
LIGHT = ("ack", "resend", "fetch")


def may(role: str, verb: str) -> bool:
    """Whether a role may send a verb of MAY."""
    from linetap_core.evidence.authorization.roles import OFFICES  # a carrier of commands loads no roles

    return role in MAY[verb] or (APPROVER in MAY[verb] and role not in OFFICES)


class CommandFault(Refusal):
    """The command is refused; `code` is the reason. `command` is set if its signature is valid."""

    def __init__(self, code: str, text: str, command: Command | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.command = command


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    command: str
    sig: str


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A command. `counter` differs for every command of a key (counters.py). `body`: commandbody.py, as texts."""

    unit: str
    verb: Annotated[str, Meta(max_length=32)]
    role: Annotated[str, Meta(max_length=32)]
    counter: Annotated[int, Meta(ge=1, lt=1 << 62)]
    expires: str
    body: Annotated[dict[Annotated[str, Meta(max_length=32)], str], Meta(max_length=8)] = {}


class Holder(msgspec.Struct, frozen=True):
    """The person behind a signature. `key`: the fingerprint."""

    role: str
    name: str
    key: str


class Signed(msgspec.Struct, frozen=True):
    """A command and its signers, the commanding one first; each has a different key."""

    command: Command
    by: tuple[Holder, ...]

    def is_used(self, counters: Counters) -> bool:
        return counters.is_used(*self._use)

    def is_too_far(self, counters: Counters, bound: Bound) -> bool:
        return counters.is_too_far(*self._use, bound)

    def using(self, counters: Counters) -> Counters:
        return counters.using(*self._use)

    @property
    def _use(self) -> tuple[list[str], int, bool]:
        command = self.command
        return [holder.key for holder in self.by], command.counter, command.verb in LIGHT

    @property
    def cosigners(self) -> tuple[Holder, ...]:
        return self.by[1:]


class Found(msgspec.Struct, frozen=True):
    """One result of a self-test: an alert, and its check."""

    check: str
    severity: str
    line: int | None
    text_ko: str
    text_en: str
    action_ko: str
    action_en: str


class Outcome(msgspec.Struct, frozen=True):
    """The result of an executed command."""

    text: str
    findings: list[Found] | None = None
    config_sha256: str | None = None
    closing: Closing | None = None
    listed: SignedListHead | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The unit's answer. It repeats no part of a command of an unknown signer."""

    unit: str
    at: str
    done: bool
    code: str  # "done", or the reason of the refusal
    text: str
    verb: str | None = None
    role: str | None = None
    counter: int | None = None
    findings: list[Found] | None = None  # of `self_test`, the worst first
    config_sha256: str | None = None  # for `config`: of the effective configuration after the change
    granted: dict[str, str] | None = None  # of a fetch: its body; the reporter sends the requested bytes
    closing: Closing | None = None  # for a fetch that requests it
    listed: SignedListHead | None = None  # for a fetch of the index's list: its head; None while the unit reads


def seal(command: Command, sign: object) -> bytes:
    """Returns the envelope, with a line end. `sign`: bytes -> armored SSHSIG of linetap-command."""
    assert callable(sign)
    text = document.encode(command)
    return msgspec.json.encode(Envelope(text.decode("utf-8"), sign(text))) + b"\n"


def cosign(data: bytes, sign: object) -> bytes:
    """The envelope with one more signature after the existing ones. BadInput if that is impossible."""
    assert callable(sign)
    try:
        envelope = _envelope(data)
    except CommandFault as fault:
        raise BadInput(str(fault)) from None
    sig = envelope.sig + sign(envelope.command.encode("utf-8"))
    try:
        sshsig.check_all(envelope.command.encode("utf-8"), sig.encode("ascii"), namespaces.COMMAND)
    except (sshsig.SignatureFault, UnicodeEncodeError) as error:
        raise BadInput(str(error)) from None
    return msgspec.json.encode(Envelope(envelope.command, sig)) + b"\n"


def check(
    data: bytes, unit: str, authority: PublicKey | Authority, roles: Roles | None, counters: Counters, now_ns: int
) -> Command:
    """Verifies a command; returns it if the unit may execute it, else CommandFault. `counters`: the used ones."""
    return check_signed(data, unit, authority, roles, counters, now_ns).command


def check_signed(
    data: bytes, unit: str, authority: PublicKey | Authority, roles: Roles | None, counters: Counters, now_ns: int,
    bound: Bound = ANY_TIME, is_dated: bool = True,
) -> Signed:  # fmt: skip
    """Verifies a command and returns it with its signers; otherwise CommandFault. An unknown cosigner makes it invalid.

    `bound`: the highest counters. `is_dated` False: the unit's date was never set. A clock that is wrong by a decade
    must not stop delivery and copies, so the desk's commands do not expire then.
    """
    command, signed_by = _opened(data)
    if command.unit != unit:
        raise CommandFault("command_other_unit", f"it is for {command.unit!r}, and this is {unit!r}", None)
    holders = [_holder(key, authority, roles) for key in signed_by]
    if holders[0] is None or holders[0].role != command.role:
        raise CommandFault("command_signer", f"the key that signed is not one of role {command.role!r}")
    by = tuple(holder for holder in holders if holder is not None)
    if len(by) != len(holders):
        raise CommandFault("command_signer", "one of the cosigners is not in roles.json", command)
    if command.role == AUTHORITY and (wrong := _lacking(authority, signed_by)) is not None:
        raise CommandFault("command_signer", wrong)
    signed = Signed(command, by)
    if command.verb not in MAY:
        raise CommandFault("command_verb", f"there is no verb {command.verb!r}", command)
    if not may(command.role, command.verb):
        allowed = " or ".join(MAY[command.verb])
        raise CommandFault("command_role", f"{command.verb} is for {allowed}, not for {command.role}", command)
    if signed.is_too_far(counters, bound):
        text = f"counter {command.counter} is above {bound.soon}: milliseconds since 1970 by a right clock are right"
        raise CommandFault("command_counter", text, command)
    if signed.is_used(counters):
        text = f"counter {command.counter} was used with this key, or {MOST_SEEN} later ones were"
        raise CommandFault("command_repeated", text, command)
    has_end = command.verb != TIME and (is_dated or command.role != DESK)
    if has_end and _time(command.expires) <= now_ns:
        raise CommandFault("command_expired", f"it was good until {command.expires}", command)
    return signed


def signed_by(data: bytes, armored: bytes, namespace: str, roles: Roles | None, role: str) -> None:
    """Raises CommandFault (`document_signature`) unless a person of `role` has signed `data`."""
    try:
        key = sshsig.check(data, armored, namespace)
    except sshsig.SignatureFault as error:
        raise CommandFault("document_signature", f"the document in it: {error}") from None
    person = roles.holder(key) if roles is not None else None
    if person is None or person.role != role:
        raise CommandFault("document_signature", f"the document in it is not signed by one of role {role!r}")


def _holder(key: PublicKey, authority: PublicKey | Authority, roles: Roles | None) -> Holder | None:
    """The person with this key. Only the configuration names the authority's key: roles.json cannot assign that
    role.
    """
    if authorities.of(authority).holds(key):
        return Holder(AUTHORITY, AUTHORITY, fingerprint(key))
    person = roles.holder(key) if roles is not None else None
    return None if person is None or person.role == AUTHORITY else Holder(person.role, person.name, fingerprint(key))


def _lacking(authority: PublicKey | Authority, signed_by: list[PublicKey]) -> str | None:
    """A reason if too few members of the authority have signed the command; others may cosign."""
    whole = authorities.of(authority)
    return whole.reason_against([key for key in signed_by if whole.holds(key)])


def _envelope(data: bytes) -> Envelope:
    if len(data) > LIMIT_BYTES:
        raise CommandFault("command_too_large", f"larger than {LIMIT_BYTES} bytes")
    try:
        return jsontext.decode(data, type=Envelope)
    except ValueError as error:
        raise CommandFault("command_malformed", f"not a command's envelope: {error}") from None


def _opened(data: bytes) -> tuple[Command, list[PublicKey]]:
    """The signed text and its keys. Sizes and nesting are limited before anything is trusted."""
    envelope = _envelope(data)
    try:
        text, armored = envelope.command.encode("utf-8"), envelope.sig.encode("ascii")
    except ValueError as error:
        raise CommandFault("command_malformed", f"not a command's envelope: {error}") from None
    try:
        signed_by = sshsig.check_all(text, armored, namespaces.COMMAND)
    except sshsig.SignatureFault as error:
        raise CommandFault("command_unsigned", str(error)) from None
    try:
        command = document.decode(text, Command)
        _time(command.expires)
    except ValueError as error:
        raise CommandFault("command_malformed", f"not a command: {error}") from None
    return command, signed_by


def _time(text: str) -> int:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise BadInput(f"not a time: {error}") from None
