# SPDX-License-Identifier: Apache-2.0
"""The page on which approvers sign with a passkey: its file, its hash, and the link that passes a request to it.

It belongs on a separate site (`linetap release page`), not on the desk's: a browser lets a passkey sign on its own site
only, so that an attacker who controls the desk cannot use it. The request is in the fragment of the link, which a
browser sends to no server.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import msgspec

from linetap_core.clock import Clock
from linetap_core.durable import privatefile
from linetap_core.evidence.authorization.roles import Person, Roles, person_key
from linetap_core.evidence.keys import passkey
from linetap_core.evidence.keys.passkey import PasskeyKey

_MODE = 0o644


def page() -> bytes:
    return (files("linetap_desk.release") / "signingpage.html").read_bytes()


def sha256() -> str:
    """The page's hash, which a request names as its `signing_page`."""
    return hashlib.sha256(page()).hexdigest()


def approvers(roles: Roles, site: str) -> list[Person]:
    """The approvers with passkeys for the host `site` that a browser can find there."""
    found = []
    for person in roles.people:
        key = person_key(person.key)
        if person.approves and isinstance(key, PasskeyKey) and key.site == site and passkey.credential_of(person.key):
            found.append(person)
    return found


def link(address: str, request: bytes, people: Sequence[Person], language: str) -> str:
    """The address of the page with a request to sign. `address`: without a path, as https://sign.city.example."""
    given = {
        "lang": language,
        "people": [{"key": one.key, "name": one.name, "role": one.role} for one in people],
        "request": base64.b64encode(request).decode("ascii"),
    }
    return f"{address}/#{base64.urlsafe_b64encode(msgspec.json.encode(given)).decode('ascii').rstrip('=')}"


def add_page_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="index.html",
        help="file for a separate site; must not exist",
    )


def write_page(args: argparse.Namespace, _clock: Clock) -> int:
    privatefile.require_new(args.output)
    privatefile.write(args.output, page())
    args.output.chmod(_MODE)
    sys.stdout.write(f"{sha256()}  {args.output}\n")
    return 0
