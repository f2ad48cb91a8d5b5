# SPDX-License-Identifier: Apache-2.0
"""A unit that lost its disk and kept its key: its new vault is accepted, reported and alerted, and the old
one stays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy

from ingest_rig import START_NS, UNIT, Teller, rows, trusted
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.evidence.keys import keys
from linetap_core.records import CallEvent
from linetap_core.vaultformat import outboxfiles, vaultname
from linetap_desk.ingest import database, tables, vaults
from linetap_desk.ingest.confirm import Confirmer
from linetap_desk.ingest.missingevents import ALERT_S, Holes
from linetap_desk.ingest.register import UnitMessage
from linetap_desk.ingest.store import Store

OLD, NEW, NEWER = "0000100000000001", "0000200000000002", "0000300000000003"


@dataclass
class Desk:
    engine: sqlalchemy.Engine
    store: Store

    def take(self, teller: Teller, *more: Any, first: int = 1, late_s: int = 0) -> dict[tuple[str, str], int]:
        return self.store.write([*teller.reports(first, late_s=late_s), *more], trusted(teller))

    def alerts(self) -> list[str]:
        return [row["code"] for row in rows(self.engine, tables.alerts) if row["ended_at"] is None]

    def chains(self) -> list[tuple[int, str, bool]]:
        """Number, name and whether it is in use."""
        found = sorted(rows(self.engine, tables.vaults), key=lambda row: row["number"])
        return [(row["number"], vaults.vault_of(row["origin"]), row["over_at"] is None) for row in found]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    engine = database.open_writer(f"sqlite:///{tmp_path / 'desk.db'}")
    yield Desk(engine, Store(engine))
    engine.dispose()


def teller(folder: Path, key: keys.SigningKey, vault: str = "") -> Teller:
    return Teller(folder, key=key, vault=vault)


def lost_disk(tmp_path: Path, old: str = "") -> tuple[Teller, Teller]:
    """The same key over an old vault and a new one."""
    key = keys.new_unit_key()
    return teller(tmp_path / "old", key, old), teller(tmp_path / "new", key, NEW)


@pytest.mark.parametrize("old", ["", OLD])
def test_all_calls_of_a_new_disk_are_taken_and_none_of_the_old_is_lost(desk: Desk, tmp_path: Path, old: str) -> None:
    before, after = lost_disk(tmp_path, old)
    for call in range(30):
        before.call(call)
    assert desk.take(before) == {(UNIT, vaults.chain_name(before.origin, old)): before.outbox.last_seq}
    for call in range(30, 60):
        after.call(call)
    assert desk.take(after, late_s=400) == {(UNIT, vaults.chain_name(after.origin, NEW)): after.outbox.last_seq}
    assert len(rows(desk.engine, tables.calls)) == 60
    assert len(rows(desk.engine, tables.events)) == 300
    assert rows(desk.engine, tables.set_aside) == []
    assert desk.chains() == [(1, old, False), (2, NEW, True)]
    assert desk.alerts() == ["vault_new"]


def test_numbers_are_unique_over_all_vaults_of_a_key() -> None:
    """The contract's promise to other receivers: (unit, origin, seq) names one event."""
    names = [vaultname.new_name() for _ in range(2000)]
    firsts = {vaultname.first_seq(name) for name in names}
    assert len(firsts) > 1990
    assert min(firsts) > 1 << 32
    assert max(firsts) + (1 << 32) < 1 << 53, "a number of JSON that every reader has whole"
    assert not any(vaultname.is_of("", first) for first in firsts)


def test_what_the_old_one_never_told_is_lost_and_not_asked_for(desk: Desk, tmp_path: Path) -> None:
    before, after = lost_disk(tmp_path)
    for call in range(6):
        before.call(call)
    reports = before.reports()
    health = UnitMessage(UNIT, "health", msgspec.json.encode({"at": rfc3339(START_NS), "outbox_seq": 30}), START_NS)
    desk.store.write([*reports[:10], *reports[12:20], health], trusted(before))
    clock = ManualClock(START_NS)
    holes = Holes(desk.engine, clock)
    for _ in range(ALERT_S + 5):
        asked = holes.find()
        clock.advance(NS_PER_S)
    assert desk.alerts() == ["events_missing"]
    after.call(20)
    desk.take(after, late_s=60)
    for _ in range(200):
        asked += holes.find()
        clock.advance(NS_PER_S)
    assert asked == []
    lost = next(row for row in rows(desk.engine, tables.alerts) if row["code"] == "events_lost")
    assert (lost["origin"], lost["first"], lost["last"]) == (before.origin, 11, 30)
    assert sorted(desk.alerts()) == ["events_lost", "vault_new"]
    desk.store.write([*reports[10:12], *reports[20:]], trusted(before))  # a broker had them after all
    holes.find()
    assert desk.alerts() == ["vault_new"]
    assert desk.chains() == [(1, "", False), (2, NEW, True)]


