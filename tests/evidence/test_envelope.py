# SPDX-License-Identifier: Apache-2.0
"""A command's envelope with any content: it is refused with a code, or it was signed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from linetap_core.clock import NS_PER_S, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import MAY, Command, CommandFault, Envelope
from linetap_core.evidence.authorization.counters import Counters, Window
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig

NOW_NS = 1_800_000_000 * NS_PER_S
KEYS = {role: keys.new_unit_key() for role in ("authority", "desk", "vault", "operator", "stranger")}
USED = Counters({keys.fingerprint(KEYS["desk"].public_key()): Window(4)})
PEOPLE = [Person(role, role, keys.public_line(KEYS[role].public_key())) for role in ("desk", "vault", "operator")]
ROLES = Roles(1, PEOPLE, [])

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
field = st.sampled_from(["unit", "verb", "role", "counter", "expires", "body", "more"])


def good(**changes: Any) -> dict[str, Any]:
    whole = {"unit": "floor-03", "verb": "identify", "role": "desk", "counter": 5, "body": {"seconds": "5"}}
    return whole | {"expires": rfc3339(NOW_NS + NS_PER_S)} | changes


def signed(text: str, by: str = "desk") -> bytes:
    return msgspec.json.encode(Envelope(text, sshsig.sign(text.encode(), KEYS[by], namespaces.COMMAND)))


def text_of(fields: dict[str, Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def check(data: bytes) -> Command | str:
    """The command, or the code of its refusal; there is no third result."""
    authority = KEYS["authority"].public_key()
    try:
        return envelopes.check(data, "floor-03", authority, ROLES, USED, NOW_NS)
    except CommandFault as fault:
        return fault.code


def test_what_was_signed_is_what_is_done() -> None:
    found = check(signed(text_of(good())))
    assert isinstance(found, Command)
    assert msgspec.to_builtins(found) == good()


@given(st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    assert check(data) in ("command_malformed", "command_unsigned")


@given(anything, anything)
def test_json_of_any_shape(command: object, sig: object) -> None:
    data = json.dumps({"command": command, "sig": sig}).encode()
    assert check(data) in ("command_malformed", "command_unsigned")


@settings(max_examples=200)
@given(st.dictionaries(field, anything, max_size=3), st.sampled_from([*KEYS]))
@example({"counter": 4}, "desk")
@example({"expires": "2026-11-24T00:00:00.000Z"}, "desk")
@example({"unit": "floor-04"}, "desk")
@example({"verb": "config"}, "desk")
@example({"role": "vault"}, "desk")
def test_any_field_signed_by_anybody(changes: dict[str, Any], by: str) -> None:
    """A known key signs no more than permitted: accepted commands are complete, of its role, and new."""
    try:
        text = text_of(good(**changes))
        data = signed(text, by)
    except (ValueError, UnicodeEncodeError):  # invalid JSON cannot be signed either
        return
    found = check(data)
    if isinstance(found, Command):
        assert by == found.role
        assert found.role in MAY[found.verb]
        assert (found.unit, found.counter > 4) == ("floor-03", True)
        assert text_of(msgspec.to_builtins(found)) == text, "one spelling"


@settings(max_examples=200)
@given(st.data())
def test_a_good_one_that_was_changed_anywhere(data: st.DataObject) -> None:
    whole = bytearray(signed(text_of(good())))
    at = data.draw(st.integers(0, len(whole) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "insert"])):
        case "flip":
            whole[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del whole[at:]
        case "insert":
            whole[at:at] = data.draw(st.binary(min_size=1, max_size=4))
    found = check(bytes(whole))
    assert isinstance(found, str) or text_of(msgspec.to_builtins(found)) == text_of(good()), "white space outside of it"


DEEP = 100_000


@pytest.mark.parametrize(
    "data",
    [
        b"[" * DEEP,
        b'{"a":' * DEEP,
        b'{"command":"' + b"\\ud800" + b'","sig":""}',
        b'{"command":"\xc3\x28","sig":""}',
        b"\xef\xbb\xbf{}",
        b'{"command":"{}","sig":"","command":"{}"}',
        b"\x00" * 1000,
    ],
)
def test_what_breaks_parsers_breaks_none(data: bytes) -> None:
    assert check(data) in ("command_malformed", "command_unsigned")


@pytest.mark.parametrize("text", ["[" * 50_000, '{"body":' * 50_000, "1e999", '{"counter":1e400}', "\u2028", ""])
def test_a_malformed_envelope_is_refused_under_a_good_signature_too(text: str) -> None:
    assert check(signed(text)) == "command_malformed"


def test_times_beyond_the_calendar() -> None:
    for expires in ("9999-12-31T23:59:59.999Z", "99999-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "2026-11-24"):
        found = check(signed(text_of(good(expires=expires))))
        assert isinstance(found, Command) or found in ("command_malformed", "command_expired")


# --- several signatures ----------------------------------------------------------------------------------------------


def signed_by(*names: str, text: str | None = None) -> bytes:
    text = text_of(good()) if text is None else text
    data = signed(text, names[0])
    for name in names[1:]:
        data = envelopes.cosign(data, lambda it, name=name: sshsig.sign(it, KEYS[name], namespaces.COMMAND))
    return data


def who(data: bytes) -> list[str]:
    found = envelopes.check_signed(data, "floor-03", KEYS["authority"].public_key(), ROLES, USED, NOW_NS)
    for holder in found.by:
        assert holder.key == keys.fingerprint(KEYS[holder.role].public_key())
        assert holder.name == holder.role
    assert [each.role for each in found.cosigners] == [each.role for each in found.by][1:]
    return [holder.role for holder in found.by]


def test_who_signed_is_reported_in_order() -> None:
    assert who(signed_by("desk")) == ["desk"]
    assert who(signed_by("desk", "vault", "authority")) == ["desk", "vault", "authority"]


def test_the_first_signature_gives_the_role() -> None:
    assert check(signed_by("vault", "desk")) == "command_signer"


def test_cosigner_whom_nobody_knows_spoils_it() -> None:
    assert check(signed_by("desk", "stranger")) == "command_signer"


def test_nobody_cosigns_for_himself() -> None:
    with pytest.raises(BadInput, match="signs once"):
        signed_by("desk", "desk")
    once = msgspec.json.decode(signed_by("desk"), type=Envelope)
    assert check(msgspec.json.encode(Envelope(once.command, once.sig + once.sig))) == "command_unsigned"


def test_cosignature_of_another_command_does_not_fit() -> None:
    one = msgspec.json.decode(signed_by("desk"), type=Envelope)
    other = msgspec.json.decode(signed_by("vault", text=text_of(good(counter=6))), type=Envelope)
    assert check(msgspec.json.encode(Envelope(one.command, one.sig + other.sig))) == "command_unsigned"


@given(st.binary(max_size=300))
def test_only_an_envelope_is_cosigned(data: bytes) -> None:
    with pytest.raises(BadInput):
        envelopes.cosign(data, lambda text: sshsig.sign(text, KEYS["vault"], namespaces.COMMAND))
