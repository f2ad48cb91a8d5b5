# SPDX-License-Identifier: Apache-2.0
"""Makes the custodian's download: an uncompressed USTAR archive, streamed, so that a long call needs no memory here.

request.json and its signatures, roles.json and its signature, allowed_signers, calls/ID/ byte for byte, inner/ID.age.
If they exist: handed/ID.age (of an earlier custodian of a group), amended/ID.001.json and its signature (corrected
times of the record), closing/ID.json (the proof from the unit's log) and witnessed/ID.tlog-proof (the witnesses'
proof).
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import StreamingResponse

from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence import sealing
from linetap_core.evidence.authorization.roles import Roles
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.witness import tlogproof
from linetap_core.evidence.witness.tlogproof import witnessed_path
from linetap_core.rundir import read_small
from linetap_desk.proofs import amendments, callfolder
from linetap_desk.serve.handling.site import Site
from linetap_desk.serve.release import callfiles, store
from linetap_desk.serve.release.checking import RolesInForce
from linetap_desk.serve.release.steps import Chain, RequestState, StepFault
from linetap_desk.unsealing.wrapped import Wrapped

_PIECE_BYTES = 1 << 16
_SIGNERS_LIMIT_BYTES = 1 << 20
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive: a small one as bytes, a file of a call as its path."""

    name: str
    size: int
    content: bytes | Path


def members(site: Site, state: RequestState, roles: RolesInForce) -> list[Member]:
    """The files of the package. StepFault without a second copy of the call."""
    row = state.row
    folder = callfiles.copy_folder(site, row)
    signers = site.settings.desk.signers
    try:
        names = sorted(callfolder.entries(folder))
        files = [_file(folder / name, f"calls/{row['call_id']}/{name}") for name in names]
        known = read_small(Path(signers), _SIGNERS_LIMIT_BYTES) if signers else b""
    except (OSError, Refusal, BadInput):
        raise StepFault("copy_unreadable", f"{row['call_id']}: its second copy cannot be read whole") from None
    return [
        *_request(state),
        as_member("roles.json", roles.data),
        as_member(f"roles.json{namespaces.SUFFIX}", roles.sig),
        as_member("allowed_signers", known),
        *files,
        as_member(f"inner/{row['call_id']}{sealing.SUFFIX}", bytes(row["inner_age"])),
        *_previous_custodian_file(site, state),
        *_rewrapped_key(callfiles.newest_wrapped(site, row, roles.roles), row["call_id"]),
        *_amendment_members(folder),
        *_closing_members(site, row),
        *_witness_members(folder),
    ]


def _previous_custodian_file(site: Site, state: RequestState) -> list[Member]:
    """The previous custodian's file; none for the first custodian, who has the one-time key."""
    if state.chain.handed is None:
        return []
    with site.own.connect() as db:
        data = store.partial_data(db, state.row["id"], state.chain.handed)
    return [as_member(f"handed/{state.row['call_id']}{sealing.SUFFIX}", data)] if data else []


def for_the_vault(site: Site, state: RequestState, roles: Roles) -> list[Member]:
    """The input of `linetap unwrap`, with a re-wrapped key and earlier officers' partials, without audio."""
    wrapped = callfiles.newest_wrapped(site, state.row, roles)
    named = _rewrapped_key(wrapped, state.row["call_id"])
    of_wrapped = "" if wrapped is None else hashlib.sha256(wrapped.key_age).hexdigest()
    return for_an_approver(site, state) + named + handed_on(site, state.row["id"], state.chain, of_wrapped)


def _rewrapped_key(wrapped: Wrapped | None, call_id: str) -> list[Member]:
    """holds/ID/: the re-wrapped key and its document; for the custodian's bundle too, which must open later."""
    found = {} if wrapped is None else wrapped.members()
    return [as_member(f"holds/{call_id}/{name}", data) for name, data in found.items()]


def for_an_approver(site: Site, state: RequestState) -> list[Member]:
    """The proof that the call is as its unit sealed it: the signed record has the hashes of the audio too."""
    return _request(state) + of_call(site, state.row)


