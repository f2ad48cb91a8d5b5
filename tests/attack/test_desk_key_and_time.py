# SPDX-License-Identifier: Apache-2.0
"""An attacker with the desk's key, the power switch and the time server tries to have recordings destroyed early."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epoch_rig import Authority
from keeping_rig import DAY, START, Keeper
from linetap.recorder.vault.retention import destruction
from linetap.recorder.vault.retention.epochs import Epochs
from linetap.recorder.vault.retention.time import NAME
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.evidence.calls import index, sealed
from linetap_core.evidence.sealing import keylist
from linetap_core.evidence.signing import document
from linetap_core.records import CallRecord, CountedMoment

KEPT = 60  # days, of the class of the rig's calls
GAP = 7


class Attacker(Keeper):
    """`true_days` have passed; the attacker controls the unit's clock."""

    true_days = 0.0

    def lives(self, days: float) -> None:
        self.true_days += days
        self.passes(days)

    def off_and_on(self, ahead_days: float = 0, off_days: float = 0) -> None:
        """Switches off and on; the time server's clock is then this far ahead."""
        self.true_days += off_days
        self.restart(boot=True, off_ns=round((off_days + ahead_days) * DAY))
        self.ticks()

    def desk_says(self, ahead_days: float = 0, role: str = "desk") -> str:
        code = self.tell_time(role, self.clock.utc_ns() + round(ahead_days * DAY)).code
        self.ticks()
        return code


@pytest.fixture
def unit(run_dir: Path) -> Attacker:
    attacker = Attacker(run_dir, run_dir)
    attacker.take_roles()
    return attacker


def test_nine_answers_of_the_desk_destroy_nothing(unit: Attacker) -> None:
    record = unit.call()
    for _ in range(9):
        unit.off_and_on(ahead_days=6.9)
        unit.desk_says()
    unit.lives(1)
    assert unit.is_whole(record)
    assert unit.destroyed() == []


@pytest.mark.parametrize("role", ["desk", "vault"])
def test_years_of_boots_and_answers_by_one_person_destroy_nothing_early(unit: Attacker, role: str) -> None:
    record = unit.call()
    for turn in range(150):  # ten times each pair of message and moment
        unit.off_and_on(ahead_days=(0.01, 1, 6.9, 400, -3)[turn % 5])
        unit.desk_says(ahead_days=(0, 6.9, 0.0001)[turn % 3], role=role)
        unit.lives(0.1)
        assert unit.is_whole(record) == (unit.true_days < KEPT), unit.true_days
    assert unit.true_days < KEPT


def test_a_recording_is_destroyed_after_its_counted_time_whatever_they_do(unit: Attacker) -> None:
    record = unit.call()
    for _ in range(KEPT):
        unit.off_and_on(ahead_days=0.5)
        unit.desk_says(ahead_days=1)
        unit.lives(1)
    assert unit.is_whole(record)
    unit.lives(1)
    assert unit.destroyed() == [record.call_id]


@pytest.mark.parametrize("first", ["desk", "time server"])
def test_the_first_clock_of_a_unit_makes_no_old_call_end(run_dir: Path, first: str) -> None:
    """It has recorded for a month without a time; then it gets one that is ten years ahead."""
    unit = Attacker(run_dir, run_dir, at="2020-01-01T00:00:00.000Z")
    unit.synced = False
    unit.take_roles()
    record = unit.call()
    unit.lives(30)
    assert unit.now_ns is None
    unit.clock.step_utc(3650 * DAY)
    if first == "desk":
        assert unit.desk_says() == "done"
    else:
        unit.synced = True
    unit.ticks()
    assert unit.now_ns is not None
    assert unit.is_whole(record)
    unit.synced = True
    unit.lives(29)
    assert unit.is_whole(record)
    unit.lives(2)
    assert unit.destroyed() == [record.call_id]


def test_a_unit_that_never_had_a_time_destroys_nothing(run_dir: Path) -> None:
    unit = Attacker(run_dir, run_dir)
    unit.synced = False
    unit.take_roles()
    record = unit.call()
    for _ in range(20):
        unit.clock.step_utc(400 * DAY)
        unit.off_and_on(off_days=1)
        unit.lives(10)
    assert unit.is_whole(record)


GPS_WEEKS = 1024 * 7  # days: the week number of a receiver before 2010 has 10 bits (IS-GPS-200, 20.3.3.3.1.1)


def test_a_clock_that_is_synchronised_before_this_software_was_made_dates_nothing(run_dir: Path) -> None:
    """The week of a time server's GPS receiver has rolled over to 2007, marked as synchronised. Then it is repaired."""
    unit = Attacker(run_dir, run_dir)
    unit.clock.step_utc(-GPS_WEEKS * DAY)
    unit.ticks()
    record = unit.call()
    assert unit.now_ns is None
    assert not unit.upkeep.time.is_dated
    assert unit.upkeep.time.state().early == "2026-01-01T00:00:00.000Z"
    unit.lives(KEPT + 1)
    assert unit.is_whole(record)
    unit.clock.step_utc(GPS_WEEKS * DAY)
    unit.ticks()
    assert unit.upkeep.time.is_dated
    assert unit.now_ns == unit.clock.utc_ns()
    assert unit.upkeep.time.state().early is None


