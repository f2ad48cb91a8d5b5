# SPDX-License-Identifier: Apache-2.0
"""A whole vault, changed by an attacker with write access: `verify` refuses any change, or reports that the file is not
trusted. Every file and every folder is tested, including future ones of the recorder.
"""

from __future__ import annotations

import dataclasses
import errno
import itertools
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from keeping_rig import DAY, START, UNIT, Keeper
from linetap.config.retention import retention_of
from linetap.recorder.vault import admission
from linetap.recorder.vault.recordings.index import Index
from linetap.recorder.vault.walks import Walks
from linetap_core.cli import main
from linetap_core.clock import NS_PER_S, compact
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import leaflog, nodefile, unitlog
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.evidence.signing.signers import Signer
from linetap_core.records import Caller, CallEvent, CallRecord
from linetap_core.vaultformat.walkreport import WalkReport
from linetap_desk.proofs import callfolder
from linetap_desk.vaultproofs import tree, verifyvault

OVER = ("2026-11-20", "2026-11-19")  # epochs whose days have passed
CALLS = 3


@dataclasses.dataclass
class Whole:
    vault: Path
    signers_file: Path

    @property
    def signers(self) -> list[Signer]:
        return callfolder.load_signers(self.signers_file)

    def problems(self) -> list[str]:
        verdicts = verifyvault.verify_vault(self.vault, self.signers)
        return [f"{problem.code}: {problem.text}" for verdict in verdicts for problem in verdict.problems]

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.vault).as_posix() for path in self.vault.rglob("*") if path.is_file())

    def folders(self) -> list[Path]:
        return [self.vault, *sorted(path for path in self.vault.rglob("*") if path.is_dir())]


def keeper_of(folder: Path, run_dir: Path) -> Keeper:
    """All files of a recorder's vault, written by its own code."""
    keeper = Keeper(folder, run_dir)
    keeper.log.count_events(lambda: keeper.outbox.last_seq)
    keeper.log.append("start", version="0.2")
    keeper.take_roles()
    index = Index(keeper.config, keeper.epochs, keeper.log)
    for number in range(CALLS):
        record = call(keeper, index, f"-{number + 1}")
        if number == 0:
            assert keeper.command(keeper.hold(record, keeper.clock.utc_ns() + 100 * DAY)).done
            amend(keeper, record, 1, "2027-03-01T15:00:00.000Z")
            amend(keeper, record, 2, "2027-02-01T15:00:00.000Z")
    for epoch in OVER:
        certificate = msgspec.json.encode({"epoch": epoch, "destroyed_at": START})
        assert keeper.command(keeper.signed("destroy", "vault", certificate, "linetap-certificate")).done
    for officer in (2, 1, 3):  # of a group, of which two open
        certificate = msgspec.json.encode({"epoch": "2026-11-18", "officers": [officer], "of": 3, "needed": 2})
        assert keeper.command(keeper.signed("destroy", "vault", certificate, "linetap-certificate")).done
    for began_at, passed in (("2026-11-24T02:00:00.000Z", True), ("2026-11-24T02:30:00.000Z", False)):
        walked: dict[str, Any] = {"unit": UNIT, "version": "0", "config_sha256": "", "by": "terminal"}
        report = WalkReport(**walked, began_at=began_at, ended_at=START, ended_by="done", passed=passed, lines=[])
        Walks(keeper.vault, keeper.key.signer(namespaces.WALK), keeper.log, keeper.report).store(report)
    keeper.outbox.confirm(2)
    admission.write(keeper.vault, 3, keeper.clock.utc_ns())
    for name in ("journal/a.journal", "journal/b.journal", "smdr/2026-11-24.json", "ballast"):
        (keeper.vault / name).parent.mkdir(exist_ok=True)
        (keeper.vault / name).write_bytes(b"what is open" * 10)
    keeper.log.append("heartbeat")
    keeper.log.publish()
    lines = (folder / "allowed_signers").read_text()
    for office, key in (("vault", keeper.people.vault), ("authority", keeper.people.authority)):
        lines += f"{office} {keys.public_line(key.public_key())}\n"
    (folder / "allowed_signers").write_text(lines)
    return keeper


