# SPDX-License-Identifier: Apache-2.0
"""The desk's copies of an index: whole, checked against the unit's signed list, resumed, and deleted on their day."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from index_rig import IndexDesk, Sent
from sqlalchemy import insert

from keeping_rig import DAY, UNIT
from linetap_core.clock import parse_rfc3339, rfc3339
from linetap_core.durable import files
from linetap_core.evidence.authorization.command import Answer
from linetap_core.evidence.calls import index, indexhead
from linetap_core.evidence.calls.indexhead import SignedListHead
from linetap_core.evidence.keys.keys import new_unit_key
from linetap_core.evidence.signing import namespaces, sshsig
from linetap_core.zones import end_of_ns
from linetap_desk.ingest import tables


@pytest.fixture
def desk(tmp_path: Path, run_dir: Path) -> Iterator[IndexDesk]:
    desk = IndexDesk(tmp_path, run_dir)
    yield desk
    desk.close()


def lists(desk: IndexDesk) -> list[indexhead.IndexList]:
    return [found for _, _, found, _ in desk.folder.lists(desk.signers.now())]


def test_the_whole_index_comes_and_then_what_is_new(desk: IndexDesk) -> None:
    for _ in range(3):
        desk.unit.call()
        desk.unit.restart()
    desk.turns()
    assert len(desk.unit.names()) == 3
    assert desk.differences() == set()
    assert [each.file for each in lists(desk)[-1].segments] == desk.unit.names()
    windows = [body for body in desk.asked if body.get("index") not in ("list", None)]
    assert len(windows) == 1, "one window for all of them"
    desk.unit.call()
    assert desk.differences()
    desk.asked.clear()
    desk.turns(700)
    assert desk.differences() == set()
    assert [body["index"] for body in desk.asked][:3] == ["list", "list", desk.unit.names()[-1]]


def test_a_list_that_did_not_change_is_not_sent_again_and_its_head_is_newer(desk: IndexDesk) -> None:
    desk.unit.call()
    desk.turns()
    before = desk.folder.lists(desk.signers.now())[-1][0]
    desk.asked.clear()
    desk.turns(1900)
    assert {tuple(body.items()) for body in desk.asked} == {(("index", "list"),)}
    assert len(desk.asked) in (3, 4), "every ten minutes"
    assert indexhead.is_older(before, desk.folder.lists(desk.signers.now())[-1][0])


def test_after_a_break_the_segments_that_are_here_are_not_requested_again(desk: IndexDesk) -> None:
    for _ in range(4):
        desk.unit.call()
        desk.unit.restart()
    desk.turns(most_messages=6)  # answer, answer, list, answer, two segments
    desk.copying.lost_connection()
    assert len(desk.differences()) == 2
    desk.restart()
    desk.asked.clear()
    desk.turns(700)
    assert desk.differences() == set()
    assert desk.unit.names()[0] not in [body["index"] for body in desk.asked]


def test_a_segment_that_the_medium_has_lost_is_fetched_again(desk: IndexDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.unit.call()
    desk.turns()
    (name,) = desk.unit.names()
    desk.restart()
    sha256 = files.sha256

    def lost(path: Path) -> str:
        if path == desk.folder.folder / name:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return sha256(path)

    monkeypatch.setattr(files, "sha256", lost)
    desk.asked.clear()
    desk.unit.restart()
    desk.unit.call()
    desk.turns(700)
    assert desk.differences() == set()
    assert {"index": name} in [{"index": body["index"]} for body in desk.asked]


def test_a_folder_in_place_of_a_segment_stops_no_other(desk: IndexDesk, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        desk.unit.call()
        desk.unit.restart()
    strange = desk.unit.names()[0]
    (desk.store / UNIT / index.FOLDER / strange).mkdir(parents=True)
    desk.turns()
    assert set(desk.unit.names()[1:]) <= set(desk.folder.segments())
    assert all((desk.folder.folder / name).is_file() for name in desk.unit.names()[1:])
    assert "store_away" not in caplog.text
    (desk.store / UNIT / index.FOLDER / strange).rmdir()
    desk.turns(700)
    assert desk.differences() == set()


def test_a_changed_block_is_not_stored_and_asked_for_again(desk: IndexDesk) -> None:
    desk.unit.call()

    def changed(sent: Sent) -> Sent:
        payload, user, correlation = sent
        return (payload[:-1] + b"\0" if user.get("index", "list") != "list" else payload), user, correlation

    desk.between = changed
    desk.turns(60)
    assert list(desk.folder.segments()) == []
    desk.between = lambda sent: sent
    desk.turns(700)
    assert desk.differences() == set()


def test_a_list_that_another_signed_is_refused(desk: IndexDesk, caplog: pytest.LogCaptureFixture) -> None:
    desk.unit.call()

    def forged(sent: Sent) -> Sent:
        payload, user, correlation = sent
        if "index" in user:
            return sent
        answer = msgspec.json.decode(payload, type=Answer)
        assert answer.done
        if answer.listed is None:
            return sent
        sig = sshsig.sign(answer.listed.head.encode(), new_unit_key(), namespaces.HEAD)
        listed = SignedListHead(head=answer.listed.head, sig=sig)
        return msgspec.json.encode(msgspec.structs.replace(answer, listed=listed)), user, correlation

    desk.between = forged
    with caplog.at_level(logging.WARNING):
        desk.turns(20)
    assert "index_refused" in caplog.text
    assert not desk.folder.folder.exists()


@pytest.mark.parametrize("more_calls", [0, 1])
def test_an_older_list_does_not_replace_a_newer_one(
    desk: IndexDesk, caplog: pytest.LogCaptureFixture, more_calls: int
) -> None:
    """Neither a list of earlier segments, nor an earlier head of the same list with an earlier end."""
    desk.unit.call()
    kept: list[Sent] = []

    def keep(sent: Sent) -> Sent:
        if b'"listed":{' in sent[0] and not kept:
            kept.append(sent)
        return sent

    desk.between = keep
    desk.turns()
    for _ in range(more_calls):
        desk.unit.call()
    desk.turns(700)
    newest = desk.folder.lists(desk.signers.now())[-1]
    desk.between = lambda sent: (kept[0][0], sent[1], sent[2]) if b'"listed":{' in sent[0] else sent
    with caplog.at_level(logging.WARNING):
        desk.turns(700)
    assert "index_refused: index_list: its list is of" in caplog.text
    assert desk.folder.lists(desk.signers.now())[-1] == newest


def test_a_silent_unit_is_asked_again_later_each_time(desk: IndexDesk) -> None:
    desk.unit.call()
    desk.between = lambda _: None
    desk.turns(600)
    assert 3 <= len(desk.asked) <= 8
    desk.between = lambda sent: sent
    desk.turns(1200)
    assert desk.differences() == set()


def test_a_unit_of_an_earlier_version_is_asked_seldom(desk: IndexDesk) -> None:
    def refused(sent: Sent) -> Sent:
        answer = Answer(unit=UNIT, at="", done=False, code="command_malformed", text="the body of fetch is")
        return msgspec.json.encode(answer), {}, sent[2]

    desk.between = refused
    desk.turns(3600)
    assert len(desk.asked) < 12


def test_what_was_not_requested_is_ignored(desk: IndexDesk) -> None:
    """A publisher at the broker sends false and surplus blocks."""
    desk.unit.call()
    name = desk.unit.names()[0]

    def more(sent: Sent) -> Sent:
        payload, user, correlation = sent
        if user.get("index") == name:
            return payload, user | {"index": "2027-01-24/../../evil.age"}, correlation
        return sent

    desk.between = more
    desk.turns(20)
    assert list(desk.folder.segments()) == []
    assert not list(desk.store.rglob("evil*"))


class TestEnd:
    @pytest.fixture
    def copied(self, desk: IndexDesk) -> IndexDesk:
        desk.unit.call()
        desk.turns()
        assert desk.differences() == set()
        return desk

    def ends_ns(self, desk: IndexDesk) -> int:
        _, last_day = index.parse_folder(desk.unit.names()[0].partition("/")[0]) or ("", None)
        assert last_day is not None
        return end_of_ns(last_day, "Asia/Seoul")

    def lay(self, desk: IndexDesk, name: str, **values: object) -> None:
        began_at = values.pop("began_at", rfc3339(desk.clock.utc_ns()))
        call = {"unit": UNIT, "call_id": name, "late": False, "began_at": began_at}
        with desk.engine.begin() as db:
            if values.get("until", "") == "":
                db.execute(insert(tables.calls).values(**call))
            else:
                copy = {"unit": UNIT, "call_id": name, "record_sha256": "", "stored_at": call["began_at"]}
                db.execute(insert(tables.copies).values(**copy, period_s=10**9, counted_ms=0, **values))

    def later(self, desk: IndexDesk, days: float) -> None:
        """Time passes without the unit: its own index does not end here."""
        desk.between = lambda _: None
        desk.clock.advance(round(days * DAY))

    def test_a_segment_goes_with_its_day_by_two_clocks(self, copied: IndexDesk) -> None:
        self.later(copied, 61)
        copied.turns(700)
        assert len(list(copied.folder.segments())) == 1, "no unit's clock is there yet"
        self.lay(copied, "20261224T000000.000Z-L01", began_at="2026-12-24T00:00:00.000Z")
        copied.turns(700)
        assert len(list(copied.folder.segments())) == 1, "by a unit's clock it is not over"
        self.lay(copied, "20270201T000000.000Z-L01")
        copied.turns(700)
        assert list(copied.folder.segments()) == []

    def test_it_stays_while_a_copy_of_its_day_is_there(self, copied: IndexDesk) -> None:
        until = rfc3339(self.ends_ns(copied))
        self.lay(copied, "20261124T030100.000Z-L01", until=until, look_at=until)
        self.later(copied, 61)
        self.lay(copied, "20270201T000000.000Z-L01")
        copied.turns(700)
        assert len(list(copied.folder.segments())) == 1

    def test_a_held_copy_does_not_keep_it(self, copied: IndexDesk) -> None:
        until_ns = self.ends_ns(copied)
        look = rfc3339(until_ns + 10 * DAY)
        self.lay(copied, "20261124T030100.000Z-L01", until=rfc3339(until_ns), look_at=look)
        self.later(copied, 61)
        self.lay(copied, "20270201T000000.000Z-L01")
        copied.turns(700)
        assert list(copied.folder.segments()) == []

    def test_nothing_goes_early(self, copied: IndexDesk) -> None:
        self.lay(copied, "20270201T000000.000Z-L01")
        copied.clock.advance(parse_rfc3339("2026-12-20T00:00:00Z") - copied.clock.utc_ns())
        copied.turns(700)
        assert copied.differences() == set()

    @pytest.mark.parametrize("epoch", ["1969-12-31", "overflow-1.1969-12-31"])
    def test_a_day_before_all_clocks_ends_no_service(self, copied: IndexDesk, epoch: str) -> None:
        """A unit signs whatever list it likes, and its folder is in every later search for what has expired."""
        name = f"{epoch}/2026-11-24-001.age"
        assert not indexhead.is_segment(name)
        copied.folder.put(name, b"of an earlier version's list")
        self.later(copied, 61)
        self.lay(copied, "20270201T000000.000Z-L01")
        copied.turns(700)
        assert list(copied.folder.segments()) == []
