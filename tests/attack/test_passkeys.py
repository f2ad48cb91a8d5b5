# SPDX-License-Identifier: Apache-2.0
"""An approval by passkey that nobody gave.

Stock ssh-keygen accepts some of these, because OpenSSH 10.0 checks neither the person nor the page; the desk, `unwrap`
and `open` accept none.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from linetap_core.clock import rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import release, roles
from linetap_core.evidence.authorization.release import SIGNING_PAGES, NamedCall, Request
from linetap_core.evidence.authorization.roles import Person, Purpose, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from passkey_rig import SITE, SoftPasskey
from sealing_rig import CALL_ID, run

KIM, PARK = SoftPasskey(), SoftPasskey()
PURPOSE = Purpose("dispute", "분쟁", "A dispute", "Terms 12")
ROLES = Roles(1, [Person("Kim", "privacy", KIM.line), Person("Park", "legal", PARK.line)], [PURPOSE])
REQUEST = Request(
    id="2026-0042",
    calls=[NamedCall(CALL_ID, 3, "0" * 64)],
    purpose="dispute",
    case="2026-117",
    requester="Jung",
    recipient=keys.new_identity().recipient,
    one_time=keys.new_identity().recipient,
    created=rfc3339(1_800_000_000_000_000_000),
    expires=rfc3339(1_800_100_000_000_000_000),
    signing_page=SIGNING_PAGES[-1],
)
DATA = document.encode(REQUEST)


def verdict(armored: bytes, data: bytes = DATA, people: Roles = ROLES) -> str:
    """The approver's name, or the code of the refusal."""
    found = release.check_approvals(data, release.parse(data), {"sig": armored}, people)
    return found.approvals[0].person.name if found.approvals else found.faults["sig"].code


def stock(folder: Path, armored: bytes, data: bytes = DATA) -> bool:
    (folder / "signers").write_text(f"kim {KIM.line}\n")
    (folder / "sig").write_bytes(armored)
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "signers"), "-I", "kim", "-n", namespaces.RELEASE]
    return run([*command, "-s", str(folder / "sig")], stdin=data).returncode == 0


def test_two_passkeys_approve() -> None:
    signed = {"a": KIM.sign(DATA), "b": PARK.sign(DATA)}
    release.require_approvals(REQUEST, release.check_approvals(DATA, REQUEST, signed, ROLES))


@pytest.mark.parametrize(
    ("changes", "code", "stock_says"),
    [
        ({"flags": 0x01}, "approval_passkey", True),  # no user verification: a finder of the device could sign
        ({"flags": 0x04}, "approval_passkey", True),  # no user presence
        ({"flags": 0x00}, "approval_passkey", True),
        ({"flags": 0x45}, "approval_passkey", False),  # contains a credential's data
        ({"flags": 0x85}, "approval_passkey", False),  # missing extensions
        ({"origin": "https://desk.city.example"}, "approval_passkey", True),  # on the desk's own page
        ({"origin": f"https://{SITE}.evil.example"}, "approval_passkey", True),
        ({"origin": f"http://{SITE}"}, "approval_passkey", True),  # without TLS: anybody on the network path
        ({"crossOrigin": True}, "approval_passkey", True),  # in a frame
        ({"crossOrigin": None}, "approval_passkey", True),
        ({"topOrigin": "https://evil.example"}, "approval_passkey", True),
        ({"type": "webauthn.create"}, "approval_passkey", False),
        ({"type": "payment.get"}, "approval_passkey", False),
        ({"site": "desk.city.example"}, "approval_does_not_fit", False),  # another site's hash is signed
        ({"x": "y" * 2900}, "approval_malformed", True),  # oversized: more than a signature can be
        ({"x": "y" * 2100}, "approval_passkey", True),
    ],
)
def test_an_assertion_that_is_none(tmp_path: Path, changes: dict[str, Any], code: str, stock_says: bool) -> None:
    armored = KIM.sign(DATA, **changes)
    assert (verdict(armored), stock(tmp_path, armored)) == (code, stock_says)


def clients() -> dict[str, bytes]:
    """Client data that two parsers could read differently."""
    plain = KIM.client_data(sshsig.challenge(DATA, namespaces.RELEASE))
    other = json.loads(KIM.client_data(b"other"))["challenge"]
    return {
        "a member twice": plain[:-1] + f',"challenge":"{other}"}}'.encode(),
        "spaces": plain.replace(b'":"', b'": "'),
        "another order": json.dumps(dict(reversed(json.loads(plain).items())), separators=(",", ":")).encode(),
        "more behind it": plain + b"{}",
        "not closed": plain[:-1],
        "a list": b"[" + plain + b"]",
        "not UTF-8": plain[:-1] + b',"x":"\xff"}',
        "nothing": b"{}",
        "nested": b"[" * 1500,
    }


@pytest.mark.parametrize("name", clients())
def test_client_data_that_two_read_differently(name: str) -> None:
    assert verdict(KIM.sign(DATA, client=clients()[name])) == "approval_passkey"


def test_the_signature_of_another_request_again() -> None:
    other = document.encode(Request(**{**_fields(), "id": "2026-0043"}))
    armored = KIM.sign(other)
    assert verdict(armored, other) == "Kim"
    assert verdict(armored) == "approval_does_not_fit"


def test_what_was_signed_at_a_login_is_no_approval() -> None:
    """A login's challenge is 32 random bytes of the server; an approval's begins with SSHSIG and its namespace."""
    made = KIM.assertion(b"\x17" * 32)
    assert verdict(sshsig.by_passkey(KIM.key, made, namespaces.RELEASE).encode()) == "approval_does_not_fit"


def test_a_passkey_that_is_not_in_the_roles_file() -> None:
    assert verdict(SoftPasskey().sign(DATA)) == "approver_unknown"


def test_the_same_point_on_another_site() -> None:
    """The site is part of the key: the desk's own host cannot replace the signing page's."""
    desk = SoftPasskey("desk.city.example", KIM.secret)
    assert verdict(desk.sign(DATA)) == "approver_unknown"


def test_the_plain_key_under_the_passkey() -> None:
    """The same point as an ordinary ECDSA key is another key."""
    line = keys.public_line(KIM.secret.public_key())
    assert roles.public_key(line) != KIM.key
    assert ROLES.holder(KIM.secret.public_key()) is None


@pytest.mark.parametrize("page", ["", "1" * 64])
def test_a_request_for_another_page_or_for_none(page: str) -> None:
    data = document.encode(Request(**{**_fields(), "signing_page": page}))
    assert verdict(KIM.sign(data), data) == "signing_page_unknown"


def test_a_page_of_another_spelling() -> None:
    with pytest.raises(BadInput, match="signing_page"):
        release.parse(document.encode(Request(**{**_fields(), "signing_page": SIGNING_PAGES[-1].upper()})))


@pytest.mark.parametrize("role", ["vault", "operator", "desk", "custodian", "authority"])
def test_a_passkey_is_an_approvers(role: str) -> None:
    with pytest.raises(BadInput, match="a passkey approves releases"):
        roles.parse(document.encode(Roles(1, [Person("Kim", role, KIM.line)], [])))


def test_one_passkey_of_two_people() -> None:
    """Another id for the same key is the same key."""
    again = KIM.line.rpartition(" ")[0] + " b3RoZXI"
    with pytest.raises(BadInput, match="once more"):
        roles.parse(document.encode(Roles(1, [Person("Kim", "privacy", KIM.line), Person("Park", "legal", again)], [])))


def _fields() -> dict[str, Any]:
    return {name: getattr(REQUEST, name) for name in REQUEST.__struct_fields__}
