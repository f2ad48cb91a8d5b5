# SPDX-License-Identifier: Apache-2.0
"""A call whose key was wrapped anew, for a hold or for its own day: its key.age is not the one its record names.

A vault officer's signature (hold.json or rewrap.json beside it) stands for it instead.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from linetap.desk.deskfolder import read_small
from linetap.desk.release.gate import FoundCall
from linetap.errors import BadInput, Refusal
from linetap.evidence import hold, sealed, sshsig
from linetap.evidence.release import NotReleased
from linetap.evidence.roles import Roles

DOCUMENTS = (hold.HOLD, hold.REWRAP)


def require_wrapped(folder: Path, call: FoundCall, key_age: bytes, roles: Roles) -> None:
    """NotReleased unless a vault officer signed that this key.age is of this very call."""
    path = next((folder / name for name in DOCUMENTS if (folder / name).is_file()), None)
    if path is None:
        raise BadInput(f"{folder}: there is neither {' nor '.join(DOCUMENTS)} in it")
    data = read_small(path, hold.LIMIT_BYTES)
    armored = read_small(path.with_name(f"{path.name}.sig"), sshsig.SIGNATURE_LIMIT_BYTES)
    try:
        person = roles.holder(sshsig.check(data, armored, hold.NAMESPACE))
        document = hold.decode(data)
    except Refusal as error:
        raise NotReleased("wrapped_not_signed", f"{path}: {error}") from None
    if person is None or person.role != "vault":
        raise NotReleased("wrapped_not_signed", f"{path}: not signed by anybody of role vault")
    if document.record_sha256 != call.sha256:
        raise NotReleased("record_differs", f"{path}: is of another call than {call.call_id}")
    if document.key_sha256 != hashlib.sha256(key_age).hexdigest():
        raise NotReleased("key_differs", f"{folder / sealed.KEY}: not the one that {path.name} names")
