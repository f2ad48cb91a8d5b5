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
from linetap_desk.vaultproofs.documents import DocumentCheck, DocumentResult
from linetap_desk.vaultproofs.logclaims import LogClaims
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
_RUNTIME_NAMES = [
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
_RUNTIME_PATTERNS = [(re.compile(pattern, re.ASCII), what) for pattern, what in _RUNTIME_NAMES]
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
        return "work in progress" if _is_recorder_file((match[1] or "") + match[2]) else None
    if (original_name := broken.original(name)) is not None:
        return "set aside" if _is_recorder_file(original_name) else None
    return next((kind for pattern, kind in _RUNTIME_PATTERNS if pattern.fullmatch(name)), None)


def _is_recorder_file(name: str) -> bool:
    """Whether a recorder writes files of that name."""
    return runtime_kind(name) is not None or _SIGNED_FILES.fullmatch(name) is not None


MOST_FILES = 2_000_000
MOST_PROBLEMS = 1000
_YEAR = re.compile(r"\d{4}", re.ASCII)
_LOG_FOLDER = re.compile(rf"{unitlog.FOLDER}|{unitlog.KEPT.pattern}", re.ASCII)
_HOLD_FILE = re.compile(rf"{documents.HOLDS}/([^/]+)/(hold\.json|hold\.json\.sig|key\.age)")
_OFFICERS = r"\.officer-[1-9](?:-[1-9])*"
_CERTIFICATE_FILE = re.compile(
    rf"{documents.CERTIFICATES}/(\d{{4}}-\d\d-\d\d|{OVERFLOW_NAME})({_OFFICERS})?\.json(\.sig)?", re.ASCII
)
_AMENDMENT_FILE = re.compile(rf"{amendment.FOLDER}/({sealed.CALL_ID.pattern})\.\d{{3}}\.json(\.sig)?", re.ASCII)
_WALK_FILE = re.compile(rf"{documents.WALKS}/(\d{{8}}T\d{{6}}\.\d{{3}}Z\.json)(\.sig)?", re.ASCII)
_EVENTS_FILE = re.compile(rf"{outbox.FOLDER}/(\d{{12,17}}\.events)", re.ASCII)
_INDEX_GRACE = timedelta(days=1)


class TreeCheck:
    """The check of all files. `records`: the hash of each call's record, for holds. `claims`: those of the whole
    log. `now_ns`: the time by which the files are judged (headtime.by_now)."""

    def __init__(
        self,
        vault: Path,
        unit: str,
        signers: list[Signer] | None,
        claims: LogClaims,
        records: dict[str, str],
        now_ns: int,
    ) -> None:
        self._vault, self._unit, self._signers, self._claims, self._records = vault, unit, signers, claims, records
        self._now_ns = now_ns
        self._documents = DocumentCheck(vault, unit, signers, claims)
        self._verdict = Verdict(f"files of {unit}", trusted=signers is not None)
        self._covered_count = 0
        self._uncovered_counts: Counter[str] = Counter()
        self._names_in_vault: set[str] = set()
        self._unreadable_folders: list[str] = []  # folders that could not be read
        self._notes: list[str] = []

    def verdicts(self) -> Iterator[Verdict]:
        """The verdict that counts, followed by one line for each kind of uncovered file."""
        self._names_in_vault = set(self._file_names())
        for name in sorted(self._names_in_vault):
            self._check_file(name)
        if not self._is_below_unreadable(f"{outbox.FOLDER}/"):
            self._check_outbox()
        for problem in self._documents.missing(self._names_in_vault, self._is_below_unreadable):
            self._add_problem(problem)
        self._check_missing_segments()
        self._verdict.name += f", {self._covered_count} covered"
        is_unknown = self._signers is not None and not self._verdict.trusted
        self._verdict.counts = bool(self._verdict.problems) or is_unknown  # otherwise only calls and log count
        if self._names_in_vault or self._verdict.problems:
            yield self._verdict
        for kind, count in sorted(self._uncovered_counts.items()):
            yield Verdict(f"not covered, and not to be believed: {kind} ({count} files)", counts=False)
        for note in self._notes:
            yield Verdict(note, counts=False)
        if not self._claims.seq and self._names_in_vault:
            yield Verdict(f"{outbox.FOLDER}: how far it had come stands in no leaf (an older version)", counts=False)

    # --- the walk ------------------------------------------------------------------------------------------------

    def _file_names(self) -> Iterator[str]:
        """Every file outside calls and log, relative to the vault. Only regular files are valid."""
        folders = [""]
        count = 0
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(self._vault / folder) as scan:
                    entries = sorted(islice(scan, MOST_FILES + 1), key=lambda each: each.name)
            except OSError as error:
                self._report("folder_unreadable", f"{folder or '.'}: {error.strerror}; its files cannot be judged")
                self._unreadable_folders.append(folder)
                continue
            for entry in entries:
                name = folder + entry.name
                if (count := count + 1) > MOST_FILES:
                    self._report("too_many_files", f"more than {MOST_FILES} files")
                    return
                if entry.is_dir(follow_symlinks=False):
                    if not folder and (_YEAR.fullmatch(name) or _LOG_FOLDER.fullmatch(name)):
                        continue  # checked by verify_vault
                    if self._is_vault_folder(name):
                        folders.append(name + "/")
                    else:
                        self._report("stray", f"{_printable(name)}: a folder that no vault has{_desktop_hint(name)}")
                elif entry.is_file(follow_symlinks=False):
                    yield name
                else:
                    self._report("not_a_file", f"{_printable(name)}: is not a regular file")

    def _is_below_unreadable(self, name: str) -> bool:
        """Whether a file or folder may be in a folder that could not be read."""
        return name.startswith(tuple(self._unreadable_folders))

    def _is_vault_folder(self, name: str) -> bool:
        top, _, subfolder = name.partition("/")
        if not subfolder:
            return top in _VAULT_FOLDERS
        if top == index.FOLDER:
            return index.parse_folder(subfolder) is not None
        return top in (documents.HOLDS, sealed.UNOPENABLE) and sealed.CALL_ID.fullmatch(subfolder) is not None

    # --- one file ------------------------------------------------------------------------------------------------

    def _check_file(self, name: str) -> None:
        if _EVENTS_FILE.fullmatch(name):
            return  # judged together in `_check_outbox`
        if kind := runtime_kind(name):
            self._uncovered_counts[kind] += 1
        elif name.startswith(f"{index.FOLDER}/"):
            self._check_segment(name.removeprefix(f"{index.FOLDER}/"))
        elif match := _HOLD_FILE.fullmatch(name):
            self._check_hold_file(name, match[1], match[2])
        elif match := _AMENDMENT_FILE.fullmatch(name):
            call_id = match[1]
            self._check_document(
                name, match[3] is not None, lambda: self._documents.amendment(name, call_id, self._records)
            )
        elif match := _CERTIFICATE_FILE.fullmatch(name):
            epoch, officers = match[1], match[2] or ""
            self._check_document(
                name, bool(match[3]), lambda: self._documents.certificate(name, epoch, officers, self._now_ns)
            )
        elif match := _WALK_FILE.fullmatch(name):
            self._check_document(name, bool(match[2]), lambda: self._documents.walk(name))
        elif name in (documents.ROLES, documents.ROLES + namespaces.SUFFIX):
            self._check_document(name, name != documents.ROLES, lambda: self._documents.roles(self._now_ns))
        elif name in (vaultname.FILE, vaultname.FILE + namespaces.SUFFIX):
            self._check_document(name, name != vaultname.FILE, lambda: self._documents.vault(self._now_ns))
        else:
            self._report("stray", f"{_printable(name)}: a file that no vault has{_desktop_hint(name)}")

    def _check_hold_file(self, name: str, call_id: str, file: str) -> None:
        document = f"{documents.HOLDS}/{call_id}/hold.json"
        if file == "hold.json":
            self._add_result(self._documents.hold(call_id, self._records, self._now_ns), 3)
        elif document not in self._names_in_vault:
            self._report("stray", f"{_printable(name)}: beside no hold")

    def _check_document(self, name: str, is_signature: bool, check: object) -> None:
        """Checks a document with its signature. A signature without a document is misplaced."""
        if is_signature:
            if name.removesuffix(namespaces.SUFFIX) not in self._names_in_vault:
                self._report("stray", f"{_printable(name)}: the signature of nothing")
            return
        assert callable(check)
        self._add_result(check(), 2)

    def _add_result(self, result: DocumentResult, files: int) -> None:
        for problem in result.problems:
            self._add_problem(problem)
        self._uncovered_counts["signed by a signer not named in --signers"] += len(result.uncovered)
        self._uncovered_counts += Counter()  # drops zero counts
        self._covered_count += 0 if result.problems else files - len(result.uncovered)

    def _check_segment(self, name: str) -> None:
        """Compares an index segment with the log."""
        folder, _, file = name.partition("/")
        if index.parse_folder(folder) is None or index.parse_segment(file) is None:
            self._report("stray", f"{index.FOLDER}/{_printable(name)}: no segment of an index")
            return
        if not self._claims.has_index_leaves:
            self._uncovered_counts["the index of an older version, in no leaf"] += 1
            return
        segment = self._claims.segments.get(name)
        try:
            sha256 = callfolder.digest(self._vault / index.FOLDER / name).sha256
        except Refusal as error:
            self._report(error.code, f"{index.FOLDER}/{name}: {error}")
            return
        if segment is None:
            self._report("index_unknown", f"{index.FOLDER}/{name}: the log does not know it")
        elif not segment.may_have(sha256):
            self._report("index_changed", f"{index.FOLDER}/{name}: is not as the log has it")
        else:
            self._covered_count += 1

    def _check_missing_segments(self) -> None:
        """Reports missing index segments. A segment is removed with its epoch's day, when its key is destroyed, or, if
        its calls had no day, with the last of them."""
        today = from_utc_ns(self._now_ns).date()
        for name, segment in sorted(self._claims.segments.items()):
            epoch, last_day = index.parse_folder(name.partition("/")[0]) or ("", None)
            is_over = epoch in self._claims.destroyed_epochs or (
                last_day is not None and last_day - today <= _INDEX_GRACE
            )
            is_over = is_over or (bool(segment.calls) and segment.calls <= self._claims.destroyed_calls)
            path = f"{index.FOLDER}/{name}"
            if (
                path not in self._names_in_vault
                and not is_over
                and not segment.may_be_missing
                and not self._is_below_unreadable(path)
            ):
                self._report("missing_segment", f"{index.FOLDER}/{name}: the log has it, and it is missing")

    def _check_outbox(self) -> None:
        names = [match[1] for name in self._names_in_vault if (match := _EVENTS_FILE.fullmatch(name))]
        check = OutboxCheck(self._vault / outbox.FOLDER, self._unit, self._signers, self._claims)
        faulty = set()
        for name, problem in check.problems(names):
            faulty.add(name)
            self._report(problem.code, f"{name}: {problem.text}")
        self._covered_count += len({f"{outbox.FOLDER}/{name}" for name in names} - faulty)
        self._notes.extend(f"{outbox.FOLDER}: {note}" for note in check.notes())
        self._verdict.trusted = self._verdict.trusted and not check.undated_seqs

    def _report(self, code: str, text: str) -> None:
        self._add_problem(Problem(code, text))

    def _add_problem(self, problem: Problem) -> None:
        if len(self._verdict.problems) < MOST_PROBLEMS:
            self._verdict.problems.append(problem)


_VAULT_FOLDERS = frozenset(
    {index.FOLDER, amendment.FOLDER, documents.HOLDS, documents.WALKS, documents.CERTIFICATES, outbox.FOLDER}
    | {"journal", "smdr", "faults", "keys", sealed.UNOPENABLE}
)


def _desktop_hint(name: str) -> str:
    return callfolder.by_a_desktop(name.rpartition("/")[2])


def _printable(name: str) -> str:
    """The name in printable form, since a stray file may have any name."""
    return name if name.isascii() and name.isprintable() else ascii(name)
