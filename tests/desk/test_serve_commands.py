# SPDX-License-Identifier: Apache-2.0
"""Commands from the page to one unit or to all: uploaded as one file, checked and sent by the ingest."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import test_serve_hold
from release_house import NOW_NS, ReleaseHouse, refusal, served_at
from sqlalchemy import delete, insert
from test_serve_hold_sent import settings

from broker import Broker, until
from broker import Desk as Ear
from linetap.recorder.vault.log.pastleaves import NOT_USED
from linetap_core.clock import NS_PER_DAY, NS_PER_S, ManualClock, rfc3339
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization.command import Answer
from linetap_core.wire.mqtt import Broker as BrokerConfig
from linetap_core.wire.mqtt import Message
from linetap_desk.accesslog import roles
from linetap_desk.ingest import batches, service
from linetap_desk.ingest.batches import AGAIN_S, AT_ONCE, EXPIRY_S, BatchSender
from linetap_desk.ingest.commandfiles import READ_EVERY_S
from linetap_desk.ingest.link import Patience
from linetap_desk.ingest.register import SignersFile
from linetap_desk.ingest.share import Share
from linetap_desk.ingest.tables import units
from linetap_desk.serve.release import texts
from linetap_desk.unitcommands import command
from release_rig import HAN, KIM, PEOPLE, Desk

DAY, OTHER_DAY = "2026-11-25", "2026-11-26"
UNITS = [f"floor-{n:02d}" for n in range(1, 41)]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_NS, NS_PER_S)


@pytest.fixture
def house(desk: Desk, clock: ManualClock) -> Iterator[ReleaseHouse]:
    with served_at(desk, clock, top='outgoing = "outgoing"\n') as house:
        yield house


@pytest.fixture
def carrier(house: ReleaseHouse, clock: ManualClock) -> BatchSender:
    ours = settings(house)
    assert ours.outgoing is not None
    online(house, UNITS)
    return BatchSender(ours.outgoing, lambda: service.in_force(ours), house.engine, clock)


def online(house: ReleaseHouse, names: list[str]) -> None:
    with house.engine.begin() as db:
        db.execute(delete(units))
        for name in names:
            db.execute(insert(units).values(unit=name, named=True, state="online", set_aside=0))


def signed(house: ReleaseHouse, *names: str, day: str = DAY, by: str = HAN, paper_by: str = HAN) -> bytes:
    """The file written by the key program: a line for each unit, with the same command."""
    desk, paper = house.desk, house.desk.root / f"{day}.{paper_by}.destroyed.json"
    if not paper.exists():
        paper.write_text(json.dumps({"epoch": day, "recipient": "age1", "rule": "retention"}))
        desk.stock_sign(paper, paper_by, paper.with_name(f"{paper.name}.sig"), "linetap-certificate")
    lines = []
    for name in names:
        made = desk.root / f"{name}.{len(list(desk.root.glob('*.made')))}.made"
        words = ("--verb", "destroy", "--role", "vault", "--unit", name, "--document", paper, "--key", desk.root / by)
        desk.clock.advance(1_000_000)  # its milliseconds are the counter
        assert desk.run(command, "sign", *words, "-o", made)[0] == 0
        lines.append(made.read_bytes())
    return b"".join(lines)


def bring(house: ReleaseHouse, data: bytes) -> str:
    """The refusal's code; empty if accepted."""
    house.clients.clear()  # a session is locked after a quarter of an hour
    answer = house.bring("/commands", data, "vault")
    return "" if answer.status_code == 303 else refusal(answer)


def page(house: ReleaseHouse, role: str = "vault") -> str:
    house.clients.clear()
    return house.client(role).get("/commands").text


def press(house: ReleaseHouse, button: str) -> int:
    house.clients.clear()
    return house.served.post(house.client("vault"), f"/commands/{button}", name=DAY).status_code


def sent(carrier: BatchSender, clock: ManualClock, after_s: int = READ_EVERY_S) -> list[Message]:
    clock.advance(after_s * NS_PER_S)
    return list(carrier.turn())


def answer(line: bytes, code: str = "done") -> tuple[str, bytes]:
    order = json.loads(json.loads(line)["command"])
    made = Answer(
        unit=order["unit"], at="", done=code == "done", code=code, text="so", verb=order["verb"],
        counter=order["counter"],
    )  # fmt: skip
    return order["unit"], msgspec.json.encode(made)


