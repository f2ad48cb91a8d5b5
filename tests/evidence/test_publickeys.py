# SPDX-License-Identifier: Apache-2.0
"""Public keys as text, read without cryptography but with its results."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys, publickeys

KEY = keys.new_unit_key().public_key()
LINE = keys.public_line(KEY, "authority")
SMALL = [
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC1"


def test_the_line_of_a_pub_file() -> None:
    for line in (LINE, LINE.rsplit(" ", 1)[0], f"  {LINE} of the city\n"):
        assert publickeys.ssh_ed25519(line) == KEY.public_bytes_raw()


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 ?", RSA, LINE.replace("AAAA", "AAAB", 1), LINE[:60]])
def test_what_is_none(line: str) -> None:
    assert publickeys.ssh_ed25519(line) is None
    with pytest.raises(BadInput, match=r"ssh-ed25519 AAAA\.\.\. expected"):
        publickeys.authority(line)


@given(st.integers(0, len(LINE) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_no_key_is_taken_that_cryptography_refuses(at: int, other: str) -> None:
    line = LINE[:at] + other + LINE[at + 1 :]
    ours = publickeys.ssh_ed25519(line)
    try:
        theirs = load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm):
        theirs = None
    if ours is not None:
        assert isinstance(theirs, Ed25519PublicKey)
        assert ours == theirs.public_bytes_raw()


@pytest.mark.parametrize("service", ["capture", "panel"])
def test_who_uses_no_key_does_not_load_what_uses_keys(service: str) -> None:
    """7 MB for each card, in a process that shares them with no other."""
    code = f"import sys, linetap.{service}.service, linetap.config; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"


def test_who_only_checks_a_signature_loads_no_formats_of_keys_and_no_certificates() -> None:
    """3 MB of the reporter's 40."""
    names = {"cryptography.hazmat.primitives.serialization", "cryptography.x509"}
    code = f"import sys, linetap.reporter.service, linetap.config; print({names} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "set()"


@settings(deadline=None)
@given(st.integers(0, 40), st.booleans(), st.sampled_from([0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18, *SMALL]))
def test_a_point_of_low_order_is_refused_as_openssl_refuses_it(near: int, high: bool, point: int) -> None:
    """RFC 7748 section 6.1: the secret is zero for any peer. Compared with OpenSSL, neighbouring points included."""
    public = (((point + near) % 2**255) | (high << 255)).to_bytes(32, "little")
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(public))
        refused = False
    except ValueError:
        refused = True
    text = publickeys.encode_recipient(public)
    if refused:
        with pytest.raises(BadInput, match="a point of low order"):
            publickeys.decode_recipient(text)
    else:
        assert publickeys.decode_recipient(text) == public
