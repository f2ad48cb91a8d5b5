# SPDX-License-Identifier: Apache-2.0
"""Several ingests on one PostgreSQL: a unit belongs to one at a time, whichever dies, freezes or resumes."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from broker import Broker, Desk, until
from ingest_rig import START_NS, Ingesting, Teller, rows, trusted
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_bench.fleet.fleet import Fleet
from linetap_bench.fleet.schedule import City
from linetap_core.clock import NS_PER_S, SYSTEM, ManualClock
from linetap_core.errors import AlreadyRunning, BadInput
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_desk.config.desk import Settings
from linetap_desk.copy import worklist
from linetap_desk.ingest import database, destroyedcalls, outages, tables
from linetap_desk.ingest.missingevents import Holes
from linetap_desk.ingest.outages import Outages
from linetap_desk.ingest.process import writer_of
from linetap_desk.ingest.register import SignersFile, UnitMessage
from linetap_desk.ingest.service import session_of
from linetap_desk.ingest.share import Lease, Leases, Share, ShareLost, guard_transactions
from linetap_desk.ingest.store import Store
from postgres_rig import Postgres

ONLINE = b'{"state":"online","session":"a","version":"1","since":"x"}'
ALERT = b'{"severity":"warning","since":"2026-11-24T22:00:00Z"}'
NAMES = [f"b{n:02d}-{floor:02d}" for n in range(20) for floor in range(15)]
HALVES = (Share(1, 2), Share(2, 2))
EARS = tuple(next(name for name in NAMES if half.has(name)) for half in HALVES)  # a unit of each half


@pytest.fixture
def engine(server: Postgres) -> Iterator[Engine]:
    engine = database.open_writer(server.url)
    yield engine
    tables.metadata.drop_all(engine)
    engine.dispose()


@pytest.fixture
def leases_of(server: Postgres, engine: Engine) -> Iterator[Callable[..., Leases]]:
    """Leases of an ingest, by its name."""
    assert engine
    made = []

    def of(name: str, shares: int = 2) -> Leases:
        made.append(database.connected_writer(server.url))
        return Leases(made[-1], shares, name)

    yield of
    for one in made:
        one.dispose()


@pytest.fixture
def fenced(server: Postgres) -> Iterator[Callable[..., Engine]]:
    """Engines of an ingest that has a lease."""
    made = []

    def of(lease: Lease, **more: float) -> Engine:
        made.append(database.connected_writer(server.url))
        guard_transactions(made[-1], lease, **more)
        return made[-1]

    yield of
    for one in made:
        one.dispose()


def expire(engine: Engine) -> None:
    """Lets all leases expire, as after LEASE_S without a renewal."""
    with engine.begin() as db:
        db.execute(update(tables.shares).values(until_ms=1))
        db.execute(update(tables.ingests).values(until_ms=1))


def test_a_unit_is_in_one_share_and_postgresql_agrees(engine: Engine) -> None:
    with engine.begin() as db:
        db.execute(insert(tables.units), [{"unit": name, "named": True, "set_aside": 0} for name in NAMES])
    for of in (2, 3, 7, 64):
        shares = [Share(number, of) for number in range(1, of + 1)]
        with engine.connect() as db:
            found = [
                set(db.execute(select(tables.units.c.unit).where(share.condition(tables.units.c.unit))).scalars())
                for share in shares
            ]
        assert found == [{name for name in NAMES if share.has(name)} for share in shares]
        assert sorted(name for its in found for name in its) == NAMES


def test_shares_move_to_who_has_fewer_and_away_from_who_is_gone(
    engine: Engine, leases_of: Callable[..., Leases]
) -> None:
    one, other = leases_of("one", 4), leases_of("other", 4)
    assert one.renew([], 0) == set()
    held = one.acquire(0)
    assert sorted(lease.share.number for lease in held) == [1, 2, 3, 4]
    other.renew([], 0)
    assert other.acquire(0) == []
    assert one.surplus(4) == 2
    for lease in held[:2]:
        one.release(lease, 70)
    taken = other.acquire(0)
    assert [(lease.share.number, lease.epoch, lease.counter) for lease in taken] == [(1, 2, 70), (2, 2, 70)]
    assert one.renew(held, 0) == set(held[2:])
    expire(engine)
    other.renew(taken, 0)
    assert {lease.share.number for lease in other.acquire(2)} == {3, 4}
    assert one.renew(held, 0) == set()


def test_an_ingest_without_its_lease_writes_nothing(
    engine: Engine, fenced: Callable[..., Engine], leases_of: Callable[..., Leases], tmp_path: Path
) -> None:
    teller = Teller(tmp_path)
    teller.call(0)
    leases = leases_of("one")
    leases.renew([], 0)
    lease = next(lease for lease in leases.acquire(0) if lease.share.has(teller.unit))
    store = Store(fenced(lease), share=lease.share)
    assert store.write(teller.reports(1, 2), trusted(teller))
    expire(engine)
    assert store.write(teller.reports(3, 1), trusted(teller))  # no other ingest has it
    leases_of("other").acquire(0)
    for deed in (lambda: store.write(teller.reports(4, 2), trusted(teller)), store.reached, store.connected):
        with pytest.raises(ShareLost, match="another ingest has it"):
            deed()
    assert [row["seq"] for row in rows(engine, tables.events)] == [1, 2, 3]


def test_a_transaction_under_way_keeps_the_share_until_it_ends(
    engine: Engine, fenced: Callable[..., Engine], leases_of: Callable[..., Leases]
) -> None:
    """If its ingest froze during it, PostgreSQL ends it."""
    leases, other = leases_of("one"), leases_of("other")
    first, second = leases.acquire(0)
    expire(engine)
    with fenced(first).begin() as db:
        db.execute(select(tables.units))
        assert {lease.share for lease in other.acquire(0)} == {second.share}
    (taken,) = other.acquire(1)
    assert taken.share == first.share
    expire(engine)
    with fenced(taken, idle_s=0.2).connect() as db:
        db.execute(select(tables.units))
        until(lambda: first.share in {lease.share for lease in leases.acquire(0)})
        with pytest.raises(SQLAlchemyError):
            db.execute(select(tables.units))


def test_an_ingest_that_freezes_while_it_renews_holds_nobody_up(
    engine: Engine, leases_of: Callable[..., Leases], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its open transaction holds rows that all others change."""
    monkeypatch.setattr("linetap_desk.ingest.share.RENEW_S", 0.2)
    leases, other = leases_of("one"), leases_of("other")
    leases.renew([], 0)
    leases.acquire(0)
    expire(engine)
    with leases._engine.connect() as db:
        db.execute(update(tables.ingests).values(until_ms=2))
        db.execute(update(tables.shares).values(until_ms=2))
        assert other.renew([], 0) == set()
        assert len(other.acquire(0)) == 2
        db.invalidate()