def test_one_file_reaches_all_units(house: ReleaseHouse, carrier: BatchSender, clock: ManualClock) -> None:
    data = signed(house, *UNITS)
    assert bring(house, data) == ""
    assert "0 of 40 units have accepted it" in page(house)
    first, second = sent(carrier, clock), sent(carrier, clock)
    assert (len(first), len(second)) == (AT_ONCE, len(UNITS) - AT_ONCE)
    assert {one.topic for one in first + second} == {f"linetap/v1/{unit}/cmd/destroy" for unit in UNITS}
    assert first[0].expiry_s == EXPIRY_S
    assert [one.payload for one in first + second] == data.splitlines()
    assert sent(carrier, clock) == [], "once, and then patience"
    for line in data.splitlines()[:-1]:
        carrier.record_answer(*answer(line))
    carrier.record_answer(UNITS[-1], b"[" * 1000)
    carrier.record_answer("floor-99", answer(data.splitlines()[-1])[1])
    list(carrier.turn())
    assert "39 of 40 units have accepted it" in page(house, "auditor")
    assert page(house).count("<tr>") == 2, "the head, and the one that has not"
    carrier.record_answer(*answer(data.splitlines()[-1]))
    list(carrier.turn())
    assert "40 of 40 units have accepted it" in page(house)
    assert sent(carrier, clock, 2 * AGAIN_S) == []
    acts = [(who, act) for who, act, outcome, _ in house.log() if outcome == "done"]
    assert acts == [("vault", "commands_take")]


