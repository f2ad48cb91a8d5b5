# SPDX-License-Identifier: Apache-2.0
"""Feed, cursor, lines, alerts and health without a broker, on a manual clock."""

from __future__ import annotations

import itertools
import json
import logging
from collections import deque
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linetap.checks import Finding, Judgement, Snapshot, Trouble
from linetap.checks.bootstate import Eeprom, Loader
from linetap.checks.machine import Machine
from linetap.checks.watch import Seen, Services
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.recorder.vault.outbox.reader import OutboxReader
from linetap.reporter import inbox as inbox_module
from linetap.reporter.feed import (
    CURSOR_EVERY_S,
    LONGEST_S,
    PATIENCE_S,
    PROBE,
    REFUSED_PAUSE_S,
    WINDOW,
    Cursor,
    Entry,
    Feed,
    Resending,
)
from linetap.reporter.health import Ages, OutboxFigures, health, outgoing
from linetap.reporter.inbox import MOST_WAITING, Inbox, Reply
from linetap.reporter.telemetry import (
    LONG_QUEUE,
    REWORD_EVERY_S,
    THINNED,
    AlertLog,
    AlertTelemetry,
    LineTelemetry,
    pace,
)
from linetap_core.clock import NS_PER_DAY, NS_PER_S, ManualClock, parse_rfc3339, rfc3339
from linetap_core.evidence.authorization.command import LIMIT_BYTES
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import sshsig
from linetap_core.evidence.signing.sshsig import armored, unarmored
from linetap_core.records import (
    CallEvent,
    DeliveryState,
    KernelClockState,
    LineStatus,
    PbxDay,
    RecorderState,
    UpdateState,
    UpdateStep,
)
from linetap_core.rundir import answers_for, commands_of
from linetap_core.wire.topics import HEALTH_EXPIRY_S, Topics
from state_files import capture, recorder, reporter

NOW = "2026-11-24T22:56:00.000Z"
NOW_NS = parse_rfc3339(NOW)


class Shelf:
    """An outbox of plain numbers, in which the events before `first` are deleted."""

    def __init__(self, last: int, first: int = 1, of: str = "") -> None:
        self.entries: list[Entry] = [(n, f"{of}{n}".encode(), f"sig {n}") for n in range(first, last + 1)]

    def from_seq(self, seq: int, most: int) -> list[Entry]:
        return [entry for entry in self.entries if entry[0] >= seq][:most]

    def last_seq(self) -> int:
        return self.entries[-1][0] if self.entries else 0


class Bench:
    def __init__(self, folder: Path, shelf: Shelf) -> None:
        self.clock, self.shelf = ManualClock(), shelf
        self.path = folder / "reporter" / "cursor.json"
        self.cursor = Cursor(self.path, self.clock)
        self.resending = Resending(shelf, self.clock)
        self.feed = Feed(shelf, self.cursor, self.clock, self.resending)
        self.sent: list[int] = []
        self.flying: deque[int] = deque()

    def send(self) -> list[int]:
        before = len(self.sent)
        self.feed.send(self._publish)
        return self.sent[before:]

    def _publish(self, payload: bytes, _sig: str) -> int:
        self.sent.append(int(payload.decode().lstrip("abc")))
        self.flying.append(len(self.sent))
        return len(self.sent)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Shelf(40))