@pytest.mark.parametrize("by", ["desk", "vault"])
def test_no_signed_answer_dates_before_this_software_was_made(run_dir: Path, by: str) -> None:
    unit = Attacker(run_dir, run_dir)
    unit.synced = False
    unit.take_roles()
    cosigned = ("second",) if by == "vault" else ()
    assert unit.tell_time(by, unit.clock.utc_ns() - GPS_WEEKS * DAY, cosigned=cosigned).code == "time_early"
    assert unit.now_ns is None


def test_no_clock_is_agreed_that_is_before_the_signed_list_of_keys(unit: Attacker, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.publish(authority.make("2026-11-20", 400))
    unit.config = authority.commissioned(unit.config)
    unit.clock = ManualClock(parse_rfc3339("2026-11-18T03:00:00.000Z"), 5 * NS_PER_S)
    (unit.vault / NAME).unlink()
    unit.boot += 1
    unit.start()
    assert unit.epochs.earliest_ns > unit.clock.utc_ns()
    unit.ticks()
    assert unit.upkeep.time.state().early


def test_an_agreed_time_of_2007_is_forgotten_by_this_version(unit: Attacker) -> None:
    """An older version accepted it. The true time is not rejected because of it, and old calls do not become older."""
    record = unit.call()
    assert isinstance(record.counted, CountedMoment)
    path = unit.vault / NAME
    path.unlink()
    wrong_ns = unit.clock.utc_ns() - GPS_WEEKS * DAY
    memory = {"now_ns": wrong_ns, "boot": "boot 1", "boots": 3, "base_ns": wrong_ns, "agreed": True, "dated": True,
              "anchors": [{"boot": 3, "elapsed_ns": 0, "utc_ns": wrong_ns}], "name": record.counted.memory}  # fmt: skip
    path.write_text(json.dumps({"memory": memory, "challenge": "", "asked_mono_ns": 0}), "utf-8")
    unit.restart()
    unit.ticks()
    assert unit.now_ns == unit.clock.utc_ns()
    assert unit.upkeep.time.state().ahead_s == 0
    assert unit.is_whole(record)


def test_calls_of_a_clock_at_1970_are_kept_for_their_period_when_the_clock_is_right(run_dir: Path) -> None:
    """Their `until` is of 1970; the elapsed time is not."""
    unit = Attacker(run_dir, run_dir, at="1970-01-01T00:05:00.000Z")
    unit.synced = False
    record = unit.call()
    unit.lives(0.1)
    unit.clock.step_utc(20_800 * DAY)  # to 2026
    unit.synced = True
    unit.lives(1)
    assert unit.is_whole(record)
    unit.lives(KEPT + 1)
    assert unit.destroyed() == [record.call_id]


def test_a_lost_memory_of_time_makes_nothing_older(unit: Attacker) -> None:
    record = unit.call()
    unit.lives(30)
    (unit.vault / NAME).unlink()
    unit.off_and_on(ahead_days=400)
    assert unit.desk_says() == "time_ahead"
    assert unit.confirm_time().done
    unit.lives(KEPT - 1)
    assert unit.is_whole(record)
    unit.lives(3)
    assert unit.destroyed() == [record.call_id]


@pytest.mark.parametrize("now_days", [0, 20_000])
def test_a_memory_of_an_older_version_is_taken_over(unit: Attacker, now_days: int) -> None:
    """Also one that was lost, and waits: nothing in it makes calls older, and none stays forever."""
    old, at_ns = unit.call(), unit.clock.utc_ns()
    path = unit.folder(old.call_id) / "record.json"
    record = msgspec.structs.replace(old, counted=msgspec.UNSET)
    path.write_bytes(sealed.public_json(record))
    path.with_name("record.json.sig").write_text(unit.sign(path.read_bytes()))
    memory = {"now_ns": at_ns if now_days else 0, "boot": "boot 1", "boots": 3, "base_ns": 5, "agreed": bool(now_days)}
    (unit.vault / NAME).write_text(json.dumps({"memory": memory, "challenge": "", "asked_mono_ns": 0}), "utf-8")
    unit.off_and_on()
    if not now_days:
        assert unit.confirm_time().done
    unit.lives(KEPT - 1)
    assert unit.is_whole(old)
    unit.lives(2)
    assert unit.destroyed() == [old.call_id]


def test_a_hold_does_not_end_early(unit: Attacker) -> None:
    record = unit.call()
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + (KEPT + 30) * DAY)).done
    unit.lives(KEPT + 24)
    unit.off_and_on(ahead_days=6.9)
    unit.desk_says()
    unit.lives(0.01)
    assert unit.is_whole(record)
    unit.lives(7)
    assert unit.destroyed() == [record.call_id]


