# SPDX-License-Identifier: Apache-2.0
"""Commands over a real broker to a real reporter: exact bytes to the recorder, and its answer back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from wire import Wire

from broker import Broker, Desk, until
from kept_rig import Kept
from linetap.reporter.inbox import MOST_WAITING
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.service import START_AGAIN, ask_to_start_again
from reporter_rig import END_S

UNIT = "linetap/v1/floor-03"


@pytest.fixture
def wire(broker: Broker) -> Iterator[Wire]:
    with Wire(broker.port) as wire:
        yield wire


@pytest.fixture
def floor(tmp_path: Path, run_dir: Path, wire: Wire) -> Iterator[Kept]:
    with Kept(tmp_path, run_dir, wire.port) as floor:
        yield floor


@pytest.fixture
def desk(broker: Broker) -> Iterator[Desk]:
    with Desk(broker.port) as desk:
        yield desk


def ack(floor: Kept, through: int) -> bytes:
    return floor.envelope("ack", {"through": str(through), "origin": floor.outbox.origin})


def answered(floor: Kept, desk: Desk, verb: str, data: bytes) -> dict[str, object]:
    before = len(desk.of(f"/reply/{verb}"))
    desk.publish(f"{UNIT}/cmd/{verb}", data, correlation=b"\x00\x01")
    heard = floor.until(lambda: desk.of(f"/reply/{verb}")[before:])[0]
    assert heard.properties["CorrelationData"] == b"\x00\x01"
    assert not heard.retained
    found: dict[str, object] = json.loads(heard.payload)
    return found


def test_the_desks_word_is_obeyed_and_answered(floor: Kept, desk: Desk) -> None:
    floor.events(20)
    floor.reporter()
    floor.reached(lambda state: state.delivered_seq == 20)
    assert answered(floor, desk, "ack", ack(floor, 12))["done"]
    assert floor.confirmed == 12


@pytest.mark.parametrize("data", [b"", b"\xff\x00", b"{}", b"x" * 100_000])
def test_nobodys_word_is_answered_too(floor: Kept, desk: Desk, data: bytes) -> None:
    floor.events(5)
    floor.reporter()
    floor.reached(lambda state: state.delivered_seq == 5)
    assert answered(floor, desk, "ack", data)["code"] == "command_malformed"
    stale = ack(floor, 3)
    assert answered(floor, desk, "hold", stale)["done"], "the verb that counts is the one that was signed"
    assert answered(floor, desk, "ack", stale)["code"] == "command_repeated"
    assert floor.confirmed == 3


def test_the_answer_goes_under_the_units_own_name_whatever_was_asked(floor: Kept, desk: Desk, broker: Broker) -> None:
    floor.events(1)
    floor.reporter()
    floor.reached(lambda state: state.delivered_seq == 1)
    elsewhere = ("linetap/v1/floor-04/reply/ack", "linetap/v1/floor-03/call", "somewhere/else")
    with Desk(broker.port, client_id="everything", topics="#") as ear:
        for n, response in enumerate(elsewhere):
            desk.publish(f"{UNIT}/cmd/ack", ack(floor, 1), b"%d" % n, response)
        floor.until(lambda: len(ear.of("/reply/ack")) == len(elsewhere))
        answers = [one for one in ear.heard if "CorrelationData" in one.properties and "/cmd/" not in one.topic]
    assert {one.topic for one in answers} == {f"{UNIT}/reply/ack"}
    assert {one.properties["CorrelationData"] for one in answers} == {b"0", b"1", b"2"}


def test_a_word_that_is_no_verb_makes_no_topic(floor: Kept, desk: Desk) -> None:
    floor.events(1)
    floor.reporter()
    floor.reached(lambda state: state.delivered_seq == 1)
    for word in ("listen", "", "x" * 1000):
        desk.publish(f"{UNIT}/cmd/{word}", ack(floor, 1))
    assert answered(floor, desk, "ack", ack(floor, 1))["done"]
    assert {one.topic for one in desk.heard if "/reply/" in one.topic} == {f"{UNIT}/reply/ack"}
    assert "xxx" not in floor.said()


def test_identify_and_a_self_test_over_the_broker(floor: Kept, desk: Desk) -> None:
    floor.reporter()
    floor.reached(lambda state: state.connected)
    before_ns = SYSTEM.monotonic_ns()
    assert answered(floor, desk, "identify", floor.envelope("identify", {"seconds": "60"}))["done"]
    assert floor.upkeep.effects.identify.until_ns >= before_ns + 60 * NS_PER_S
    told = answered(floor, desk, "self_test", floor.envelope("self_test", {}))
    assert told["done"]
    assert isinstance(told["findings"], list)


def test_the_reporter_starts_again_with_another_configuration(floor: Kept, desk: Desk) -> None:
    process = floor.reporter()
    floor.reached(lambda state: state.connected)
    ask_to_start_again(floor.config.run_path, SYSTEM, ["reporter"])
    assert process.wait(END_S) == START_AGAIN
    until(lambda: (said := desk.last("/status")) and json.loads(said.payload)["state"] == "offline")


def test_a_flood_is_passed_over_and_the_next_is_heard(floor: Kept, desk: Desk) -> None:
    floor.events(5)
    floor.reporter()
    floor.reached(lambda state: state.delivered_seq == 5)
    for _ in range(20 * MOST_WAITING):
        desk.publish(f"{UNIT}/cmd/ack", b"flood")
    floor.until(lambda: len(desk.of("/reply/ack")) >= MOST_WAITING)
    said: list[bytes] = []

    def heard() -> bool:
        """Repeats the acknowledgement, as a desk does: one may be dropped during the flood."""
        said.append(ack(floor, 5))
        desk.publish(f"{UNIT}/cmd/ack", said[-1])
        return floor.confirmed == 5

    until(heard)
    assert "Traceback" not in floor.said()


def test_what_the_desk_asks_for_goes_out_again(floor: Kept, desk: Desk, wire: Wire) -> None:
    floor.events(50)
    floor.reporter()
    floor.reached(lambda state: state.delivered_seq == 50)
    body = {"from": "10", "to": "14", "origin": floor.outbox.origin}
    assert answered(floor, desk, "resend", floor.envelope("resend", body))["done"]
    floor.until(lambda: len(wire.sent) == 55)
    assert wire.sent[50:] == [10, 11, 12, 13, 14]
    floor.events(3)
    floor.reached(lambda state: state.delivered_seq == 53)


def test_a_silent_desk_is_told_again(floor: Kept, wire: Wire) -> None:
    """The broker has all events, but the desk has confirmed none."""
    floor.events(5)
    floor.reporter(desk_s=2)
    floor.until(lambda: len(wire.sent) >= 15)
    assert wire.sent[:10] == [1, 2, 3, 4, 5] * 2
    state = floor.state()
    assert state is not None
    assert state.delivered_seq == 5


def test_a_connection_whose_subscription_is_lost_is_renewed(floor: Kept, desk: Desk, wire: Wire) -> None:
    """The connection is open and the broker accepts all messages, but delivers none."""
    floor.events(5)
    floor.reporter(desk_s=1)
    floor.reached(lambda state: state.delivered_seq == 5)
    wire.forget(f"{UNIT}/cmd/+")
    floor.until(lambda: wire.forgotten)
    desk.publish(f"{UNIT}/cmd/ack", ack(floor, 3))
    floor.until(lambda: wire.connections >= 2)
    assert floor.confirmed == 0
    assert "repeated messages are not confirmed either" in floor.said()
    floor.until(lambda: wire.connections >= 4)
    assert "broker_unreachable" not in floor.said(), "nobody is to look for a cable"

    def confirmed() -> bool:
        """Repeats the acknowledgement, as a desk does: the connection may be under renewal again."""
        desk.publish(f"{UNIT}/cmd/ack", ack(floor, 5))
        return floor.confirmed == 5

    until(confirmed)


def test_health_says_whose_word_counts(floor: Kept, desk: Desk) -> None:
    floor.events(5)
    floor.reporter()
    floor.until(lambda: (one := desk.last("/health")) and json.loads(one.payload)["outbox_seq"] == 5)
    heard = desk.last("/health")
    assert heard is not None
    fields = json.loads(heard.payload)
    assert (fields["confirmed_by"], fields["unconfirmed"]) == ("desk", 5)
    assert fields["outbox_bytes"] > 0
    assert fields["outbox_oldest_s"] > 0


def test_without_a_desk_a_broker_has_to_do(tmp_path: Path, run_dir: Path, broker: Broker) -> None:
    with Wire(broker.port) as wire, Kept(tmp_path, run_dir, wire.port, named=False) as floor, Desk(broker.port) as desk:
        floor.events(5)
        floor.reporter(desk_s=0.2)
        floor.reached(lambda state: state.delivered_seq == 5)
        assert answered(floor, desk, "ack", ack(floor, 3))["code"] == "command_signer"
        until(lambda: desk.last("/health"))
        assert wire.sent == [1, 2, 3, 4, 5]
        heard = desk.last("/health")
        assert heard is not None
        assert json.loads(heard.payload)["confirmed_by"] == "broker"