def call(keeper: Keeper, index: Index, suffix: str) -> CallRecord:
    at_ns = keeper.clock.utc_ns()
    retention = retention_of(keeper.config, at_ns, 1, "recorded", False)
    spoken = CallRecord(call_id=f"{compact(at_ns)}-L01{suffix}", unit=UNIT, line=1, caller=Caller(number="01012345678"))
    keeper.log.append("open", call_id=spoken.call_id, line=1)
    assert retention is not None
    index.add(spoken, retention)
    record = keeper.call(suffix=suffix)
    keeper.report(CallEvent(seq=0, event="sealed", at=START, unit=UNIT, call_id=record.call_id, line=1))
    return record


def amend(keeper: Keeper, record: CallRecord, number: int, until: str) -> None:
    """An amendment as a recorder writes it: leaf, signature, document."""
    document = amendment.encode(Amendment(
        suite=amendment.SUITE, unit=UNIT, call_id=record.call_id, number=number,
        record_sha256=amendment.digest(sealed.public_json(record)), began_at=START, ended_at=START,
        uncertainty_s=None, until=until, made_at=START,
    ))  # fmt: skip
    digest = amendment.digest(document)
    keeper.clock.advance(NS_PER_S)
    keeper.log.append("amendment", call_id=record.call_id, line=1, sha256=digest, until=until, number=number)
    path = keeper.vault / amendment.FOLDER / amendment.name(record.call_id, number)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(document)
    namespaces.signature_path(path).write_text(keeper.sign(document))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder, run_dir = tmp_path_factory.mktemp("unit"), tmp_path_factory.mktemp("run")
    (run_dir / "commands").mkdir(exist_ok=True)
    keeper = keeper_of(folder, run_dir)
    return Whole(keeper.vault, folder / "allowed_signers")


@pytest.fixture
def whole(made: Whole, tmp_path: Path) -> Whole:
    return Whole(shutil.copytree(made.vault, tmp_path / "vault", symlinks=True), made.signers_file)


def test_the_whole_vault_is_good_and_says_what_nothing_covers(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    assert whole.problems() == []
    assert main(["verify", str(whole.vault), "--signers", str(whole.signers_file)]) == 0
    out = capsys.readouterr().out
    inside = [name for name in whole.files() if not name.startswith(("20", "log/"))]
    uncovered = [name for name in inside if tree.runtime_kind(name)]
    assert f"ok   files of {UNIT}, {len(inside) - len(uncovered)} covered\n" in out
    assert {tree.runtime_kind(name) for name in uncovered} == {
        what for what in tree.RUNTIME_FILES if f"not covered, and not to be believed: {what} (" in out
    }
    places = {name.partition("/")[0] for name in inside} - set(uncovered)
    assert {"index", "outbox", "holds", "certificates", "walks", "roles.json", "roles.json.sig"} <= places


Change = Callable[[Path, bytes], None]


def _of(make: Callable[[bytes], bytes]) -> Change:
    def change(path: Path, data: bytes) -> None:
        path.write_bytes(make(data))

    return change


def _flip(at: float) -> Change:
    def change(path: Path, data: bytes) -> None:
        place = min(len(data) - 1, int(len(data) * at))
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])

    return change


def _link(path: Path, data: bytes) -> None:
    """Replaces the file by a link to one with the same bytes."""
    other = path.parents[len(path.parts) - 2].joinpath(*path.parts[1:3]) / f"other-{os.getpid()}"
    other.write_bytes(data)
    path.unlink()
    path.symlink_to(other)


def _fifo(path: Path, _data: bytes) -> None:
    path.unlink()
    os.mkfifo(path)


def _folder(path: Path, _data: bytes) -> None:
    path.unlink()
    path.mkdir()


