# SPDX-License-Identifier: Apache-2.0
"""One entry of the log of versions: a line of JSON, which is hashed as it stands.

{"product":"linetap","version":"0.2.0","payload":"5e2f...","root":"8475...","commit":"0f3a..."}
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.errors import Refusal
from linetap_core.evidence.digest import Sha256
from linetap_core.evidence.merklelog import leaflog
from linetap_core.wire.updates import PATTERN


class NotLogged(Refusal):
    """There is no proof that a version is in the log, or the log holds a malformed entry."""

    code = "not_logged"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`product`: `linetap`, or `linetap-signed` for signed cards. `payload`: SHA-256 of the bundle, less its signature
    (payload.py). `root`: the root hash that dm-verity checks the slot against. `commit`: its source; a second
    build of it gives the same `payload`.
    """

    product: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z")]
    version: Annotated[str, Meta(pattern=PATTERN)]
    payload: Sha256
    root: Sha256
    commit: Annotated[str, Meta(pattern=r"^[0-9a-f]{40}\Z")]

    def encode(self) -> bytes:
        return leaflog.encode(msgspec.structs.asdict(self))

    @property
    def text(self) -> str:
        return f"{self.product} {self.version}, payload {self.payload[:16]}, commit {self.commit[:12]}"


def decode(line: bytes) -> Entry:
    """The entry; NotLogged unless it is in the form of `encode`."""
    try:
        found = jsontext.decode(line[: leaflog.LEAF_LIMIT_BYTES], type=Entry)
    except ValueError as error:
        raise NotLogged(f"not an entry of the log of versions: {error}") from None
    if found.encode() != line:
        raise NotLogged("not an entry of the log of versions: another spelling")
    return found
