# SPDX-License-Identifier: Apache-2.0
"""Checks the log of a vault, from its leaves to the signed head, and compares it with the vault's calls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from linetap_core.clock import Clock, from_utc_ns, parse_rfc3339
from linetap_core.errors import BadInput, Refusal
from linetap_core.evidence.merklelog import leaflog, merkle, unitlog
from linetap_core.evidence.merklelog.leaflog import LEAVES
from linetap_core.evidence.merklelog.nodefile import TREE
from linetap_core.evidence.merklelog.unitlog import COPY, HEAD, Head, HeadCopy, Leaf
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer, SignerUndated, is_undated
from linetap_core.timekeeping import KEPT
from linetap_desk.inputs import strict
from linetap_desk.proofs import callfolder, headtime, verifycall
from linetap_desk.proofs.callfolder import Damaged
from linetap_desk.proofs.verdict import Problem, Verdict
from linetap_desk.vaultproofs.logclaims import LogClaims, LogWeakenings
from linetap_desk.vaultproofs.logends import LogEnds
from linetap_desk.vaultproofs.logorder import LogOrder
from linetap_desk.vaultproofs.witnessedlog import LogWitness
from linetap_desk.witnessing import signedheads
from linetap_desk.witnessing.judge import NO_RULES, Rules

NAME = "log"
MOST_PROBLEMS = 1000  # a foreign file may have a million invalid lines
_MOST_INVALID_BYTES = 16 << 20
FILES = {LEAVES, TREE, HEAD, HEAD + namespaces.SUFFIX}


class LogCheck:
    """The check of a log, done by the constructor. Afterwards `problems_of` is called for every call, and finally
    `verdict`."""

    def __init__(
        self,
        folder: Path,
        signers: list[Signer] | None,
        witness: Path | None,
        rules: Rules = NO_RULES,
        claims: LogClaims | None = None,
        clock: Clock = KEPT,
    ) -> None:
        """`claims`: of earlier logs in the same vault."""
        self._verdict = Verdict(NAME)
        self._folder, self._signers, self._clock = folder, signers, clock
        self.head: Head | None = None
        self.witnesses = LogWitness(rules, signers)
        self._is_read = False
        self._head_witnessed_at: datetime | None = None  # when witnesses had cosigned the head
        self._closes: dict[str, str] = {}  # call id -> hash of its record
        self._opens: set[str] = set()
        self._destructions: set[str] = set()
        self._vault_calls: set[str] = set()
        self._order = LogOrder(self._report)
        self._ends = LogEnds(self._report)
        self.claims = LogClaims() if claims is None else claims
        self._replacement_start: Leaf | None = None  # its first leaf, if it replaced another log
        self._weakenings = LogWeakenings()
        try:
            names = callfolder.entries(folder)
        except OSError as error:
            self._report("log_missing", f"cannot be read: {error.strerror}; the vault is not whole without its log")
        except Damaged as error:
            self._verdict.add(error)
        else:
            for name in sorted(names - FILES - {COPY}):
                self._report("extra_file", f"{name} does not belong into a log{callfolder.by_a_desktop(name)}")
            for name in sorted(FILES - names):
                self._report("missing_file", f"{name} is missing")
            self._check_files(witness)

    @property
    def good(self) -> bool:
        """Whether the log itself is valid, irrespective of the calls."""
        return self._verdict.good

    def problems_of(self, call: Verdict) -> Iterator[Problem]:
        """The contradictions between the log and a call of this vault."""
        self._vault_calls.add(call.name)
        if call.record is None or not self._is_read:
            return  # another verdict reports a missing record or an unreadable log
        if self.head is not None and call.record.unit != self.head.unit:
            yield Problem("wrong_unit", f"a call of {call.record.unit} in the vault of {self.head.unit}")
        if call.name in self._destructions:
            yield Problem("destroyed", "destroyed by the log, and it is there")
        elif call.name not in self._closes:
            yield Problem("not_in_log", "the log does not know that it was sealed")
        elif self._closes[call.name] != call.record_sha256:
            yield Problem("other_record", "its record is not the one that the log has the SHA-256 of")
        if self._ends.contradicts(call.record):
            yield Problem("other_end", "how it was ended differs between its record and the log")
        until = call.record.retention.until if call.record.retention else None
        if self._order.has_other_until(call.name, until):
            yield Problem("other_until", f"to be kept until {until}, and its close in the log differs")
        yield from self.witnesses.problems_of(call)

    def verdict(self) -> Verdict:
        for call_id in sorted((self._closes.keys() | self._opens) - self._vault_calls - self._destructions):
            self._report("missing_call", f"{call_id} is missing: the log has it, and nothing of its destruction")
        return self._verdict

    def replaced_verdict(self, successor: LogCheck) -> Verdict:
        """The verdict of a log that `log` replaced: its own faults, and the calls lost with it."""
        verdict = self._verdict
        verdict.name = verdict.name.replace(NAME, self._folder.name, 1)
        text = "did not match its signed head or the desk's, and another log began in its place"
        verdict.problems.insert(0, Problem("log_set_aside", f"{self._folder.name} {text}"))
        for call_id in sorted(
            (self._closes.keys() | self._opens) - self._destructions - successor._vault_calls - successor._destructions
        ):
            self._report("missing_call", f"{call_id} is missing: this log has it, and nothing of its destruction")
        return verdict

    def late_problems(self, call: Verdict) -> Iterator[Problem]:
        """A problem if the call should have been destroyed. The call remains valid evidence."""
        retention = call.record.retention if call.record else None
        if problem := self._order.late_problem(call.name, retention.until if retention else None):
            yield Problem("kept_late", problem)

    def notes(self) -> Iterator[Verdict]:
        """Verdicts that do not count: what cannot be judged, and weakenings."""
        for note in (
            *self._clock_notes(),
            *self._replacement_notes(),
            *self._order.notes(),
            *self._ends.notes(),
            *self._weakenings.notes(),
        ):
            yield Verdict(f"{NAME}: {note}", counts=False)

    def _clock_notes(self) -> Iterator[str]:
        if self.head is not None:
            text = headtime.ahead(f"the head of {self.head.unit}", self.head.at, self._clock)
            yield from [] if text is None else [text]

    def _replacement_notes(self) -> Iterator[str]:
        if self._replacement_start is not None:
            yield f"it began anew at {self._replacement_start.at} in the place of one that did not fit its head"

    def _check_files(self, witness: Path | None) -> None:
        self.head = self._read_head()
        witness_head = self._read_witness(witness)
        head_copy = self._read_copy()
        sizes = {head.size for head in (self.head, witness_head, head_copy) if head is not None}
        sizes |= self.witnesses.checkpoint_sizes(self.head.unit, self.head.log) if self.head is not None else set()
        try:
            roots, size = self._follow_leaves(sizes)
        except OSError as error:
            self._report("log_unreadable", f"{Path(error.filename or LEAVES).name}: {error.strerror}")
            return
        self.witnesses.compare(roots, size)
        at = self.head.at if self.head is not None else None
        self._order.end(at, None if at is None else headtime.by_now(at, self._clock))
        if self.head is not None:
            self._verdict.name = f"{NAME} of {self.head.unit}, {size} leaves"
            self._compare_head(self.head, roots, size)
        if head_copy is not None and (head_copy.size > size or roots.get(head_copy.size) != head_copy.root):
            self._report("head_copy", f"the leaves are not those of {COPY}")
        if witness_head is not None:
            if self.head is not None and witness_head.unit != self.head.unit:
                self._report("witness_unit", f"the witness's head is of {witness_head.unit}")
            elif self.head is not None and witness_head.log != self.head.log:
                self._report(
                    "witness_log", f"the witness's head is of log {witness_head.log or '-'}, and this is another"
                )
            elif witness_head.size > size:
                self._report(
                    "rolled_back",
                    f"the witness has seen {witness_head.size} leaves, {size} are there: some were removed",
                )
            elif roots.get(witness_head.size) != witness_head.root:
                self._report("forked", f"the first {witness_head.size} leaves are not those that the witness has seen")

    def _compare_head(self, head: Head, roots: dict[int, str], size: int) -> None:
        if size != head.size:
            self._report("log_size", f"{size} leaves, the signed head is over {head.size}")
        if head.size in roots and roots[head.size] != head.root:
            self._report("log_root", "the leaves are not those of the signed head: changed, added or in another order")

    def _read_head(self) -> Head | None:
        path = self._folder / HEAD
        try:
            head, data, signature = signedheads.read_head(path, None)
            at = from_utc_ns(parse_rfc3339(head.at))
            if is_undated(at) and self._signers is not None:
                self._head_witnessed_at = self.witnesses.size_witnessed_at(head.unit, head.log, head.size)
                self._verdict.notes.append(verifycall.undated_note(at, seen=self._head_witnessed_at))
            unitlog.check_head(data, signature, self._signers, self._head_witnessed_at)  # of the same bytes
        except SignerUndated as error:
            self._verdict.notes = [f"{error} [{error.code}]"]
            return head
        except Refusal as error:
            self._verdict.add(error)
            return None
        self._verdict.trusted = self._signers is not None
        return head

    def _read_copy(self) -> Head | None:
        """The recorder's second, slightly older copy of the head; missing in vaults of earlier versions."""
        try:
            data = callfolder.read(self._folder / COPY, unitlog.COPY_LIMIT_BYTES)
            decoded = strict.decode(data, HeadCopy)
            signed_head = decoded.head.encode("utf-8"), decoded.sig.encode("utf-8")
            head = unitlog.check_head(*signed_head, None)
            with contextlib.suppress(SignerUndated):  # the head itself reports it
                unitlog.check_head(*signed_head, self._signers, self._head_witnessed_at)
        except (Refusal, BadInput) as error:
            if isinstance(error, Damaged) and not (self._folder / COPY).exists():
                return None
            self._report("head_copy", f"{COPY}: {error}")
            return None
        if unitlog.encode_copy(decoded) != data or (self.head is not None and head.unit != self.head.unit):
            self._report("head_copy", f"{COPY}: not as a unit writes it")
            return None
        return head

    def _read_witness(self, path: Path | None) -> Head | None:
        try:
            return None if path is None else signedheads.read_cosigned(path, self._signers)
        except Refusal as error:
            self._report(error.code, f"{path}: {error}")
            return None

    def _follow_leaves(self, sizes: set[int]) -> tuple[dict[int, str], int]:
        """The roots at `sizes`, as far as leaves exist, and the number of leaves. Compares tree.bin."""
        roots, size = {0: merkle.EMPTY_ROOT.hex()}, 0
        with _StoredTree(self._folder / TREE) as stored_tree:
            for tree, new_hashes in leaflog.hashes(self._leaves(self._folder / LEAVES), sizes):
                stored_tree.compare(b"".join(new_hashes))
                size = tree.size
                if size in sizes:
                    roots[size] = tree.root().hex()
            if fault := stored_tree.fault():
                self._report("tree", f"{TREE} {fault}; the recorder's start makes it anew")
        self._is_read = True
        return roots, size

    def _leaves(self, path: Path) -> Iterator[bytes]:
        """Every line, checked while reading."""
        size = invalid_bytes = 0
        for index, line in enumerate(leaflog.lines_of(path)):
            size += len(line) + 1
            self._check_leaf(index, line)
            invalid_bytes += len(line) if len(line) > leaflog.LEAF_LIMIT_BYTES else 0
            if invalid_bytes > _MOST_INVALID_BYTES:  # reading a huge sparse file would take forever
                self._report(
                    "log_endless", f"{LEAVES}: more than {_MOST_INVALID_BYTES} bytes of it are no leaves; not read on"
                )
                return
            yield line
        if size != os.stat(path).st_size:
            self._report("torn_leaf", f"{LEAVES} ends within a leaf")

    def _check_leaf(self, index: int, line: bytes) -> None:
        try:
            if len(line) > leaflog.LEAF_LIMIT_BYTES:
                raise ValueError
            leaf = strict.decode(line, Leaf)
        except (ValueError, RecursionError):
            self._report("bad_leaf", f"line {index + 1} of {LEAVES} is no leaf")
            return
        if leaf.kind == "log_begun" and not index:
            self._replacement_start = leaf
        self.witnesses.check_leaf(index, leaf)
        self._order.check_leaf(index, leaf)
        self._ends.check_leaf(index, leaf)
        self.claims.check_leaf(leaf)
        self._weakenings.check_leaf(leaf)
        if leaf.call_id is None:
            return
        if leaf.kind == "open":
            self._opens.add(leaf.call_id)
        elif leaf.kind == "destruction":
            self._destructions.add(leaf.call_id)
        elif leaf.kind == "close":
            if leaf.call_id in self._closes:
                self._report("closed_twice", f"line {index + 1} of {LEAVES} closes {leaf.call_id} a second time")
            self._closes[leaf.call_id] = leaf.record_sha256 or ""

    def _report(self, code: str, text: str) -> None:
        problems = self._verdict.problems
        if len(problems) < MOST_PROBLEMS:
            problems.append(Problem(code, text))
        elif len(problems) == MOST_PROBLEMS:
            problems.append(Problem("more", f"more than {MOST_PROBLEMS} things are wrong with this log"))


class _StoredTree(contextlib.AbstractContextManager["_StoredTree"]):
    """Compares the stored hashes. Without them, or if they cannot be read, the leaves are judged nevertheless."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO | None = None
        self._fault = ""
        with self._catching_faults():
            if path.exists():
                self._file = path.open("rb")

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def compare(self, wanted: bytes) -> None:
        with self._catching_faults():
            if self._file is not None and not self._fault and self._file.read(len(wanted)) != wanted:
                self._fault = "does not hold the hashes of the leaves"

    def fault(self) -> str:
        """The fault after the last leaf; empty if there is none."""
        with self._catching_faults():
            if self._file is not None and not self._fault and self._file.read(1):
                self._fault = "does not hold the hashes of the leaves"
        return self._fault

    @contextlib.contextmanager
    def _catching_faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._fault = f"cannot be read: {error.strerror}"