def test_another_number_of_shares_waits_until_all_have_ended(leases_of: Callable[..., Leases]) -> None:
    leases = leases_of("one")
    held = leases.acquire(0)
    with pytest.raises(BadInput, match="divide the units into 2, and this one into 3"):
        leases_of("other", 3)
    for lease in held:
        leases.release(lease, 99)
    assert [(lease.share, lease.epoch, lease.counter) for lease in leases_of("other", 3).acquire(0)] == [
        (Share(number, 3), 2, 99) for number in (1, 2, 3)
    ]


def test_one_for_all_units_and_some_with_shares_exclude_each_other(engine: Engine, server: Postgres) -> None:
    assert engine
    with (
        writer_of(server.url, shared=True),
        writer_of(server.url, shared=True),
        pytest.raises(AlreadyRunning),
        writer_of(server.url, shared=False),
    ):
        pass
    with writer_of(server.url, shared=False), pytest.raises(AlreadyRunning), writer_of(server.url, shared=True):
        pass


def test_what_an_ingest_does_without_a_message_stays_in_its_share(engine: Engine, tmp_path: Path) -> None:
    """A new connection, gaps, destroyed calls, silence: only for its own units; and time is counted once for both."""
    tellers = [Teller(tmp_path / name, unit=name) for name in EARS]
    for teller in tellers:
        teller.call(0)
        teller.tell("destroyed", 0)
        Store(engine).write([UnitMessage(teller.unit, "status", ONLINE, START_NS)], trusted(*tellers))
        Store(engine).write([UnitMessage(teller.unit, "alert", ALERT, START_NS, "hum")], trusted(*tellers))
        Store(engine).write([*teller.reports(1, 2), *teller.reports(4)], trusted(*tellers))
    half, mine = HALVES[0], EARS[0]
    Store(engine, share=half).connected()
    assert {row["unit"]: row["state"] for row in rows(engine, tables.units)} == {mine: None, EARS[1]: "online"}
    assert [row["unit"] for row in rows(engine, tables.unit_alerts)] == [EARS[1]]
    assert [group[0] for group, _ in Store(engine, share=half).reached()] == [mine]
    clock, asked = ManualClock(START_NS, NS_PER_S), []
    holes = Holes(engine, clock, half)
    for _ in range(60):
        clock.sleep(1)
        asked += holes.find()
    assert {(one.group[0], one.first, one.last) for one in asked} == {(mine, 3, 3)}
    assert [row["unit"] for row in rows(engine, tables.alerts)] == [mine]
    with engine.begin() as db:
        destroyedcalls.clear_destroyed(db, half)
    assert {row["unit"]: row["ended_at"] is None for row in rows(engine, tables.calls)} == {mine: True, EARS[1]: False}
    with engine.begin() as db:
        assert worklist.units_online(db, half) == []
        assert worklist.units_online(db, HALVES[1]) == [EARS[1]]