def handed_on(site: Site, about: str, chain: Chain, of_wrapped: str = "") -> list[Member]:
    """The partials, partial/1.age and so on, each encrypted to the following officers."""
    with site.own.connect() as db:
        found = [(one, store.partial_data(db, about, one)) for one in chain.officers if one.here]
    return [as_member(callfiles.partial_name(one, of_wrapped), data) for one, data in found if data]


def of_call(site: Site, row: Mapping[str, Any]) -> list[Member]:
    """calls/ID/ without its audio, amended/ID.001.json, and closing/ID.json."""
    folder, call_id = callfiles.copy_folder(site, row), row["call_id"]
    names = [sealed.RECORD, sealed.SIGNATURE, sealed.KEY]
    if (folder / sealed.META).exists():  # missing after a power cut that left only the call's folder
        names.append(sealed.META)
    try:
        files = [_file(folder / name, f"calls/{call_id}/{name}") for name in names]
    except OSError:
        raise StepFault("copy_unreadable", f"{call_id}: its second copy cannot be read whole") from None
    return files + _amendment_members(folder) + _closing_members(site, row) + _witness_members(folder)


def _amendment_members(folder: Path) -> list[Member]:
    """All amendments as the unit signed them: each person who opens the call verifies them, and the record stays as
    sealed."""
    limits = {".json": amendment.LIMIT_BYTES, namespaces.SUFFIX: sshsig.SIGNATURE_LIMIT_BYTES}
    found = amendments.files(amendments.home(folder), folder.name)
    try:
        return [
            as_member(f"{amendment.FOLDER}/{path.name}", callfolder.read(path, limits[path.suffix])) for path in found
        ]
    except (OSError, Refusal):
        raise StepFault("copy_unreadable", f"{folder.name}: its amendments cannot be read whole") from None


def _closing_members(site: Site, row: Mapping[str, Any]) -> list[Member]:
    proof = callfiles.read_closing(site, row)
    return [as_member(f"{closing.FOLDER}/{row['call_id']}{closing.SUFFIX}", proof)] if proof else []


def _witness_members(folder: Path) -> list[Member]:
    """The proof that `linetap checkpoint --store` wrote; each person who opens the call verifies it by their own
    policy."""
    path = callfolder.home(folder) / witnessed_path(folder.name)
    try:
        data = callfolder.read(path, tlogproof.LIMIT_BYTES) if path.exists() else b""
    except (OSError, Refusal):
        return []
    return [as_member(f"{tlogproof.FOLDER}/{folder.name}{tlogproof.SUFFIX}", data)] if data else []


def answer(members: Sequence[Member], name: str) -> StreamingResponse:
    length = sum(tarfile.BLOCKSIZE + one.size + -one.size % tarfile.BLOCKSIZE for one in members) + len(_END)
    headers = {"content-length": str(length), "content-disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(stream(members), media_type="application/x-tar", headers=headers)


def stream(members: Sequence[Member]) -> Iterator[bytes]:
    """The archive. OSError if a file changed its size after the header: the response is cut short, and its reader
    refuses it."""
    for one in members:
        info = tarfile.TarInfo(one.name)
        info.size = one.size
        yield info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
        if isinstance(one.content, bytes):
            yield one.content
        else:
            yield from _pieces(one.content, one.size)
        yield bytes(-one.size % tarfile.BLOCKSIZE)
    yield _END


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        while size:
            piece = file.read(min(size, _PIECE_BYTES))
            if not piece:
                raise OSError("a file of the second copy became shorter")
            size -= len(piece)
            yield piece


def _request(state: RequestState) -> list[Member]:
    signed = [as_member(name, data) for name, data in sorted(state.signatures.items())]
    return [as_member("request.json", bytes(state.row["request"])), *signed]


def as_member(name: str, data: bytes) -> Member:
    return Member(name, len(data), data)


def _file(path: Path, name: str) -> Member:
    return Member(name, path.stat(follow_symlinks=False).st_size, path)