CHANGES: dict[str, Change] = {
    **{f"a bit at {at}": _flip(at) for at in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)},
    "without its last byte": _of(lambda data: data[:-1]),
    "half of it": _of(lambda data: data[: len(data) // 2]),
    "empty": _of(lambda _: b""),
    "with a byte more": _of(lambda data: data + b"\n"),
    "a giant of holes": lambda path, _: os.truncate(path, 1 << 40),
    "gone": lambda path, _: path.unlink(),
    "a link": _link,
    "a fifo": _fifo,
    "a folder": _folder,
}
NO_FILE = ("a link", "a fifo", "a folder")


@pytest.mark.parametrize("how", CHANGES)
def test_no_file_is_changed_unseen(whole: Whole, how: str) -> None:
    for name in whole.files():
        path = whole.vault / name
        data = path.read_bytes()
        CHANGES[how](path, data)
        found = whole.problems()
        assert found or (tree.runtime_kind(name) and how not in NO_FILE), f"{name}: {how}"
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        path.write_bytes(data)
    assert whole.problems() == []


def _alike(whole: Whole) -> Iterator[tuple[Path, Path]]:
    """Pairs of files of one kind: in one folder, or in folders beside each other, their names alike but for digits."""
    found: dict[str, list[Path]] = {}
    for name in whole.files():
        if not name.endswith(namespaces.SUFFIX) and not tree.runtime_kind(name):
            found.setdefault(re.sub(r"\d", "0", name), []).append(whole.vault / name)
    for paths in found.values():
        yield from itertools.permutations(paths, 2)


@pytest.mark.parametrize("how", ["in the other's place", "in place of both"])
def test_no_paper_stands_unseen_under_the_name_of_another(whole: Whole, how: str) -> None:
    """With its signature: a superseded end of a call, the walk test that was passed, the certificate of another day."""
    pairs = list(_alike(whole))
    assert {"amended", "walks", "certificates"} <= {one.parent.name for one, _ in pairs}
    for one, other in pairs:
        both = [path for path in (one, other) for path in (path, namespaces.signature_path(path)) if path.exists()]
        before = {path: path.read_bytes() for path in both}
        sources = (other, one) if how == "in the other's place" else (one, one)
        for path, source in zip((one, other), sources, strict=True):
            for suffix in ("", namespaces.SUFFIX):
                if (data := before.get(source.with_name(source.name + suffix))) is not None:
                    path.with_name(path.name + suffix).write_bytes(data)
        assert whole.problems(), f"{other.relative_to(whole.vault)} is {one.name}"
        for path, data in before.items():
            path.write_bytes(data)
    assert whole.problems() == []


def test_no_paper_is_removed_unseen_with_its_signature(whole: Whole) -> None:
    """Of a call's amendments too, of which an earlier one counts for nothing: the newest is found by their numbers. Of
    a group's officers each certificate."""
    for name in whole.files():
        both = [whole.vault / name, whole.vault / (name + namespaces.SUFFIX)]
        if all(path.exists() for path in both):
            before = [path.read_bytes() for path in both]
            for path in both:
                path.unlink()
            assert whole.problems(), name
            for path, data in zip(both, before, strict=True):
                path.write_bytes(data)
    assert whole.problems() == []


def test_a_certificate_that_no_leaf_has_is_none(whole: Whole) -> None:
    """Of an officer whose keys still open the day: genuine, and no unit received it."""
    source, other = (whole.vault / "certificates" / f"2026-11-18.officer-{officer}.json" for officer in ("1", "2-3"))
    for suffix in ("", namespaces.SUFFIX):
        other.with_name(other.name + suffix).write_bytes(source.with_name(source.name + suffix).read_bytes())
    assert [each.partition(":")[0] for each in whole.problems()] == ["other_name"]
    data = msgspec.json.encode({"epoch": "2026-11-18", "officers": [2, 3], "of": 3, "needed": 2})
    other.write_bytes(data)
    namespaces.signature_path(other).write_text(sshsig.sign(data, keys.new_unit_key(), namespaces.CERTIFICATE))
    assert [each.partition(":")[0] for each in whole.problems()] == ["not_in_log"]


def test_a_head_is_judged_by_the_bytes_that_are_compared(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of an attacker shows a head over leaves of its own first, and the unit's head when it is read again."""
    head, leaves, hashes = (whole.vault / "log" / name for name in (unitlog.HEAD, leaflog.LEAVES, nodefile.TREE))
    signature, own = namespaces.signature_path(head), keys.new_unit_key()
    true = {path: path.read_bytes() for path in (head, signature)}
    lines = leaves.read_bytes().splitlines(keepends=True)
    leaves.write_bytes(b"".join(lines[:-1]))
    hashes.unlink()
    log = leaflog.LeafLog(leaves.parent)
    forged = msgspec.structs.replace(
        unitlog.decode_head(true[head]),
        size=log.size, root=log.tree.root().hex(), origin=keys.fingerprint(own.public_key()),
    )  # fmt: skip
    log.close()
    (whole.vault / "log" / unitlog.COPY).unlink()
    head.write_bytes(unitlog.encode_head(forged))
    signature.write_text(sshsig.sign(unitlog.encode_head(forged), own, namespaces.HEAD))
    read, reads = callfolder.read, list[Path]()

    def changing(path: Path, limit_bytes: int) -> bytes:
        reads.append(path)
        if reads.count(head) > 1:
            for name, data in true.items():
                name.write_bytes(data)
        return read(path, limit_bytes)

    monkeypatch.setattr(callfolder, "read", changing)
    found = {problem.partition(":")[0] for problem in whole.problems()}
    assert found & {"signer_not_trusted", "log_size", "log_root"}, found


def _strays(folder: Path) -> Iterator[Path]:
    yield folder / "note.txt"
    yield folder / ".hidden"
    yield folder / ".hidden.tmp"
    yield folder / "x.age"
    for path in sorted(folder.iterdir())[:4]:
        yield path.with_name(path.name.upper() if path.name != path.name.upper() else path.name.lower())
        yield path.with_name(path.name + "\u200b")
        yield path.with_name(path.name + " ")
        yield path.with_name(path.name + ".sig")


@pytest.mark.parametrize("kind", ["file", "folder", "link", "fifo", "copy"])
def test_nothing_is_put_beside_unseen(whole: Whole, kind: str) -> None:
    for folder in whole.folders():
        some = next((path for path in sorted(folder.iterdir()) if path.is_file()), None)
        for stray in _strays(folder):
            if stray.exists() or (kind == "copy" and some is None):
                continue
            match kind:
                case "folder":
                    stray.mkdir()
                case "link":
                    stray.symlink_to(whole.signers_file)
                case "fifo":
                    os.mkfifo(stray)
                case "copy":
                    assert some is not None
                    shutil.copy(some, stray)
                case _:
                    stray.write_bytes(b"x")
            assert whole.problems(), stray.relative_to(whole.vault)
            stray.rmdir() if kind == "folder" else stray.unlink()
    assert whole.problems() == []


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "._.DS_Store", "._record.json"])
def test_what_a_desktop_puts_into_a_copy_is_called_that(whole: Whole, name: str) -> None:
    """Everywhere in one line, with what to do: an officer has looked into the folder."""
    (folder,) = (path for path in whole.folders() if path.name.endswith("-L01-1") and path.parent.parent.name == "11")
    for place in (whole.vault, whole.vault / "log", whole.vault / "walks", folder.parent, folder):
        (place / name).write_bytes(b"\0\0\0\1Bud1")
        (found,) = whole.problems()
        assert found.endswith("; macOS or Windows put it there, and no unit: remove it from this copy"), found
        assert name in found or place == folder.parent
        (place / name).unlink()


