# SPDX-License-Identifier: Apache-2.0
"""Public keys as text, read without cryptography as it would read them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from hypothesis import given
from hypothesis import strategies as st

from linetap_core.errors import BadInput
from linetap_core.evidence import keys, publickeys

KEY = keys.new_unit_key().public_key()
LINE = keys.public_line(KEY, "authority")
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC1"


def test_the_line_of_a_pub_file() -> None:
    for line in (LINE, LINE.rsplit(" ", 1)[0], f"  {LINE} of the city\n"):
        assert publickeys.ssh_ed25519(line) == KEY.public_bytes_raw()


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 ?", RSA, LINE.replace("AAAA", "AAAB", 1), LINE[:60]])
def test_what_is_none(line: str) -> None:
    assert publickeys.ssh_ed25519(line) is None
    with pytest.raises(BadInput, match=r"ssh-ed25519 AAAA\.\.\., would be right"):
        publickeys.authority(line)


@given(st.integers(0, len(LINE) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_it_takes_nothing_that_cryptography_does_not_take(at: int, other: str) -> None:
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
    """7 MB for each card, in a process that nobody else shares them with."""
    code = f"import sys, linetap.{service}.service, linetap.config; print('cryptography' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "False"


def test_who_only_checks_a_signature_loads_no_formats_of_keys_and_no_certificates() -> None:
    """3 MB of the reporter's 40."""
    names = {"cryptography.hazmat.primitives.serialization", "cryptography.x509"}
    code = f"import sys, linetap.reporter.service, linetap.config; print({names} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "set()"