def test_only_the_vault_in_use_is_confirmed(desk: Desk, tmp_path: Path) -> None:
    before, after = lost_disk(tmp_path, OLD)
    before.call(1)
    desk.take(before)
    after.call(2)
    last = after.outbox.last_seq
    assert desk.take(after, late_s=60) == {(UNIT, f"{after.origin} {NEW}"): last}
    before.call(3)
    assert desk.take(before) == {}, "what a broker still had of it is taken, and confirmed to nobody"
    assert desk.store.reached() == [((UNIT, f"{after.origin} {NEW}"), last)]
    clock = ManualClock(START_NS)
    confirmer = Confirmer(keys.new_unit_key(), clock)
    confirmer.confirm(desk.store.reached())
    clock.advance(2 * NS_PER_S)
    (message,) = confirmer.due_confirmations(desk.store.ack_fields)
    body = msgspec.json.decode(msgspec.json.decode(message.payload)["command"])["body"]
    assert body == {
        "origin": after.origin, "vault": NEW, "through": str(last), "number": "2", "before": OLD,
    }  # fmt: skip
    after.tell("vault", number=2, before=OLD, call_id=None, line=None)
    desk.take(after, late_s=60)
    assert "number" not in desk.store.ack_fields([(UNIT, f"{after.origin} {NEW}")])[UNIT, f"{after.origin} {NEW}"]


def test_an_old_disk_that_comes_back_and_two_that_live_at_once(desk: Desk, tmp_path: Path) -> None:
    before, after = lost_disk(tmp_path, OLD)
    before.call(1)
    desk.take(before)
    after.call(2)
    desk.take(after)
    at = rfc3339(START_NS + 3600 * NS_PER_S)
    before.tell("started", 3, at=at)
    group = (UNIT, f"{before.origin} {OLD}")
    assert desk.take(before) == {group: before.outbox.last_seq}, "it is heard, and confirmed to again"
    assert sorted(desk.alerts()) == ["vault_back", "vault_new"]
    assert desk.chains() == [(1, OLD, True), (2, NEW, False)]
    after.tell("started", 4, at=rfc3339(START_NS + 7200 * NS_PER_S))
    desk.take(after)
    assert sorted(desk.alerts()) == ["vault_back", "vault_clone", "vault_new"]
    assert desk.chains() == [(1, OLD, False), (2, NEW, True)]


def test_an_old_disk_comes_back_in_a_closet_whose_clock_stays_in_1970(desk: Desk, tmp_path: Path) -> None:
    """None of its reports is dated after its end, and it is confirmed all the same."""
    before, after = lost_disk(tmp_path, OLD)
    before.call(1)
    desk.take(before)
    after.call(2)
    desk.take(after, late_s=60)

    def heard(hours: int) -> dict[tuple[str, str], int]:
        seq = before.tell("started", 3 + hours, at=f"1970-01-01T00:00:0{hours}.000Z")
        (report,) = before.reports(seq)
        received_ns = START_NS + hours * 3600 * NS_PER_S
        return desk.store.write([dataclasses.replace(report, received_ns=received_ns)], trusted(before))

    assert heard(0) == {}, "a broker may have had it"
    assert desk.alerts() == ["vault_new"]
    assert heard(2) == {(UNIT, f"{before.origin} {OLD}"): before.outbox.last_seq}
    assert sorted(desk.alerts()) == ["vault_back", "vault_new"]
    assert desk.chains() == [(1, OLD, True), (2, NEW, False)]