def test_what_could_be_a_recorders_is_believed_by_nobody(whole: Whole, capsys: pytest.CaptureFixture[str]) -> None:
    """Half-written files and counters of the recorder are reported; their names admit no other file."""
    for name in ("holds/.x.tmp", ".clock.jsn.tmp", "walks/.a.json.tmp", "outbox/.000000000001.events.tmp"):
        (whole.vault / name).write_bytes(b"x")
        assert whole.problems(), name
        (whole.vault / name).unlink()
    for name in (".roles.json.tmp", ".clock.json.tmp", "walks/.20261124T030000.000Z.json.tmp"):
        (whole.vault / name).write_bytes(b"x")
    assert whole.problems() == []
    main(["verify", str(whole.vault), "--signers", str(whole.signers_file)])
    assert "not to be believed: work in progress (3 files)" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["outbox", "holds", "certificates", "walks", "index", "log", "2026"])
def test_no_folder_goes_unseen(whole: Whole, place: str) -> None:
    shutil.rmtree(whole.vault / place)
    assert whole.problems()


def test_a_folder_of_another_kind_is_none(whole: Whole) -> None:
    for name in ("2026/11/24/x", "2026/13", "backup", "holds/../log2", "index/2026", "holds/nobody", "outbox/old"):
        path = whole.vault / name
        path.mkdir(parents=True)
        (path / "x").write_bytes(b"x")
        assert whole.problems(), name
        shutil.rmtree(path.resolve())


