# SPDX-License-Identifier: Apache-2.0
"""Calls of an overflow epoch, from the page and back to it, with the officers' own tools: re-wrapped by one, checked by
another, and then the day's key opens them for a release.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from program_rig import InThread
from release_house import ReleaseHouse, refusal
from sqlalchemy import insert

from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.log.log import UnitLog
from linetap_core.clock import ManualClock, parse_rfc3339
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import amendment, hold, sealed
from linetap_core.evidence.calls.amendment import Amendment
from linetap_core.evidence.calls.callkey import OfCall
from linetap_core.evidence.keys import keys
from linetap_core.evidence.merklelog import closing
from linetap_core.evidence.merklelog.closing import closing_path
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.records import Retention
from linetap_core.zones import KOREA, zone_of
from linetap_desk.accesslog import roles
from linetap_desk.ceremony import hold as holds
from linetap_desk.ceremony import keygen, rewrap
from linetap_desk.custody.program.settings import Settings
from linetap_desk.ingest import tables
from linetap_desk.serve.overflow import overflowcalls
from linetap_desk.unsealing.wrapped import CHECK_SUFFIX
from release_rig import HAN, PEOPLE, Desk
from sealing_rig import UNIT, noise, record

SECOND = "Seo Bin"  # another vault officer
AMENDED, BY_CLASS = "20261124T230000.000Z-L03", "20261124T231000.000Z-L03"
DAY, OTHER_DAY, FIRST = "2026-12-02", "2026-12-03", "2026-12-01"
UNTIL = "2026-12-02T15:00:00.000Z"  # the end of DAY in Seoul
MOVED = "2026-12-02T15:30:00.000Z"  # the same by zone data that have changed since
AT = "2026-11-29T00:00:00.000Z"


class Overflow:
    """Two calls of the overflow epoch in the second copy: its unit has amended one of them."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.list, self.media = desk, desk.root / "keylist.json", desk.root / "media"
        desk.ssh_key(SECOND)
        desk.sign_roles(2, people=PEOPLE | {SECOND: "vault"})
        desk.clock.advance(parse_rfc3339(AT) - desk.clock.utc_ns())
        desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
        desk.run(keygen, "epochs", "--from", FIRST, "--days", 3, "--all-on-one-medium", self.media, "-o", self.list)
        for call_id in (AMENDED, BY_CLASS):
            self.seal(call_id)
        desk.rig.publish()
        self.house = ReleaseHouse(desk)
        for call_id in (AMENDED, BY_CLASS):
            self.known(call_id)
        self.amend()

    def newest(self) -> keylist.Overflow:
        return keylist.sound(self.list.read_bytes()).overflow[-1]

    @property
    def epoch(self) -> str:
        return f"overflow-{self.newest().number}"

    def seal(self, call_id: str) -> None:
        recipient = self.newest().recipient
        folder = CallFolder.create(self.desk.rig.vault, OfCall(UNIT, call_id), recipient, self.desk.rig.custodians)
        folder.write(noise(1000))
        whole = record(1000, call_id)
        whole.retention = Retention(class_="standard", epoch=self.epoch)
        folder.seal(whole, self.desk.rig.sign)

    def known(self, call_id: str) -> None:
        call = self.desk.rig.vault / sealed.call_path(call_id)
        self.house.know(call, copied=True)
        row = {"unit": UNIT, "call_id": call_id, "record_sha256": self.desk.rig.sealed_record_sha256(call_id)}
        with self.house.engine.begin() as db:
            db.execute(insert(tables.copies).values(**row, stored_at=AT))

    def amend(self) -> None:
        document = amendment.encode(
            Amendment(
                suite=amendment.SUITE, unit=UNIT, call_id=AMENDED, number=1, began_at=UNTIL, ended_at=UNTIL,
                record_sha256=self.desk.rig.sealed_record_sha256(AMENDED), uncertainty_s=1, until=UNTIL, made_at=AT,
            )
        )  # fmt: skip
        sig = sshsig.sign(document, self.desk.rig.unit_key, namespaces.RECORD)
        place = self.house.copies / UNIT / amendment.FOLDER / amendment.name(AMENDED, 1)
        place.parent.mkdir(parents=True)
        place.write_bytes(document)
        namespaces.signature_path(place).write_text(sig)
        with self.house.engine.begin() as db:
            values = {"unit": UNIT, "call_id": AMENDED, "number": 1, "document": document, "sig": sig, "until": UNTIL}
            db.execute(insert(tables.amendments).values(**values))

    def client(self, name: str = "vault") -> httpx.Client:
        return self.house.client("vault", name)

    def fetched(self, name: str = "vault", **query: str) -> Path:
        """The archive, unpacked at an officer's machine."""
        answer = self.client(name).get("/overflow/overflow.tar", params=query)
        assert answer.status_code == 200, refusal(answer)
        folder = self.desk.root / f"officer-{len(list(self.desk.root.glob('officer-*')))}"
        with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:") as archive:
            archive.extractall(folder, filter="data")
        return folder

    def rewrap(self, at: Path, *calls: str, to: str = "", key: str = HAN) -> None:
        for call_id in calls:
            words = ["--identity", self.media / f"{self.epoch}.txt", "--list", self.list, "--key", self.desk.root / key]
            words += ["--to", to] if to else []
            output = at / "holds" / call_id
            words += ["-o", output, "--signers", self.desk.rig.signers_file, "--desk", self.desk.folder]
            self.desk.run(rewrap, "rewrap", at / "calls" / call_id, *words)

    def check(self, at: Path, call_id: str, day: str, key: str = SECOND) -> None:
        words = ["--identity", self.media / f"{day}.txt", "--key", self.desk.root / key, "--desk", self.desk.folder]
        words += ["--signers", self.desk.rig.signers_file]
        self.desk.run(holds, "check", at / "holds" / call_id, at / "calls" / call_id, *words)

    def bring(self, at: Path, name: str = "vault") -> httpx.Response:
        """Uploads the archive as written by `tar --format=ustar -cf holds.tar holds`, with the folders."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            archive.add(at / "holds", "holds")
        return self.house.bring("/overflow", buffer.getvalue(), "vault", name)

    def states(self) -> dict[str, str]:
        """The heading on the page for each call."""
        text = self.client().get("/overflow").text
        found: dict[str, str] = {}
        for part in text.split('<h2 id="')[1:]:
            heading = part.partition('"')[0]
            found |= {call_id: heading for call_id in (AMENDED, BY_CLASS) if f"/{call_id}" in part.partition("<h2")[0]}
        return found


@pytest.fixture
def overflow(desk: Desk) -> Iterator[Overflow]:
    made = Overflow(desk)
    with made.house.served:
        yield made
    made.house.engine.dispose()


def test_to_the_end(overflow: Overflow) -> None:
    assert overflow.states() == {AMENDED: "waits", BY_CLASS: "waits"}
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED)  # its day is that of the amendment in the archive
    overflow.rewrap(at, BY_CLASS, to=OTHER_DAY)
    assert overflow.bring(at).status_code == 303
    assert overflow.states() == {AMENDED: "unchecked", BY_CLASS: "unchecked"}
    second = overflow.fetched("second")
    overflow.check(second, AMENDED, DAY)
    overflow.check(second, BY_CLASS, OTHER_DAY)
    answer = overflow.bring(second, "second")
    assert answer.status_code == 303, refusal(answer)
    assert overflow.states() == {AMENDED: "done", BY_CLASS: "done"}
    kept = overflow.house.holds / AMENDED
    assert {path.name for path in kept.iterdir()} == {
        sealed.KEY, hold.REWRAP, f"{hold.REWRAP}.sig", f"{hold.REWRAP}{CHECK_SUFFIX}",
    }  # fmt: skip
    acts = [(who, act) for who, act, outcome, _ in overflow.house.log() if outcome == "done" and act == "overflow_take"]
    assert acts == [("vault", "overflow_take"), ("second", "overflow_take")]


@pytest.mark.parametrize("state", ["done", "unreadable"])
def test_calls_that_need_nothing_keep_no_other_from_the_page(
    overflow: Overflow, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """They stay in the second copy until their end: after an outage of a city's clock there are hundreds."""
    if state == "done":
        at = overflow.fetched()
        overflow.rewrap(at, AMENDED)
        assert overflow.bring(at).status_code == 303
        second = overflow.fetched("second")
        overflow.check(second, AMENDED, DAY)
        assert overflow.bring(second, "second").status_code == 303
    else:
        (overflow.house.copies / UNIT / sealed.call_path(AMENDED) / sealed.RECORD).write_bytes(b"lost")
    monkeypatch.setattr(overflowcalls, "MOST", 1)
    monkeypatch.setattr(overflowcalls, "A_READ", 1)
    assert overflow.states() == {AMENDED: "done" if state == "done" else "waits", BY_CLASS: "waits"}
    assert "There are more than are shown here" not in overflow.client().get("/overflow").text
    assert {path.name for path in (overflow.fetched() / "calls").iterdir()} == {BY_CLASS}


