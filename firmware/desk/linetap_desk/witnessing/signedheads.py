# SPDX-License-Identifier: Apache-2.0
"""Reads and writes files of signed heads and checkpoints, and the state of a witness.

A cosigned head is FILE as the unit wrote it, FILE.sig of the unit and FILE.witness.sig of the witness. Checkpoints with
all their cosignatures are HEADS/UNIT/000000042.checkpoint. All of them are kept, since the first one that covers a leaf
proves by when the leaf existed. Removing one can only make a leaf appear younger, which helps no forger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from linetap_core.clock import from_utc_ns, parse_rfc3339
from linetap_core.durable.copies import read_file_or_twin, replace_both, twin_of
from linetap_core.durable.files import replace_durably, sync_directory
from linetap_core.durable.smallfile import Broken, SmallFile
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.merklelog.unitlog import Head
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing import signers as allowed
from linetap_core.evidence.signing.signers import Signer
from linetap_core.evidence.witness import checkpoint, note
from linetap_core.evidence.witness.checkpoint import Checkpoint
from linetap_core.evidence.witness.note import BadNote, Line, Note
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.callfolder import Damaged

PRINCIPAL = allowed.WITNESS
FIRST = "first"  # name of a log without one
WITNESS_SUFFIX = f".witness{namespaces.SUFFIX}"


class SignedHead(NamedTuple):
    head: Head
    data: bytes  # the signed bytes
    signature: bytes  # the unit's, armored


def read_cosigned(path: Path, signers: list[Signer] | None) -> Head:
    """The head, if the unit and a witness in `signers` signed it; otherwise a Refusal."""
    head, data, signature = read_head(path, None)
    armored = callfolder.read(_beside(path, WITNESS_SUFFIX), sshsig.SIGNATURE_LIMIT_BYTES)
    key = sshsig.check(data, armored, namespaces.HEAD)
    if signers is not None:
        allowed.require_trust(key, namespaces.HEAD, signers, PRINCIPAL, from_utc_ns(parse_rfc3339(head.at)))
        with contextlib.suppress(allowed.SignerUndated):  # the witness cosigned it while the unit's key was valid
            unitlog.check_head(data, signature, signers)
    return head


def read_head(path: Path, signers: list[Signer] | None, seen: datetime | None = None) -> SignedHead:
    """A head signed by its unit; otherwise a Refusal. `seen`: when witnesses had cosigned it, if known."""
    data = callfolder.read(path, unitlog.HEAD_LIMIT_BYTES)
    signature = callfolder.read(_beside(path, namespaces.SUFFIX), sshsig.SIGNATURE_LIMIT_BYTES)
    return SignedHead(unitlog.check_head(data, signature, signers, seen), data, signature)


def write_cosigned(path: Path, signed: SignedHead, key: Ed25519PrivateKey) -> None:
    """Writes head and signatures. A concurrent reader may find an old signature with a new head, and reads again."""
    replace_durably(path, signed.data)
    replace_durably(_beside(path, namespaces.SUFFIX), signed.signature)
    cosignature = sshsig.sign(signed.data, key, namespaces.HEAD)
    replace_durably(_beside(path, WITNESS_SUFFIX), cosignature.encode("ascii"))


def keep_other_log(path: Path, head: Head) -> None:
    """Renames a head of another log at `path` after that log: UNIT.LOG.json."""
    try:
        other = unitlog.decode_head(callfolder.read(path, unitlog.HEAD_LIMIT_BYTES))
    except Refusal:
        return  # missing, or no evidence
    if other.log != head.log:
        to = path.with_name(f"{path.stem}.{other.log or FIRST}{path.suffix}")
        for suffix in (namespaces.SUFFIX, WITNESS_SUFFIX, ""):  # the head last: after a crash the rest follows it
            with contextlib.suppress(FileNotFoundError):
                _beside(path, suffix).rename(_beside(to, suffix))


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


MOST_STATE_BYTES = 16 << 20


def load_state[T](file: SmallFile[dict[str, T]], path: Path) -> dict[str, T]:
    """A witness's last cosignature, from FILE or FILE.twin. A damaged or missing file is read from its twin, since a
    witness that forgets would cosign two logs. If both are damaged, BadInput: they stay, and nothing is cosigned."""
    try:
        if not path.exists() and (kept := file.load_in_place(twin_of(path))) is not None:
            file.replace(path, kept)
        return read_file_or_twin(file, path, stays=True)
    except FileNotFoundError:
        return {}
    except Broken as error:
        text = f"{error}, and so is its twin" if twin_of(path).exists() else str(error)
        raise BadInput(f"{path}: {text}; what this witness has written expected") from None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def keep_state[T](file: SmallFile[dict[str, T]], path: Path, state: dict[str, T]) -> None:
    """Writes both files, durably. After an OSError each is the old or the new one, and nothing may be cosigned."""
    replace_both(file, path, dict(sorted(state.items())))


SUFFIX = ".checkpoint"
_DIGITS = 9


class KeptCheckpoint(NamedTuple):
    path: Path
    note: Note
    checkpoint: Checkpoint


def folder_of(heads: Path, unit: str, log: str = "") -> Path:
    """The folder of one log of a unit; the first log, which has no name, has the unit's name."""
    return heads / (f"{unit}.{log}" if log else unit)