class TestFeed:
    def test_no_more_than_the_window_is_in_flight(self, bench: Bench) -> None:
        assert bench.send() == list(range(1, WINDOW + 1))
        assert bench.send() == []
        bench.feed.acknowledged(bench.flying.popleft(), None)
        assert bench.send() == [WINDOW + 1]

    def test_the_cursor_passes_nothing_unacknowledged(self, bench: Bench) -> None:
        bench.send()
        for mid in (3, 2, 5):
            bench.feed.acknowledged(mid, None)
        assert bench.feed.delivered_seq == 0
        bench.feed.acknowledged(1, None)
        assert bench.feed.delivered_seq == 3

    def test_a_new_connection_begins_behind_the_cursor(self, bench: Bench) -> None:
        bench.send()
        bench.feed.acknowledged(1, None)
        bench.feed.lost_connection()
        assert bench.send()[0] == 2
        bench.feed.acknowledged(3, None)  # an acknowledgement on the old connection is ignored
        assert bench.feed.delivered_seq == 1

    def test_what_is_refused_is_tried_again_after_a_pause_and_never_passed(self, bench: Bench) -> None:
        bench.send()
        bench.feed.acknowledged(1, None)
        bench.feed.acknowledged(2, "Not authorized")
        bench.feed.acknowledged(3, None)
        assert bench.send() == []
        bench.clock.sleep(REFUSED_PAUSE_S)
        assert bench.send()[0] == 2
        assert bench.feed.delivered_seq == 1

    def test_what_was_dropped_is_passed(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, Shelf(30, first=20))
        assert bench.send() == list(range(20, 31))

    @given(st.lists(st.sampled_from(["ack", "late", "lost", "send"]), max_size=80))
    def test_in_order_and_without_a_hole_whatever_happens(self, steps: Iterable[str]) -> None:
        bench = Bench(Path("/nonexistent"), Shelf(40))
        acknowledged: set[int] = set()
        for step in steps:
            if step == "send":
                bench.send()
            elif step == "lost":
                bench.feed.lost_connection()
                bench.flying.clear()
            elif bench.flying:
                mid = bench.flying.popleft() if step == "ack" else bench.flying.pop()
                bench.feed.acknowledged(mid, None)
                acknowledged.add(bench.sent[mid - 1])
            assert set(range(1, bench.feed.delivered_seq + 1)) <= acknowledged
        new = list(dict.fromkeys(bench.sent))
        assert new == list(range(1, len(new) + 1))