def test_a_recorder_that_was_cut_off_between_leaf_and_segment(tmp_path: Path, run_dir: Path) -> None:
    """The leaf is there, the segment is the earlier one. If the call is sealed without another, the segment was put
    back.
    """
    keeper = keeper_of(tmp_path, run_dir)
    whole = Whole(keeper.vault, tmp_path / "allowed_signers")
    (segment,) = (keeper.vault / "index").glob("*/*.age")
    before = segment.read_bytes()
    index = Index(keeper.config, keeper.epochs, keeper.log)
    name = segment.relative_to(keeper.vault / "index").as_posix()
    call_id = "20261124T030000.000Z-L01-9"
    keeper.log.append("index", file=name, sha256="0" * 64, call_id=call_id)
    keeper.log.publish()
    assert whole.problems() == []
    segment.write_bytes(before[:-1])
    assert [problem.split(":")[0] for problem in whole.problems()] == ["index_changed"]
    segment.write_bytes(before)
    call(keeper, index, "-9")
    keeper.log.append("heartbeat")
    keeper.log.publish()
    assert whole.problems() == [], "it stands in the next segment now"
    keeper.log.append("index", file=name, sha256="1" * 64, call_id="20261124T030000.000Z-L01-8")
    call(keeper, index, "-7")
    keeper.log._append([("close", {"call_id": "20261124T030000.000Z-L01-8", "record_sha256": "2" * 64})])
    keeper.log.publish()
    assert any(problem.startswith("index_changed") for problem in whole.problems())


def test_the_newest_events_do_not_go_unseen(whole: Whole) -> None:
    """Truncated one by one: each leaf has the outbox's position at its time, the last one the end."""
    (path,) = (whole.vault / "outbox").glob("*.events")
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) > CALLS
    for left in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:left]))
        assert any(problem.startswith("outbox_short: outbox: the log has event") for problem in whole.problems())
    path.write_bytes(b"".join(lines[1:]))
    assert any(problem.startswith("outbox_name") for problem in whole.problems())
    path.rename(path.with_name("000000000002.events"))
    assert whole.problems() == [], "confirmed.json says that the desk has it, which nobody but the desk can show"
    (whole.vault / "outbox" / "confirmed.json").unlink()
    assert any(problem.startswith("outbox_gap") for problem in whole.problems())


@pytest.mark.parametrize("name", ["holds", "index", "walks", "certificates", "outbox"])
def test_a_folder_that_the_medium_cannot_read(whole: Whole, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, and none of its files is called missing, which would accuse somebody of its removal."""
    scandir = os.scandir

    def reads(path: Any) -> Any:
        if Path(path) == whole.vault / name:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return scandir(path)

    assert (whole.vault / name).is_dir()
    monkeypatch.setattr(os, "scandir", reads)
    assert whole.problems() == [f"folder_unreadable: {name}/: Input/output error; its files cannot be judged"]
