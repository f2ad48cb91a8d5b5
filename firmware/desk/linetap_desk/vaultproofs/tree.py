# SPDX-License-Identifier: Apache-2.0
"""Classifies every file of a vault: checked by `verify`, a recorder's own and reported as not covered, or misplaced."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path

from linetap_core.clock import from_utc_ns
from linetap_core.durable import broken
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import amendment, index, sealed
from linetap_core.evidence.merklelog import unitlog
from linetap_core.evidence.sealing.keylist import OVERFLOW_NAME
from linetap_core.evidence.signing import namespaces
from linetap_core.evidence.signing.signers import Signer
from linetap_core.vaultformat import vaultname
from linetap_desk.proofs import callfolder
from linetap_desk.proofs.verdict import Problem, Verdict
from linetap_desk.vaultproofs import documents, outbox
from linetap_desk.vaultproofs.documents import DocumentCheck, DocumentResult, LogClaims
from linetap_desk.vaultproofs.outbox import OutboxCheck

RUNTIME_FILES = {
    "journal": "calls that were open",
    "counters and times": "of commands, of the clock, of the outbox",
    "set aside": "small files that were found broken (NAME.broken-1); an alert names them",
    "work in progress": "destruction, rebuilding, updates, half-written files",
    "the head once more": "held against the leaves where it is there",
    "the PBX's account": "its lines that have no recording; the desk has the figures in signed events",
    "lines at fault": "until a person has acted",
    "the key list in use": "signed by the authority; the unit checks it at each start",
    "signed files once more": "for the case that one of them is damaged; the files beside it are judged",
    "audio without its key": "which no one can open; its call's record has key_lost",
    "ballast": "room",
    "calls as a replay wrote them": "with personal data",
}
_RUNTIME_PLACES = [
    (r"journal/[ab]\.journal", "journal"),
    (r"(clock|weakened)\.json(\.twin)?|(commands|holdtimes)\.json", "counters and times"),
    (r"outbox/(confirmed|places)\.json", "counters and times"),
    (r"(destroying|rebuild|update)\.json|update\.told", "work in progress"),
    (r"log/head\.copy", "the head once more"),
    (r"smdr/[^/]+\.json", "the PBX's account"),
    (r"faults/\d{2,3}\.json", "lines at fault"),
    (r"keys/taken\.json", "the key list in use"),
    (r"roles\.copy|holds/[^/]+/hold\.copy", "signed files once more"),
    (r"unopenable/[^/]+/audio[^/]*", "audio without its key"),
    (r"ballast", "ballast"),
    (r"calls\.jsonl", "calls as a replay wrote them"),
]
_RUNTIME_PATTERNS = [(re.compile(pattern, re.ASCII), what) for pattern, what in _RUNTIME_PLACES]
_SIGNED_FILES = re.compile(
    r"roles\.json(\.sig)?|index/[^/]+/\d{4}-\d\d-\d\d-\d{3,6}\.age|holds/[^/]+/(key\.age|hold\.json(\.sig)?)"
    r"|amended/[^/]{1,64}\.\d{3}\.json(\.sig)?"
    r"|vault\.json(\.sig)?|walks/\d{8}T\d{6}\.\d{3}Z\.json(\.sig)?|certificates/[\w-]+\.json(\.sig)?",
    re.ASCII,
)
_TEMPORARY = re.compile(r"(.*/)?\.([^/]+)\.tmp")


def runtime_kind(name: str) -> str | None:
    """The kind (in RUNTIME_FILES) of a recorder's own unsigned file, by its name relative to the vault; None for
    others. A verifier must not trust such files."""
    if match := _TEMPORARY.fullmatch(name):
        return "work in progress" if _belongs((match[1] or "") + match[2]) else None
    if (whole := broken.original(name)) is not None:
        return "set aside" if _belongs(whole) else None
    return next((what for pattern, what in _RUNTIME_PATTERNS if pattern.fullmatch(name)), None)


def _belongs(name: str) -> bool:
    """Whether a recorder writes files of that name."""
    return runtime_kind(name) is not None or _SIGNED_FILES.fullmatch(name) is not None


MOST_FILES = 2_000_000
MOST_PROBLEMS = 1000
_YEAR = re.compile(r"\d{4}", re.ASCII)
_LOG = re.compile(rf"{unitlog.FOLDER}|{unitlog.KEPT.pattern}", re.ASCII)
_CALL = re.compile(rf"{documents.HOLDS}/([^/]+)/(hold\.json|hold\.json\.sig|key\.age)")
_OFFICERS = r"\.officer-[1-9](?:-[1-9])*"
_CERTIFICATE = re.compile(
    rf"{documents.CERTIFICATES}/(\d{{4}}-\d\d-\d\d|{OVERFLOW_NAME})({_OFFICERS})?\.json(\.sig)?", re.ASCII
)
_AMENDMENT = re.compile(rf"{amendment.FOLDER}/({sealed.CALL_ID.pattern})\.\d{{3}}\.json(\.sig)?", re.ASCII)
_WALK = re.compile(rf"{documents.WALKS}/(\d{{8}}T\d{{6}}\.\d{{3}}Z\.json)(\.sig)?", re.ASCII)
_EVENTS = re.compile(rf"{outbox.FOLDER}/(\d{{12,17}}\.events)", re.ASCII)
_INDEX_OVER = timedelta(days=1)


class TreeCheck:
    """The check of all files. `records`: the hash of each call's record, for holds. `named`: the claims of the whole
    log. `now_ns`: the time by which the files are judged (headtime.by_now)."""

    def __init__(
        self,
        vault: Path,
        unit: str,
        signers: list[Signer] | None,
        named: LogClaims,
        records: dict[str, str],
        now_ns: int,
    ) -> None:
        self._vault, self._unit, self._signers, self._named, self._records = vault, unit, signers, named, records
        self._now_ns = now_ns
        self._papers = DocumentCheck(vault, unit, signers, named)
        self._verdict = Verdict(f"files of {unit}", trusted=signers is not None)
        self._covered = 0
        self._uncovered: Counter[str] = Counter()
        self._there: set[str] = set()
        self._lost: list[str] = []  # folders that could not be read
        self._notes: list[str] = []

    def verdicts(self) -> Iterator[Verdict]:
        """The verdict that counts, followed by one line for each kind of uncovered file."""
        self._there = set(self._names())
        for name in sorted(self._there):
            self._of_file(name)
        if not self._is_lost(f"{outbox.FOLDER}/"):
            self._outbox()
        for problem in self._papers.missing(self._there, self._is_lost):
            self._add(problem)
        self._missing_segments()
        self._verdict.name += f", {self._covered} covered"
        is_unknown = self._signers is not None and not self._verdict.trusted
        self._verdict.counts = bool(self._verdict.problems) or is_unknown  # otherwise only calls and log count
        if self._there or self._verdict.problems:
            yield self._verdict
        for what, count in sorted(self._uncovered.items()):
            yield Verdict(f"not covered, and not to be believed: {what} ({count} files)", counts=False)
        for note in self._notes:
            yield Verdict(note, counts=False)
        if not self._named.seq and self._there:
            yield Verdict(f"{outbox.FOLDER}: how far it had come stands in no leaf (an older version)", counts=False)

    # --- the walk ------------------------------------------------------------------------------------------------

    def _names(self) -> Iterator[str]:
        """Every file outside calls and log, relative to the vault. Only regular files are valid."""
        folders = [""]
        count = 0
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self._vault / folder) as found:
                    entries = sorted(islice(found, MOST_FILES + 1), key=lambda each: each.name)
            except OSError as error:
                self._bad("folder_unreadable", f"{folder or '.'}: {error.strerror}; its files cannot be judged")
                self._lost.append(folder)
                continue
            for entry in entries:
                name = folder + entry.name
                if (count := count + 1) > MOST_FILES:
                    self._bad("too_many_files", f"more than {MOST_FILES} files")
                    return
                if entry.is_dir(follow_symlinks=False):
                    if not folder and (_YEAR.fullmatch(name) or _LOG.fullmatch(name)):
                        continue  # checked by verify_vault
                    if self._may_be_folder(name):
                        folders.append(name + "/")
                    else:
                        self._bad("stray", f"{_shown(name)}: a folder that no vault has{_hint(name)}")
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    self._bad("not_a_file", f"{_shown(name)}: is not a regular file")

    def _is_lost(self, name: str) -> bool:
        """Whether a file or folder may be in a folder that could not be read."""
        return name.startswith(tuple(self._lost))

    def _may_be_folder(self, name: str) -> bool:
        top, _, below = name.partition("/")
        if not below:
            return top in _FOLDERS
        if top == index.FOLDER:
            return index.parse_folder(below) is not None
        return top in (documents.HOLDS, sealed.UNOPENABLE) and sealed.CALL_ID.fullmatch(below) is not None

    # --- one file ------------------------------------------------------------------------------------------------

    def _of_file(self, name: str) -> None:
        if _EVENTS.fullmatch(name):
            return  # judged together in `_outbox`
        if what := runtime_kind(name):
            self._uncovered[what] += 1
        elif name.startswith(f"{index.FOLDER}/"):
            self._segment(name.removeprefix(f"{index.FOLDER}/"))
        elif match := _CALL.fullmatch(name):
            self._of_hold(name, match[1], match[2])
        elif match := _AMENDMENT.fullmatch(name):
            call_id = match[1]
            self._document(name, match[3] is not None, lambda: self._papers.amendment(name, call_id, self._records))
        elif match := _CERTIFICATE.fullmatch(name):
            epoch, officers = match[1], match[2] or ""
            self._document(name, bool(match[3]), lambda: self._papers.certificate(name, epoch, officers, self._now_ns))
        elif match := _WALK.fullmatch(name):
            self._document(name, bool(match[2]), lambda: self._papers.walk(name))
        elif name in (documents.ROLES, documents.ROLES + namespaces.SUFFIX):
            self._document(name, name != documents.ROLES, lambda: self._papers.roles(self._now_ns))
        elif name in (vaultname.FILE, vaultname.FILE + namespaces.SUFFIX):
            self._document(name, name != vaultname.FILE, lambda: self._papers.vault(self._now_ns))
        else:
            self._bad("stray", f"{_shown(name)}: a file that no vault has{_hint(name)}")

    def _of_hold(self, name: str, call_id: str, part: str) -> None:
        document = f"{documents.HOLDS}/{call_id}/hold.json"
        if part == "hold.json":
            self._add_result(self._papers.hold(call_id, self._records, self._now_ns), 3)
        elif document not in self._there:
            self._bad("stray", f"{_shown(name)}: beside no hold")

    def _document(self, name: str, is_signature: bool, judge: object) -> None:
        """Checks a document with its signature. A signature without a document is misplaced."""
        if is_signature:
            if name.removesuffix(namespaces.SUFFIX) not in self._there:
                self._bad("stray", f"{_shown(name)}: the signature of nothing")
            return
        assert callable(judge)
        self._add_result(judge(), 2)

    def _add_result(self, found: DocumentResult, files: int) -> None:
        for problem in found.problems:
            self._add(problem)
        self._uncovered["signed by a signer not named in --signers"] += len(found.uncovered)
        self._uncovered += Counter()  # drops zero counts
        self._covered += 0 if found.problems else files - len(found.uncovered)

    def _segment(self, name: str) -> None:
        """Compares an index segment with the log."""
        folder, _, file = name.partition("/")
        if index.parse_folder(folder) is None or index.parse_segment(file) is None:
            self._bad("stray", f"{index.FOLDER}/{_shown(name)}: no segment of an index")
            return
        if not self._named.has_index_leaves:
            self._uncovered["the index of an older version, in no leaf"] += 1
            return
        known = self._named.segments.get(name)
        try:
            sha256 = callfolder.digest(self._vault / index.FOLDER / name).sha256
        except Refusal as error:
            self._bad(error.code, f"{index.FOLDER}/{name}: {error}")
            return
        if known is None:
            self._bad("index_unknown", f"{index.FOLDER}/{name}: the log does not know it")
        elif not known.may_be(sha256):
            self._bad("index_changed", f"{index.FOLDER}/{name}: is not as the log has it")
        else:
            self._covered += 1

    def _missing_segments(self) -> None:
        """Reports missing index segments. A segment is removed with its epoch's day, when its key is destroyed, or, if
        its calls had no day, with the last of them."""
        today = from_utc_ns(self._now_ns).date()
        for name, known in sorted(self._named.segments.items()):
            epoch, last_day = index.parse_folder(name.partition("/")[0]) or ("", None)
            over = epoch in self._named.destroyed_epochs or (last_day is not None and last_day - today <= _INDEX_OVER)
            over = over or (bool(known.calls) and known.calls <= self._named.destroyed)
            path = f"{index.FOLDER}/{name}"
            if path not in self._there and not over and not known.may_be_missing and not self._is_lost(path):
                self._bad("missing_segment", f"{index.FOLDER}/{name}: the log has it, and it is missing")

    def _outbox(self) -> None:
        names = [match[1] for name in self._there if (match := _EVENTS.fullmatch(name))]
        check = OutboxCheck(self._vault / outbox.FOLDER, self._unit, self._signers, self._named)
        bad = set()
        for name, problem in check.problems(names):
            bad.add(name)
            self._bad(problem.code, f"{name}: {problem.text}")
        self._covered += len({f"{outbox.FOLDER}/{name}" for name in names} - bad)
        self._notes.extend(f"{outbox.FOLDER}: {note}" for note in check.notes())
        self._verdict.trusted = self._verdict.trusted and not check.unknown

    def _bad(self, code: str, text: str) -> None:
        self._add(Problem(code, text))

    def _add(self, problem: Problem) -> None:
        if len(self._verdict.problems) < MOST_PROBLEMS:
            self._verdict.problems.append(problem)


_FOLDERS = frozenset(
    {index.FOLDER, amendment.FOLDER, documents.HOLDS, documents.WALKS, documents.CERTIFICATES, outbox.FOLDER}
    | {"journal", "smdr", "faults", "keys", sealed.UNOPENABLE}
)


def _hint(name: str) -> str:
    return callfolder.by_a_desktop(name.rpartition("/")[2])


def _shown(name: str) -> str:
    """The name in printable form, since a stray file may have any name."""
    return name if name.isascii() and name.isprintable() else ascii(name)