class TestAgain:
    """Sending again: the broker has all events up to 400, the desk has not confirmed all of them."""

    @pytest.fixture
    def told(self, tmp_path: Path) -> Bench:
        bench = Bench(tmp_path, Shelf(400))
        while bench.send():
            self.acknowledge(bench)
        assert bench.feed.delivered_seq == 400
        return bench

    def acknowledge(self, bench: Bench) -> None:
        while bench.flying:
            bench.feed.acknowledged(bench.flying.popleft(), None)

    def hear(self, bench: Bench, confirmed: int, resend: int = 0, first: int = 0, last: int = 0) -> list[int]:
        """Reports the desk's state to the reporter; returns the numbers of the events sent as a result."""
        state = DeliveryState(desk=True, confirmed=confirmed, resend=resend, resend_from=first, resend_to=last)
        if bench.resending.follow(state, bench.feed.delivered_seq):
            bench.feed.lost_connection()
            bench.resending.follow(state, bench.feed.delivered_seq)
        sent: list[int] = []
        while more := bench.send():
            sent += more
            self.acknowledge(bench)
        return sent

    def test_what_the_desk_asks_for_goes_out_once(self, told: Bench) -> None:
        assert self.hear(told, 100, 7, 20, 60) == list(range(20, 61))
        assert self.hear(told, 100, 7, 20, 60) == []
        assert self.hear(told, 100, 8, 20, 21) == [20, 21]
        assert told.feed.delivered_seq == 400, "the cursor is about what is new"

    def test_what_has_not_been_sent_yet_needs_no_asking(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, Shelf(40))
        bench.send()
        assert self.hear(bench, 0, 1, 1, 1000) == []
        self.acknowledge(bench)
        assert self.hear(bench, 0, 1, 1, 1000) == list(range(WINDOW + 1, 41))

    def test_silence_is_no_confirmation(self, told: Bench) -> None:
        assert self.hear(told, 100) == []
        told.clock.sleep(PATIENCE_S - 1)
        assert self.hear(told, 100) == []
        told.clock.sleep(1)
        assert self.hear(told, 100) == list(range(101, 101 + PROBE))
        told.clock.sleep(PATIENCE_S)
        assert self.hear(told, 100) == [], "less often, as long as nobody answers"
        told.clock.sleep(PATIENCE_S)
        assert self.hear(told, 100) == list(range(101, 101 + PROBE))
        assert self.hear(told, 150) == []
        told.clock.sleep(PATIENCE_S)
        assert self.hear(told, 150) == list(range(151, 151 + PROBE)), "whoever answers is waited for as at first"
        assert self.hear(told, 400) == []
        told.clock.sleep(LONGEST_S)
        assert self.hear(told, 400) == []

    def test_what_is_sent_again_in_vain_renews_the_connection_and_goes_out_on_the_next(self, told: Bench) -> None:
        def after(seconds: float, confirmed: int = 100) -> tuple[bool, int]:
            """Whether the connection was renewed, and the number of events sent again on the present connection."""
            told.clock.sleep(seconds)
            state, sent = DeliveryState(desk=True, confirmed=confirmed), 0
            if renewed := told.resending.follow(state, 400):
                assert not told.resending.follow(state, 400)
                assert told.send() == [], "the connection is about to end"
                told.feed.lost_connection()
                assert not told.resending.follow(state, 400)
            while more := told.send():
                sent += len(more)
                self.acknowledge(told)
            return renewed, sent

        assert after(0) == (False, 0)
        assert after(PATIENCE_S) == (False, PROBE)
        for wait_s in (2 * PATIENCE_S, 4 * PATIENCE_S, LONGEST_S, LONGEST_S):
            assert after(wait_s) == (True, PROBE)
            assert after(1) == (False, 0)
        assert after(1, 150) == (False, 0)
        assert after(PATIENCE_S, 150) == (False, PROBE), "whoever answers is waited for as at first"
        assert after(LONGEST_S, 400) == (False, 0)

    def test_it_is_tried_for_ever(self, told: Bench) -> None:
        sent = 0
        for _ in range(20):
            told.clock.sleep(LONGEST_S)
            sent += bool(self.hear(told, 0))
        assert sent >= 19

    def test_without_a_desk_a_broker_has_to_do(self, told: Bench) -> None:
        told.resending.follow(DeliveryState(), 400)
        told.clock.sleep(LONGEST_S)
        told.resending.follow(DeliveryState(resend=1, resend_from=1, resend_to=40), 400)
        assert told.send() == []
        assert told.resending.confirmed is None

    def test_what_is_new_does_not_wait_for_what_is_old(self, told: Bench) -> None:
        told.shelf.entries += Shelf(440, first=401).entries
        state = DeliveryState(desk=True, resend=1, resend_from=1, resend_to=400)
        told.resending.follow(state, 400)
        first = told.send()
        assert first == [*range(1, WINDOW // 2 + 1), *range(401, 401 + WINDOW // 2)]

    def test_what_is_gone_is_passed(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, Shelf(40, first=30))
        while bench.send():
            self.acknowledge(bench)
        assert self.hear(bench, 0, 1, 1, 20) == []
        assert self.hear(bench, 0, 2, 1, 31) == [30, 31]

    def test_a_lost_connection_ends_it(self, told: Bench) -> None:
        told.resending.follow(DeliveryState(desk=True, resend=1, resend_from=1, resend_to=300), 400)
        assert told.send()
        told.feed.lost_connection()
        assert told.send() == []
        assert told.feed.delivered_seq == 400


class TestInbox:
    @pytest.fixture
    def inbox(self, tmp_path: Path) -> Inbox:
        return Inbox(tmp_path, ManualClock())

    def files(self, folder: Path) -> list[Path]:
        return sorted(commands_of(folder, "reporter").iterdir())

    def test_exact_bytes_in_and_out_in_their_order(self, inbox: Inbox, tmp_path: Path) -> None:
        for n in range(3):
            assert inbox.receive("ack", b"\x00 whatever %d" % n, b"c%d" % n)
        found = self.files(tmp_path)
        assert [path.read_bytes() for path in found] == [b"\x00 whatever %d" % n for n in range(3)]
        assert list(inbox.replies()) == []
        answers = answers_for(tmp_path, "reporter")
        answers.mkdir(parents=True)
        (answers / f"{found[1].stem}.answer").write_bytes(b"the answer")
        assert list(inbox.replies()) == [Reply("ack", b"the answer", b"c1")]
        assert list(inbox.replies()) == []
        assert self.files(tmp_path) == [found[0], found[2]], "its own it removes, and the recorder then the answer"
        assert len(list(answers.iterdir())) == 1

    def test_there_are_never_many(self, inbox: Inbox, tmp_path: Path) -> None:
        taken = [inbox.receive("ack", b"x", None) for _ in range(50)]
        assert taken == [True] * MOST_WAITING + [False] * (50 - MOST_WAITING)
        assert len(self.files(tmp_path)) == MOST_WAITING
        assert not Inbox(tmp_path, ManualClock()).receive("hold", bytes(LIMIT_BYTES + 1), None)

    def test_a_queue_of_what_comes_every_second_leaves_room_for_a_hold(self, inbox: Inbox) -> None:
        """A bridge that reconnects delivers its whole queue at once."""
        for verb in ("ack", "fetch", "resend") * MOST_WAITING:
            inbox.receive(verb, b"x", None)
        assert [inbox.receive("hold", b"x", None) for _ in range(MOST_WAITING + 1)] == [True] * MOST_WAITING + [False]
        assert not inbox.receive("ack", b"x", None)

    def test_nobody_is_waited_for_for_ever(self, tmp_path: Path) -> None:
        clock = ManualClock()
        inbox = Inbox(tmp_path, clock)
        for _ in range(MOST_WAITING):
            assert inbox.receive("ack", b"x", None)
        clock.sleep(inbox_module.PATIENCE_S)
        assert list(inbox.replies()) == []
        assert not self.files(tmp_path)
        assert inbox.receive("ack", b"x", None)

    def test_a_folder_that_takes_nothing_is_no_reason_to_end(self, inbox: Inbox, tmp_path: Path) -> None:
        commands_of(tmp_path, "reporter").rmdir()
        assert not inbox.receive("ack", b"x", None)

    def test_what_an_earlier_reporter_left_is_not_done_again(self, inbox: Inbox, tmp_path: Path) -> None:
        assert inbox.receive("ack", b"x", None)
        Inbox(tmp_path, ManualClock())
        assert not self.files(tmp_path)


class TestCursor:
    def delivered(self, folder: Path, count: int, of: str = "") -> Bench:
        bench = Bench(folder, Shelf(40, of=of))
        bench.send()
        for mid in range(1, count + 1):
            bench.feed.acknowledged(mid, None)
        bench.cursor.save(at_once=True)
        return bench

    def test_the_next_process_goes_on_there(self, tmp_path: Path) -> None:
        self.delivered(tmp_path, 7)
        assert Bench(tmp_path, Shelf(40)).send()[0] == 8

    def test_it_is_written_seldom(self, tmp_path: Path) -> None:
        bench = self.delivered(tmp_path, 1)
        bench.feed.acknowledged(2, None)
        bench.cursor.save()
        assert json.loads(bench.path.read_bytes().splitlines()[1])["seq"] == 1
        bench.clock.sleep(CURSOR_EVERY_S)
        bench.cursor.save()
        assert json.loads(bench.path.read_bytes().splitlines()[1])["seq"] == 2

    @pytest.mark.parametrize("shelf", [Shelf(40, of="b"), Shelf(3)])
    def test_another_vault_is_sent_whole(self, tmp_path: Path, shelf: Shelf) -> None:
        self.delivered(tmp_path, 7, of="a")
        assert Bench(tmp_path, shelf).send() == [n for n, _, _ in shelf.entries][:WINDOW]

    def test_an_empty_outbox_is_a_vault_that_is_not_there_yet(self, tmp_path: Path) -> None:
        self.delivered(tmp_path, 7)
        shelf = Shelf(0)
        bench = Bench(tmp_path, shelf)
        assert bench.send() == []
        shelf.entries = Shelf(40).entries
        assert bench.send()[0] == 8

    def test_an_event_that_has_been_dropped_since_is_no_reason_to_doubt(self, tmp_path: Path) -> None:
        self.delivered(tmp_path, 7)
        assert Bench(tmp_path, Shelf(40, first=20)).send()[0] == 20

    @pytest.mark.parametrize("spoilt", [b"", b"{", b'{"seq":"7"}', b"\xff" * 50])
    def test_a_lost_cursor_sends_again(self, tmp_path: Path, spoilt: bytes) -> None:
        self.delivered(tmp_path, 7).path.write_bytes(spoilt)
        assert Bench(tmp_path, Shelf(40)).send()[0] == 1


def seen(state: RecorderState | None, status: str = "alive") -> Seen[RecorderState]:
    return Seen(state, status)  # type: ignore[arg-type]


def services(state: RecorderState | None, status: str = "alive") -> Services:
    return Services({1: Seen(capture(), "alive")}, seen(state, status), Seen(reporter(), "alive"))


BUSY: list[LineStatus] = ["ringing", "notice", "recording", "idle"]


class TestLines:
    def test_only_changes(self) -> None:
        lines = LineTelemetry(Topics("u"), [1, 2])
        both = lines.changed(seen(recorder("idle", "idle", "ringing")), NOW_NS, 0)
        assert [message.topic for message in both] == ["linetap/v1/u/line/1", "linetap/v1/u/line/2"]
        assert lines.changed(seen(recorder("idle", "idle")), NOW_NS, 0) == []
        (one,) = lines.changed(seen(recorder("idle", "notice")), NOW_NS, 0)
        assert json.loads(one.payload)["state"] == "notice"
        lines.forget()
        assert len(lines.changed(seen(recorder("idle", "notice")), NOW_NS, 0)) == 2

    def test_how_a_call_is_ended_is_told_with_the_line(self) -> None:
        lines, state = LineTelemetry(Topics("u"), [1, 2]), recorder("idle", "idle")
        state.lines[0].release = "contact"
        told = [json.loads(message.payload).get("release") for message in lines.changed(seen(state), NOW_NS, 0)]
        assert told == ["contact", None]
        learned = recorder("idle", "idle")
        learned.lines[0].release = "exchange"  # the result of `linetap line learn`
        (one,) = lines.changed(seen(learned), NOW_NS, 0)
        assert json.loads(one.payload)["release"] == "exchange"

    def test_a_recorder_that_has_not_spoken_yet_is_waited_for(self) -> None:
        lines = LineTelemetry(Topics("u"), [1])
        assert lines.changed(seen(None, "starting"), NOW_NS, 0) == []
        (dead,) = lines.changed(seen(None, "dead"), NOW_NS, 0)
        assert json.loads(dead.payload) == {"state": "fault", "since": NOW, "call_id": None}
        assert lines.changed(seen(recorder("recording"), "dead"), NOW_NS + NS_PER_S, 0) == []

    def test_behind_a_long_queue_only_the_newest_state_now_and_then(self) -> None:
        """After a new connection the states of all lines are sent at once, despite a long queue."""
        lines, clock = LineTelemetry(Topics("u"), [1, 2]), ManualClock()
        states = itertools.cycle(BUSY)

        def told_in(seconds: int, queue: int) -> list[str]:
            found = []
            for _ in range(seconds * 10):
                state = recorder(next(states), "idle")
                for message in lines.changed(seen(state), NOW_NS, clock.monotonic_ns(), pace(queue)):
                    found.append(message.topic[-1])
                    assert json.loads(message.payload)["state"] == state.lines[int(message.topic[-1]) - 1].state
                clock.sleep(0.1)
            return found

        assert told_in(1, LONG_QUEUE) == ["1", "2", *"111111111"]
        assert told_in(30, LONG_QUEUE + 1) == [*"111111"]
        lines.forget()
        assert told_in(1, LONG_QUEUE + 1) == ["1", "2"]
        clock.sleep(THINNED.line_ms / 1000)
        assert told_in(1, 0) == [*"1111111111"]

    def test_the_last_state_of_a_line_that_has_come_to_rest_is_reported(self) -> None:
        lines = LineTelemetry(Topics("u"), [1])
        busy, at_rest = recorder(BUSY[0]), recorder("idle")
        for state, at_s in ((busy, 0), (at_rest, 1)):
            lines.changed(seen(state), NOW_NS, at_s * NS_PER_S, THINNED)
        (last,) = lines.changed(seen(at_rest), NOW_NS, THINNED.line_ms * 1_000_000, THINNED)
        assert json.loads(last.payload)["state"] == "idle"


def test_health_that_comes_seldom_comes_before_it_expires() -> None:
    assert pace(LONG_QUEUE).health_s < pace(LONG_QUEUE + 1).health_s < HEALTH_EXPIRY_S


def finding(severity: str, text: str) -> Finding:
    trouble = Trouble(severity=severity, text_ko=text, text_en=text, action_ko="", action_en="")  # type: ignore[arg-type]
    return Finding("disk_full", "disk_full", NOW, trouble)


def test_an_alert_is_reported_when_it_gets_worse_and_reworded_seldom() -> None:
    alerts = AlertTelemetry(Topics("u"), ["codec_stalled", "disk_full"])

    def told(standing: list[Finding], at_s: int) -> list[tuple[str, bool]]:
        messages = alerts.changed(standing, at_s * NS_PER_S)
        assert all(message.retain for message in messages)
        return [(message.topic.rsplit("/", 1)[1], bool(message.payload)) for message in messages]

    assert told([], 0) == [("codec_stalled", False), ("disk_full", False)]
    assert told([finding("warning", "9 MB")], 1) == [("disk_full", True)]
    assert told([finding("warning", "8 MB")], 2) == []
    assert told([finding("critical", "0 MB")], 3) == [("disk_full", True)]
    assert told([finding("critical", "1 MB")], 3 + REWORD_EVERY_S) == [("disk_full", True)]
    assert told([], 40) == [("disk_full", False)]
    assert told([], 99) == []


def marked(*lines: int) -> list[Finding]:
    trouble = Trouble(severity="warning", text_ko="", text_en=str(lines), action_ko="", action_en="", lines=lines)
    return [Finding("call_marked", "ok", NOW, trouble)] if lines else []


def test_a_further_line_is_reported_at_once_and_one_that_comes_and_goes_seldom(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each line that is marked as abusive needs help at once, and not when the first one's alert is reworded."""
    caplog.set_level(logging.WARNING)
    alerts, journal = AlertTelemetry(Topics("u"), ["call_marked"]), AlertLog()

    def told(at_s: float, *lines: int) -> list[list[int]]:
        journal.write(marked(*lines), int(at_s * NS_PER_S))
        messages = alerts.changed(marked(*lines), int(at_s * NS_PER_S))
        return [json.loads(message.payload)["lines"] for message in messages if message.payload]

    assert told(0, 3) == [[3]]
    assert told(0.25, 3, 5) == [[3, 5]]
    assert told(0.5, 3) == told(1, 3, 5) == []
    assert sum(map(len, (told(at / 4, 3, *([5] if at % 8 < 4 else [])) for at in range(8, 2400)))) <= 2 * 600 / 30
    assert [record.getMessage() for record in caplog.records] == [
        "call_marked: warning: (3,)",
        "call_marked: warning: (3, 5)",
    ]


def snapshot(state: RecorderState | None, free: int | None = 1100, machine: Machine = Machine()) -> Snapshot:  # noqa: B008
    return Snapshot(services(state, "alive" if state else "dead"), free, 2000, 100, "/vault", 0, machine)


def test_health_knows_what_it_knows() -> None:
    state = recorder("idle", "recording", "fault", written_bytes=1000)
    state.started_ns, state.mono_ns = 0, 86_400 * NS_PER_S
    state.clock = KernelClockState(synced=True, offset_ms=-0.25)
    loader, eeprom = Loader("bcm2711", 1_779_045_198), Eeprom("done", 1_739_293_213, 1_779_045_198, "")
    pi = Machine(temperature_c=48.312, throttled=0x50005, loader=loader, eeprom=eeprom)
    said = health(snapshot(state, machine=pi), OutboxFigures(3, 9, 5, "desk", 4096, 12.5), Judgement())
    assert (said.clock_synced, said.clock_offset_ms) == (True, -0.25)
    assert (said.temperature_c, said.throttled, said.storage_days_left) == (48.312, True, 1.0)
    assert (said.lines_in_use, said.lines, said.queue_length, said.services_dead) == (1, 3, 3, "")
    assert (said.loader, said.eeprom) == ("2026-05-17", "done 2025-02-11 2026-05-17")
    assert (said.unconfirmed, said.confirmed_by, said.outbox_bytes, said.outbox_oldest_s) == (5, "desk", 4096, 12.5)
    message = Topics("u").health(said)
    assert (message.retain, message.expiry_s) == (True, HEALTH_EXPIRY_S)

    blind = health(snapshot(None, None), OutboxFigures(0, 0, 0, "broker", 0, None), Judgement())
    assert (blind.clock_synced, blind.clock_offset_ms) == (False, None)
    assert (blind.temperature_c, blind.throttled, blind.storage_days_left) == (None, None, None)
    assert blind.services_dead == "recorder"
    assert (blind.config_sha256, blind.departures) == (None, "")
    assert (blind.loader, blind.eeprom) == (None, "")


def test_health_says_which_configuration_and_where_it_departs() -> None:
    state = recorder("idle", departures=["record_and_flag", "record_emergency"], config_pending="new")
    said = health(snapshot(state), OutboxFigures(0, 0, 0, "desk", 0, None), Judgement())
    assert (said.config_sha256, said.config_pending) == (state.config_sha256, "new")
    assert said.departures == "record_and_flag record_emergency"


def test_health_says_what_the_pbx_told_of_the_last_day() -> None:
    def said(state: RecorderState | None) -> tuple[object, ...]:
        told = health(snapshot(state), OutboxFigures(0, 0, 0, "desk", 0, None), Judgement())
        return (told.pbx_port, told.pbx_day, told.pbx_calls, told.pbx_recorded, told.pbx_missing, told.pbx_unseen)

    day = PbxDay(day="2026-11-25", calls=9, recorded=6, missing=2, unseen=1)
    assert said(recorder("idle", smdr_connected=True, pbx_day=day)) == ("open", "2026-11-25", 9, 6, 2, 1)
    assert said(recorder("idle", smdr_connected=False)) == ("shut", *[None] * 5)
    assert said(recorder("idle")) == ("none", *[None] * 5)
    assert said(None) == (None,) * 6


def test_health_says_how_far_an_update_is() -> None:
    def said(step: UpdateStep) -> str:
        update = UpdateState(step=step, version="0.2.0", sha256="", by="command", at="")
        return health(
            snapshot(recorder("idle", update=update)), OutboxFigures(0, 0, 0, "desk", 0, None), Judgement()
        ).update

    assert [said("waiting"), said("failed"), said("done")] == ["waiting 0.2.0", "", ""]
    assert health(snapshot(None), OutboxFigures(0, 0, 0, "desk", 0, None), Judgement()).update == ""


def test_what_is_not_confirmed_has_an_age(tmp_path: Path) -> None:
    box = Outbox(tmp_path, "u", lambda _: "sig", "origin", 1 << 20)
    for second in range(3):
        at = f"2026-11-24T22:56:0{second}.000Z"
        box.append(CallEvent(seq=0, event="started", at=at, unit="", call_id=f"call-{second}"))
    reader, now_ns = OutboxReader(tmp_path), parse_rfc3339("2026-11-24T22:56:10.000Z")
    size = sum(path.stat().st_size for path in tmp_path.glob("*.events"))
    assert outgoing(reader, 2, None, Ages(), now_ns, 0) == OutboxFigures(1, 3, 1, "broker", size, 8.0)
    assert outgoing(reader, 2, 1, Ages(), now_ns, 0) == OutboxFigures(1, 3, 2, "desk", size, 9.0)
    assert outgoing(reader, 3, 3, Ages(), now_ns, 0) == OutboxFigures(0, 3, 0, "desk", size, None)
    assert outgoing(OutboxReader(tmp_path / "none"), 0, 0, Ages(), now_ns, 0) == OutboxFigures(0, 0, 0, "desk", 0, None)


class TestAges:
    """A unit was off for three days, starts with the time of its last day, and sets its clock a minute later."""

    DAYS_NS = 3 * NS_PER_DAY

    @staticmethod
    def boxed(folder: Path, times: list[int]) -> OutboxReader:
        box = Outbox(folder, "u", lambda _: "sig", "origin", 1 << 20)
        for at_ns in times:
            box.append(CallEvent(seq=0, event="started", at=rfc3339(at_ns), unit="", call_id="call"))
        return OutboxReader(folder)

    @pytest.mark.parametrize("before_start", [True, False])
    def test_a_clock_that_is_set_makes_no_event_old(self, tmp_path: Path, before_start: bool) -> None:
        """The event of the start is written before or after the reporter's first look."""
        stale_ns, ages, minute_ns = parse_rfc3339("2026-11-24T09:00:00.000Z"), Ages(), 60 * NS_PER_S
        first = self.boxed(tmp_path, [stale_ns] if before_start else [])
        assert outgoing(first, 0, 0, ages, stale_ns, NS_PER_S).oldest_s == (0 if before_start else None)
        reader = first if before_start else self.boxed(tmp_path, [stale_ns])
        for minutes in (1, 90):
            utc_ns, now_ns = stale_ns + self.DAYS_NS + minutes * minute_ns, NS_PER_S + minutes * minute_ns
            assert outgoing(reader, 0, 0, ages, utc_ns, now_ns).oldest_s == minutes * 60, "counted since the start"

    def test_what_waited_before_the_start_is_as_old_as_it_says(self, tmp_path: Path) -> None:
        """With a clock that is right, and with one that was in 1970 until it was set."""
        at_ns = parse_rfc3339("2026-11-24T09:00:00.000Z")
        reader, ages = self.boxed(tmp_path, [at_ns]), Ages()
        assert outgoing(reader, 0, 0, ages, at_ns + self.DAYS_NS, 0).oldest_s == self.DAYS_NS / NS_PER_S
        ages = Ages()
        assert outgoing(reader, 0, 0, ages, 0, 0).oldest_s == 0
        assert outgoing(reader, 0, 0, ages, at_ns + self.DAYS_NS, NS_PER_S).oldest_s == self.DAYS_NS / NS_PER_S


@given(st.binary(max_size=40), st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=60))
def test_a_signature_survives_its_travel_on_one_line(data: bytes, namespace: str) -> None:
    sig = sshsig.sign(data, KEY, namespace)
    assert "\n" not in unarmored(sig)
    assert armored(unarmored(sig)) == sig


KEY = keys.new_unit_key()
