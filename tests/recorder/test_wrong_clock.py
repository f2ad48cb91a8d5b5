# SPDX-License-Identifier: Apache-2.0
"""Calls recorded with an unsynchronised or wrong clock: only an agreed date sets their end, and none is destroyed
early.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from epoch_vault import begin, finish, folder, writer

from epoch_rig import Authority
from linetap.config.schema import Config
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.durable import broken
from linetap_core.evidence.calls import amendment, sealed
from linetap_core.evidence.signing import namespaces, signers
from linetap_core.records import CallRecord
from linetap_desk.proofs.verifycall import verify_call
from linetap_desk.vaultproofs.verifyvault import verify_vault
from unit_rig import Unit

DAY = 86_400 * NS_PER_S
TRUE = "2026-11-24T22:56:00.000Z"
CLOCKS = {
    "1970": "1970-01-01T00:00:40.000Z",
    "1986": "1986-06-01T00:00:00.000Z",
    "8 years on": "2034-11-24T22:56:00.000Z",
    "two centuries on": "2231-11-24T22:56:00.000Z",
}


class OtherTime:
    """A closet with a wrong clock, until somebody sets it."""

    def __init__(self, config: Config, says: str) -> None:
        self.config, self.boots, self.synced = config, 1, False
        self.true_ns = parse_rfc3339(TRUE)
        self.clock = ManualClock(utc_ns=parse_rfc3339(says), monotonic_ns=40 * NS_PER_S)
        self.vault = self._start()

    def _start(self) -> VaultWriter:
        vault = writer(self.config, self.clock)
        vault.log_leaf("start", self.clock.utc_ns())
        vault.start_upkeep(boot=lambda: f"boot {self.boots}", synced=lambda: self.synced)
        assert vault.step()
        return vault

    def passes(self, days: float) -> None:
        self.clock.advance(round(days * DAY))
        self.true_ns += round(days * DAY)
        for _ in range(3):
            assert self.vault.step()

    def right(self) -> None:
        """Reaches a time server."""
        self.set_clock()
        self.synced = True
        for _ in range(4):
            assert self.vault.step()

    def set_clock(self) -> None:
        ms = (self.true_ns - self.clock.utc_ns()) / 1e6
        self.clock.step_utc(self.true_ns - self.clock.utc_ns())
        self.vault.log_leaf("clock_step", self.clock.utc_ns(), ms=ms)

    def boot(self, says: str, off_days: float = 0) -> None:
        self.vault.vault.outbox.close()
        self.vault.vault.log.close()
        self.true_ns += round(off_days * DAY)
        self.boots, self.synced = self.boots + 1, False
        self.clock = ManualClock(utc_ns=parse_rfc3339(says), monotonic_ns=40 * NS_PER_S)
        self.vault = self._start()

    def call(self, line: int = 1, minutes: int = 1) -> str:
        """A call that ends now, by this clock."""
        call_id = begin(self.vault, rfc3339(self.clock.utc_ns()), line)
        self.passes(minutes / 1440)
        finish(self.vault, self.config, call_id, rfc3339(self.clock.utc_ns()))
        return call_id

    def record(self, call_id: str) -> CallRecord:
        return msgspec.json.decode((folder(self.config, call_id) / sealed.RECORD).read_bytes(), type=CallRecord)

    def amendments(self, call_id: str) -> list[amendment.Amendment]:
        place = self.config.vault_path / amendment.FOLDER
        return [amendment.decode(path.read_bytes()) for path in sorted(place.glob(f"{call_id}.*.json"))]

    def is_here(self, call_id: str) -> bool:
        return folder(self.config, call_id).exists()


@pytest.fixture(params=["with a key list", "without"])
def config(request: pytest.FixtureRequest, unit: Unit, tmp_path: Path) -> Config:
    if request.param == "without":
        return unit.config
    authority = Authority(tmp_path)
    authority.publish(authority.make("2026-11-25", 900))
    return authority.commissioned(unit.config)


def verified(unit: Unit) -> None:
    trusted = signers.parse(unit.signers.read_text())
    verdicts = list(verify_vault(unit.config.vault_path, trusted))
    assert [verdict.problems for verdict in verdicts] == [[]] * len(verdicts)


def events(unit: Unit) -> list[dict[str, object]]:
    return [json.loads(data) for _, data, _ in OutboxReader(unit.config.vault_path / "outbox").from_seq(1, 1000)]


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_call_by_a_wrong_clock_waits_and_gets_its_day_by_amendment(unit: Unit, config: Config, clock: str) -> None:
    closet = OtherTime(config, CLOCKS[clock])
    call_id = closet.call()
    ended_ns = closet.true_ns
    sealed_as = closet.record(call_id)
    assert sealed_as.retention is not None
    assert (sealed_as.retention.until, sealed_as.retention.waits_for) == (None, "clock")
    assert sealed_as.retention.epoch.startswith("overflow-")
    before = (folder(config, call_id) / sealed.RECORD).read_bytes()
    assert closet.vault.vault.upkeep is not None
    assert closet.vault.vault.upkeep.expiry.waiting == {call_id}
    verified(unit)

    closet.passes(0.5)
    closet.right()
    assert (folder(config, call_id) / sealed.RECORD).read_bytes() == before
    [amended] = closet.amendments(call_id)
    assert abs(parse_rfc3339(amended.ended_at) - ended_ns) <= NS_PER_S
    assert amended.uncertainty_s is not None
    assert amended.uncertainty_s < 60
    assert amended.until == "2027-01-24T15:00:00.000Z"
    assert closet.vault.vault.upkeep.expiry.waiting == set()
    assert [each["document_sha256"] for each in events(unit) if each["event"] == "amended"] == [
        amendment.digest(amendment.encode(amended))
    ]
    verified(unit)

    closet.passes(59)
    assert closet.is_here(call_id), "its period has not been counted"
    closet.passes(3)
    assert not closet.is_here(call_id)
    assert closet.amendments(call_id) == []
    assert list((config.vault_path / "index").glob("overflow-*/*.age")) == [], "nothing says any more who called"
    verified(unit)


def test_a_key_that_is_named_from_its_commissioning_on_has_signed_a_call_of_1970(unit: Unit, config: Config) -> None:
    """`valid-after` in allowed_signers: by its amendment the call was later, and before that its time is unknown."""
    closet = OtherTime(config, CLOCKS["1970"])
    call_id = closet.call()
    line = unit.signers.read_text().replace("floor-03 ", 'floor-03 valid-after="20261101000000Z" ', 1)
    later = line.replace("20261101", "20270301")
    call_dir = folder(config, call_id)
    waiting = verify_call(call_dir, signers.parse(line))
    assert (waiting.problems, waiting.trusted) == ([], True)
    assert [each for each in waiting.notes if "judged as of now" in each]
    ended = line.replace('valid-after="20261101000000Z"', 'valid-before="20261101000000Z"')
    waiting = verify_call(call_dir, signers.parse(ended))
    assert (waiting.problems, waiting.trusted) == ([], False), "nobody says that it was before"
    closet.right()
    assert closet.amendments(call_id)
    verdict = verify_call(call_dir, signers.parse(line))
    assert (verdict.problems, verdict.trusted) == ([], True)
    assert [each for each in verdict.notes if "by counted time it was 2026-11-24" in each]
    assert verify_call(call_dir, signers.parse(later)).problems, "the amendment is of before that too"
    path = next((config.vault_path / amendment.FOLDER).glob(f"{call_id}.*.json"))
    path.write_bytes(path.read_bytes().replace(b"2026-11-24", b"2026-11-25"))
    assert not verify_call(call_dir, signers.parse(line)).trusted, "its word counts by its signature"


def test_calls_of_a_clock_synchronised_in_2007_are_amended_once_it_is_right(unit: Unit, config: Config) -> None:
    """A time server after a GPS week rollover confirms a time 1024 weeks back."""
    closet = OtherTime(config, "2007-04-10T22:56:00.000Z")
    closet.synced = True
    closet.passes(0.001)
    call_id = closet.call()
    ended_ns = closet.true_ns
    retention = closet.record(call_id).retention
    assert retention is not None
    assert (retention.until, retention.waits_for) == (None, "clock")
    closet.right()
    [document] = closet.amendments(call_id)
    assert abs(parse_rfc3339(document.ended_at) - ended_ns) < 60 * NS_PER_S
    assert parse_rfc3339(document.until) >= ended_ns + 60 * DAY
    verified(unit)


@pytest.mark.parametrize("clock", CLOCKS)
def test_nothing_is_destroyed_while_there_is_no_agreed_clock(unit: Unit, config: Config, clock: str) -> None:
    closet = OtherTime(config, CLOCKS[clock])
    call_id = closet.call()
    closet.passes(400)
    assert closet.is_here(call_id)
    verified(unit)


def test_power_cuts_between_the_call_and_the_clock_are_stated(unit: Unit, config: Config) -> None:
    """Off twice for days before anybody confirms the date: only the latest possible time of the call is known."""
    closet = OtherTime(config, CLOCKS["1970"])
    first = closet.call()
    true_ns = closet.true_ns
    closet.boot(CLOCKS["1970"], off_days=3)
    second = closet.call(line=2)
    closet.boot(CLOCKS["1986"], off_days=2)
    closet.passes(0.1)
    closet.right()
    [amended] = closet.amendments(first)
    assert amended.uncertainty_s is None
    assert parse_rfc3339(amended.ended_at) >= true_ns, "never too early"
    assert amended.until >= "2027-01-28"
    assert [each.number for each in closet.amendments(second)] == [1]
    verified(unit)


def test_a_call_between_two_agreed_boots_has_its_uncertainty(unit: Unit, config: Config) -> None:
    closet = OtherTime(config, TRUE)
    closet.right()
    known = closet.call()
    assert closet.record(known).retention.until == "2027-01-24T15:00:00.000Z"  # type: ignore[union-attr]
    closet.boot(CLOCKS["1970"], off_days=1)
    call_id = closet.call(line=2)
    true_ns = closet.true_ns
    closet.boot(CLOCKS["1970"], off_days=1)
    closet.right()
    [amended] = closet.amendments(call_id)
    assert amended.uncertainty_s is not None
    latest_ns = parse_rfc3339(amended.ended_at)
    assert latest_ns - amended.uncertainty_s * NS_PER_S <= true_ns <= latest_ns
    assert closet.amendments(known) == []
    verified(unit)


def test_what_a_clock_said_first_is_taken_back_when_it_was_wrong(unit: Unit, config: Config) -> None:
    """A time server of 2034; a boot later two officers correct the date: the calls recorded then are
    amended once more.
    """
    closet = OtherTime(config, CLOCKS["1970"])
    call_id = closet.call()
    wrong = closet.true_ns
    closet.true_ns += 8 * 365 * DAY
    closet.right()
    [first] = closet.amendments(call_id)
    assert first.until.startswith("2035")
    closet.true_ns -= 8 * 365 * DAY
    assert closet.vault.vault.upkeep is not None
    time = closet.vault.vault.upkeep.time
    assert time.answer(time.challenge, closet.true_ns, confirms=True) is None
    closet.synced = False
    closet.set_clock()
    for _ in range(4):
        assert closet.vault.step()
    _, last = closet.amendments(call_id)
    assert last.until == "2027-01-24T15:00:00.000Z"
    latest_ns = parse_rfc3339(last.ended_at)
    assert last.uncertainty_s is not None
    assert latest_ns - last.uncertainty_s * NS_PER_S <= wrong <= latest_ns, "the answer may have been on its way"
    verified(unit)


def test_a_closet_without_a_time_server_goes_by_signed_answers(unit: Unit, config: Config) -> None:
    """Its own clock stays in 1970: calls get their end by the answer, and are destroyed by it, and the log verifies."""
    closet = OtherTime(config, CLOCKS["1970"])
    before = closet.call()
    assert closet.vault.vault.upkeep is not None
    time = closet.vault.vault.upkeep.time
    assert time.answer(time.challenge, closet.true_ns, confirms=False) is None
    closet.vault.log_leaf("command", closet.clock.utc_ns(), verb="time", role="vault", code="done")
    closet.passes(0.1)
    assert [each.until for each in closet.amendments(before)] == ["2027-01-24T15:00:00.000Z"]
    later = closet.call(line=2)
    record = closet.record(later)
    assert record.retention is not None
    assert (record.retention.until, record.retention.waits_for) == ("2027-01-24T15:00:00.000Z", msgspec.UNSET)
    assert record.actual
    assert record.actual.ended_at.startswith("2026-11-25T01:2")
    verified(unit)
    closet.passes(62)
    assert closet.is_here(before), "the date stands while nobody says it"
    assert time.answer(time.challenge, closet.true_ns, confirms=False) is None
    closet.passes(0.1)
    assert not closet.is_here(before)
    assert not closet.is_here(later)
    verified(unit)


@pytest.mark.parametrize("first", [3, 7])
def test_a_cut_while_an_amended_call_is_destroyed_tells_it_once(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    """After any of its files: the record and its amendment are one call with one end."""
    closet = OtherTime(unit.config, CLOCKS["1970"])
    calls = [closet.call() for _ in range(4)]
    closet.true_ns += 8 * 365 * DAY
    closet.right()  # a time server of 2034: each call is amended, and again by two officers' date
    closet.true_ns -= 8 * 365 * DAY
    confirm(closet)
    closet.passes(0.01)
    assert {len(closet.amendments(call_id)) for call_id in calls} == {2}
    left, unlink = {call_id: number for number, call_id in enumerate(calls, first)}, Path.unlink

    def cut(path: Path, missing_ok: bool = False) -> None:
        for call_id in left:
            if call_id in str(path):
                left[call_id] -= 1
                if left[call_id] <= 0:
                    raise OSError(5, "the power fails", str(path))
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", cut)
        closet.passes(62)
        confirm(closet)
    assert max(left.values()) <= 0
    closet.boot(CLOCKS["1970"])
    confirm(closet)
    assert [call_id for call_id in calls if closet.is_here(call_id) or closet.amendments(call_id)] == []
    for call_id in calls:
        told = [each["event"] for each in events(unit) if each.get("call_id") == call_id]
        assert told.count("destroyed") == 1
        assert told.count("amended") == 2
    verified(unit)


def confirm(closet: OtherTime) -> None:
    """Two officers confirm the date."""
    closet.passes(0.001)
    closet.synced = False
    assert closet.vault.vault.upkeep is not None
    time = closet.vault.vault.upkeep.time
    assert time.answer(time.challenge, closet.true_ns, confirms=True) is None
    for _ in range(4):
        closet.passes(0.001)


@pytest.mark.parametrize("suffix", ["", namespaces.SUFFIX])
def test_a_flipped_bit_in_an_amendment_is_reported_and_it_is_made_anew(unit: Unit, config: Config, suffix: str) -> None:
    """Otherwise its call would stay forever, without a stated reason."""
    broken.forget()
    closet = OtherTime(config, CLOCKS["1970"])
    call_id = closet.call()
    closet.right()
    path = config.vault_path / amendment.FOLDER / f"{amendment.name(call_id, 1)}{suffix}"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    closet.boot(rfc3339(closet.true_ns))
    closet.passes(0.01)
    assert broken.names() == [f"amended/{amendment.name(call_id, 1)}"], "told before anybody says the date"
    assert closet.is_here(call_id)
    closet.right()
    assert [each.until for each in closet.amendments(call_id)] == ["2027-01-24T15:00:00.000Z"]
    verified(unit)
    closet.passes(62)
    assert not closet.is_here(call_id)
    verified(unit)
    broken.forget()