def test_units_of_a_share_that_nobody_had_were_unheard_until_then(engine: Engine, tmp_path: Path) -> None:
    """Not the whole desk: other ingests continued. The next message ends the outage."""
    later_ns = START_NS + 600 * NS_PER_S
    tellers = [Teller(tmp_path / name, unit=name) for name in EARS]
    for unit, at_ns in zip(EARS, (START_NS, later_ns), strict=True):
        Store(engine).write([UnitMessage(unit, "status", ONLINE, at_ns)], trusted(*tellers))
    Outages(engine, ManualClock(later_ns), HALVES[0]).connected()
    Store(engine, share=HALVES[0]).write(
        [UnitMessage(EARS[0], "status", ONLINE, later_ns + NS_PER_S)], trusted(*tellers)
    )
    found = [
        (row["unit"], row["kind"], row["began_at"][11:19], (row["ended_at"] or "")[11:19])
        for row in rows(engine, tables.outages)
        if row["began_at"] != outages.BEGINNING
    ]
    assert found == [(EARS[0], "unheard", "22:56:00", "23:06:01")]


def test_a_share_has_a_session_of_its_own(tmp_path: Path) -> None:
    broker = BrokerConfig(certificate="/etc/desk-{share}.pem", key="/etc/desk-{share}.key")
    settings = Settings(broker=broker, client_id="desk", signers=tmp_path, key=None, db="")
    its, name = session_of(settings, Share(3, 4))
    assert (its.certificate, its.key, name) == ("/etc/desk-3.pem", "/etc/desk-3.key", "desk-3")


@pytest.mark.parametrize("retained", [True, False])
def test_what_a_kept_session_has_told_stands_where_the_broker_repeats_nothing(tmp_path: Path, retained: bool) -> None:
    """An alert that is not retained is like every alert at RabbitMQ: a new connection would lose it for good."""
    teller = Teller(tmp_path)
    (tmp_path / "allowed_signers").write_text(teller.signer)
    with (
        Broker(tmp_path / "broker") as broker,
        Desk(broker.port, topics="none") as unit,
        Ingesting(tmp_path, broker.port, tmp_path / "allowed_signers") as ingest,
    ):
        (tmp_path / "desk.toml").write_text(
            f'signers = "allowed_signers"\ndb = "{ingest.db}"\n[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
            f"retained = {str(retained).lower()}\n"
        )
        ingest.words = ["--config", str(tmp_path / "desk.toml")]
        ingest.start()
        until(lambda: "session_new" in ingest.said())
        unit.publish("linetap/v1/floor-03/alert/hum", ALERT)
        until(lambda: ingest.count(tables.unit_alerts))
        ingest.end()
        ingest.start()
        until(lambda: "session_resumed" in ingest.said())
        unit.publish("linetap/v1/floor-03/alert/noise", ALERT)
        until(lambda: "noise" in {row["check"] for row in rows(ingest.engine, tables.unit_alerts)})
        ingest.end()
        assert {row["check"] for row in rows(ingest.engine, tables.unit_alerts)} == {
            "noise",
            *(() if retained else ("hum",)),
        }


