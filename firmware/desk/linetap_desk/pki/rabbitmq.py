# SPDX-License-Identifier: Apache-2.0
"""Writes the access rights for a RabbitMQ, as its definitions file: the same rights as systemd/mosquitto/acl for
Mosquitto.

A user has the name of a certificate, and no password. RabbitMQ writes `.` for `/` in a topic.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from linetap_core.clock import Clock
from linetap_core.durable.files import replace_durably
from linetap_core.enrolment.certificates import Role, common_name
from linetap_core.enrolment.request import signer_name
from linetap_core.errors import BadInput
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import signers
from linetap_core.evidence.signing.signers import Signer
from linetap_core.wire.topics import PREFIX
from linetap_desk.pki import authority

_EXCHANGE = "amq.topic"
_ALL = "^" + re.escape(PREFIX.replace("/", ".")) + r"\."
_COMMANDS = rf"{_ALL}[^.]+\.cmd\.[^.]+$"
_SAYS = r"(status|line\.[^.]+|call|health|alert\.[^.]+|log|reply\.[^.]+)"
_NOTHING = "^$"
# RabbitMQ 4.0 drops a message after 20 deliveries from a quorum queue; an often killed ingest reaches that.
_KEPT = {
    "vhost": "/", "name": "linetap-kept", "pattern": "^mqtt-subscription-", "apply-to": "quorum_queues",
    "definition": {"delivery-limit": -1}, "priority": 0,
}  # fmt: skip


def definitions(named: Iterable[tuple[Role, str]], silent: Iterable[str], known: Iterable[Signer]) -> bytes:
    """The definitions of units and desks. `silent`: the desks that neither read nor write, such as a wall display.
    `known`: the units' signing keys."""
    clients_of: dict[str, set[str]] = {}
    for signer in known:
        clients_of.setdefault(signer.principals, set()).add(signer_name(keys.fingerprint_of(signer.blob)))
    users, permissions, topics = [], [], []
    only_read = set(silent)
    for role, name in sorted(set(named)):
        if role not in ("unit", "desk"):
            continue
        user = common_name(role, name)
        users.append({"name": user, "password_hash": "", "tags": []})
        # A session's queue is named after the client: a unit's after its key, and a desk has several.
        clients = sorted(clients_of.get(name, ())) or [f"linetap-{name}"]
        session = f"({'|'.join(map(re.escape, clients))})" if role == "unit" else "linetap-.*"
        queue = rf"mqtt-subscription-{session}qos[01]"
        both = rf"^({queue}|amq\.topic)$"
        permissions.append({"user": user, "vhost": "/", "configure": f"^{queue}$", "write": both, "read": both})
        write, read = _COMMANDS if name not in only_read else _NOTHING, _ALL
        if role == "unit":
            mine = rf"{_ALL}{re.escape(name)}\."
            write, read = rf"{mine}{_SAYS}$", rf"{mine}cmd\.[^.]+$"
        topics.append({"user": user, "vhost": "/", "exchange": _EXCHANGE, "write": write, "read": read})
    found: dict[str, Any] = {
        "users": users, "vhosts": [{"name": "/"}], "permissions": permissions, "topic_permissions": topics,
        "policies": [_KEPT],
    }  # fmt: skip
    return msgspec.json.format(msgspec.json.encode(found)) + b"\n"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--silent", action="append", default=[], metavar="NAME", help="a desk that only reads, as wall or pages; often"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="definitions.json",
        help="the definitions file; an existing one is replaced",
    )


def write_definitions(args: argparse.Namespace, clock: Clock) -> int:
    """Writes the definitions of all certificates except revoked ones."""
    with authority.opened(args.dir, clock) as ca:
        revoked = ca.register.revocations()
        issued = [entry for entry in ca.register.issued() if entry.serial not in revoked]
    named = {(entry.role, entry.name) for entry in issued}
    lines = "".join(f"{authority.signers_line(entry.name, entry.signer)}\n" for entry in issued if entry.signer)
    if unknown := sorted(set(args.silent) - {name for role, name in named if role == "desk"}):
        raise BadInput(f"--silent {unknown[0]}: no desk of this name has a certificate")
    try:
        replace_durably(args.output, definitions(named, args.silent, signers.parse(lines)), mode=0o644)
    except OSError as error:
        raise BadInput(f"-o {args.output}: {error.strerror}") from None
    return 0
