# SPDX-License-Identifier: Apache-2.0
"""The desk's confirmations to its units, tested with the unit's own check of a command."""

from __future__ import annotations

import msgspec
import pytest

from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339
from linetap_core.evidence.authorization import command as envelopes
from linetap_core.evidence.authorization.command import Answer, Command
from linetap_core.evidence.authorization.counters import Counters
from linetap_core.evidence.authorization.roles import Person, Roles
from linetap_core.evidence.keys import keys
from linetap_core.wire.mqtt import Message
from linetap_desk.ingest import vaults
from linetap_desk.ingest.confirm import EVERY_S, REFUSED_PAUSE_S, Confirmer

UNIT, ORIGIN = "floor-03", "SHA256:one"
GROUP = (UNIT, ORIGIN)
AUTHORITY, DESK = keys.new_unit_key(), keys.new_unit_key()
ROLES = Roles(1, [Person("the desk", "desk", keys.public_line(DESK.public_key()))], [])


class Office:
    def __init__(self) -> None:
        self.clock = ManualClock(parse_rfc3339("2026-11-24T22:56:00Z"), NS_PER_S)
        self.confirmer = Confirmer(DESK, self.clock)
        self.counters = Counters()

    def read(self, saying: Message) -> Command:
        """Parses the command like a unit, with the counter."""
        unit = saying.topic.split("/")[2]
        now_ns = self.clock.utc_ns()
        key = AUTHORITY.public_key()
        signed = envelopes.check_signed(saying.payload, unit, key, ROLES, self.counters, now_ns)
        command, self.counters = signed.command, signed.using(self.counters)
        assert saying.topic == f"linetap/v1/{unit}/cmd/{command.verb}"
        assert saying.expiry_s == (parse_rfc3339(command.expires) - now_ns) // NS_PER_S, "no broker keeps it longer"
        return command

    def said(self) -> list[dict[str, str]]:
        return [self.read(saying).body for saying in self.confirmer.due_confirmations()]

    def answers(self, code: str, counter: int | None = None) -> None:
        answer = Answer(unit=UNIT, at="", done=code == "done", code=code, text="so it is", counter=counter)
        self.confirmer.record_answer(UNIT, msgspec.json.encode(answer))


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_unit_takes_it(office: Office) -> None:
    office.confirmer.confirm([(GROUP, 7)])
    assert office.said() == [{"origin": ORIGIN, "through": "7"}]
    assert office.said() == []
    assert office.read(office.confirmer.resend(GROUP, 8, 12)).body == {"origin": ORIGIN, "from": "8", "to": "12"}


def test_at_most_one_a_second_and_the_newest_word(office: Office) -> None:
    said = []
    for through in range(1, 101):
        office.confirmer.confirm([(GROUP, through)])
        said += office.said()
        office.clock.sleep(0.1)
    assert len(said) == 10
    office.clock.sleep(EVERY_S)
    assert office.said() == [{"origin": ORIGIN, "through": "100"}]


def test_what_stood_already_is_reported_again(office: Office) -> None:
    """A repeated event means that a confirmation was lost; so does a reconnected unit."""
    office.confirmer.confirm([(GROUP, 7)])
    assert office.said()
    office.clock.sleep(EVERY_S)
    office.confirmer.confirm([(GROUP, 7)])
    assert office.said() == [{"origin": ORIGIN, "through": "7"}]
    office.clock.sleep(EVERY_S)
    office.confirmer.repeat(UNIT)
    assert office.said() == [{"origin": ORIGIN, "through": "7"}]


def test_nothing_is_no_word(office: Office) -> None:
    office.confirmer.confirm([(GROUP, 0)])
    office.confirmer.repeat(UNIT)
    office.confirmer.repeat("floor-99")
    assert office.said() == []


def test_the_counter_grows_although_the_clock_goes_back(office: Office) -> None:
    office.confirmer.confirm([(GROUP, 1)])
    assert office.said()
    office.clock.step_utc(-3600 * NS_PER_S)
    office.clock.sleep(EVERY_S)
    office.confirmer.confirm([(GROUP, 2)])
    assert office.said()


def test_a_unit_that_knows_no_desk_is_left_in_peace(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    said = 0
    for second in range(REFUSED_PAUSE_S):
        office.confirmer.confirm([(GROUP, second + 1)])
        said += bool(office.said())
        office.answers("command_signer")
        office.clock.sleep(1)
    assert said == 1
    assert caplog.text.count("unit_refuses") == 1
    office.clock.sleep(EVERY_S)
    for _ in range(REFUSED_PAUSE_S):
        office.clock.sleep(1)
        said += bool(office.said())
    assert said == 2, "somebody may have named it meanwhile"


@pytest.mark.parametrize("answer", ["before the new disk's first event", "after it"])
def test_a_refusal_for_the_lost_disk_delays_nothing_of_the_new_one(office: Office, answer: str) -> None:
    """A confirmation sent while the unit lost its disk names a vault that no longer exists."""
    new = (UNIT, f"{ORIGIN} 4f55c22210b3dfb6")
    office.confirmer.confirm([(GROUP, 7)])
    (late,) = office.confirmer.due_confirmations()
    counter = office.read(late).counter
    if answer == "after it":
        office.confirmer.confirm([(new, vaults.before_first(new[1]) + 50)])
    office.answers("ack_vault", counter)
    office.confirmer.confirm([(new, vaults.before_first(new[1]) + 51)])
    office.clock.sleep(EVERY_S)
    assert [body["vault"] for body in office.said()] == ["4f55c22210b3dfb6"]


def test_a_refusal_of_the_present_vault_still_makes_a_pause(office: Office) -> None:
    new = (UNIT, f"{ORIGIN} 4f55c22210b3dfb6")
    office.confirmer.confirm([(GROUP, 7)])
    assert office.said()
    office.confirmer.confirm([(new, vaults.before_first(new[1]) + 50)])
    office.clock.sleep(EVERY_S)
    (refused,) = office.confirmer.due_confirmations()
    office.answers("ack_vault", office.read(refused).counter)
    office.confirmer.confirm([(new, vaults.before_first(new[1]) + 51)])
    office.clock.sleep(EVERY_S)
    assert office.said() == []


def test_a_passing_refusal_is_no_reason_to_be_silent(office: Office) -> None:
    office.confirmer.confirm([(GROUP, 1)])
    assert office.said()
    office.answers("command_repeated")
    office.confirmer.confirm([(GROUP, 2)])
    office.clock.sleep(EVERY_S)
    assert office.said()


@pytest.mark.parametrize("payload", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_rubbish_is_no_answer(office: Office, payload: bytes) -> None:
    office.confirmer.confirm([(GROUP, 1)])
    office.confirmer.record_answer(UNIT, payload)
    assert office.said()
