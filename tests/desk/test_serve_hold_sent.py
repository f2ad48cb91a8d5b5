# SPDX-License-Identifier: Apache-2.0
"""A hold from its page to its unit: the pages pass on the signed command, the ingest checks and sends it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from release_house import NOW_NS, ReleaseHouse, refusal, served_at
from sqlalchemy import delete, insert
from test_serve_hold import asked, bring, signed

from broker import Broker, until
from broker import Desk as Ear
from ingest_rig import Teller, trusted
from linetap_core.clock import NS_PER_S, ManualClock, rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import Answer, Envelope
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_core.wire.mqtt import Message
from linetap_desk.config import pages
from linetap_desk.config.desk import Settings
from linetap_desk.ingest import outgoing, service
from linetap_desk.ingest.commandfiles import MOST_FILES, READ_EVERY_S, correlation_of
from linetap_desk.ingest.link import Patience
from linetap_desk.ingest.outgoing import AGAIN_S, HoldSender
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.store import Store
from linetap_desk.ingest.tables import units
from linetap_desk.serve.release import checking, holdstore
from linetap_desk.unitcommands import command
from release_rig import HAN, Desk
from sealing_rig import CALL_ID, UNIT


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def house(desk: Desk, clock: ManualClock) -> Iterator[ReleaseHouse]:
    with served_at(desk, clock, top='outgoing = "outgoing"\n') as house:
        yield house


def settings(house: ReleaseHouse) -> Settings:
    desk = pages.read_settings(house.served.config).desk
    root = house.desk.root
    return Settings(
        broker=BrokerConfig(), client_id="ingest", signers=house.desk.rig.signers_file, key=None, db="",
        outgoing=house.folder / "outgoing", roles=root / "roles.json", authority=root / "authority.pub",
    ) if desk.outgoing else pytest.fail("desk.toml names no folder")  # fmt: skip


@pytest.fixture
def carrier(house: ReleaseHouse, clock: ManualClock) -> HoldSender:
    return carried(house, clock)


def carried(house: ReleaseHouse, clock: ManualClock) -> HoldSender:
    """The ingest's half, with a connected unit."""
    ours = settings(house)
    assert ours.outgoing is not None
    online(house, True)
    return HoldSender(ours.outgoing, lambda: service.in_force(ours), house.engine, clock)


def online(house: ReleaseHouse, is_online: bool) -> None:
    with house.engine.begin() as db:
        db.execute(delete(units))
        db.execute(insert(units).values(unit=UNIT, named=True, state="online" if is_online else "offline", set_aside=0))


def sent(carrier: HoldSender, clock: ManualClock, after_s: int = READ_EVERY_S) -> list[Message]:
    clock.advance(after_s * NS_PER_S)
    return list(carrier.turn())


def page(house: ReleaseHouse, hold_id: str, role: str = "vault") -> str:
    return house.client(role).get(f"/hold/{hold_id}").text


def answer(data: bytes, code: str = "done") -> bytes:
    counter = json.loads(json.loads(data)["command"])["counter"]
    return msgspec.json.encode(
        Answer(unit=UNIT, at="", done=code == "done", code=code, text="so it is", counter=counter)
    )


def test_from_the_upload_to_the_units_answer(house: ReleaseHouse, carrier: HoldSender, clock: ManualClock) -> None:
    hold_id, data = asked(house), signed(house)
    assert bring(house, hold_id, data).status_code == 303
    assert "It is sent as soon as the unit is connected" in page(house, hold_id)
    assert "command send" not in page(house, hold_id)
    (message,) = sent(carrier, clock)
    assert (message.topic, message.payload, message.expiry_s) == (f"linetap/v1/{UNIT}/cmd/hold", data, AGAIN_S)
    envelopes.check(message.payload, UNIT, *carrier.in_force(), Counters(), clock.utc_ns())
    assert "the unit has not answered yet" in page(house, hold_id, "officer")
    assert sent(carrier, clock) == [], "once, and then patience"
    carrier.record_answer("floor-09", answer(data))
    carrier.record_answer(UNIT, b"[" * 1000)
    assert "the unit has not answered yet" in page(house, hold_id)
    carrier.record_answer(UNIT, answer(data))
    assert "The unit has accepted the command" in page(house, hold_id)
    assert sent(carrier, clock, 10 * AGAIN_S) == []