def test_to_the_end_by_buttons(overflow: Overflow) -> None:
    desk, output = overflow.desk, overflow.desk.root / "out"
    chosen = Settings(name=HAN, signing=str(desk.root / HAN), keylist=str(overflow.list), output=str(output))
    chosen.identities = [str(overflow.media / f"{overflow.epoch}.txt")]

    def take(run: InThread, name: str) -> None:
        path = desk.root / "overflow.tar"
        path.write_bytes(overflow.client(name).get("/overflow/overflow.tar").content)
        run.browser.do("/choose", what="archive", path=str(path))

    def bring(name: str) -> None:
        (made,) = output.glob("holds-*.tar")
        answer = overflow.house.bring("/overflow", made.read_bytes(), "vault", name)
        assert answer.status_code == 303, refusal(answer)
        made.unlink()

    with InThread(desk, chosen) as run:
        take(run, "vault")
        page = run.browser.do("/rewrap", identity=chosen.identities)
        assert f"{BY_CLASS}: " in page, "it is named: its unit has not stated its end"
        bring("vault")
        assert overflow.states() == {AMENDED: "unchecked", BY_CLASS: "waits"}
        take(run, "vault")
        run.browser.do("/rewrap", identity=chosen.identities, day=OTHER_DAY)
        bring("vault")
        days = [str(overflow.media / f"{day}.txt") for day in (DAY, OTHER_DAY)]
        run.program.keep(name=SECOND, signing=str(desk.root / SECOND), identities=days)
        take(run, "second")
        assert "one officer" not in run.browser.do("/check", identity=days)
        bring("second")
    assert overflow.states() == {AMENDED: "done", BY_CLASS: "done"}


