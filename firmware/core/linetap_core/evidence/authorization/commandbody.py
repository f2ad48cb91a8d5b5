# SPDX-License-Identifier: Apache-2.0
"""The body of a command, one type for each verb: the desk makes it, the unit reads it. Pure.

On the wire every value is a text (`Command.body`): a number is decimal, bytes are base64, and an optional field is
omitted. The three bodies of `fetch` are in fetch.py.
"""

from __future__ import annotations

import base64
import re

import msgspec

from linetap_core.evidence.authorization.command import IDENTIFY_LONGEST_S, Command, CommandFault
from linetap_core.evidence.digest import is_sha256

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """A body. A field is a text, a whole number from 0, or bytes; a field with a default may be omitted."""

    def texts(self) -> dict[str, str]:
        """The fields as texts, as in a command."""
        values = {each.encode_name: getattr(self, each.name) for each in msgspec.structs.fields(self)}
        return {name: _text(value) for name, value in values.items() if value is not None}


class SelfTest(Body, frozen=True, kw_only=True):
    """`self_test`: no fields."""


class Identify(Body, frozen=True, kw_only=True):
    seconds: int

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= IDENTIFY_LONGEST_S:
            raise ValueError(f"seconds: 1 to {IDENTIFY_LONGEST_S} expected")


class Time(Body, frozen=True, kw_only=True):
    """`time`: `challenge` is that of the unit's present boot; `utc` RFC 3339."""

    challenge: str
    utc: str


class Document(Body, frozen=True, kw_only=True):
    """`destroy`, `roles`, `key_list`: a signed document and its armored signature."""

    document: str
    sig: str

    @property
    def data(self) -> bytes:
        return self.document.encode("utf-8")

    @property
    def signature(self) -> bytes:
        return self.sig.encode("utf-8")


class Hold(Document, frozen=True, kw_only=True):
    """`hold`: hold.json, and the key.age that it names by its hash."""

    key_age: bytes


class Config(Body, frozen=True, kw_only=True):
    """`config`: the text of unit.toml, and the hash of the configuration in effect, which it replaces."""

    document: str
    replaces: str


class Weakening(Body, frozen=True, kw_only=True):
    """`confirm`, `cancel`: the id of the weakening."""

    weakening: str


class Learn(Body, frozen=True, kw_only=True):
    """`learn`. `walk`: SHA-256 of the report with the values to store; without it the newest report is returned."""

    walk: str | None = None

    def __post_init__(self) -> None:
        if self.walk is not None and not is_sha256(self.walk):
            raise ValueError("walk: the SHA-256 of a report in hexadecimal expected")


class Update(Body, frozen=True, kw_only=True):
    """`update`. `url`: the address of the bundle; by default on the broker's host."""

    version: str
    sha256: str
    size: int
    url: str | None = None


class Events(Body, frozen=True, kw_only=True):
    """An outbox: the fingerprint of the key that signs it, and the name of its vault, if any."""

    origin: str
    vault: str | None = None


class Ack(Events, frozen=True, kw_only=True):
    """`ack`: the desk has stored everything up to `through`. For a vault with a name also: its number among the vaults
    of its key, the previous vault, and the newest head of the unit's log at the desk.
    """

    through: int
    number: str | None = None
    before: str | None = None
    head: str | None = None
    sig: str | None = None

    def __post_init__(self) -> None:
        _require_numbered("through", self.through)

    @property
    def beside(self) -> bool:
        return any(each is not None for each in (self.number, self.before, self.head, self.sig))


class Resend(Events, frozen=True, kw_only=True):
    first: int = msgspec.field(name="from")
    last: int = msgspec.field(name="to")

    def __post_init__(self) -> None:
        _require_numbered("from and to", self.first, self.last)


# Every verb except fetch.
BODIES: dict[str, type[Body]] = {
    "identify": Identify, "self_test": SelfTest, "ack": Ack, "resend": Resend, "config": Config, "update": Update,
    "time": Time, "hold": Hold, "destroy": Document, "roles": Document, "key_list": Document, "confirm": Weakening,
    "cancel": Weakening, "learn": Learn,
}  # fmt: skip


def read[T: Body](command: Command, kind: type[T]) -> T:
    """The body as that type; CommandFault (command_malformed) for other fields or invalid values."""
    fields = {each.encode_name: each for each in msgspec.structs.fields(kind)}
    needed = [name for name, each in fields.items() if each.required]
    if not set(needed) <= command.body.keys() <= fields.keys():
        raise CommandFault("command_malformed", f"the body of {command.verb} is {', '.join(needed) or 'empty'}")
    try:
        return kind(**{fields[name].name: _value(name, text, fields[name].type) for name, text in command.body.items()})
    except ValueError as error:
        raise CommandFault("command_malformed", str(error)) from None


def _text(value: str | int | bytes) -> str:
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else str(value)


def _value(name: str, text: str, kind: object) -> str | int | bytes:
    if kind is int:
        if _NUMBER.fullmatch(text) is None:
            raise ValueError(f"{name}: a whole number expected")
        return int(text)
    if kind is bytes:
        try:
            return base64.b64decode(text, validate=True)
        except ValueError:  # includes binascii's error
            raise ValueError(f"{name} is not base64") from None
    return text


def _require_numbered(names: str, *numbers: int) -> None:
    if min(numbers) < 1:
        raise ValueError(f"{names}: a number from 1 on expected")
