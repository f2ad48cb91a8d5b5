# SPDX-License-Identifier: Apache-2.0
"""A request's files: request.json, the signatures beside it, and the custodian's one-time key."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import privatefile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.release import MOST_CALLS, NotReleased, Request, parse
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import document, namespaces, sshsig
from linetap_core.handover import read_small
from linetap_core.timekeeping import KEPT
from linetap_desk.accesslog.access import Deed
from linetap_desk.accesslog.access_entry import Entry
from linetap_desk.accesslog.deskfolder import Desk
from linetap_desk.unsealing import callproof, checkedcall
from linetap_desk.unsealing.checkedcall import CheckedCall, SealedKey

_MOST_SIGNATURES = 16
_MARK = "# release: "  # a comment to age
_KEY_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class RequestFile:
    """The exact bytes, what they say, and the signatures by the name of their file."""

    path: Path
    data: bytes
    request: Request
    signatures: dict[str, bytes]


def load(path: Path) -> RequestFile:
    """NotReleased for a request that says what none can say, BadInput for a file that cannot be read."""
    data = read_small(path, document.LIMIT_BYTES)
    try:
        request = parse(data)
    except BadInput as error:
        raise NotReleased("request_malformed", f"{path}: {error}") from None
    return RequestFile(path, data, request, signatures(path))


def signatures(path: Path) -> dict[str, bytes]:
    """Of request.json: request.json.sig and request.json.ANYTHING.sig in the same folder."""
    names = sorted(
        p.name for p in path.parent.iterdir() if p.name.startswith(f"{path.name}.") and p.suffix == namespaces.SUFFIX
    )
    if len(names) > _MOST_SIGNATURES:
        raise BadInput(f"{path}: {len(names)} signatures beside it, at most {_MOST_SIGNATURES} would be right")
    return {name: read_small(path.with_name(name), sshsig.SIGNATURE_LIMIT_BYTES) for name in names}


def describe(entry: Entry, request: Request) -> None:
    """Into the log's entry goes what is asked, whoever asks, whatever becomes of it."""
    entry.request, entry.purpose, entry.case = request.id, request.purpose, request.case
    entry.requester, entry.recipient, entry.one_time = request.requester, request.recipient, request.one_time


def name_calls(entry: Entry, calls: list[tuple[str, int]]) -> None:
    """Call ids and their lines."""
    entry.calls = [call_id for call_id, _ in calls[:MOST_CALLS]]
    entry.lines = sorted({line for _, line in calls[:MOST_CALLS]})


def checked(args: argparse.Namespace, folders: list[Path], desk: Desk, step: Deed) -> list[CheckedCall]:
    """Every call verified. Nothing of it is opened yet, so its audio may lack."""
    step.entry.calls = [path.resolve().name for path in folders][:MOST_CALLS]
    basis = callproof.basis(args, desk, desk.roles(step.past))
    found = [checkedcall.check(path, basis, with_audio=False) for path in folders]
    name_calls(step.entry, [(call.record.call_id, call.record.line) for call in found])
    return found


def name_folder(entry: Entry, call_dir: Path) -> None:
    """Before anything of a call is believed: what its folder is called stands in the log of every refusal."""
    name = call_dir.resolve().name
    entry.calls = [name] if sealed.CALL_ID.fullmatch(name) else []


def name_key(step: Deed, call: CheckedCall, key: SealedKey) -> None:
    """The call that the sealed key itself names, whatever its record says. NotReleased if this key was already
    opened for another call: one of the two records is false. A key without a name cannot be checked further."""
    call_id = call.record.call_id
    name_calls(step.entry, [(call_id, call.record.line)])
    step.entry.key_sha256 = key.sha256
    taken_back = {entry.grant for entry in step.past if entry.outcome == "failed"}
    for index, entry in enumerate(step.past):
        same = entry.outcome == "granted" and entry.key_sha256 == key.sha256 and index not in taken_back
        if same and entry.calls and call_id not in entry.calls:
            text = f"opened on {entry.at} as the key of {entry.calls[0]}, and cannot be {call_id}'s too"
            raise NotReleased("key_of_another_call", f"{sealed.KEY}: it was {text}")


def write_key(path: Path, request_id: str, clock: Clock = KEPT) -> str:
    """A fresh key for this request alone (0600); its public half."""
    identity = keys.new_identity()
    text = f"{_MARK}{request_id}\n" + keys.identity_file(identity, rfc3339(clock.utc_ns()))
    privatefile.write(path, text.encode("ascii"))
    return identity.recipient


def key_request(path: Path) -> str:
    """The request that a private file was made for; empty if it is no one-time key."""
    first = read_small(path, _KEY_LIMIT_BYTES).decode("ascii", "replace").partition("\n")[0]
    return first.removeprefix(_MARK).strip() if first.startswith(_MARK) else ""
