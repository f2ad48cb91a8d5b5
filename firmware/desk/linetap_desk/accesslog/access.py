# SPDX-License-Identifier: Apache-2.0
"""The desk's access log: person, step, recording, origin and outcome.

A Merkle log (evidence/merklelog/leaflog.py) whose head is signed after every leaf. A step is logged and synced before
it is taken. An old head, kept elsewhere, exposes any truncation or rewriting of the leaves that it covers (`linetap
access verify`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec

from linetap_core import system
from linetap_core.clock import Clock, rfc3339
from linetap_core.durable import broken
from linetap_core.durable.files import replace_durably
from linetap_core.errors import ShownRefusal
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import PublicKey, SigningKey
from linetap_core.evidence.merklelog import leaflog
from linetap_core.evidence.merklelog.merkle import Tree
from linetap_core.evidence.merklelog.unitlog import HEAD, HEAD_LIMIT_BYTES, BadHead, Head, decode_head, encode_head
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_desk.inputs import strict

_TEXT_LIMIT = 160  # characters of a field, as a leaf has a limit; keys and hashes are shorter
_MOST_APPROVERS = 4


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One leaf. Outcome `granted` is logged before the step is taken; `failed` refers by `grant` to the leaf of a step
    that had no effect."""

    verb: str
    at: str = ""
    outcome: str = ""
    user: str = ""
    host: str = ""
    origin: str = msgspec.field(name="from", default="")  # address of the ssh session
    name: str = ""  # the person, if the step names one
    request: str = ""
    request_sha256: str = ""
    purpose: str = ""
    case: str = ""
    requester: str = ""
    recipient: str = ""
    one_time: str = ""
    calls: list[str] = msgspec.field(default_factory=list)
    key_sha256: str = ""  # of the key.age that was opened
    left: int = 0  # members of a group still needed; nothing was opened yet
    lines: list[int] = msgspec.field(default_factory=list)
    approvers: list[str] = msgspec.field(default_factory=list)
    roles: int = 0  # version of the roles in force
    roles_sha256: str = ""  # of the roles file, in the entry that puts it into force
    unreleased: bool = False
    number: str = ""  # the searched number, masked
    span: str = ""  # from/to of a search
    grant: int | None = None
    code: str = ""
    text: str = ""


def leaf_of(entry: Entry, at: str) -> dict[str, object]:
    """The set fields, truncated to the size of a leaf: a long name must not prevent logging."""
    entry = msgspec.structs.replace(entry, at=at, user=_user(), host=socket.gethostname(), origin=_origin())
    fields: dict[str, object] = msgspec.to_builtins(entry)
    for name, value in fields.items():
        if isinstance(value, str):
            fields[name] = value[:_TEXT_LIMIT].encode("utf-8", "backslashreplace").decode("utf-8")
    fields |= {"approvers": entry.approvers[:_MOST_APPROVERS]} if entry.approvers else {}
    return fields


def _user() -> str:
    """The account, preceded by the account that called sudo."""
    name = system.user_name()
    before = os.environ.get("SUDO_USER", "")
    return f"{before} as {name}" if before else name


def _origin() -> str:
    return os.environ.get("SSH_CONNECTION", "").partition(" ")[0]


_LOCK = "lock"
_LOCK_WAIT_S, _LOCK_STEP_S = 10.0, 0.05


class AccessFault(ShownRefusal):
    """The log was changed. Nothing may be opened until the cause is known."""