def test_the_signers_file_names_each_unit_in_full(tmp_path: Path) -> None:
    """A share subscribes to its units by name, so a pattern has none."""
    file, teller = tmp_path / "allowed_signers", Teller(tmp_path)
    file.write_text(f"{teller.signer}floor-04,{teller.signer}")
    assert SignersFile(file).units() == ["floor-03", "floor-04"]
    file.write_text(teller.signer.replace("floor-03", "floor-*"))
    with pytest.raises(BadInput, match=r"allowed_signers: floor-\*: with `shares`"):
        SignersFile(file).units()


def test_two_ingests_while_one_freezes_and_one_is_killed(tmp_path: Path, server: Postgres, engine: Engine) -> None:
    """Every event of every outbox is in the database once, byte for byte, and confirmed, whichever ingest had the unit.
    Some of the shares have no unit.
    """
    city = City(tmp_path / "city", SYSTEM)
    city.make(5)
    with Broker(tmp_path / "broker") as broker:
        fleet = Fleet(city.identities(broker.port, secure=False), 1, tmp_path / "units", 3.0, SYSTEM)
        (tmp_path / "desk.toml").write_text(
            f'signers = "{city.signers}"\nkey = "{city.desk_key}"\ndb = "{server.url}"\nshares = 7\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {broker.port}\n'
        )
        ingests = [Ingesting(tmp_path / name, broker.port, city.signers) for name in ("a", "b")]
        with ingests[0] as frozen, ingests[1] as other:
            for ingest in ingests:
                ingest.log.parent.mkdir()
                ingest.words = ["--config", str(tmp_path / "desk.toml")]
                ingest.start()

            def go_on(what: Callable[[], bool]) -> None:
                def turned() -> bool:
                    fleet.turn()
                    return what()

                until(turned, why=lambda: frozen.said() + other.said())

            def confirmed_more() -> Callable[[], bool]:
                """Whether every unit has more confirmed events than now."""
                now = {name: unit.last_seq for name, unit in fleet.units.items()}
                return lambda: all(fleet.units[name].confirmed > seq for name, seq in now.items())

            fleet.busy_hour()
            go_on(lambda: all("share_taken" in ingest.said() for ingest in ingests))
            go_on(confirmed_more())
            with city.signers.open("a") as file:  # a unit more
                file.write(Teller(tmp_path / "new", "b09-09").signer)
            go_on(lambda: "names other units" in frozen.said() + other.said())
            go_on(confirmed_more())
            frozen.signal(signal.SIGSTOP)
            go_on(confirmed_more())
            frozen.signal(signal.SIGCONT)
            go_on(lambda: "another ingest has it" in frozen.said())
            go_on(lambda: frozen.said().rindex("share_taken") > frozen.said().rindex("another ingest has it"))
            go_on(confirmed_more())
            other.kill()
            go_on(confirmed_more())
            fleet.stop_calls()
            go_on(lambda: fleet.settled)
            fleet.end()
            assert frozen.end() == 0
            assert "Traceback" not in frozen.said() + other.said()
    sent = {
        (name, seq): payload
        for name in fleet.units
        for seq, payload, _ in OutboxReader(tmp_path / "units" / name / "outbox").from_seq(1, 1 << 20)
    }
    assert {(row["unit"], row["seq"]): row["payload"] for row in rows(engine, tables.events)} == sent
    assert not rows(engine, tables.set_aside)
    assert not [row for row in rows(engine, tables.alerts) if row["ended_at"] is None]