def test_a_hold_that_is_withdrawn_while_its_command_is_checked_is_not_sent(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_id, data = asked(house), signed(house)
    require_call = checking.require_call

    def slowly(*of: Any, **more: Any) -> Any:
        """The check of a long recording takes seconds; the officer withdraws meanwhile."""
        monkeypatch.setattr(checking, "require_call", require_call)
        closed = house.served.post(house.client("officer"), f"/hold/{hold_id}/close", remark="not needed")
        assert closed.status_code == 303
        return require_call(*of, **more)

    monkeypatch.setattr(checking, "require_call", slowly)
    assert refusal(bring(house, hold_id, data)) == "request_closed"
    assert sent(carrier, clock) == []
    with house.served.site.own.connect() as db:
        assert holdstore.require_hold(db, hold_id)["command"] is None
    assert not (house.holds / hold_id).exists()


@pytest.mark.parametrize("restarts", [False, True])
def test_holds_that_were_answered_keep_no_later_one_waiting(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock, restarts: bool
) -> None:
    """Their commands stay in the folder, which the ingest only reads."""
    data, ours = signed(house), outgoing.commands(carrier.folder)
    before = [f"H2025-{n:04d}" for n in range(2 * MOST_FILES)]
    for name in before:
        ours.put(name, data)
    for _ in range(4):
        sent(carrier, clock)
        carrier.record_answer(UNIT, answer(data), correlation_of(data))
    assert {outgoing.delivery_of(carrier.folder, name, data).code for name in before} == {"done"}  # type: ignore[union-attr]
    if restarts:
        carrier = carried(house, clock)
    hold_id = asked(house)
    assert bring(house, hold_id, data).status_code == 303
    messages = [message for _ in range(4) for message in sent(carrier, clock)]
    assert [message.payload for message in messages] == [data]


def test_what_was_answered_a_month_ago_is_put_away(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock
) -> None:
    data, ours = signed(house), outgoing.commands(carrier.folder)
    for name in ("H2025-0001", "H2025-0002"):
        ours.put(name, data)
    sent(carrier, clock)
    carrier.record_answer(UNIT, answer(data))
    waits = "H2025-0003"
    ours.put(waits, data)
    long_ago_s = clock.utc_ns() // NS_PER_S - outgoing.KEPT_S - 1
    for name in ("H2025-0002", waits):
        os.utime(ours.path(name), (long_ago_s, long_ago_s))
    hold_id = asked(house)
    assert bring(house, hold_id, data).status_code == 303
    assert ours.all_names() == ["H2025-0001", waits, hold_id]


def test_a_unit_that_is_away_gets_it_when_it_is_back(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock
) -> None:
    online(house, False)
    hold_id = asked(house)
    bring(house, hold_id, signed(house))
    assert sent(carrier, clock, 3600) == []
    online(house, True)
    assert len(sent(carrier, clock)) == 1
    assert len(sent(carrier, clock, AGAIN_S)) == 1, "nobody has answered"


def test_a_lost_answer_is_no_repeated_command(house: ReleaseHouse, carrier: HoldSender, clock: ManualClock) -> None:
    hold_id = asked(house)
    bring(house, hold_id, signed(house))
    assert len(sent(carrier, clock)) == 1
    teller = Teller(house.desk.root / "unit", unit=UNIT)
    clock.step_utc(NS_PER_S)
    teller.tell("held", at=rfc3339(clock.utc_ns()), call_id=CALL_ID, line=3)
    Store(house.engine).write(teller.reports(), trusted(teller))
    assert sent(carrier, clock, 2 * AGAIN_S) == []
    assert "Held by the unit" in page(house, hold_id)


def test_a_refusal_is_shown_and_sent_again_by_hand(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock
) -> None:
    hold_id, data = asked(house), signed(house)
    bring(house, hold_id, data)
    sent(carrier, clock)
    assert refusal(house.served.post(house.client("officer"), f"/hold/{hold_id}/send")) == "403"
    carrier.record_answer(UNIT, answer(data, "hold_no_call"))
    shown = page(house, hold_id)
    assert "The unit refused the command" in shown
    assert "hold_no_call" in shown
    assert f'action="/hold/{hold_id}/send"' in shown
    assert house.served.post(house.client("vault"), f"/hold/{hold_id}/send").status_code == 303
    assert "It is sent as soon as the unit is connected" in page(house, hold_id)
    assert [one.payload for one in sent(carrier, clock)] == [data]


def test_a_later_process_goes_on_where_the_one_before_was(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock
) -> None:
    hold_id, data = asked(house), signed(house)
    bring(house, hold_id, data)
    sent(carrier, clock)
    carrier.record_answer(UNIT, answer(data))
    again = HoldSender(carrier.folder, carrier.in_force, house.engine, clock)
    assert sent(again, clock, 2 * AGAIN_S) == []
    house.served.post(house.client("vault"), f"/hold/{hold_id}/close", remark="no longer needed")
    assert not outgoing.commands(carrier.folder).path(hold_id).exists()
    assert sent(again, clock) == []
    assert list((carrier.folder / "answers").iterdir()) == [], "what is over leaves nothing behind"


@pytest.mark.parametrize("what", ["unsigned", "another role", "another verb", "junk", "a name", "a link", "expired"])
def test_pages_that_were_taken_over_send_nothing_else(
    house: ReleaseHouse, carrier: HoldSender, clock: ManualClock, what: str
) -> None:
    data, name = signed(house), "H2026-0001"
    if what == "unsigned":
        data = data.replace(b"2026-117", b"2026-118")
    elif what == "another role":
        text = json.loads(data)["command"].replace('"role":"vault"', '"role":"desk"')
        data = msgspec.json.encode(Envelope(text, json.loads(data)["sig"]))
    elif what == "another verb":
        output = house.desk.root / "time.command"
        words = (
            "--verb",
            "time",
            "--role",
            "vault",
            "--unit",
            UNIT,
            "--challenge",
            "5f0c",
            "--key",
            house.desk.root / HAN,
        )
        house.desk.run(command, "sign", *words, "-o", output)
        data = output.read_bytes()
    elif what == "junk":
        data = b"\xff" * 1000
    elif what == "a name":
        name = "..-x"
    elif what == "expired":
        clock.step_utc(8 * 86_400 * NS_PER_S)
    (carrier.folder / "commands").mkdir(parents=True, exist_ok=True)
    (carrier.folder / "commands" / f"{name}.command").write_bytes(data)
    if what == "a link":
        path = carrier.folder / "commands" / f"{name}.command"
        path.rename(house.folder / "elsewhere")
        path.symlink_to(house.folder / "elsewhere")
    assert sent(carrier, clock) == []


def test_over_a_real_broker(
    house: ReleaseHouse, clock: ManualClock, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ingest's own loop: the unit's status shows that it is connected, and its answer arrives."""
    ours = msgspec.structs.replace(settings(house), broker=BrokerConfig(host="127.0.0.1", port=broker.port))
    monkeypatch.setattr(outgoing, "READ_EVERY_S", 0)
    hold_id, data = asked(house), signed(house)
    bring(house, hold_id, data)
    ingest = service.Ingest(ours, house.engine, SignersFile(ours.signers), clock, Patience(first_ms=100), None)
    with Ear(broker.port) as unit:
        status = {"state": "online", "session": "s", "version": "1", "since": rfc3339(NOW_NS)}

        def turned() -> bool:
            unit.publish(f"linetap/v1/{UNIT}/status", json.dumps(status).encode())  # not before the ingest subscribes
            clock.advance(NS_PER_S // 100)  # the link's time limit uses this clock too
            ingest.turn()
            return bool(unit.of("/cmd/hold"))

        until(turned)
        (heard,) = unit.of("/cmd/hold")
        assert heard.payload == data
        unit.publish(f"linetap/v1/{UNIT}/reply/hold", answer(data))

        def shown() -> bool:
            clock.advance(NS_PER_S // 100)  # the link's time limit uses this clock too
            ingest.turn()
            return "The unit has accepted the command" in page(house, hold_id)

        until(shown)
        assert len(unit.of("/cmd/hold")) == 1
    ingest.end()