def test_one_officer_does_not_check_their_own(overflow: Overflow) -> None:
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED)
    overflow.check(at, AMENDED, DAY, HAN)
    assert refusal(overflow.bring(at)) == "rewrap_check"
    assert overflow.states()[AMENDED] == "waits"


def test_another_day_than_the_units(overflow: Overflow) -> None:
    at = overflow.fetched()
    with pytest.raises(Refusal, match=f"--to {FIRST}: by its unit the call is kept until {DAY}"):
        overflow.rewrap(at, AMENDED, to=FIRST)
    assert not (at / "holds").exists()
    overflow.rewrap(at, AMENDED, to=OTHER_DAY)
    assert refusal(overflow.bring(at)) == "rewrap_other_day"


def test_signed_by_who_is_no_vault_officer(overflow: Overflow) -> None:
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED, key="stranger")
    assert refusal(overflow.bring(at)) == "wrapped_not_signed"


def test_papers_of_another_call(overflow: Overflow) -> None:
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED)
    (at / "holds" / AMENDED).rename(at / "holds" / BY_CLASS)
    assert refusal(overflow.bring(at)) == "record_differs"
    assert not overflow.house.holds.exists()


def test_a_copy_that_was_changed_since(overflow: Overflow) -> None:
    """The documents are valid; the data they keep are changed."""
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED)
    key = overflow.house.copies / UNIT / sealed.call_path(AMENDED) / sealed.KEY
    key.write_bytes(key.read_bytes()[:-1] + b"x")
    assert refusal(overflow.bring(at)) == "call_not_as_sealed"
    assert not overflow.house.holds.exists()