def test_a_broker_that_was_away_for_hours_makes_no_old_disk_come_back(desk: Desk, tmp_path: Path) -> None:
    """A second broker delivers its events from before the loss at once, however late. None of them is lost; a live disk
    continues for longer than that.
    """
    before, after = lost_disk(tmp_path, OLD)
    for call in range(3):
        before.call(call)
    known = before.reports()
    for call in range(3, 6):
        before.call(call)  # only to the other broker
    desk.store.write(known, trusted(before))
    after.call(9)
    desk.take(after, late_s=60)

    def arrives(first: int, hours: float) -> None:
        ns = START_NS + round(hours * 3600 * NS_PER_S)
        told = [dataclasses.replace(each, received_ns=ns) for each in before.reports(first)]
        desk.store.write(told, trusted(before))

    arrives(len(known) + 1, 5)
    assert desk.alerts() == ["vault_new"]
    assert len(rows(desk.engine, tables.calls)) == 7
    assert desk.chains() == [(1, OLD, False), (2, NEW, True)]
    arrives(before.tell("started", 7), 5.5)
    assert desk.alerts() == ["vault_new"], "the same delivery"
    arrives(before.tell("started", 8), 6.1)
    assert sorted(desk.alerts()) == ["vault_back", "vault_new"], "it lives, by a clock that is hours late"
    assert desk.chains() == [(1, OLD, True), (2, NEW, False)]


def test_a_second_vault_that_counts_from_one_again_loses_nothing(desk: Desk, tmp_path: Path) -> None:
    """Data partition and configuration are lost: the unit does not know of the earlier vault. Both number their calls
    from 1, only the name distinguishes them, and the new one's reports do not make the old one's events lost.
    """
    key = keys.new_unit_key()
    other = "0000000000000002"
    before, after = teller(tmp_path / "old", key, "0000000000000001"), teller(tmp_path / "new", key, other)
    for call in range(4):
        before.call(call)
    desk.take(before)
    at_ns = START_NS + 90 * NS_PER_S
    for call in range(10, 16):
        after.call(call)
    assert before.reports()[0].payload != after.reports()[0].payload
    told = UnitMessage(
        UNIT, "health", msgspec.json.encode({"at": rfc3339(at_ns), "outbox_seq": after.outbox.last_seq}), at_ns
    )
    desk.store.write([told], trusted(after))
    desk.take(after, late_s=120)
    assert len(rows(desk.engine, tables.calls)) == 10
    assert rows(desk.engine, tables.set_aside) == []
    assert desk.alerts() == ["vault_new"]
    assert desk.chains() == [(1, "0000000000000001", False), (2, other, True)]
    assert dict(desk.store.reached()) == {(UNIT, f"{after.origin} {other}"): after.outbox.last_seq}


def test_two_signed_events_of_one_number_are_a_copy_of_a_disk(desk: Desk, tmp_path: Path) -> None:
    key = keys.new_unit_key()
    one, other = teller(tmp_path / "a", key, OLD), teller(tmp_path / "b", key, OLD)
    one.call(1)
    other.call(2)
    desk.take(one)
    desk.take(other)
    assert desk.alerts() == ["events_fork"]
    assert len(rows(desk.engine, tables.events)) == 5


def test_a_vault_says_only_numbers_of_its_own(desk: Desk, tmp_path: Path) -> None:
    key = keys.new_unit_key()
    one = teller(tmp_path / "a", key, OLD)
    one.tell()
    payload = one.reports()[0].payload.replace(OLD.encode(), NEW.encode())
    desk.store.write([one.report(payload)], trusted(one))
    assert [row["code"] for row in rows(desk.engine, tables.set_aside)] == ["payload_vault"]


def damage_end(teller: Teller, events: int) -> None:
    """Flips one bit in each of the newest events."""
    (file,) = (teller.folder / "outbox").glob("*.events")
    frames = list(outboxfiles.read(file))
    data = bytearray(file.read_bytes())
    for frame in frames[-events:]:
        data[frame.start + 60] ^= 4
    file.write_bytes(data)


