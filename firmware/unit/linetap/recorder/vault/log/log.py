# SPDX-License-Identifier: Apache-2.0
"""The unit's log in vault/log/: a Merkle log of all acts of the unit on calls, under a signed head.

Used by the vault's thread alone. A leaf about a call is appended once, even if its job is done again; a leaf about the
unit is identified by its time.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from linetap.recorder.vault.log.closes import calls_in, find_closes
from linetap.recorder.vault.log.leaves import Fields, decode_leaf, identity, identity_of, leaves_of
from linetap.recorder.vault.log.pastleaves import KeptLeaves, PastLeaves
from linetap.recorder.vault.log.proof import CHANGED, OTHER, SHORT, Misfit, Proof, SignedHeads
from linetap.recorder.vault.log.recentlywritten import RecentlyWritten
from linetap_core import jsontext, plainfile
from linetap_core.clock import NS_PER_S, Clock, rfc3339
from linetap_core.durable import broken, files, folders
from linetap_core.durable.files import replace_durably
from linetap_core.durable.unreadable import is_missing, reading
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.keys.keys import SigningKey
from linetap_core.evidence.merklelog import leaflog, unitlog
from linetap_core.evidence.merklelog.closing import Closing, Inclusion
from linetap_core.evidence.merklelog.leaflog import LeafLog, LogShort
from linetap_core.evidence.merklelog.unitlog import Head, HeadCopy, Kind
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import CallEvent, CallRecord
from linetap_core.system import is_damage
from linetap_core.vaultformat import keptlogs, vaultname
from linetap_core.watchdog import step

REMEMBERED = 4096  # newest leaves that are recognised when appended again, as in the outbox
COPY_EVERY_NS = 10 * NS_PER_S  # an older copy of the head proves fewer leaves
LOOK_EVERY_NS = 60 * NS_PER_S
LEAVES_A_STEP = 10_000  # a fraction of a second on a Pi 4; of a log of years a search takes minutes
_DAYS_LOOKED_AT = 2  # newest day folders in which a call's close may be missing after a power cut

log = logging.getLogger("linetap.recorder.vault")


class UnitLog:
    """The log. Every method may raise OSError: then nothing was appended, and the append may be repeated."""

    def __init__(self, vault: Path, unit: str, key: SigningKey, clock: Clock, name: str = "") -> None:
        """`name`: the vault's name. A log that does not match its own head is set aside, and another begun."""
        self._vault, self._unit, self._key, self._clock = vault, unit, key, clock
        self._folder = vault / unitlog.FOLDER
        self._origin = keys.fingerprint(key.public_key())
        self._last_event: Callable[[], int] | None = None
        self._begun: list[CallEvent] = []  # events of newly begun logs, not reported yet
        self._copied_ns: int | None = None
        self.newest_event = 0  # the newest event that a leaf names
        self._head_of_desk: Head | None = None
        self._log: LeafLog
        self._proof: Proof
        self._past, self._kept_leaves = PastLeaves(), KeptLeaves(vault)
        self.kept: list[str] = []  # logs set aside that are still in the vault
        self._kept_ns = 0
        newest: Head | None = None
        folders.is_there(self._folder)
        try:
            heads = SignedHeads(self._folder, unit, self._origin)
            newest = heads.newest
            proved = newest.size if newest is not None else 0
            self._log = LeafLog(self._folder, proved, misses=True, set_aside=broken.set_aside, counts_later=True)
            self._proof = Proof(self._log, heads, self._past.take)
        except (LogShort, Misfit) as error:
            misfit = error if isinstance(error, Misfit) else Misfit(SHORT, str(error), newest)
            self._begin_anew(misfit, newest.log if newest is not None else name, [])
        else:
            self._has_head = newest is not None
            self.name = newest.log if newest is not None else keptlogs.name_of(self._log) or name
            files.remove_temporary(self._folder)
            self._forget()
            self._index_leaves(max(0, self._log.size - REMEMBERED))
            if not self._has_head and (begun := keptlogs.begun_event(self._log)) is not None:
                self._begun.append(begun)  # a power cut may have prevented the report
            self._prove()
        if not self._log.size and (kept := keptlogs.numbers(vault)):  # a power cut came before the new log's first leaf
            self._begin_after(kept[-1], Misfit(OTHER, "found set aside", None), "", [])
        self._refresh_kept_logs()

    def _forget(self) -> None:
        self._known = RecentlyWritten(REMEMBERED)  # each with the number of its leaf
        self._kinds = set[str]()  # kinds of leaf known to be in the log
        self._open: dict[str, None] = {}  # calls with an open leaf and no close
        self._made_good = False
        self._head_size = -1  # size of the head on disk; unknown at the start

    @property
    def size(self) -> int:
        return self._log.size

    def pop_begun_events(self) -> list[CallEvent]:
        """Returns the events to report of logs that were begun after another was set aside."""
        begun, self._begun = self._begun, []
        return begun

    @property
    def open_calls(self) -> list[str]:
        """Calls with an `open` leaf and no `close` among the newest leaves."""
        return list(self._open)

    def count_events(self, last_seq: Callable[[], int]) -> None:
        """Adds the newest event's number to every leaf from now on, so that a missing outbox file is noticed."""
        self._last_event = last_seq

    def has_any(self, kind: Kind) -> bool:
        """Whether the log has a leaf of that kind. All leaves are read if the newest have none."""
        if kind in self._kinds:
            return True
        return any((leaf := decode_leaf(line)) is not None and leaf.kind == kind for line in self.leaves(0))

    def leaves(self, first: int) -> Iterator[bytes]:
        """Yields the lines from leaf `first` to the last: steps of the thread, which would hang in a log of years."""
        for number, line in enumerate(self._log.leaves(first), 1):
            if number % LEAVES_A_STEP == 0:
                step()
            yield line

    def append(self, kind: Kind, **fields: str | int | float | list[str] | None) -> None:
        """Appends one leaf, synced, unless the log has it already. `at` defaults to now."""
        self._append([(kind, fields)])

    def close_call(self, call_id: str) -> None:
        """Appends the leaves of a sealed call (leaves.py) in one write. Refusal if its record is damaged."""
        path = self._vault / sealed.call_path(call_id) / sealed.RECORD
        with reading(path):
            data = plainfile.read(path, sealed.RECORD_LIMIT_BYTES)
        try:
            record = jsontext.decode(data, type=CallRecord)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refusal(f"{path}: {error}") from None
        self._append(leaves_of(call_id, record, data, self._key))

    def publish(self) -> None:
        """Writes the signed head over all leaves, head.json and head.json.sig, once the log is proved."""
        proved = self._prove()
        self._refresh_kept_logs()
        if not proved:
            return
        self._append_missing_closes()
        if self._log.size == self._head_size:
            return
        tree = self._log.tree
        head = Head(
            unit=self._unit, size=tree.size, root=tree.root().hex(), at=rfc3339(self._clock.utc_ns()),
            origin=self._origin, log=self.name,
        )  # fmt: skip
        data = unitlog.encode_head(head)
        signature = sshsig.sign(data, self._key, namespaces.HEAD)
        path = self._folder / unitlog.HEAD
        now_ns = self._clock.monotonic_ns()
        if self._copied_ns is None or now_ns - self._copied_ns >= COPY_EVERY_NS:
            copy = HeadCopy(data.decode("utf-8"), signature)
            replace_durably(path.with_name(unitlog.COPY), unitlog.encode_copy(copy))
            self._copied_ns = now_ns
        replace_durably(path, data)
        replace_durably(namespaces.signature_path(path), signature.encode("ascii"))
        self._head_size, self._has_head = tree.size, True

    def compare_with_desk_head(self, data: str, signature: str) -> None:
        """Compares the log with the desk's newest head, which our own signature authenticates.

        Heads of another log or another key are ignored.
        """
        with contextlib.suppress(Refusal, ValueError):
            head = unitlog.check_head(data.encode("utf-8"), signature.encode("utf-8"), None)
            if (head.unit, head.origin, head.log) == (self._unit, self._origin, self.name):
                self._head_of_desk = head

    @property
    def is_proved(self) -> bool:
        """Whether all leaves were compared with their signed head; before, nothing is signed that depends on them."""
        return self._proof.is_done

    def past_leaves(self) -> PastLeaves | None:
        """The commands, holds and roles in the leaves of before this start, also of logs that were set aside; None
        until all are read."""
        is_read = self._proof.is_done and self._kept_leaves.is_read
        return self._past.after(self._kept_leaves.past) if is_read else None

    def sign_as_head(self, document: bytes) -> str:
        """The armored signature of a document about this vault, in the namespace of the heads. May raise TpmFault."""
        return sshsig.sign(document, self._key, namespaces.HEAD)

    def closing(self, call_id: str) -> Closing | None:
        """Returns the proof that the call is closed, under a current signed head; None: the call has no close."""
        self.publish()
        if not self._proof.is_done:
            raise ValueError("it is still being compared with its head")
        index = self._known.number_of("close", call_id)
        if index is None:
            index = find_closes(self._log, self.leaves, [call_id]).get(call_id)
        if index is None:
            return None
        path = self._folder / unitlog.HEAD
        leaf, inclusion = self._proven(index)
        before = next(self._log.leaves(index - 1)) if index else b""  # both were appended in one write
        is_end = (found := decode_leaf(before)) is not None and (found.kind, found.call_id) == ("end", call_id)
        end, end_path = self._proven(index - 1) if is_end else ("", "")
        return Closing(
            leaf=leaf,
            path=inclusion,
            head=plainfile.read(path, unitlog.HEAD_LIMIT_BYTES).decode("utf-8"),
            sig=plainfile.read(namespaces.signature_path(path), sshsig.SIGNATURE_LIMIT_BYTES).decode("ascii"),
            end=end,
            end_path=end_path,
        )

    def _proven(self, index: int) -> tuple[str, str]:
        """A leaf, and its inclusion path to the root over all leaves."""
        tree = self._log.tree
        path = Inclusion(index, tree.size, tuple(tree.inclusion(index))).encode()
        return next(self._log.leaves(index)).decode("utf-8"), path.decode("ascii")

    def close(self) -> None:
        self._log.close()

    # --- Comparing the log with its signed heads

    def _prove(self) -> bool:
        """Whether the log is proved, or a new one was begun. A long log takes several turns."""
        try:
            if not self._kept_leaves.is_read:
                self._kept_leaves.step()
                step()
            if not self._proof.is_done:
                self._proof.step()
                step()
            if self._proof.is_done and (head := self._head_of_desk) is not None:
                self._head_of_desk = None
                self._compare_with(head)
        except Misfit as misfit:
            self._replace_log(misfit)
        except LogShort as error:
            self._replace_log(Misfit(SHORT, str(error), self._proof.newest))
        except OSError as error:
            if not is_damage(error):
                raise
            self._replace_log(Misfit(SHORT, f"it cannot be read: {error.strerror}", self._proof.newest))
        return self._proof.is_done

    def _replace_log(self, misfit: Misfit) -> None:
        old = self._log
        self._begin_anew(misfit, self.name, [*old.appended()])
        old.close()

    def _compare_with(self, head: Head) -> None:
        if head.size > self._log.size:
            raise Misfit(SHORT, f"{self._log.size} leaves, and the desk has a head over {head.size}", head)
        if self._log.tree.root(head.size).hex() != head.root:
            raise Misfit(CHANGED, f"the first {head.size} leaves are not those that the desk has the head of", head)

    def _begin_anew(self, misfit: Misfit, before: str, new: list[bytes]) -> None:
        """Sets the mismatched log aside under another name and begins another; `new`, the leaves of this start, are
        carried over.
        """
        number = keptlogs.set_aside(self._folder)
        log.error("%s: %s: %s; it is kept as %s", misfit.code, self._folder, misfit, keptlogs.place(number))
        self._log = LeafLog(self._folder)
        self._past, self._kept_leaves = PastLeaves(), KeptLeaves(self._vault)
        self._proof = Proof(self._log, SignedHeads(self._folder, self._unit, self._origin), self._past.take)
        self._proof.finish()
        self._begin_after(number, misfit, before, new)

    def _begin_after(self, number: int, misfit: Misfit, before: str, new: list[bytes]) -> None:
        """Begins a log whose first leaf names the log that was set aside."""
        self._forget()
        self._has_head, self._copied_ns, self.newest_event = False, None, 0
        self.name, place = vaultname.new_name(), keptlogs.place(number)
        at, head = rfc3339(self._clock.utc_ns()), misfit.head
        leaf: dict[str, object] = {"kind": "log_begun", "at": at, "log": self.name, "before": before}
        leaf |= {} if head is None else {"size": head.size, "root": head.root}
        first = leaflog.encode(leaf | {"why": misfit.code, "kept": place})
        self._log.append_lines([first, *keptlogs.carried_leaves(self._folder.with_name(place)), *new])
        self._index_leaves(0)
        self._begun = [CallEvent(seq=0, event="log_begun", at=at, unit="", before=before, why=misfit.code)]
        self._kept_ns = 0

    def _refresh_kept_logs(self) -> None:
        """Updates `kept` at intervals: a person removes a log that was set aside after archiving it."""
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._kept_ns:
            self.kept = [keptlogs.place(number) for number in keptlogs.numbers(self._vault)]
            self._kept_ns = now_ns + LOOK_EVERY_NS

    # --- Leaves in memory----------------------------------------------------------------------------------------

    def _append(self, found: list[tuple[Kind, Fields]]) -> None:
        now = rfc3339(self._clock.utc_ns())
        counted = {} if self._last_event is None else {"seq": self._last_event()}
        leaves = [{"kind": kind, "at": now, **fields, **counted} for kind, fields in found]
        new = [leaf for leaf in leaves if not self._known.has(*identity_of(leaf))]
        if not new:
            return
        lines = [leaflog.encode(leaf) for leaf in new]
        first = self._log.append_lines(lines)
        for index, line in enumerate(lines, first):
            self._index_leaf(index, line)

    def _index_leaves(self, first: int) -> None:
        for index, line in enumerate(self._log.leaves(first), first):
            self._index_leaf(index, line)

    def _index_leaf(self, index: int, line: bytes) -> None:
        leaf = decode_leaf(line)
        if leaf is None:
            log.error("log_damaged: %s: a leaf cannot be read", self._folder)
            return
        self.newest_event = max(self.newest_event, leaf.seq or 0)
        self._known.add(index, *identity(leaf.kind, leaf.at, leaf.call_id, leaf.sha256))
        self._kinds.add(leaf.kind)
        if leaf.call_id and leaf.kind == "open":
            self._open[leaf.call_id] = None
        elif leaf.call_id and leaf.kind == "close":
            self._open.pop(leaf.call_id, None)

    def _append_missing_closes(self) -> None:
        """Appends, once, the close of calls that were sealed just before a power cut; in a new log, of all calls."""
        if self._made_good:
            return
        made, days = 0, _DAYS_LOOKED_AT if self._log.size and self._has_head else None
        candidates = [id_ for id_ in calls_in(self._vault, days) if not self._known.has("close", id_)]
        if candidates or self._open:
            wanted = dict.fromkeys([*self._open, *candidates])
            closed = find_closes(self._log, self.leaves, wanted)
            for call_id in wanted:
                folder = self._vault / sealed.call_path(call_id)
                if call_id not in closed and not is_missing(folder / sealed.SIGNATURE):
                    self._close_found(call_id)
                    step()
                    made += 1
        if made:
            log.warning("log_made_good: %d calls were sealed and not closed", made)
        self._made_good = True

    def _close_found(self, call_id: str) -> None:
        try:
            self.close_call(call_id)
        except Refusal as refusal:
            log.error("vault_damaged: %s", refusal)
