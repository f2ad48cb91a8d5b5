# SPDX-License-Identifier: Apache-2.0
"""The namespaces of SSHSIG signatures (`ssh-keygen -Y sign -n`): the purpose of a signature, its signer, and its file.

A signature of one namespace is invalid in another. No other file spells a namespace, and none is ever changed: existing
signatures would become invalid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SUFFIX: Final = ".sig"  # of the signature's file

# Signed by a unit's own key.
RECORD: Final = "linetap-record"  # record.json and its amendments
EVENT: Final = "linetap-event"  # an event of the outbox
# A head of the unit's log; the witness at the desk signs heads too. Also the name of its vault: a separate namespace
# would be in no existing signers' file.
HEAD: Final = "linetap-head"
WALK: Final = "linetap-walk"  # a walk test
RETIRED: Final = "linetap-retired"  # the end of the unit
BRINGUP: Final = "linetap-bringup"  # the report of its bring-up

# In the order of an allowed_signers line.
BY_UNIT: Final = (RECORD, EVENT, HEAD, WALK, RETIRED, BRINGUP)

# Signed by people, with keys that no machine has.
COMMAND: Final = "linetap-command"  # a command: its role, and cosigners; the desk's key for delivery and copies
ROLES: Final = "linetap-roles"  # roles.json: the authority
KEY_LIST: Final = "linetap-keylist"  # keylist.json: the authority
HOLD: Final = "linetap-hold"  # hold.json, rewrap.json: an officer of role vault
HOLD_CHECK: Final = "linetap-hold-check"  # an officer who opened the new key.age and found the call's key in it
CERTIFICATE: Final = "linetap-certificate"  # the destruction of an epoch's key: an officer of role vault
RELEASE: Final = "linetap-release"  # a request for a call: the requester and every approver
ENROL: Final = "linetap-enrol"  # a unit's request for a certificate: the unit's key
ORDER: Final = "linetap-order"  # a card that makes or retires a unit: the keys of the order

BUNDLE: Final = "linetap-bundle"  # a bundle for a court, by its sender; stock ssh-keygen signs and verifies it

# Signed by machines at the desk.
CHECKPOINT: Final = "linetap-checkpoint"  # also the keeper of a unit's log in a signers' file
CLOSES: Final = "linetap-closes"  # also the keeper of the tree of a log's closes (linetap sigsum)
COPY: Final = "linetap-citizen-copy"  # the silenced spans of a citizen's copy: the key of the custodian's access log
ACCESS_TABLE: Final = "linetap-access-table"  # a head of the desk's access log


def signature_path(path: Path) -> Path:
    """The path of the signature of a signed file."""
    return path.with_name(f"{path.name}{SUFFIX}")
