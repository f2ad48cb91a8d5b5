# SPDX-License-Identifier: Apache-2.0
"""The settings that all orders of a site share: broker, servers, key list, how calls end. Pure: a form, its files, and
their mistakes.

The authority is that of desk.toml (`serve.authority`): it must have signed the list, and it signs each order.
"""

from __future__ import annotations

from typing import Final

import msgspec
from cryptography import x509

from linetap_core.enrolment.certificates import UNREADABLE
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.keys import publickeys
from linetap_core.evidence.sealing import keylist, members
from linetap_core.evidence.signing.authority import Authority
from linetap_core.wire.hosts import is_own_host, is_tls_host
from linetap_desk.serve.orders import sections
from linetap_desk.serve.orders.fields import MISTAKES, Form
from linetap_desk.web.text import N_

CA, KEY_LIST, SIGNATURE = FILES = ("ca", "key_list", "key_list_sig")
OWN, PUBLIC = AUTHORITIES = ("own", "public")
MOST_FILE_BYTES: Final = 768 * 1024  # of a key list: an order may have 1 MiB
MOST_CUSTODIANS, MOST_DAYS = 20, 3660
FIELDS = (
    "broker_host", "broker_port", "broker_authority", "broker_network", "ntp", "days", "custodians",
    "custodians_needed", *sections.ENDING_FIELDS,
)  # fmt: skip
STANDARD = {"broker_port": "8883", "broker_authority": OWN, "days": "60", "custodians_needed": "1"}
STANDARD |= sections.ENDING_STANDARD

SAYS = {
    "own_broker": N_("This is the unit itself. Enter the broker's name or address."),
    "ca": N_("Not the certificate of an authority in PEM: ca.pem of `linetap pki init` is one."),
    "key_list": N_("Not a key list that this site's authority has signed:"),
    "too_large": N_("This file is too large for an order."),
    "custodians": N_("Enter the custodians' keys (age1...), one on each line, and how many of them open together."),
    "list_has_them": N_("The key list names the custodians: leave this empty."),
    "not_theirs": N_("An epoch's key is a custodian's too: opening a call must take two people."),
}


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """The settings. `ca`: None if a public authority issued the broker's certificate. `custodians`: of the list, or as
    typed."""

    broker_host: str
    broker_port: int
    ca: str | None
    networks: list[str]
    ntp: list[str]
    days: int
    key_list: str
    key_list_sig: str
    custodians: list[str]
    custodians_needed: int
    overflow_epoch: str
    overflow_number: int
    situations: list[str] = []  # absent in an earlier version
    warn_min: int = 0  # 0: never
    end_min: int = 0

    @property
    def typed(self) -> dict[str, str]:
        """The form's fields for these settings; the key list's custodians are not copied."""
        is_listed = bool(keylist.sound(self.key_list.encode()).custodians)
        return {
            "broker_host": self.broker_host,
            "broker_port": str(self.broker_port),
            "broker_authority": PUBLIC if self.ca is None else OWN,
            "broker_network": " ".join(self.networks),
            "ntp": " ".join(self.ntp),
            "days": str(self.days),
            "custodians": "" if is_listed else "\n".join(self.custodians),
            "custodians_needed": "1" if is_listed else str(self.custodians_needed),
            **sections.ending_fields(self.situations, self.warn_min, self.end_min),
        }


def read(form: Form, files: dict[str, bytes], before: Template | None, authority: Authority) -> Template | None:
    """The settings; None with mistakes. A file that was not uploaded stays as `before`."""
    host = form.host("broker_host")
    if host and is_own_host(host):
        form.wrong("broker_host", SAYS["own_broker"])
    elif host and not is_tls_host(host):
        form.wrong("broker_host", MISTAKES["host"])
    port = form.number("broker_port", 1, 65535)
    is_public = form.choice("broker_authority", AUTHORITIES) == PUBLIC
    ca = None if is_public else _ca(form, files.get(CA, b""), before)
    networks, ntp, days = form.networks("broker_network"), form.hosts("ntp"), form.number("days", 1, MOST_DAYS)
    ending = sections.read_ending(form)
    kept = (b"", b"") if before is None else (before.key_list.encode(), before.key_list_sig.encode())
    data, signature = files.get(KEY_LIST, b"") or kept[0], files.get(SIGNATURE, b"") or kept[1]
    listed = _key_list(form, data, signature, authority)
    group = None if listed is None else _custodians(form, listed)
    if form.mistakes or listed is None or group is None or port is None or days is None:
        return None
    last = listed.overflow[-1]
    return Template(
        broker_host=host, broker_port=port, ca=ca, networks=networks, ntp=ntp, days=days, key_list=data.decode(),
        key_list_sig=signature.decode(), custodians=list(group.recipients), custodians_needed=group.needed,
        overflow_epoch=last.recipient, overflow_number=last.number, **ending._asdict(),
    )  # fmt: skip


def _ca(form: Form, data: bytes, before: Template | None) -> str | None:
    if not data and before is not None and before.ca is not None:
        return before.ca
    if not data:
        form.wrong(CA, MISTAKES["missing"])
        return None
    if b"PRIVATE KEY" in data:
        form.wrong(CA, MISTAKES["private"])
        return None
    try:
        for one in x509.load_pem_x509_certificates(data):
            if not one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                raise ValueError("not an authority's")
        return data.decode("ascii")
    except UNREADABLE:
        form.wrong(CA, SAYS["ca"])
        return None


def _key_list(form: Form, data: bytes, signature: bytes, authority: Authority) -> keylist.KeyList | None:
    for name, file in ((KEY_LIST, data), (SIGNATURE, signature)):
        if not file:
            form.wrong(name, MISTAKES["missing"])
        elif len(file) > MOST_FILE_BYTES:
            form.wrong(name, SAYS["too_large"])
    if KEY_LIST in form.mistakes or SIGNATURE in form.mistakes:
        return None
    try:
        found = keylist.read(data, signature, authority)
        data.decode(), signature.decode("ascii")
    except (Refusal, BadInput, ValueError) as error:
        form.wrong(KEY_LIST, SAYS["key_list"])
        form.details[KEY_LIST] = str(error)[:300]
        return None
    return found


def _custodians(form: Form, listed: keylist.KeyList) -> members.Group | None:
    typed = form.text("custodians", most=MOST_CUSTODIANS * 80).split()
    if listed.custodians:
        if typed:
            form.wrong("custodians", SAYS["list_has_them"])
        return members.group_of(listed.custodians)
    needed = form.number("custodians_needed", 1, MOST_CUSTODIANS)
    try:
        for each in typed:
            publickeys.decode_recipient(each)
        group = members.group_of(typed, needed or 1)
        members.require_short(group, members.parse(listed.overflow[-1].recipient))
    except (LinetapError, IndexError):
        form.wrong("custodians", SAYS["custodians"])
        return None
    texts = [epoch.recipient for epoch in listed.epochs] + [overflow.recipient for overflow in listed.overflow]
    if {each for text in texts for each in members.parse(text).recipients} & set(group.recipients):
        form.wrong("custodians", SAYS["not_theirs"])
    return group
