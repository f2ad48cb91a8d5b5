# SPDX-License-Identifier: Apache-2.0
"""The key to which a call is sealed while lists change: compared with stock age and the private halves."""

from __future__ import annotations

import errno
import hashlib
import logging
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import msgspec
import pytest
from epoch_vault import NOW, begin, clock, finish, folder, key_opens, opens, signed, writer
from msgspec.structs import replace

from disk_writes import replace_durably_by
from epoch_rig import Authority
from linetap.config.retention import class_of, retention_of
from linetap.config.schema import Config
from linetap.recorder.vault.callfolder.folder import CallFolder
from linetap.recorder.vault.callfolder.jobs import OpenCall
from linetap.recorder.vault.retention.epochs import TAKEN
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import parse_rfc3339
from linetap_core.durable.files import replace_durably
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.sealing.keylist import KeyList, Overflow
from linetap_core.records import CallRecord, KeyListState
from unit_rig import Unit

DAY = "2027-01-24"  # NOW is the 25th of November in Seoul; 60 days later
MARKED_DAY = "2027-02-23"
OVERFLOW = "overflow-2"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def config(unit: Unit, authority: Authority) -> Config:
    authority.publish(authority.make("2027-01-01", 60))
    return authority.commissioned(unit.config)


def refused(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# --- the key of a call --------------------------------------------------------------------------------------------


def test_a_call_opens_with_the_key_of_its_day_and_with_no_other(
    unit: Unit, authority: Authority, config: Config
) -> None:
    vault = writer(config)
    call_id = begin(vault)
    said = finish(vault, config, call_id)
    assert (said.class_, said.epoch, said.until) == ("standard", DAY, "2027-01-24T15:00:00.000Z")
    assert said.class_pending is msgspec.UNSET
    path = folder(config, call_id)
    assert opens(unit, path, authority.identity(DAY))
    for other in ("2027-01-23", "2027-01-25", f"{DAY}.index", OVERFLOW):
        assert not opens(unit, path, authority.identity(other))
    assert not opens(unit, path, unit.epoch)


def test_a_marked_call_is_in_its_longer_class_and_no_more_in_its_first(
    unit: Unit, authority: Authority, config: Config
) -> None:
    vault = writer(config)
    call_id = begin(vault)
    path = folder(config, call_id)
    assert key_opens(path, authority.identity(DAY))
    said = finish(vault, config, call_id, marked=True)
    assert (said.class_, said.epoch, said.until) == ("marked", MARKED_DAY, "2027-02-23T15:00:00.000Z")
    assert opens(unit, path, authority.identity(MARKED_DAY))
    assert not opens(unit, path, authority.identity(DAY))
    assert sorted(p.name for p in path.iterdir() if "audio" not in p.name) == [
        "key.age", "meta.age", "record.json", "record.json.sig",
    ]  # fmt: skip


def test_a_call_over_midnight_is_in_the_day_of_its_end(unit: Unit, authority: Authority, config: Config) -> None:
    vault = writer(config)
    call_id = begin(vault, "2026-11-25T14:59:59.000Z")
    assert finish(vault, config, call_id, "2026-11-25T15:00:01.000Z").epoch == "2027-01-25"
    assert opens(unit, folder(config, call_id), authority.identity("2027-01-25"))


def test_a_restarted_recorder_still_wraps_anew(unit: Unit, authority: Authority, config: Config) -> None:
    call_id = begin(writer(config))
    said = finish(writer(config), config, call_id, marked=True)
    assert (said.epoch, said.class_pending) == (MARKED_DAY, msgspec.UNSET)
    assert opens(unit, folder(config, call_id), authority.identity(MARKED_DAY))


def test_without_the_inner_blob_the_class_is_pending(unit: Unit, authority: Authority, config: Config) -> None:
    call_id = begin(writer(config))
    state = config.run_path / "calls" / f"{call_id}.json"
    left = msgspec.json.decode(state.read_bytes().splitlines()[-1], type=OpenCall)
    state.write_bytes(msgspec.json.encode(replace(left, inner=b"")))
    said = finish(writer(config), config, call_id, marked=True)
    assert (said.class_, said.epoch, said.until) == ("marked", DAY, "2027-02-23T15:00:00.000Z")
    assert said.class_pending is True
    assert opens(unit, folder(config, call_id), authority.identity(DAY))


def test_a_call_that_nobody_remembers_keeps_what_it_began_with(config: Config) -> None:
    vault = writer(config)
    call_id = begin(vault)
    vault.close(
        call_id, vault.vault.recordings[call_id].position, CallRecord(call_id=call_id, unit=config.unit, line=1)
    )
    assert vault.step()
    assert signed(config, call_id).epoch == DAY


class Killed(BaseException):
    """An exception that no code handles."""


@pytest.mark.parametrize("dies_at", ["record.json", "key.age", "record.json.sig"])
def test_killed_between_the_new_key_and_the_record_that_names_it(
    unit: Unit, authority: Authority, config: Config, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    """In every state of the disk, the key beside a record is the one it names, and one key opens the call."""
    vault = writer(config)
    call_id = begin(vault)
    path = folder(config, call_id)
    real, rename = replace_durably, Path.rename

    def write(place: Path, data: bytes) -> None:
        if place.name == dies_at:
            raise Killed
        real(place, data)

    def move(self: Path, target: Path) -> Path:
        if target.name == dies_at:
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patched:
        replace_durably_by(patched, write)
        patched.setattr(Path, "rename", move)
        with pytest.raises(Killed):
            finish(vault, config, call_id, marked=True)
    recorded = (path / "record.json").exists()
    assert recorded == (dies_at != "record.json")
    assert key_opens(path, authority.identity(DAY)) == (dies_at != "record.json.sig")
    said = finish(writer(config), config, call_id, marked=recorded)  # unmarked: it is not the first record again
    epoch = MARKED_DAY if recorded else DAY
    assert said.epoch == epoch
    assert opens(unit, path, authority.identity(epoch))
    record = msgspec.json.decode((path / "record.json").read_bytes(), type=CallRecord)
    assert record.files[sealed.KEY] == hashlib.sha256((path / "key.age").read_bytes()).hexdigest()
    assert not (path / sealed.NEXT_KEY).exists()


def test_a_folder_that_is_sealed_twice_keeps_the_key_of_its_record(unit: Unit, config: Config) -> None:
    vault = writer(config)
    call_id = begin(vault)
    finish(vault, config, call_id, marked=True)
    key = (folder(config, call_id) / "key.age").read_bytes()
    again = CallFolder.resume(config.vault_path, call_id, "age1x", b"")
    again.seal(CallRecord(call_id=call_id, unit=unit.config.unit, line=1), lambda _: "", keys.new_identity().recipient)
    assert (folder(config, call_id) / "key.age").read_bytes() == key


# --- no known day -------------------------------------------------------------------------------------------------


def test_without_a_list_the_overflow_epoch_is_used_as_ever(unit: Unit) -> None:
    vault = writer(unit.config)
    call_id = begin(vault)
    said = finish(vault, unit.config, call_id)
    assert (said.epoch, said.until) == ("overflow-1", "2027-01-24T15:00:00.000Z")
    assert opens(unit, folder(unit.config, call_id), unit.epoch)
    assert vault.vault.epochs.state(0) is None


def test_past_the_lists_end_and_before_its_beginning(unit: Unit, authority: Authority) -> None:
    authority.publish(authority.make("2027-01-24", 2))
    config = authority.commissioned(unit.config)
    vault = writer(config)
    for at, epoch in (
        ("2026-11-24T14:59:00.000Z", OVERFLOW), (NOW, DAY), ("2026-11-26T14:59:00.000Z", "2027-01-25"),
        ("2026-11-26T15:00:00.000Z", OVERFLOW), ("2036-11-26T15:00:00.000Z", OVERFLOW),
        ("1970-01-01T00:00:00.000Z", OVERFLOW),
    ):  # fmt: skip
        call_id = begin(vault, at)
        said = finish(vault, config, call_id, at)
        assert said.epoch == epoch
        assert (said.until is None) == (epoch == OVERFLOW)
        assert opens(unit, folder(config, call_id), authority.identity(epoch))


def test_a_marked_call_beyond_the_list_leaves_its_first_day(unit: Unit, authority: Authority) -> None:
    authority.publish(authority.make("2027-01-01", 50))
    config = authority.commissioned(unit.config)
    vault = writer(config)
    call_id = begin(vault)
    said = finish(vault, config, call_id, marked=True)
    assert (said.class_, said.epoch, said.until) == ("marked", OVERFLOW, None)
    assert opens(unit, folder(config, call_id), authority.identity(OVERFLOW))
    assert not opens(unit, folder(config, call_id), authority.identity(DAY))


def test_a_clock_before_the_lists_own_time_is_not_believed(unit: Unit, authority: Authority, config: Config) -> None:
    vault = writer(config, clock("2026-11-19T22:00:00.000Z"))
    call_id = begin(vault)
    assert finish(vault, config, call_id).epoch == OVERFLOW
    assert opens(unit, folder(config, call_id), authority.identity(OVERFLOW))


def test_the_newest_overflow_epoch_is_the_one_in_use(unit: Unit, authority: Authority) -> None:
    made = authority.make("2030-01-01", 1)
    authority.publish(replace(made, overflow=[*made.overflow, Overflow(5, authority.new("overflow-5"))]))
    config = authority.commissioned(unit.config)
    vault = writer(config)
    call_id = begin(vault)
    assert finish(vault, config, call_id).epoch == "overflow-5"
    assert opens(unit, folder(config, call_id), authority.identity("overflow-5"))


# --- changing lists -----------------------------------------------------------------------------------------------


def look(vault: VaultWriter, times: int = 2) -> None:
    """Polls: a pair of files counts if it is unchanged between two polls."""
    for _ in range(times):
        assert vault.step()


def test_a_longer_list_is_taken_while_it_runs_and_a_restart_does_not_forget_it(
    unit: Unit, authority: Authority
) -> None:
    old = authority.make("2026-12-01", 2)
    authority.publish(old)
    config = authority.commissioned(unit.config)
    time = clock()
    vault = writer(config, time)
    assert finish(vault, config, begin(vault)).epoch == OVERFLOW
    longer = replace(
        old, version=2, epochs=[*old.epochs, *authority.make("2026-12-03", 60).epochs], overflow=old.overflow
    )
    authority.publish(longer)
    time.sleep(1)
    look(vault)
    assert vault.vault.epochs.version == 2
    assert finish(vault, config, begin(vault, "2026-11-24T23:00:00.000Z")).epoch == DAY
    leaves = [
        msgspec.json.decode(line) for line in (config.vault_path / "log" / "leaves.jsonl").read_bytes().splitlines()
    ]
    assert [leaf["version"] for leaf in leaves if leaf["kind"] == "key_list"] == [1, 2]
    authority.publish(old)
    assert writer(config).vault.epochs.version == 2
    authority.path.unlink()
    again = writer(config)
    assert finish(again, config, begin(again, "2026-11-24T23:01:00.000Z")).epoch == DAY


def test_the_state_says_how_long_the_longest_class_still_fits(config: Config) -> None:
    """The list ends on the 1st of March; 90 days from the 25th of November are the 23rd of February."""
    epochs = writer(config).vault.epochs
    assert epochs.state(parse_rfc3339(NOW)) == KeyListState(version=1, last_day="2027-03-01", fits_days=7)
    assert epochs.state(parse_rfc3339("2026-12-01T15:00:00Z")) == KeyListState(
        version=1, last_day="2027-03-01", fits_days=0
    )


def test_custodians_rotate_with_the_list(unit: Unit, authority: Authority, config: Config) -> None:
    vault = writer(config)
    before, running = begin(vault), begin(vault, "2026-11-24T22:57:00.000Z")
    new = keys.new_identity()
    data = keylist.sound(authority.path.read_bytes())
    authority.publish(replace(data, version=2, custodians=[new.recipient]))
    look(vault)
    after = begin(vault, "2026-11-24T23:00:00.000Z")
    for call_id in (before, running, after):
        finish(vault, config, call_id, marked=call_id == running)
    assert opens(unit, folder(config, before), authority.identity(DAY))
    assert opens(unit, folder(config, running), authority.identity(MARKED_DAY))
    assert not opens(unit, folder(config, after), authority.identity(DAY))
    unit.custodian.write_text(new.secret)
    assert opens(unit, folder(config, after), authority.identity(DAY))
    assert not opens(unit, folder(config, running), authority.identity(MARKED_DAY))


Change = Callable[[Authority, KeyList], None]


def by_a_stranger(authority: Authority, made: KeyList) -> None:
    data = keylist.encode(replace(made, version=9))
    authority.lay_down(data, Authority(authority.folder).sign(data))


def cut_short(authority: Authority, made: KeyList) -> None:
    data = keylist.encode(replace(made, version=9))
    authority.lay_down(data[:-500], authority.sign(data))


def days_missing(authority: Authority, made: KeyList) -> None:
    authority.publish(replace(made, version=9, epochs=[*made.epochs[:5], *made.epochs[6:]]))


def goes_back(authority: Authority, made: KeyList) -> None:
    authority.publish(replace(made, version=3))


def same_version(authority: Authority, made: KeyList) -> None:
    authority.publish(replace(made, made_at="2026-11-21T00:00:00.000Z"))


def other_keys(authority: Authority, made: KeyList) -> None:
    authority.publish(replace(authority.make("2027-01-01", 60, version=9), overflow=made.overflow))


def other_zone(authority: Authority, made: KeyList) -> None:
    authority.publish(replace(made, version=9, zone="Asia/Tokyo"))


def gone(authority: Authority, _: KeyList) -> None:
    authority.path.unlink()


def no_text(authority: Authority, _: KeyList) -> None:
    authority.lay_down(b"\xff\xfe", b"\xff")


def endless(authority: Authority, made: KeyList) -> None:
    authority.lay_down(bytes(keylist.LIST_LIMIT_BYTES + 1), authority.sign(keylist.encode(made)))


BAD = [
    (by_a_stranger, "key_list_stranger", "the authority is"),
    (cut_short, "key_list_not_signed", "does not fit"),
    (days_missing, "key_list_days", "every day must be there"),
    (goes_back, "key_list_goes_back", "version 3, and version 4 is in use"),
    (same_version, "key_list_goes_back", "version 4, and version 4 is in use"),
    (other_keys, "key_list_twice", "a day keeps its keys"),
    (other_zone, "key_list_zone", "its days end in Asia/Tokyo"),
    (gone, "key_list_unreadable", "No such file"),
    (no_text, "key_list_malformed", "decode"),
    (endless, "key_list_malformed", "larger than"),
]


@pytest.mark.parametrize(("change", "code", "words"), BAD, ids=lambda each: getattr(each, "__name__", None))
def test_a_list_that_is_refused_in_one_line_while_the_old_one_stays(
    unit: Unit, authority: Authority, caplog: pytest.LogCaptureFixture, change: Change, code: str, words: str
) -> None:
    made = authority.make("2027-01-01", 30, version=4)
    authority.publish(made)
    config = authority.commissioned(unit.config)
    vault = writer(config)
    assert refused(caplog) == []
    change(authority, made)
    look(vault, 5)
    (line,) = refused(caplog)
    assert line.startswith(f"{code}: {authority.path}: ")
    assert words in line
    assert line.endswith("version 4 stays")
    assert "\n" not in line
    assert finish(vault, config, begin(vault)).epoch == DAY
    again = writer(config)
    assert again.vault.epochs.version == 4
    authority.publish(replace(made, version=5))
    look(vault)
    assert vault.vault.epochs.version == 5


@pytest.mark.parametrize(
    ("change", "code", "words"), BAD[:1] + BAD[7:], ids=lambda each: getattr(each, "__name__", None)
)
def test_never_a_refusal_where_there_was_no_good_list(
    unit: Unit, authority: Authority, caplog: pytest.LogCaptureFixture, change: Change, code: str, words: str
) -> None:
    made = authority.make("2027-01-01", 30, version=4)
    authority.publish(made)
    change(authority, made)
    config = authority.commissioned(unit.config)
    vault = writer(config)
    (line,) = refused(caplog)
    assert line.startswith(code)
    assert words in line
    assert line.endswith("calls are sealed to the overflow epoch")
    call_id = begin(vault)
    said = finish(vault, config, call_id)
    assert (said.epoch, said.until) == ("overflow-1", None)
    assert opens(unit, folder(config, call_id), unit.epoch)
    state = vault.vault.epochs.state(parse_rfc3339(NOW))
    assert state is not None
    assert state.version is None


def test_a_damaged_memory_of_a_list_is_reported_and_the_list_counts(
    unit: Unit, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    writer(config)
    (unit.config.vault_path / TAKEN).write_bytes(b"{")
    vault = writer(config)
    (line,) = refused(caplog)
    assert line.startswith("file_broken")
    assert vault.vault.epochs.version == 1


def test_a_full_disk_does_not_keep_a_list_from_being_used(
    unit: Unit, authority: Authority, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_root: Path, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    unit.config.vault_path.mkdir()
    monkeypatch.setattr("linetap.recorder.vault.retention.epochs.folders", SimpleNamespace(make=full))
    vault = writer(config)
    assert vault.vault.epochs.version == 1
    monkeypatch.undo()
    look(vault)
    authority.path.unlink()
    assert writer(config).vault.epochs.version == 1


# --- classes ------------------------------------------------------------------------------------------------------


def test_a_class_is_of_the_disposition_or_the_line_and_a_mark_never_shortens(unit: Unit, authority: Authority) -> None:
    config = authority.commissioned(unit.config)
    first, second = config.line
    policy = replace(config.retention, dispositions={"missed": "standard"})
    config = replace(config, line=[first, replace(second, retention="marked")], retention=policy)

    def name(line: int, disposition: str = "recorded", marked: bool = False) -> str:
        return class_of(config, line, disposition, marked).name  # type: ignore[arg-type]

    assert [name(1), name(2), name(2, "missed"), name(1, marked=True)] == ["standard", "marked", "standard", "marked"]
    config = replace(config, retention=replace(policy, marked="standard"))
    assert [name(1, marked=True), name(2, marked=True)] == ["standard", "marked"]


def test_a_line_of_a_longer_class_needs_no_second_wrapping(unit: Unit, authority: Authority, config: Config) -> None:
    config = replace(config, line=[config.line[0], replace(config.line[1], retention="marked")])
    vault = writer(config)
    call_id = begin(vault, line=2)
    key = (folder(config, call_id) / "key.age").read_bytes()
    assert finish(vault, config, call_id).epoch == MARKED_DAY
    assert (folder(config, call_id) / "key.age").read_bytes() == key
    assert opens(unit, folder(config, call_id), authority.identity(MARKED_DAY))


# --- a simulated year ---------------------------------------------------------------------------------------------


def day_by_date(local: str, days: int, zone: str) -> tuple[str, str]:
    """GNU date's results: the day this many days later, and the instant of its end."""
    later = run_date("UTC", f"{local} +{days} days", "%F")
    after = run_date("UTC", f"{later} +1 day", "%F")
    return later, run_date("UTC", "@" + run_date(zone, f"{after} 00:00", "%s"), "%FT%T.000Z")


def run_date(zone: str, when: str, form: str) -> str:
    done = subprocess.run(
        ["date", "-d", when, f"+{form}"], env={"TZ": zone, "LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return done.stdout.strip()


ZONES = ["Asia/Seoul", "UTC", "America/New_York", "Australia/Lord_Howe"]


@pytest.mark.parametrize("zone", ZONES)
def test_every_instant_of_a_year_has_the_key_of_its_day(unit: Unit, authority: Authority, zone: str) -> None:
    """2028 has a leap day. Each day at its first and last millisecond and between: every choice is that day's key."""
    authority.publish(authority.make("2028-02-01", 430, zone=zone))
    config = authority.commissioned(unit.config, zone)
    epochs = writer(config).vault.epochs
    wanted = {epoch.day: epoch.recipient for epoch in keylist.sound(authority.path.read_bytes()).epochs}
    tz = ZoneInfo(zone)
    for n in range(366):
        today = date(2028, 1, 1) + timedelta(days=n)
        expected = (today + timedelta(days=60)).isoformat()
        following = today + timedelta(days=1)
        first = datetime(today.year, today.month, today.day, tzinfo=tz).astimezone(UTC)
        end = datetime(following.year, following.month, following.day, tzinfo=tz).astimezone(UTC)
        middle = first + (end - first) / 2
        for at in (first, middle, end - timedelta(milliseconds=1)):
            said, key = epochs.resolve(retention_of(config, round(at.timestamp() * 1e9), 1, "recorded", False))
            assert (said.epoch, key) == (expected, wanted[expected])
        if n % 37 == 0 or today.isoformat() in ("2028-02-29", "2028-03-11", "2028-03-12", "2028-11-04", "2028-11-05"):
            assert (said.epoch, said.until) == day_by_date(today.isoformat(), 60, zone)