def test_a_call_that_does_not_wait_here(overflow: Overflow) -> None:
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED)
    (at / "holds" / AMENDED).rename(at / "holds" / overflow.desk.call.name)
    assert refusal(overflow.bring(at)) == "rewrap_other_call"


def test_one_bad_call_keeps_all_out(overflow: Overflow) -> None:
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED)
    overflow.rewrap(at, BY_CLASS, to=OTHER_DAY, key="stranger")
    assert refusal(overflow.bring(at)) == "wrapped_not_signed"
    assert not overflow.house.holds.exists()


def test_what_was_rewrapped_is_not_replaced(overflow: Overflow) -> None:
    at = overflow.fetched()
    overflow.rewrap(at, BY_CLASS, to=DAY)
    assert overflow.bring(at).status_code == 303
    before = (overflow.house.holds / BY_CLASS / sealed.KEY).read_bytes()
    (at / "holds").rename(at / "first")
    overflow.rewrap(at, BY_CLASS, to=OTHER_DAY)
    assert refusal(overflow.bring(at)) == "step_done"
    assert (overflow.house.holds / BY_CLASS / sealed.KEY).read_bytes() == before


@pytest.mark.parametrize(
    "name", ["../serve.db", "holds/../../x/key.age", f"holds/{AMENDED}/hold.json", "holds/x/key.age"]
)
def test_an_archive_that_is_none(overflow: Overflow, name: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert refusal(overflow.house.bring("/overflow", buffer.getvalue(), "vault")) == "rewrap_malformed"


def test_several_calls_in_one_command(overflow: Overflow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --to each goes to the day of its amendment, and one without an amendment is named."""
    at, desk = overflow.fetched(), overflow.desk
    monkeypatch.chdir(at)
    words = ["--identity", overflow.media / f"{overflow.epoch}.txt", "--list", overflow.list, "--key", desk.root / HAN]
    words += ["--signers", desk.rig.signers_file, "--desk", desk.folder]
    with pytest.raises(ValueError, match=f"{BY_CLASS}: --to"):
        desk.run(rewrap, "rewrap", at / "calls" / AMENDED, at / "calls" / BY_CLASS, *words)
    found = hold.decode((at / "holds" / AMENDED / hold.REWRAP).read_bytes())
    assert (found.epoch if isinstance(found, hold.Rewrap) else "") == DAY


TWIN = "closet-4f"


class TwinCall:
    """A call of another unit with the id of AMENDED, in the second copy."""

    def __init__(self, overflow: Overflow) -> None:
        self.overflow, self.vault, key = overflow, overflow.desk.root / "twin", keys.new_unit_key()
        self.vault.mkdir()
        rig, clock = overflow.desk.rig, ManualClock(parse_rfc3339(AT))
        with rig.signers_file.open("a") as file:
            file.write(f"{TWIN} {keys.public_line(key.public_key())}\n")
        (overflow.desk.folder / "allowed_signers").write_bytes(rig.signers_file.read_bytes())
        folder = CallFolder.create(self.vault, OfCall(TWIN, AMENDED), overflow.newest().recipient, rig.custodians)
        folder.write(noise(1000))
        whole = record(1000, AMENDED)
        whole.unit, whole.retention = TWIN, Retention(class_="standard", epoch=overflow.epoch)
        folder.seal(whole, lambda data: sshsig.sign(data, key, namespaces.RECORD))
        log = UnitLog(self.vault, TWIN, key, clock)
        log.publish()
        closed = log.closing(AMENDED)
        log.close()
        copies = overflow.house.copies / TWIN
        shutil.copytree(folder.path, copies / sealed.call_path(AMENDED))
        (copies / closing_path(AMENDED)).parent.mkdir(parents=True)
        assert closed is not None
        (copies / closing_path(AMENDED)).write_bytes(closing.encode(closed))
        digest = hashlib.sha256((folder.path / sealed.RECORD).read_bytes()).hexdigest()
        row = {"unit": TWIN, "call_id": AMENDED, "record_sha256": digest}
        with overflow.house.engine.begin() as db:
            db.execute(insert(tables.copies).values(**row, stored_at=AT))
            db.execute(insert(tables.calls).values(
                **row, line=3, disposition="recorded", began_at=AT, sealed_at=AT, late=False
            ))  # fmt: skip


def test_two_units_calls_of_the_same_id(overflow: Overflow) -> None:
    """Units whose clocks begin at the same time after a power cut have such calls. Each keeps its own key, and one
    unit's upload replaces no other's.
    """
    assert "?unit=" not in overflow.client().get("/overflow").text
    TwinCall(overflow)
    assert all(f"?unit={unit}" in overflow.client().get("/overflow").text for unit in (UNIT, TWIN))
    at = overflow.fetched(unit=UNIT)
    overflow.rewrap(at, AMENDED)
    answer = overflow.bring(at)
    assert answer.status_code == 303, refusal(answer)
    mine = {path.name: path.read_bytes() for path in (overflow.house.holds / AMENDED).iterdir()}
    theirs = overflow.fetched(unit=TWIN)
    overflow.rewrap(theirs, AMENDED, to=OTHER_DAY)
    answer = overflow.bring(theirs)
    assert answer.status_code == 303, refusal(answer)
    assert {path.name: path.read_bytes() for path in (overflow.house.holds / AMENDED).iterdir()} == mine
    for unit, day in ((UNIT, DAY), (TWIN, OTHER_DAY)):
        second = overflow.fetched("second", unit=unit)
        overflow.check(second, AMENDED, day)
        answer = overflow.bring(second, "second")
        assert answer.status_code == 303, refusal(answer)
    folders = sorted(path.name for path in overflow.house.holds.iterdir())
    assert folders == [AMENDED, f"{AMENDED}.{TWIN}"]
    assert all((overflow.house.holds / name / f"{hold.REWRAP}{CHECK_SUFFIX}").exists() for name in folders)
    assert overflow.client().get("/overflow/overflow.tar", params={"unit": TWIN}).status_code == 404


def test_a_hold_beside_is_not_overwritten(overflow: Overflow) -> None:
    """`linetap hold wrap` writes to holds/CALL_ID too, with a key.age of its own."""
    kept = overflow.house.holds / AMENDED
    kept.mkdir(parents=True)
    (kept / hold.HOLD).write_bytes(b"of a vault officer")
    (kept / sealed.KEY).write_bytes(b"its key")
    at = overflow.fetched()
    overflow.rewrap(at, AMENDED)
    assert overflow.bring(at).status_code == 303
    assert (kept / sealed.KEY).read_bytes() == b"its key"
    assert overflow.states()[AMENDED] == "unchecked"


@pytest.mark.parametrize(("until", "day"), [(UNTIL, DAY), (MOVED, DAY), (None, ""), ("", "")])
def test_the_day_that_ends_then_is_the_units_own(until: str | None, day: str) -> None:
    assert overflowcalls.day_of(until, zone_of(KOREA)) == day
