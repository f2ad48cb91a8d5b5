# SPDX-License-Identifier: Apache-2.0
"""The namespaces of SSHSIG signatures (`ssh-keygen -Y sign -n`): the purpose of a signature, its signer, and its file.

A signature of one namespace is invalid in another. No namespace is spelled outside this file, and none is ever changed:
existing signatures would become invalid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

SUFFIX: Final = ".sig"  # of the signature's file beside the signed one

# Signed by a unit's own key.
RECORD: Final = "linetap-record"  # record.json and amendments of it
EVENT: Final = "linetap-event"  # an event of the outbox
# A head of its log; the witness at the desk signs heads too. Also the name of its vault: a separate namespace would be
# in no existing signers' file.
HEAD: Final = "linetap-head"
WALK: Final = "linetap-walk"  # a walk test
RETIRED: Final = "linetap-retired"  # the end of the unit
BRINGUP: Final = "linetap-bringup"  # the report on its bring-up

# In the order in which an allowed_signers line names them.
BY_UNIT: Final = (RECORD, EVENT, HEAD, WALK, RETIRED, BRINGUP)

# Signed by people, with keys that no machine keeps.
COMMAND: Final = "linetap-command"  # a command: the role it names, and cosigners; of delivery and copies the desk's key
ROLES: Final = "linetap-roles"  # roles.json: the authority
KEY_LIST: Final = "linetap-keylist"  # keylist.json: the authority
HOLD: Final = "linetap-hold"  # hold.json, rewrap.json: an officer of role vault
HOLD_CHECK: Final = "linetap-hold-check"  # an officer who has opened the new key.age, and found the call's key in it
CERTIFICATE: Final = "linetap-certificate"  # the destruction of an epoch's key: an officer of role vault
RELEASE: Final = "linetap-release"  # a request for a call: the requester and every approver
ENROL: Final = "linetap-enrol"  # a unit's request for a certificate: the unit's key
ORDER: Final = "linetap-order"  # a card that makes or retires a unit: the keys of the order

BUNDLE: Final = "linetap-bundle"  # a bundle for a court, by its sender; stock ssh-keygen makes and checks it

# Signed by machines at the desk.
CHECKPOINT: Final = "linetap-checkpoint"  # names the keeper of a unit's log in a signers' file
CLOSES: Final = "linetap-closes"  # names the keeper of the tree that holds a log's closes alone (linetap sigsum)
COPY: Final = "linetap-citizen-copy"  # the silenced spans of a citizen's copy: the key of the custodian's access log
ACCESS_TABLE: Final = "linetap-access-table"  # a head of the desk's access log


def signature_path(path: Path) -> Path:
    """The path of the signature of a signed file."""
    return path.with_name(f"{path.name}{SUFFIX}")