@pytest.mark.parametrize("vault", ["", OLD])
@pytest.mark.parametrize("know", [0, 17, 20])
def test_a_damaged_end_that_was_delivered(desk: Desk, tmp_path: Path, vault: str, know: int) -> None:
    """No number is used again, whatever this disk still knows of used ones; and confirmation continues."""
    one = teller(tmp_path / "a", keys.new_unit_key(), vault)
    for call in range(4):
        one.call(call)
    group, first = (UNIT, vaults.chain_name(one.origin, vault)), one.outbox.first_seq
    reached = desk.take(one)[group]
    if know:
        one.outbox.confirm(first - 1 + know)
    one.outbox.close()
    damage_end(one, 3)
    again = teller(tmp_path / "a", one.key, vault)
    assert again.outbox.last_seq >= reached
    again.call(7)
    again.call(8)
    found = desk.take(again)
    assert found == {group: again.outbox.last_seq}
    assert rows(desk.engine, tables.set_aside) == []
    assert desk.alerts() == []
    told = [msgspec.json.decode(row["payload"]) for row in rows(desk.engine, tables.events)]
    (word,) = [event for event in told if event["event"] == "dropped"]
    assert (word["from"], word["why"], word["prev"]) == (first + 17, "damaged", "0" * 64)
    assert {row["call_id"][13:15] for row in rows(desk.engine, tables.calls)} == {"00", "01", "02", "03", "07", "08"}
    again.outbox.close()
    third = teller(tmp_path / "a", one.key, vault)
    assert third.outbox.last_seq == again.outbox.last_seq, "the next start finds nothing new"


def test_a_power_cut_in_an_event_is_no_damage(tmp_path: Path) -> None:
    one = teller(tmp_path / "a", keys.new_unit_key(), OLD)
    one.call(1)
    one.outbox.close()
    (file,) = (one.folder / "outbox").glob("*.events")
    whole = file.read_bytes()
    for cut in range(list(outboxfiles.read(file))[-1].start + 1, len(whole) - 1, 37):
        file.write_bytes(whole[:cut])
        again = teller(tmp_path / "a", one.key, OLD)
        assert again.outbox.last_seq == one.outbox.last_seq - 1
        again.outbox.close()


def test_the_end_is_gone_without_a_trace_and_the_desk_knows(desk: Desk, tmp_path: Path) -> None:
    """A file truncated by a file system's repair looks like one that was never longer."""
    one = teller(tmp_path / "a", keys.new_unit_key(), OLD)
    for call in range(4):
        one.call(call)
    reached = desk.take(one)[UNIT, f"{one.origin} {OLD}"]
    one.outbox.close()
    (file,) = (one.folder / "outbox").glob("*.events")
    file.write_bytes(file.read_bytes()[: list(outboxfiles.read(file))[-4].start])
    again = teller(tmp_path / "a", one.key, OLD)
    assert again.outbox.last_seq == reached - 4
    assert again.outbox.has_used(reached)
    again.outbox.confirm(reached)
    again.call(7)
    assert desk.take(again) == {(UNIT, f"{one.origin} {OLD}"): again.outbox.last_seq}
    assert desk.alerts() == []
    assert not again.outbox.has_used(vaultname.first_seq(NEW)), "no number of another vault"


def test_the_log_knows_numbers_that_the_outbox_lost(tmp_path: Path) -> None:
    one = teller(tmp_path / "a", keys.new_unit_key(), OLD)
    one.call(1)
    first, last = one.outbox.first_seq, one.outbox.last_seq
    one.outbox.close()
    for file in (one.folder / "outbox").iterdir():
        file.unlink()
    again = Teller(tmp_path / "a", key=one.key, vault=OLD)
    again.outbox.close()
    box = Outbox(tmp_path / "a" / "outbox", UNIT, one.sign, one.origin, 1 << 24, vault=OLD, used=last)
    assert (box.last_seq, box.confirmed) == (last, first - 1)
    assert box.append(CallEvent(seq=0, event="started", at=rfc3339(START_NS), unit="")) == last + 2


def test_a_database_of_an_earlier_version_gets_what_is_missing(tmp_path: Path) -> None:
    """Heads without the name of a log, and no table of vaults: the first start creates both, and the old rows stay
    valid.
    """
    url = f"sqlite:///{tmp_path / 'desk.db'}"
    before, after = lost_disk(tmp_path)
    engine = database.open_writer(url)
    before.call(1)
    Store(engine).write(before.reports(), trusted(before))
    with engine.begin() as db:
        db.exec_driver_sql("DROP TABLE vaults")
        db.exec_driver_sql("ALTER TABLE heads DROP COLUMN log")
    engine.dispose()
    engine = database.open_writer(url)
    desk = Desk(engine, Store(engine))
    after.call(2)
    desk.take(after, late_s=60)
    assert desk.chains() == [(1, "", False), (2, NEW, True)]
    assert len(rows(engine, tables.calls)) == 2
    engine.dispose()