def test_a_file_that_is_brought_twice_is_sent_once(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    """By two officers, in two tabs, or again while the unit's answer is under way: a second execution would raise an
    alert.
    """
    data = signed(house, *UNITS[:2])
    assert bring(house, data) == ""
    assert len(sent(carrier, clock)) == 2
    carrier.record_answer(*answer(data.splitlines()[0]))
    assert bring(house, data) == ""
    assert press(house, "again") == 303
    assert sent(carrier, clock) == []
    assert "Sent and not answered: 1" in page(house)
    carrier.record_answer(*answer(data.splitlines()[1]))
    assert sent(carrier, clock, 2 * AGAIN_S) == []
    assert "2 of 2 units have accepted it" in page(house)


def test_a_unit_that_is_away_gets_it_when_it_is_back(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    online(house, UNITS[:1])
    data = signed(house, *UNITS[:2])
    bring(house, data)
    assert [one.topic for one in sent(carrier, clock)] == [f"linetap/v1/{UNITS[0]}/cmd/destroy"]
    carrier.record_answer(*answer(data.splitlines()[0]))
    again = BatchSender(carrier.folder, carrier.in_force, house.engine, clock)
    list(carrier.turn())
    assert sent(again, clock, 3600) == [], "also after a restart"
    online(house, UNITS[:2])
    assert len(sent(again, clock)) == 1
    assert len(sent(again, clock, AGAIN_S)) == 1, "nobody has answered"
    assert "Sent and not answered: 1" in page(house)


def test_what_was_refused_or_ran_out_is_signed_and_sent_anew(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    data = signed(house, *UNITS[:3])
    bring(house, data)
    online(house, UNITS[:2])
    sent(carrier, clock)
    lines = data.splitlines()
    carrier.record_answer(*answer(lines[0]))
    carrier.record_answer(*answer(lines[1], "command_signer"))
    list(carrier.turn())
    assert "command_signer" in page(house)
    assert press(house, "again") == 303
    assert [one.payload for one in sent(carrier, clock)] == [lines[1]], "and not to the one that has it"
    clock.advance(8 * NS_PER_DAY)
    house.desk.clock.step_utc(clock.utc_ns() - house.desk.clock.utc_ns())
    online(house, UNITS)
    assert sent(carrier, clock) == []
    assert "command_expired" in page(house)
    assert bring(house, data) == "command_expired"
    anew = signed(house, *UNITS[:3])
    assert bring(house, anew) == ""
    assert [one.payload for one in sent(carrier, clock)] == anew.splitlines()[1:]
    assert "1 of 3 units have accepted it" in page(house)
    assert press(house, "away") == 303
    assert sent(carrier, clock, AGAIN_S) == []
    assert batches.waiting_batches(carrier.folder) == {}
    assert press(house, "away") == 409


def test_what_a_unit_has_counted_is_not_sent_to_it_again(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    """It would answer that it had the command before, and raise an alert."""
    data = signed(house, *UNITS[:2])
    bring(house, data)
    sent(carrier, clock)
    for line in data.splitlines():
        carrier.record_answer(*answer(line, "epoch_not_over"))
    list(carrier.turn())
    assert "By the unit&#39;s clock that day has not ended" in page(house)
    assert "/commands/again" not in page(house)
    assert f"<pre>{UNITS[0]} {UNITS[1]}</pre>" in page(house), "for those that are missing it is signed anew"
    press(house, "again")
    assert bring(house, data) == ""
    assert sent(carrier, clock, AGAIN_S) == []


def test_no_code_after_which_it_is_sent_again_has_used_the_counter() -> None:
    """By the unit's own table; the other three are refused before any signer is known."""
    before_any_signer = {"command_no_authority", "command_counters_lost", "command_counting"}
    assert batches.NOT_COUNTED - before_any_signer <= NOT_USED


def test_who_has_left_the_roles_is_sent_no_more(house: ReleaseHouse, carrier: BatchSender, clock: ManualClock) -> None:
    online(house, UNITS[:1])
    bring(house, signed(house, *UNITS[:2]))
    assert len(sent(carrier, clock)) == 1
    desk = house.desk
    desk.sign_roles(2, {name: role for name, role in PEOPLE.items() if name != HAN})
    desk.run(roles, "use", desk.root / "roles.json", "--desk", desk.folder)
    online(house, UNITS)
    assert sent(carrier, clock) == []
    assert "command_signer" in page(house)
    again = BatchSender(carrier.folder, carrier.in_force, house.engine, clock)
    again._files.clear()
    assert sent(again, clock) == [], "also where the file is read anew"


def test_without_roles_one_line_says_so_and_all_wait(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    bring(house, signed(house, *UNITS))
    carrier._reread_folder()
    there = house.desk.root / "roles.json"
    there.rename(there.with_suffix(".away"))
    assert sent(carrier, clock) == []
    assert [one.message[:18] for one in caplog.records if one.name == "linetap.ingest"].count("outgoing_unchecked") == 1
    there.with_suffix(".away").rename(there)
    assert len(sent(carrier, clock)) == AT_ONCE, "nothing was given up"


def test_what_the_ingest_refuses_stands_on_the_page(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    data = signed(house, *UNITS[:2])
    bring(house, data)
    first, second = data.splitlines()
    batches.add_batch(carrier.folder, DAY, [first, second.replace(b"2026-11-25", b"2026-11-24")])
    assert [one.payload for one in sent(carrier, clock)] == [first]
    assert "command_unsigned" in page(house)
    (carrier.folder / "batches" / "junk.commands").write_bytes(b"junk\n")
    assert "This file cannot be read" in page(house)
    house.clients.clear()
    assert house.served.post(house.client("officer"), "/commands/away", name="junk").status_code == 303
    assert "This file cannot be read" not in page(house)


def test_an_answer_belongs_to_the_command_that_it_names(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    """A unit that does not know the signer repeats only the correlation data, not the counter."""
    bring(house, data := signed(house, UNITS[0]))
    (message,) = sent(carrier, clock)
    unit, payload = answer(data, "command_signer")
    carrier.record_answer(unit, payload.replace(b'"verb":"destroy"', b'"verb":"roles"'), None)
    carrier.record_answer(unit, payload, b"another")
    list(carrier.turn())
    assert "Sent and not answered: 1" in page(house)
    unknown = msgspec.json.encode(Answer(unit=unit, at="", done=False, code="command_signer", text="so"))
    carrier.record_answer(unit, unknown, message.correlation)
    list(carrier.turn())
    assert "command_signer" in page(house)


def test_who_may_bring_and_who_may_put_away(house: ReleaseHouse) -> None:
    bring(house, signed(house, UNITS[0]))
    for role, may in (("officer", True), ("approver-legal", False), ("auditor", False), ("custodian", False)):
        house.clients.clear()
        answered = house.served.post(house.client(role), "/commands/away", name="2020-01-01").status_code
        assert (answered != 403) == may, role


def test_each_verb_has_a_name_that_is_listed(tmp_path: Path) -> None:
    for verb in batches.VERBS:
        batches.add_batch(tmp_path, f"{verb}-1796092255123", [b"x"])
    assert len(batches.waiting_batches(tmp_path)) == len(batches.VERBS)
    with pytest.raises(BadInput, match="not a name"):
        batches.add_batch(tmp_path, "Roles/1", [b"x"])


def test_every_refusal_of_a_unit_has_its_words() -> None:
    """The codes of docs/commands.md, except those of commands that are not sent from here."""
    table = Path(__file__).resolve().parents[2].joinpath("docs/commands.md").read_text().rpartition("## Refusals")[2]
    codes = set(re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in table.splitlines() if "|" in line)))
    others = {code for code in codes if code.startswith(("ack_", "fetch_", "hold_")) or code.endswith("_")}
    assert codes - others - texts.REFUSAL.keys() == set()
    assert len(codes - others) > 30


def test_a_finished_one_makes_room_for_the_next(house: ReleaseHouse, carrier: BatchSender, clock: ManualClock) -> None:
    data = signed(house, UNITS[0])
    bring(house, data)
    sent(carrier, clock)
    carrier.record_answer(*answer(data))
    list(carrier.turn())
    assert bring(house, signed(house, UNITS[0], day=OTHER_DAY)) == ""
    assert list(batches.waiting_batches(carrier.folder)) == [OTHER_DAY]
    sent(carrier, clock)
    assert not [path for path in (carrier.folder / "batches-answers").iterdir() if DAY in path.name]


def test_each_ingest_of_several_answers_for_its_own_units(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock
) -> None:
    bring(house, data := signed(house, *UNITS[:8]))
    shares = [BatchSender(carrier.folder, carrier.in_force, house.engine, clock, Share(n, 2)) for n in (1, 2)]
    clock.advance(READ_EVERY_S * NS_PER_S)
    messages = [list(one.turn()) for one in shares]
    assert all(messages)
    assert sorted(one.payload for some in messages for one in some) == sorted(data.splitlines())
    for line in data.splitlines():
        for one in shares:
            one.record_answer(*answer(line))
    for one in shares:
        list(one.turn())
    assert "8 of 8 units have accepted it" in page(house)


@pytest.mark.parametrize("what", ["changed", "an approver", "a hold", "paper", "two days", "twice", "junk", "nothing"])
def test_what_is_none_is_neither_taken_nor_sent(
    house: ReleaseHouse, carrier: BatchSender, clock: ManualClock, what: str
) -> None:
    data, code = signed(house, *UNITS[:2]), "bad_input"
    match what:
        case "changed":
            data, code = data.replace(b"2026-11-25", b"2026-11-24"), "command_unsigned"
        case "an approver":
            data, code = signed(house, UNITS[0], by=KIM), "batch_signer"
        case "a hold":
            test_serve_hold.asked(house)
            data, code = test_serve_hold.signed(house), "batch_other"
        case "paper":
            data, code = signed(house, UNITS[0], paper_by=KIM), "batch_unsigned"
        case "two days":
            data, code = data + signed(house, UNITS[2], day=OTHER_DAY), "batch_mixed"
        case "twice":
            data, code = data + signed(house, UNITS[0]), "batch_mixed"
        case "junk":
            data = b"\xff" * 1000
        case "nothing":
            data = b"\n\n"
    assert bring(house, data) == code
    assert not (carrier.folder / "batches").exists()
    if what not in ("two days", "twice"):  # those are signed, and an error alone
        batches.add_batch(carrier.folder, DAY, data.splitlines())
        assert sent(carrier, clock) == []


def test_over_a_real_broker(
    house: ReleaseHouse, clock: ManualClock, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = msgspec.structs.replace(settings(house), broker=BrokerConfig(host="127.0.0.1", port=broker.port))
    monkeypatch.setattr(batches, "READ_EVERY_S", 0)
    bring(house, data := signed(house, UNITS[0]))
    ingest = service.Ingest(ours, house.engine, SignersFile(ours.signers), clock, Patience(first_ms=100), None)
    with Ear(broker.port) as unit:
        status = {"state": "online", "session": "s", "version": "1", "since": rfc3339(NOW_NS)}

        def turned() -> None:
            clock.advance(NS_PER_S // 100)  # the link's time limit uses this clock too
            ingest.turn()

        def heard() -> bool:
            unit.publish(f"linetap/v1/{UNITS[0]}/status", json.dumps(status).encode())  # once the ingest subscribes
            turned()
            return bool(unit.of("/cmd/destroy"))

        until(heard)
        assert unit.of("/cmd/destroy")[0].payload == data.strip()
        unit.publish(f"linetap/v1/{UNITS[0]}/reply/destroy", answer(data)[1])

        def shown() -> bool:
            turned()
            return "1 of 1 units have accepted it" in page(house)

        until(shown)
    ingest.end()


def test_without_a_folder_for_what_is_sent(desk: Desk, clock: ManualClock) -> None:
    house = ReleaseHouse(desk, clock)
    with house.served:
        assert "desk.toml names no folder for what the ingest sends" in page(house)
        assert bring(house, b"x") == "outgoing_missing"
    house.engine.dispose()