class AccessLog:
    """A folder with leaves.jsonl, tree.bin, head.json and head.json.sig."""

    def __init__(self, folder: Path, key: SigningKey, clock: Clock) -> None:
        self.folder = folder
        self._key = key
        self._clock = clock

    @property
    def name(self) -> str:
        """The log's name in its heads."""
        return log_name(self._key.public_key())

    def sign(self, data: bytes, namespace: str) -> bytes:
        """The armored signature of a document made by a logged step, by the key of the heads."""
        return sshsig.sign(data, self._key, namespace).encode("ascii")

    @contextlib.contextmanager
    def logged_step(self, entry: Entry) -> Iterator[LoggedStep]:
        """One step, under the log's lock. An exception is logged as a refusal before `granted()`, as a failure after
        it, and re-raised."""
        with contextlib.ExitStack() as lock:
            lock.enter_context(self.locked())
            self._open().close()  # an unfinished leaf after a power cut must not refuse every later step
            deed = LoggedStep(self, entry, lock)
            try:
                yield deed
            except BaseException as error:  # Ctrl-C is logged too
                deed.ended(error)
                raise

    def append(self, entry: Entry) -> int:
        """Appends a leaf; returns its index once leaf and head are on disk. The caller holds the lock."""
        now = rfc3339(self._clock.utc_ns())
        log = self._open()
        try:
            index = log.append(leaf_of(entry, now))
            head = Head(
                unit=log_name(self._key.public_key()),
                size=log.size,
                root=log.tree.root().hex(),
                at=now,
                origin=keys.fingerprint(self._key.public_key()),
            )
        finally:
            log.close()
        data = encode_head(head)
        replace_durably(self.folder / HEAD, data)
        armored = sshsig.sign(data, self._key, namespaces.HEAD).encode("ascii")
        replace_durably(self.folder / f"{HEAD}{namespaces.SUFFIX}", armored)
        return index

    def entries(self) -> list[Entry]:
        """All entries. AccessFault if the log is shorter than its head or contradicts it."""
        entries, tree = read_log(self.folder)
        _require_own_head(self.folder, tree)
        return entries

    def _open(self) -> leaflog.LeafLog:
        path = self.folder / HEAD
        head = read_head(path) if path.exists() else None
        try:
            log = leaflog.LeafLog(self.folder, 0 if head is None else head.size, set_aside=broken.set_aside)
        except leaflog.LogShort as short:
            if head is None:
                raise
            raise _shortened(head, short.size, path) from None
        try:
            _require_own_head(self.folder, log.tree)
        except BaseException:  # re-raised; closes the file
            log.close()
            raise
        return log

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | system.CLOEXEC, 0o600)
        try:
            self._wait(fd)
            yield
        finally:
            os.close(fd)

    def _wait(self, fd: int) -> None:
        for _ in range(round(_LOCK_WAIT_S / _LOCK_STEP_S)):
            with contextlib.suppress(BlockingIOError):
                system.lock(fd)
                return
            self._clock.sleep(_LOCK_STEP_S)
        raise AccessFault("access_log_busy", f"{self.folder}: another command holds the access log")


class LoggedStep:
    """One step of a person. Facts are added to `entry` as they become known."""

    def __init__(self, log: AccessLog | None, entry: Entry, lock: contextlib.ExitStack) -> None:
        self.entry = entry
        self._log = log
        self._lock = lock
        self._grant: int | None = None
        self.past = log.entries() if log is not None else []

    def granted(self) -> None:
        """Logs the permission. The step may be taken only after this returns."""
        self._grant = self._write("granted")
        self._lock.close()

    def ended(self, error: BaseException) -> None:
        self.entry.code = getattr(error, "code", "") or type(error).__name__
        self.entry.text = str(error).removesuffix(f" [{self.entry.code}]")
        if self._grant is None:
            self._write("refused")
        elif self._log is not None:
            self.entry.grant = self._grant
            with self._log.locked():
                self._write("failed")

    def _write(self, outcome: str) -> int:
        self.entry.outcome = outcome
        return self._log.append(self.entry) if self._log is not None else 0


@contextlib.contextmanager
def unrecorded(entry: Entry) -> Iterator[LoggedStep]:
    """A step without a log, if no desk is configured."""
    yield LoggedStep(None, entry, contextlib.ExitStack())


def log_name(key: PublicKey) -> str:
    """The log's name in its heads, in place of a unit's name, by which a witness of several desks distinguishes
    logs."""
    return f"access-{hashlib.sha256(keys.public_blob(key)).hexdigest()[:8]}"


def read_log(folder: Path) -> tuple[list[Entry], Tree]:
    """Every entry, and the Merkle tree computed from the leaves, not from the stored hashes. An unfinished leaf does
    not count."""
    path, entries, tree = folder / leaflog.LEAVES, [], Tree()
    lines = leaflog.lines_of(path, 0, leaflog.end_of_lines(path)) if path.exists() else []
    for number, line in enumerate(lines, 1):
        tree.append(line)
        try:
            entries.append(strict.decode(line, Entry))
        except (ValueError, RecursionError) as error:
            raise AccessFault("access_log_damaged", f"{path}: line {number}: {error}") from None
    return entries, tree


def read_head(path: Path) -> Head:
    """A head kept here or elsewhere. Its signature is not checked: the log itself must continue it."""
    try:
        with path.open("rb") as file:
            return decode_head(file.read(HEAD_LIMIT_BYTES))
    except OSError as error:
        raise AccessFault("access_log_head", f"{path}: {error.strerror}") from None
    except BadHead as error:
        raise AccessFault("access_log_head", f"{path}: {error}") from None


def require_head(head: Head, tree: Tree, where: Path) -> None:
    """AccessFault unless the log begins with the leaves that `head` covers."""
    if head.size > tree.size:
        raise _shortened(head, tree.size, where)
    if tree.root(head.size).hex() != head.root:
        raise AccessFault("access_log_rewritten", f"{where}: the first {head.size} entries were changed")


def _shortened(head: Head, size: int, where: Path) -> AccessFault:
    text = f"{where}: the access log had {head.size} entries on {head.at} and has {size}"
    return AccessFault("access_log_shortened", text)


def _require_own_head(folder: Path, tree: Tree) -> None:
    if tree.size > 1 or (folder / HEAD).exists():  # a crash may have left the very first leaf without a head
        require_head(read_head(folder / HEAD), tree, folder / HEAD)
