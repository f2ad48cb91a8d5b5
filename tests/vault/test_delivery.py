# SPDX-License-Identifier: Apache-2.0
"""`ack` and `resend`: the effect of the desk's messages on a unit, and that no other sender's have any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from disk_writes import replace_durably_by
from keeping_rig import DAY, Keeper
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap_core.clock import NS_PER_S, ManualClock, compact, rfc3339
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.authorization.counters import MOST_SEEN
from linetap_core.evidence.signing import signers
from linetap_core.evidence.signing.sshsig import unarmored
from linetap_core.records import CallEvent
from linetap_core.vaultformat import outboxfiles, vaultname
from linetap_desk.ingest import database
from linetap_desk.ingest.judge import Report
from linetap_desk.ingest.store import Store


@pytest.fixture
def unit(tmp_path: Path, run_dir: Path) -> Keeper:
    unit = Keeper(tmp_path, run_dir)
    unit.upkeep.time.tick()
    unit.take_roles()
    for n in range(20):
        at = rfc3339(unit.clock.utc_ns() + n)
        unit.report(CallEvent(seq=0, event="started", at=at, unit="", call_id=f"call-{n}", line=1))
    return unit


def ack(unit: Keeper, through: object, **more: Any) -> bytes:
    return unit.envelope("ack", "desk", {"through": str(through), "origin": unit.outbox.origin}, **more)


def test_only_a_desk_confirms(unit: Keeper) -> None:
    assert unit.command(ack(unit, 7)).done
    assert unit.upkeep.delivery.state.confirmed == unit.outbox.confirmed == 7
    for by in ("vault", "operator", "stranger"):
        assert unit.command(ack(unit, 9, by=by)).code == "command_signer"
    assert unit.command(unit.envelope("ack", "vault", {})).code == "command_role"
    assert unit.outbox.confirmed == 7


@pytest.mark.parametrize(
    ("through", "code"),
    [("0", "command_malformed"), ("-1", "command_malformed"), ("7 ", "command_malformed"), ("", "command_malformed"),
     ("٧", "command_malformed"), ("9" * 19, "command_malformed"), (str((1 << 31) + 1), "ack_unknown"),
     (str((1 << 32) - 1), "ack_unknown"), (str(1 << 33), "ack_unknown")],
)  # fmt: skip
def test_what_cannot_be_confirmed(unit: Keeper, through: str, code: str) -> None:
    assert unit.command(ack(unit, through)).code == code
    assert unit.outbox.confirmed == 0


def test_a_desk_uses_up_no_numbers(unit: Keeper) -> None:
    """The owner of its key may claim numbers as used: following ones are accepted all the same."""
    assert unit.command(ack(unit, 1 << 31)).done
    assert unit.command(ack(unit, (1 << 31) + 5)).code == "ack_unknown"
    unit.report(CallEvent(seq=0, event="started", at=rfc3339(unit.clock.utc_ns()), unit="", call_id="next", line=1))
    assert unit.outbox.last_seq - (1 << 31) < 10
    assert unit.command(ack(unit, unit.outbox.last_seq)).done
    unit.restart()
    assert vaultname.is_of(unit.outbox.vault, unit.outbox.last_seq + (1 << 30))


def test_the_confirmed_number_does_not_go_back(unit: Keeper) -> None:
    assert unit.command(ack(unit, 9)).done
    assert unit.command(ack(unit, 4)).text == "everything up to 9 is confirmed"


def test_the_events_of_another_key_are_not_these(unit: Keeper) -> None:
    body = {"through": "5", "origin": "SHA256:another"}
    assert unit.command(unit.envelope("ack", "desk", body)).code == "ack_origin"


def test_a_resend_is_told_to_the_reporter(unit: Keeper) -> None:
    body = {"from": "3", "to": "8", "origin": unit.outbox.origin}
    assert unit.command(unit.envelope("resend", "desk", body)).done
    state = unit.upkeep.delivery.state
    assert (state.resend, state.resend_from, state.resend_to) == (unit.counter, 3, 8)
    assert unit.command(unit.envelope("resend", "desk", {**body, "to": "2"})).code == "command_malformed"
    assert unit.upkeep.delivery.state is state


class TestGone:
    """A desk that has lost its data requests events that were dropped after its own confirmation."""

    @pytest.fixture
    def trimmed(self, unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> Keeper:
        monkeypatch.setattr("linetap.recorder.vault.outbox.outbox.REMEMBERED", 5)
        monkeypatch.setattr("linetap.recorder.vault.outbox.outbox.SEGMENT_BYTES", (2048, 2048))
        unit.restart()
        for n in range(20, 40):
            at = rfc3339(unit.clock.utc_ns() + n)
            unit.report(CallEvent(seq=0, event="started", at=at, unit="", call_id=f"call-{n}", line=1))
        return unit

    def resend(self, unit: Keeper, first: int, last: int) -> Answer:
        body = {"from": str(first), "to": str(last), "origin": unit.outbox.origin}
        return unit.command(unit.envelope("resend", "desk", body))

    def there(self, unit: Keeper) -> list[int]:
        return [seq for seq, _, _ in OutboxReader(unit.vault / "outbox").from_seq(1, 1000)]

    def words(self, unit: Keeper) -> list[tuple[int, int]]:
        found = OutboxReader(unit.vault / "outbox").from_seq(1, 1000)
        events = [json.loads(payload) for _, payload, _ in found]
        return [(event["from"], event["to"]) for event in events if event["event"] == "dropped"]

    def test_what_was_let_go(self, trimmed: Keeper) -> None:
        assert trimmed.command(ack(trimmed, 40)).done
        first = self.there(trimmed)[0]
        assert first > 20
        for _ in range(3):
            assert self.resend(trimmed, 1, 40).done
        assert self.words(trimmed) == [(1, first - 1)]
        assert trimmed.outbox.last_seq == 42, "and that nothing of it can be told anew"
        assert self.resend(trimmed, first, 40).done
        assert self.words(trimmed) == [(1, first - 1)], "what is here is sent, and nothing said"

    def test_what_is_damaged(self, trimmed: Keeper) -> None:
        """One event in the middle, by one bit of the card."""
        path = outboxfiles.path_of(trimmed.vault / "outbox", outboxfiles.first_seqs(trimmed.vault / "outbox")[1])
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.write_bytes(bytes(data))
        missing = sorted(set(range(1, 41)) - set(self.there(trimmed)))
        assert len(missing) == 1
        assert self.resend(trimmed, missing[0], missing[0]).done
        assert self.words(trimmed) == [(missing[0], missing[0])]

    def test_what_is_damaged_at_the_end(self, trimmed: Keeper) -> None:
        """Events still to come are not judged."""
        folder = trimmed.vault / "outbox"
        path = outboxfiles.path_of(folder, outboxfiles.first_seqs(folder)[-1])
        last = list(outboxfiles.read(path))[-1]
        data = bytearray(path.read_bytes())
        data[last.start + 100] ^= 1
        path.write_bytes(bytes(data))
        assert self.resend(trimmed, 40, 50).done
        assert self.words(trimmed) == [(40, 40)]

    def test_what_has_never_been_is_not_gone(self, trimmed: Keeper) -> None:
        assert self.resend(trimmed, 41, 50).code == "ack_unknown"
        assert self.resend(trimmed, 40, 50).done
        assert self.words(trimmed) == []

    def test_a_desk_without_a_memory_is_whole_again(self, trimmed: Keeper, tmp_path: Path) -> None:
        assert trimmed.command(ack(trimmed, 40)).done
        engine = database.open_writer(f"sqlite:///{tmp_path / 'new.db'}")
        named = signers.parse((tmp_path / "allowed_signers").read_text())
        group = (trimmed.config.unit, trimmed.outbox.origin)

        def tell() -> dict[tuple[str, str], int]:
            found = OutboxReader(trimmed.vault / "outbox").from_seq(1, 1000)
            now_ns = trimmed.clock.utc_ns()
            reports = [Report(group[0], payload, unarmored(sig), now_ns) for _, payload, sig in found]
            return Store(engine).write(reports, named)

        assert tell() == {group: 0}
        assert self.resend(trimmed, 1, self.there(trimmed)[0] - 1).done
        assert tell() == {group: 42}
        engine.dispose()


def test_who_is_named_as_desk(unit: Keeper) -> None:
    assert unit.upkeep.delivery.state.desk
    unit.restart()
    assert unit.upkeep.delivery.state.desk
    (unit.vault / "roles.json").unlink()
    unit.restart()
    assert not unit.upkeep.delivery.state.desk


class TestLight:
    """Sent once a second for years: nothing may grow by it."""

    def test_no_leaf_and_no_file(self, unit: Keeper) -> None:
        saved, leaves = (unit.vault / "commands.json").read_bytes(), unit.log.size
        first = ack(unit, 3)
        assert unit.command(first).done
        assert unit.command(first).code == "command_repeated"
        assert unit.log.size == leaves
        assert (unit.vault / "commands.json").read_bytes() == saved

    def test_a_command_of_weight_that_was_signed_before_many_of_them_is_done(self, unit: Keeper) -> None:
        body = {"challenge": unit.upkeep.time.challenge, "utc": rfc3339(unit.clock.utc_ns())}
        old = unit.envelope("time", "desk", body)
        for _ in range(2 * MOST_SEEN):
            assert unit.command(ack(unit, 3)).done
        assert unit.command(old).done
        assert unit.command(old).code == "command_repeated"
        unit.restart()
        assert unit.command(old).code == "command_repeated"

    def test_a_broker_that_delivers_one_twice_is_no_attack(self, unit: Keeper) -> None:
        first, later = ack(unit, 3), ack(unit, 4)
        assert unit.command(later).done
        assert unit.command(first).done, "signed before, and queued behind it"
        assert unit.command(first).code == "command_repeated"
        assert unit.upkeep.commands.refused.count == 0

    @pytest.mark.parametrize("late", ["expired", "another vault", "another key", "no call"])
    def test_one_that_a_broker_kept_for_days_is_no_attack(self, unit: Keeper, late: str) -> None:
        """As delivered by a bridge when its site returns: refused, without an alert."""
        origin, past = unit.outbox.origin, rfc3339(unit.clock.utc_ns() - NS_PER_S)
        fetched = {"call_id": f"{compact(unit.clock.utc_ns())}-L02", "copied": "0" * 64}
        code, old = {
            "expired": (
                "command_expired",
                unit.envelope("ack", "desk", {"through": "3", "origin": origin}, expires=past),
            ),
            "another vault": (
                "ack_vault",
                unit.envelope("ack", "desk", {"through": "3", "origin": origin, "vault": "0" * 8}),
            ),
            "another key": ("ack_origin", unit.envelope("ack", "desk", {"through": "3", "origin": "SHA256:another"})),
            "no call": ("fetch_no_call", unit.envelope("fetch", "desk", fetched)),
        }[late]
        assert unit.command(old).code == code
        assert unit.upkeep.commands.refused.count == 0
        assert (
            unit.command(unit.envelope("ack", "desk", {"through": str(1 << 33), "origin": origin})).code
            == "ack_unknown"
        )
        assert unit.command(unit.envelope("identify", "desk", {"seconds": "5"}, expires=past)).code == "command_expired"
        assert unit.upkeep.commands.refused.count == 2, "what nobody may ask, and what a person waits for"

    def test_what_was_confirmed_is_known_after_a_restart(self, unit: Keeper) -> None:
        assert unit.command(ack(unit, 12)).done
        unit.restart()
        assert unit.upkeep.delivery.state.confirmed == 12

    def test_a_disk_that_takes_nothing_forgets_nothing(self, unit: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(28, "No space left on device")

        unit.give(ack(unit, 12))
        with monkeypatch.context() as patch:
            replace_durably_by(patch, refuse)
            unit.tick()
        assert unit.outbox.confirmed == 0
        unit.tick()
        assert unit.answer().done
        assert unit.outbox.confirmed == 12


def test_the_state_is_what_a_reporter_reads(unit: Keeper) -> None:
    unit.command(ack(unit, 5))
    state = unit.upkeep.delivery.state
    assert msgspec.json.decode(msgspec.json.encode(state)) == {
        "desk": True, "confirmed": 5, "resend": 0, "resend_from": 0, "resend_to": 0,
    }  # fmt: skip


class TestNoDate:
    """A closet whose clock is at 2034 without a confirmed date: the desk's orders still apply."""

    @pytest.fixture
    def undated(self, tmp_path: Path, run_dir: Path) -> Keeper:
        unit = Keeper(tmp_path, run_dir, at="2034-11-24T03:00:00.000Z")
        unit.synced = False
        unit.upkeep.time.tick()
        unit.take_roles()
        unit.report(CallEvent(seq=0, event="started", at=rfc3339(unit.clock.utc_ns()), unit="", call_id="one", line=1))
        return unit

    def test_an_undated_unit_takes_confirmations(self, undated: Keeper) -> None:
        expires = "2026-11-25T03:00:00.000Z"
        assert undated.command(ack(undated, 1, expires=expires)).done
        assert undated.outbox.confirmed == 1

    def test_what_others_order_has_its_end(self, undated: Keeper) -> None:
        late = undated.envelope("config", "operator", {}, expires="2026-11-25T03:00:00.000Z")
        assert undated.command(late).code == "command_expired"

    def test_with_a_date_the_desks_have_it_too(self, unit: Keeper) -> None:
        assert unit.command(ack(unit, 1, expires=rfc3339(unit.clock.utc_ns()))).code == "command_expired"

    def test_a_weekend_without_power_ends_no_confirmation(self, unit: Keeper) -> None:
        """Its clock starts in 1970 again, and its counted time is days behind: every message of the desk is ahead."""
        now_ms = unit.clock.utc_ns() // 1_000_000 + 3 * 86_400_000
        expires = rfc3339((now_ms + 86_400_000) * 1_000_000)
        self.cut(unit)
        for n in range(1, 21):
            assert unit.command(ack(unit, n, counter=now_ms + n, expires=expires)).done
        assert unit.outbox.confirmed == 20

    def test_who_has_forgotten_the_date_can_be_told_it(self, unit: Keeper) -> None:
        true_ns = unit.clock.utc_ns()
        unit.call()
        for name in ("clock.json", "clock.json.twin"):
            (unit.vault / name).unlink()
        self.cut(unit)
        ms, expires = true_ns // 1_000_000, rfc3339(true_ns + 7 * DAY)
        assert unit.command(ack(unit, 9, counter=ms, expires=expires)).done
        body = {"challenge": unit.upkeep.time.challenge, "utc": rfc3339(true_ns)}
        said = unit.envelope("time", "vault", body, counter=ms, expires=expires, cosigned=("second",))
        assert unit.command(said).done
        assert unit.upkeep.time.now_ns == true_ns
        assert unit.upkeep.time.is_dated

    def cut(self, unit: Keeper) -> None:
        """A power cut: a Pi starts in 1970, without a time server."""
        unit.boot, unit.synced, unit.clock = unit.boot + 1, False, ManualClock(40 * NS_PER_S, 5 * NS_PER_S)
        unit.restart()
        unit.upkeep.time.tick()