def unit_and_log(folder: str) -> tuple[str, str]:
    """Unit and log by a folder's name."""
    unit, _, log = folder.partition(".")
    return unit, log


def checkpoint_path(heads: Path, unit: str, size: int, log: str = "") -> Path:
    return folder_of(heads, unit, log) / f"{size:0{_DIGITS}d}{SUFFIX}"


def kept_checkpoints(
    heads: Path, unit: str, log: str = "", *, newest_first: bool = False, above: int = 0
) -> Iterator[KeptCheckpoint]:
    """Every checkpoint of a unit's log over more leaves than `above`, by size, read lazily: rounds every five minutes
    make a hundred thousand a year. BadNote names a malformed file."""
    folder, lowest = folder_of(heads, unit, log), checkpoint_path(heads, unit, above, log)
    for path in sorted(folder.glob(f"*{SUFFIX}"), reverse=newest_first) if folder.is_dir() else ():
        if above and len(path.name) == len(lowest.name) and path.name <= lowest.name:
            continue
        try:
            found = read_checkpoint(path)
        except (BadNote, Damaged) as error:
            raise BadNote(f"{path}: {error}", error.code) from None
        if path != checkpoint_path(heads, unit, found.checkpoint.size, log):
            raise BadNote(f"{path}: is over {found.checkpoint.size} leaves, another number than in its name")
        yield found


def read_checkpoint(path: Path) -> KeptCheckpoint:
    found = note.parse(callfolder.read(path, note.LIMIT_BYTES))
    return KeptCheckpoint(path, found, checkpoint.decode(found.text))


def keep_checkpoint(heads: Path, unit: str, signed: Note, lines: list[Line], log: str = "") -> Path:
    """Stores the checkpoint with these cosignatures and earlier ones. BadNote if another checkpoint of this size is
    stored: two logs have the same name."""
    path = checkpoint_path(heads, unit, checkpoint.decode(signed.text).size, log)
    if not path.parent.is_dir():
        path.parent.mkdir(exist_ok=True)
        sync_directory(heads)  # a keeper that forgets the log would sign another one
    had = read_checkpoint(path).note if path.exists() else signed
    if had.text != signed.text:
        raise BadNote(f"{path}: another checkpoint of this size is kept: the log was rewritten", "fork")
    known = {(line.name, line.key_id) for line in had.lines}
    more = tuple(line for line in lines if (line.name, line.key_id) not in known)
    replace_durably(path, Note(had.text, had.lines + more).encode())
    return path
