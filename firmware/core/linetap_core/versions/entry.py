# SPDX-License-Identifier: Apache-2.0
"""One entry of the log of versions: a line of JSON, hashed as it is; and the check that a version is in the log, by the
proof beside its bundle, BUNDLE.tlog-proof, and by a policy.

{"product":"linetap","version":"0.2.0","payload":"5e2f...","root":"8475...","commit":"0f3a..."}

The proof is C2SP's tlog-proof; its `extra` data is the entry, which the path then ties to the checkpoint. The policy
(quorum.py) names the log's key in a `log` line, and the witnesses. Times of cosignatures do not count: an entry once
seen by a quorum stays in the log, and a unit's clock may be wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit, urlunsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from linetap_core import jsontext
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.digest import Sha256
from linetap_core.evidence.merklelog import leaflog
from linetap_core.evidence.witness import checkpoint, note, quorum, tlogproof
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.note import BadNote, Note
from linetap_core.evidence.witness.quorum import Policy
from linetap_core.wire.updates import PATTERN


class NotLogged(Refusal):
    """No proof shows that a version is in the log, or the log has a malformed entry."""

    code = "not_logged"


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`product`: `linetap`, or `linetap-signed` for signed cards. `payload`: SHA-256 of the bundle without its
    signature (payload.py). `root`: the root hash with which dm-verity checks the slot. `commit`: its source; a second
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
    """The entry in a line; NotLogged unless it is in the form of `encode`."""
    try:
        found = jsontext.decode(line[: leaflog.LEAF_LIMIT_BYTES], type=Entry)
    except ValueError as error:
        raise NotLogged(f"not an entry of the log of versions: {error}") from None
    if found.encode() != line:
        raise NotLogged("not an entry of the log of versions: another spelling")
    return found


PRODUCT, SIGNED = "linetap", "linetap-signed"  # a signed card's update (docs/verified-boot.md) has another payload
PRODUCTS = (PRODUCT, SIGNED)


def proof_path(bundle: Path) -> Path:
    """The path of a bundle's proof."""
    return bundle.with_name(bundle.name + tlogproof.SUFFIX)


def proof_url(url: str) -> str:
    """The address of a bundle's proof; a query stays unchanged."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=(parts.path or "/") + tlogproof.SUFFIX))


def demanded(text: str) -> Policy:
    """A policy that requires an entry in a log. BadInput unless it names a log and a quorum of witnesses."""
    policy = quorum.parse(text.encode("utf-8"))
    if not policy.logs:
        raise BadInput("it names no log: a line `log KEY` with the key of the log of versions expected")
    if policy.quorum == quorum.NONE:
        raise BadInput("`quorum none`: a witness or a group of witnesses expected")
    for public in policy.logs | {witness.public for witness in policy.witnesses.values()}:
        _require_point(public)
    own = next((witness.name for witness in policy.witnesses.values() if witness.public in policy.logs), None)
    if own is not None:
        raise BadInput(f"{own} has the log's own key; a witness is another party")
    return policy


def require_cosigned(policy: Policy, found: Note) -> Checkpoint:
    """The checkpoint if a log of the policy signed it and a quorum cosigned it; otherwise NotLogged or BadNote."""
    head = checkpoint.decode(found.text)
    logs = [checkpoint.log_key(Ed25519PublicKey.from_public_bytes(public)) for public in sorted(policy.logs)]
    if not any(note.is_signed(found, key) for key in logs if key.name == head.origin):
        raise NotLogged(f"{head.origin}: not signed by the log that the policy names")
    cosigned = policy.cosigners(found)
    if not policy.holds(cosigned):
        names = ", ".join(sorted(cosigned)) or "no one"
        raise NotLogged(f"cosigned by {names}: no quorum of the {len(policy.witnesses)} witnesses")
    return head


def of_proof(policy: Policy, data: bytes) -> Entry:
    """The entry in the proof. NotLogged unless a checkpoint accepted by the policy covers it."""
    if len(data) > tlogproof.LIMIT_BYTES:
        raise NotLogged(f"more than {tlogproof.LIMIT_BYTES} bytes are no proof")
    try:
        proof = tlogproof.decode(data, extra=True)
        require_cosigned(policy, proof.note)
        proof.require(proof.extra)
    except BadNote as error:
        raise NotLogged(str(error)) from None
    return decode(proof.extra)


def require_logged(policy: Policy, data: bytes, version: str, payload: str | None) -> Entry:
    """The entry if it has this version of this product and this payload (None: any); otherwise NotLogged."""
    found = of_proof(policy, data)
    if found.product not in PRODUCTS or found.version != version:
        raise NotLogged(f"the proof is of {found.product} {found.version}, not of {PRODUCT} {version}")
    if payload is not None and found.payload != payload:
        raise NotLogged(f"the log has payload {found.payload} for version {version}, the bundle has {payload}")
    return found


def _require_point(public: bytes) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(public)
    except ValueError:
        raise BadInput(f"{public.hex()}: not a key of Ed25519") from None