def test_a_call_whose_date_alone_has_come_can_still_be_held(unit: Attacker) -> None:
    """An attacker who moves the date forward must not win because the officer's hold is too late."""
    record = unit.call()
    unit.lives(KEPT - 3)
    unit.off_and_on(ahead_days=6.9)
    assert unit.command(unit.hold(record, unit.clock.utc_ns() + 100 * DAY)).done
    unit.lives(30)
    assert unit.is_whole(record)


def test_the_date_that_one_key_moved_makes_no_command_of_others_stale(unit: Attacker) -> None:
    record = unit.call()
    sent = unit.hold(record, unit.clock.utc_ns() + 100 * DAY)  # valid for seven days
    unit.off_and_on(ahead_days=6.9)
    unit.desk_says(ahead_days=0.09)
    unit.lives(0.1)
    assert unit.command(sent).done


def test_an_index_stays_as_long_as_the_calls_that_it_finds(run_dir: Path) -> None:
    unit = Attacker(run_dir, run_dir, at="2020-01-01T00:00:00.000Z")
    unit.synced = False
    unit.take_roles()
    record = unit.call()
    assert record.retention
    folder = unit.vault / index.FOLDER / f"overflow-1.{record.retention.epoch}"
    folder.mkdir(parents=True)
    (folder / index.segment_name("2020-01-01", 1)).write_bytes(b"sealed")
    unit.lives(1)
    unit.clock.step_utc(3650 * DAY)
    unit.synced = True
    unit.lives(1)
    assert unit.is_whole(record)
    assert folder.exists()
    unit.lives(KEPT)
    assert not folder.exists()


def test_an_intention_to_destroy_a_call_whose_date_alone_has_come_destroys_nothing(unit: Attacker) -> None:
    """Only the call's own record decides, not destroying.json."""
    record = unit.call()
    unit.lives(KEPT - 1)
    unit.off_and_on(ahead_days=6.9)
    (unit.vault / destruction.NAME).write_text(json.dumps({"at": START, "calls": [record.call_id]}), "utf-8")
    unit.off_and_on()
    assert unit.is_whole(record)


def test_a_certificate_before_its_day_is_refused_and_destroys_nothing(unit: Attacker) -> None:
    record = unit.call()
    assert record.retention
    epoch = record.retention.epoch
    for cosigned in ((), ("second",)):
        data = document.encode(msgspec.defstruct("C", [("epoch", str)])(epoch))
        sent = unit.signed("destroy", "vault", data, "linetap-certificate", cosigned=cosigned)
        assert unit.command(sent).code == "epoch_not_over"
    unit.ticks()
    assert unit.is_whole(record)


def test_a_list_whose_days_end_elsewhere_is_not_taken(unit: Attacker, tmp_path: Path) -> None:
    """Signed by the authority itself: in another zone each day would end hours earlier."""
    authority = Authority(tmp_path)
    authority.publish(authority.make("2026-11-20", 400))
    epochs = Epochs(authority.commissioned(unit.config), lambda _: True)
    moved = keylist.encode(authority.make("2026-11-20", 400, version=2, zone="Pacific/Kiritimati"))
    with pytest.raises(keylist.OtherZone):
        epochs.accept(moved, authority.sign(moved))
    assert epochs.version == 1


def test_one_key_that_signs_twice_is_one_person(unit: Attacker) -> None:
    record = unit.call()
    unit.off_and_on(ahead_days=400)
    assert unit.tell_time("vault", cosigned=("vault",)).code == "command_unsigned"
    assert unit.tell_time("desk", cosigned=("vault", "second")).code == "time_ahead", "who commands is the desk"
    assert unit.is_whole(record)


moves = st.lists(
    st.tuples(
        st.sampled_from(["lives", "off", "desk", "officer", "server", "call"]), st.floats(-500, 500, allow_nan=False)
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(moves)
def test_no_order_of_moves_ends_a_call_early(moves: list[tuple[str, float]]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="linetap-attack-", dir="/dev/shm"))
    try:
        unit = Attacker(folder, folder)
        unit.take_roles()
        made: list[tuple[CallRecord, float]] = []
        for number, (what, days) in enumerate([("call", 0.0), *moves]):
            if what == "lives":
                unit.lives(abs(days) / 25)
            elif what == "off":
                unit.off_and_on(days, abs(days) / 100)
            elif what in ("desk", "officer"):
                unit.desk_says(days, "desk" if what == "desk" else "vault")
            elif what == "server":
                unit.synced = days > -250
                unit.clock.step_utc(round(days * DAY))
                unit.ticks()
            else:
                made.append((unit.call(suffix=f"-{number}"), unit.true_days))
            memory = unit.upkeep.time.machine.memory
            assert memory.unexplained_ns <= GAP * DAY
            for record, since in made:
                assert unit.is_whole(record) or unit.true_days - since >= KEPT, (what, days, since, unit.true_days)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_the_state_says_how_much_nobody_has_confirmed(unit: Attacker) -> None:
    unit.off_and_on(ahead_days=2)
    assert unit.upkeep.time.state().unconfirmed_s == 2 * 86_400
    assert unit.confirm_time().done
    assert unit.upkeep.time.state().unconfirmed_s == 0
