# SPDX-License-Identifier: Apache-2.0
"""Passkeys as the second factor of a login: stores an account's passkey, and verifies answers.

A passkey is bound to the host name of these pages, so it can sign no approval: approvals use another site's passkey
(decision 0164). A new passkey proves itself by an assertion over our challenge; no attestation is requested, and no
CBOR is parsed.

A login that waits for the passkey has its own challenge, valid once and for five minutes. One process serves the pages,
so challenges are in its memory, like pending logins at the OIDC provider. The browser has an opaque token, without
which no challenge can be answered.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import p256, passkey
from linetap_core.evidence.keys.passkey import PasskeyKey
from linetap_core.evidence.signing import assertion
from linetap_core.evidence.signing.assertion import PasskeyFault
from linetap_desk.config.pages import Settings
from linetap_desk.serve.database.tables import passkeys
from linetap_desk.web import secure

COOKIE = "__Host-linetap-second"
WITHIN_S = 300
MOST_WAITING = 1000  # the oldest is dropped


@dataclass(frozen=True, slots=True)
class Ceremony:
    """A login waiting for a passkey. `act`: its name in the access log. `as_of`: the account's last change at its
    begin; a later change ends it. `invitation`: the one-time code that it uses up; `password`: the new one, as
    argon2id."""

    person: int
    name: str
    act: str
    since_ns: int
    as_of: str = ""
    there: str = "/"
    old: str = ""  # the browser's previous session
    password: str = ""
    invitation: str = ""
    challenge: bytes = field(default_factory=lambda: secrets.token_bytes(32))


class Ceremonies:
    def __init__(self) -> None:
        self._waiting: OrderedDict[str, Ceremony] = OrderedDict()

    def begin(self, ceremony: Ceremony) -> str:
        """Begins a ceremony; returns the token for the browser."""
        token = secrets.token_urlsafe(32)
        self._waiting[secure.digest(token)] = ceremony
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popitem(last=False)
        return token

    def peek(self, token: str, now_ns: int) -> Ceremony | None:
        """The ceremony, for the login page; the token stays valid."""
        return _fresh(self._waiting.get(secure.digest(token)), now_ns)

    def pop(self, token: str, now_ns: int) -> Ceremony | None:
        """The ceremony, for an answer, right or wrong; the token is used up."""
        return _fresh(self._waiting.pop(secure.digest(token), None), now_ns)


def _fresh(found: Ceremony | None, now_ns: int) -> Ceremony | None:
    return None if found is None or now_ns - found.since_ns > WITHIN_S * NS_PER_S else found


FIELDS = ("credential", "authenticator", "client", "signature")
_TEXT = re.compile(r"[A-Za-z0-9_-]{1,4096}")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_-]{1,1366}")  # 1,023 bytes: WebAuthn, 4


class CountsBack(PasskeyFault):
    """The device's counter did not grow: another device has the same key."""

    code = "passkey_copied"


class Unknown(PasskeyFault):
    code = "passkey_unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """The browser's answer to a challenge. `point`: the public key of a new passkey."""

    credential: str
    authenticator: bytes
    client: bytes
    numbers: bytes
    point: bytes = b""


def answer_of(form: Mapping[str, object]) -> Answer:
    """The answer in a form. PasskeyFault if the fields are invalid."""
    credential = form.get("credential")
    if not isinstance(credential, str) or _CREDENTIAL.fullmatch(credential) is None:
        raise PasskeyFault("the credential's id is missing")
    try:
        numbers = p256.encode(*decode_dss_signature(_bytes(form.get("signature"))))
    except (ValueError, OverflowError):
        raise PasskeyFault("the signature is not one of ECDSA") from None
    point = _bytes(form.get("point")) if form.get("point") else b""
    return Answer(credential, _bytes(form.get("authenticator")), _bytes(form.get("client")), numbers, point)


def _bytes(field: object) -> bytes:
    if not isinstance(field, str) or _TEXT.fullmatch(field) is None:
        raise PasskeyFault("a field is missing, or is not base64url")
    try:
        return base64.urlsafe_b64decode(field + "=" * (-len(field) % 4))
    except ValueError:
        raise PasskeyFault("a field is not base64url") from None


def site_of(settings: Settings) -> str:
    """The host name to which the passkeys are bound; empty if the pages' address has no name."""
    host = urlsplit(settings.url or "").hostname or ""
    return host if passkey.is_site(host) and not host.replace(".", "").isdigit() else ""


def required(settings: Settings, roles: str) -> bool:
    """Whether an account with these roles may log in by passkey only."""
    return bool(settings.passkey_roles & set(roles.split(",")))


def of_person(db: Connection, person: int) -> Sequence[Row[Any]]:
    return db.execute(select(passkeys).where(passkeys.c.person == person).order_by(passkeys.c.id)).all()


def has_any(db: Connection, person: int) -> bool:
    return bool(db.execute(select(func.count()).select_from(passkeys).where(passkeys.c.person == person)).scalar())


def use(db: Connection, settings: Settings, ceremony: Ceremony, given: Answer, now_ns: int) -> None:
    """Accepts the answer. PasskeyFault unless it is by a passkey of this person with a growing counter."""
    mine = (passkeys.c.person == ceremony.person) & (passkeys.c.credential == given.credential)
    row = db.execute(select(passkeys).where(mine)).one_or_none()
    if row is None:
        raise Unknown("no passkey of this account")
    counter = _verify_answer(passkey.from_blob(bytes(row.key)), settings, ceremony, given)
    if (counter or row.counter) and counter <= row.counter:
        raise CountsBack(f"the counter is {counter}, and was {row.counter} before")
    db.execute(update(passkeys).where(mine).values(counter=counter, used_at=rfc3339(now_ns)))


def store_passkey(db: Connection, settings: Settings, ceremony: Ceremony, given: Answer, now_ns: int) -> None:
    """Stores the new passkey, the account's only one. PasskeyFault unless it has signed the challenge."""
    key = PasskeyKey(site_of(settings), given.point)
    try:
        p256.from_point(given.point)
    except BadInput:
        raise PasskeyFault("the public key is not a point of P-256") from None
    counter = _verify_answer(key, settings, ceremony, given)
    db.execute(delete(passkeys).where(passkeys.c.person == ceremony.person))
    if db.execute(select(passkeys.c.id).where(passkeys.c.credential == given.credential)).first() is not None:
        raise PasskeyFault("this passkey is another account's")
    db.execute(
        insert(passkeys).values(
            person=ceremony.person, credential=given.credential, key=passkey.blob(key), counter=counter,
            made_at=rfc3339(now_ns),
        )
    )  # fmt: skip


def _verify_answer(key: PasskeyKey, settings: Settings, ceremony: Ceremony, given: Answer) -> int:
    made = assertion.of_browser(given.authenticator, given.client, given.numbers)
    assertion.check(key, made, ceremony.challenge)
    if made.origin != settings.url:  # other ports of the host are other sites
        raise assertion.OtherSite("signed on a page of another port")
    return made.counter
