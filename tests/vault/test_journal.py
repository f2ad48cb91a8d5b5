# SPDX-License-Identifier: Apache-2.0
"""The journal piece by piece: its frames, its ticks, its thread, and difficult recoveries."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journal_rig import CALL_ID, CODES, FIRST, NUMBER, OTHER_ID, NoRing, Recorder, Source, after_cut

from agereader import opened
from epoch_rig import Authority
from linetap.config.schema import Situation
from linetap.recorder.vault.journal import recovery, store
from linetap.recorder.vault.journal.opencalls import LeftOpenCalls
from linetap.recorder.vault.recordings.entries import Entry, Over, Snapshot, State, Tick, next_seam
from linetap.ring import RATE_HZ, Stretch
from linetap_core.clock import SYSTEM, ManualClock
from linetap_core.codecs import g711, mulaw
from linetap_core.durable import files
from linetap_core.evidence.calls import index, sealed
from linetap_core.evidence.keys import keys
from linetap_core.evidence.sealing import age
from linetap_core.records import Caller, CallRecord, EndRecord, Mark, NoticeRecord
from sealing_rig import run
from unit_rig import Unit

# --- frames -----------------------------------------------------------------------------------------------------


def filled(generation: int, count: int, size: int = 40) -> bytes:
    entries: list[list[Entry]] = [[Tick(CALL_ID, n, 1, bytes([n]) * size)] for n in range(count)]
    return b"".join(store.encode(generation, n, entry) for n, entry in enumerate(entries))


@settings(max_examples=300)
@given(st.data())
def test_a_frame_that_is_changed_anywhere_is_not_taken_and_all_others_are(data: st.DataObject) -> None:
    whole = filled(7, 5)
    each = len(whole) // 5
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    found, all_ = store.read_frames(bytes(changed)), store.read_frames(whole)
    assert found is not None
    assert all_ is not None
    assert found.frames == all_.frames[: at // each] + all_.frames[at // each + 1 :]


def test_an_old_frame_that_happens_to_lie_right_behind_a_new_one_is_not_taken() -> None:
    old, new = filled(7, 4), filled(9, 2)
    found = store.read_frames(new + old[len(new) :])
    assert found is not None
    assert (found.generation, len(found.frames)) == (9, 2)


def test_of_a_file_whose_first_frame_is_gone_the_newest_generation_counts() -> None:
    old, new = filled(7, 6), filled(9, 3)
    found = store.read_frames(bytes(40) + new[40:] + old[len(new) :])
    assert found is not None
    assert (found.generation, len(found.frames)) == (9, 2)


def test_of_a_frame_written_twice_the_remains_of_the_first_are_not_taken() -> None:
    """A failed write left its whole frame, and the next attempt was shorter."""
    begin, tried = filled(3, 1), store.encode(3, 1, [Over(CALL_ID), Over(OTHER_ID)])
    again = store.encode(3, 1, [Over(CALL_ID)])
    found = store.read_frames(begin + again + (begin + tried)[len(begin + again) :])
    assert found is not None
    assert found.frames[1:] == [[Over(CALL_ID)]]


def test_files_take_turns_and_the_one_before_stays_whole(tmp_path: Path) -> None:
    journal = store.Store(tmp_path / "journal", 4096)
    journal.begin([Snapshot()])
    for number in range(100):
        entries: list[Entry] = [Tick(CALL_ID, number, 1, bytes(100))]
        if not journal.append(entries):
            journal.begin([Snapshot(), *entries])
        found = [
            entry.first
            for run_ in store.read(tmp_path / "journal")
            for frame in run_.frames
            for entry in frame
            if isinstance(entry, Tick)
        ]
        assert found == list(range(number + 1 - len(found), number + 1))
        assert len(found) >= min(number + 1, 4096 // 220)
    assert {path.stat().st_size for path in (tmp_path / "journal").iterdir()} == {4096}


def test_seams_are_where_chunks_end() -> None:
    writer, taken, seams = age.AgeWriter([keys.new_identity().recipient]), 0, []
    writer.write(mulaw.HEADER)
    while taken < 300_000:
        taken += 1
        if writer.write(b"x"):  # one more sample completes a chunk
            seams.append(taken - 1)
    assert seams == [next_seam(0), next_seam(next_seam(0)), next_seam(150_000), next_seam(200_000)]


# --- ticks -------------------------------------------------------------------------------------------------------


def test_files_of_a_series_open_with_stock_age_and_share_no_keystream(tmp_path: Path) -> None:
    identity = keys.new_identity()
    (tmp_path / "key").write_text(keys.identity_file(identity, "2026-11-24T00:00:00Z"))
    series = age.AgeSeries([identity.recipient])
    tails = set()
    for size in (1, 2000, age.CHUNK_BYTES):
        for _ in range(3):
            data = series.seal(bytes(size))
            tails.add(data[age.payload_offset(data) :])
            assert run(["age", "-d", "-i", str(tmp_path / "key")], stdin=data).stdout == bytes(size)
            assert pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(identity.secret)]) == bytes(size)
            assert opened(data, identity.secret) == (bytes(size), True)
    assert len(tails) == 9
    for size in (0, age.CHUNK_BYTES + 1):
        with pytest.raises(ValueError, match="of a series"):
            series.seal(bytes(size))


def test_nothing_personal_and_no_audio_is_in_the_clear(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.note(dialled="0212345678", smdr="0212345678 ...")
    recorder.talk(2)
    raw = b"".join(path.read_bytes().rstrip(b"\0") for path in sorted(recorder.journal.folder.iterdir()))
    assert CALL_ID.encode() in raw
    assert NUMBER.encode() not in raw
    assert b"0212345678" not in raw
    assert not any(CODES[FIRST + at : FIRST + at + 12].tobytes() in raw for at in range(0, 16_000, 4))


# --- recoveries -------------------------------------------------------------------------------------------------


def test_chunks_and_ticks_join_and_open_with_stock_age_alone(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(10)
    assert recorder.vault.step()
    recorder.talk(21.75, begin=10)
    assert recorder.vault.step()
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert again.heard() == CODES[FIRST : FIRST + 174_000].tobytes()
    assert record.ended_by == "power"
    assert record.ended_at == "2026-11-24T22:56:21.873Z"
    assert record.duration_s == 21.75
    assert record.audio is not None
    assert [(gap.at_s, gap.ms, gap.cause) for gap in record.audio.gaps] == [
        (21.75, 20.0, "power")
    ]  # by this clock no time has passed
    assert record.retention is not None
    assert again.events() == ["ended", "sealed"]


def test_the_last_word_of_the_call_is_what_is_sealed_with_it(unit: Unit) -> None:
    clock = ManualClock(sealed.call_ns(CALL_ID))
    recorder = Recorder(unit, clock=clock)
    recorder.begin()
    recorder.talk(1)
    recorder.note(dialled="7777")
    clock.advance(1_000_000_000)
    recorder.talk(2, begin=1)
    again = after_cut(recorder)
    assert again.vault.step()
    again.record()
    again.heard()
    opened_meta = run(["age", "-d", "-i", f"{unit.folder}/call.key", str(again.folder() / sealed.META)])
    meta = json.loads(opened_meta.stdout)
    assert (meta["dialled"], meta["caller"]["number"]) == ("7777", NUMBER)


def test_a_call_before_its_gate_has_a_record_and_no_audio(unit: Unit) -> None:
    recorder = Recorder(unit)
    assert recorder.vault.step()
    recorder.note(disposition="missed", answered_at=None)
    recorder.note(OTHER_ID, 2, disposition="missed")
    recorder.journal.step()
    again = after_cut(recorder)
    assert again.vault.step()
    assert [again.record(call_id).disposition for call_id in (CALL_ID, OTHER_ID)] == ["missed", "discarded"]
    assert {again.record(call_id).why for call_id in (CALL_ID, OTHER_ID)} == {"power"}
    assert again.events() == ["missed", "sealed", "ended", "sealed"]


def test_a_call_cut_off_in_its_notice_does_not_end_before_that_began(unit: Unit) -> None:
    """Its length is unknown: only the known part counts."""
    recorder = Recorder(unit)
    assert recorder.vault.step()
    notice = NoticeRecord(id="ko", started_at="2026-11-24T22:56:00.658Z")
    recorder.note(answered_at="2026-11-24T22:56:00.123Z", notices=[notice])
    recorder.journal.step()
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert record.ended_by == "power"
    assert (record.ended_at or "") >= notice.started_at
    assert (record.duration_s or 0) >= 0.535


def test_a_call_that_was_over_is_not_said_to_have_been_cut_off(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(3)
    record = CallRecord(
        call_id=CALL_ID, unit="floor-03", line=1, ended_by="on_hook", ended_at="2026-11-24T22:56:03.123Z",
        duration_s=3.0,
    )  # fmt: skip
    recorder.vault.close(CALL_ID, FIRST + 3 * RATE_HZ, record)
    recorder.journal.step()
    again = after_cut(recorder)
    assert again.vault.step()
    told = again.record()
    assert (told.ended_by, told.ended_at, told.recovered) == ("on_hook", "2026-11-24T22:56:03.123Z", True)
    assert told.audio is not None
    assert (told.audio.samples, told.audio.gaps) == (3 * RATE_HZ, [])


def test_a_call_that_is_sealed_and_destroyed_does_not_come_back(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.vault.close(CALL_ID, FIRST + 4000, CallRecord(call_id=CALL_ID, unit="floor-03", line=1))
    assert recorder.vault.step()
    recorder.journal.step()
    for path in recorder.folder().iterdir():
        path.unlink()
    again = after_cut(recorder)
    assert again.vault.step()
    assert list(again.folder().iterdir()) == []


def test_what_neither_chunk_nor_journal_holds_any_more_is_a_gap(unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vault's disk has accepted nothing for longer than the journal is long."""
    monkeypatch.setattr(store, "SHARE_BYTES", 100_000)
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(40)
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert record.audio is not None
    assert record.audio.samples == 40 * RATE_HZ
    lost, last = record.audio.gaps
    assert (lost.at_s, lost.cause, last.at_s) == (0.0, "power", 40.0)
    samples = round(lost.ms * 8)
    assert 5 * RATE_HZ < 40 * RATE_HZ - samples < 25 * RATE_HZ
    assert again.heard() == bytes([g711.SILENCE]) * samples + CODES[FIRST + samples : FIRST + 40 * RATE_HZ].tobytes()


def test_a_disk_that_takes_nothing_is_asked_again_and_no_new_call_is_taken_meanwhile(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(5)
    again = after_cut(recorder)
    with monkeypatch.context() as broken:
        broken.setattr(files, "sync_file_system", _fails)
        assert not again.vault.step()
        again.vault.open(OTHER_ID, 2, FIRST)
        assert not again.vault.step()
    assert again.vault.refused() == "disk_error"
    assert again.vault.step()
    assert again.vault.refused() is None
    assert again.heard() == CODES[FIRST : FIRST + 5 * RATE_HZ].tobytes()
    assert again.folder(OTHER_ID).exists()


def _fails(path: Path) -> None:
    raise OSError(5, "Input/output error", str(path))


def test_a_recorder_killed_while_it_recovers_leaves_the_rest_to_the_next(
    unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.begin(OTHER_ID, 2)
    recorder.talk(3)
    recorder.talk(3, OTHER_ID)
    killed = after_cut(recorder)
    with monkeypatch.context() as death:
        death.setattr(recovery.Recovery, "seal", _dies)
        with pytest.raises(KeyboardInterrupt):
            killed.vault.step()
    again = Recorder(unit, NoRing())  # RAM as left by the killed one
    assert again.vault.step()
    for call_id in (CALL_ID, OTHER_ID):
        assert again.record(call_id).ended_by == "power"
        assert again.heard(call_id) == CODES[FIRST : FIRST + 3 * RATE_HZ].tobytes()


def _dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_damaged_call_is_left_as_it_is_and_the_others_are_sealed(
    unit: Unit, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.begin(OTHER_ID, 2)
    recorder.talk(20)
    recorder.talk(3, OTHER_ID)
    assert recorder.vault.step()
    (recorder.folder() / "audio.001.age").rename(recorder.folder() / "audio.002.age")
    again = after_cut(recorder)
    assert again.vault.step()
    assert "vault_damaged" in caplog.text
    assert sorted(path.name for path in again.folder().iterdir()) == ["audio.002.age", "key.age", "open.journal"]
    assert again.record(OTHER_ID).ended_by == "power"


def test_a_gap_is_in_the_journal_before_its_silence_is_on_disk(unit: Unit) -> None:
    """The vault's thread was too late for audio still in the journal, and power fails right after its chunk."""
    ring = Forgetful()
    recorder = Recorder(unit, ring)
    recorder.begin()
    recorder.talk(20)
    ring.oldest = FIRST + 12_000
    assert recorder.vault.step()
    again = after_cut(recorder)
    assert again.vault.step()
    audio = again.record().audio
    assert audio is not None
    assert [(gap.at_s, gap.ms, gap.cause) for gap in audio.gaps[:1]] == [(0.0, 1500.0, "ring_overtaken")]
    silence = bytes([g711.SILENCE]) * 12_000
    assert again.heard() == silence + CODES[FIRST + 12_000 : FIRST + 20 * RATE_HZ].tobytes()


class Forgetful(Source):
    """A ring that has been overwritten up to `oldest`."""

    oldest = 0

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        found = super().stretch(line, first, end)
        lost = min(max(self.oldest - first, 0), end - first)
        found.samples[:lost] = 0
        return Stretch(found.samples, [(first, lost, "ring_overtaken")] if lost else [])


def test_audio_without_its_key_is_put_away_as_it_is(unit: Unit, caplog: pytest.LogCaptureFixture) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(20)
    assert recorder.vault.step()
    (recorder.folder() / sealed.KEY).unlink()
    again = after_cut(recorder)
    assert again.vault.step()
    assert "no one can open the audio" in caplog.text
    assert [path.name for path in (again.vault_path / "unopenable" / CALL_ID).iterdir()] == ["audio.001.age"]
    assert sorted(path.name for path in again.folder().iterdir()) == ["record.json", "record.json.sig"]


def test_a_recorder_that_was_killed_goes_on_and_the_journal_begins_anew(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(10)
    assert recorder.vault.step()
    second = Recorder(unit)
    assert second.vault.step()
    assert not (second.folder() / sealed.RECORD).exists()
    second.talk(12, begin=10)
    third = after_cut(second)
    assert third.vault.step()
    assert third.heard() == CODES[FIRST : FIRST + 12 * RATE_HZ].tobytes()
    assert third.record().direction == "in"  # from the first one's journal; it was not reported to the second


# --- its own thread ---------------------------------------------------------------------------------------------


class Bell(Source):
    """Signals each fetch of the journal."""

    def __init__(self) -> None:
        self.rung = threading.Semaphore(0)

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        self.rung.release()
        return super().stretch(line, first, end)


def test_the_thread_comes_by_itself_and_once_more_at_the_end(unit: Unit) -> None:
    bell = Bell()
    recorder = Recorder(unit, bell, SYSTEM)
    recorder.begin()
    recorder.journal.start()
    for quarter in (1, 2, 3):
        recorder.vault.permit(CALL_ID, FIRST + quarter * 1000)
        assert bell.rung.acquire(timeout=120)
    recorder.vault.permit(CALL_ID, FIRST + 5000)
    recorder.journal.stop(30)
    again = after_cut(recorder)
    assert again.vault.step()
    assert again.heard() == CODES[FIRST : FIRST + 5000].tobytes()


def test_a_journal_that_cannot_be_written_is_told_of_once_and_catches_up(
    unit: Unit, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(1)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", _fails)
        recorder.talk(6, begin=1)
    assert recorder.journal.trouble is not None
    assert caplog.text.count("journal_failed") == 1
    recorder.talk(7, begin=6)
    assert recorder.journal.trouble is None
    again = after_cut(recorder)
    assert again.vault.step()
    assert again.heard() == CODES[FIRST : FIRST + 7 * RATE_HZ].tobytes()


def test_snapshots_name_every_open_call_and_no_other() -> None:
    state = State(CALL_ID, CallRecord(call_id=CALL_ID, unit="u", line=1), 0, 0)
    other = State(OTHER_ID, CallRecord(call_id=OTHER_ID, unit="u", line=2), 0, 0)
    old = store.Run(1, [[Snapshot(), state], [Tick(CALL_ID, 0, 5, b"a"), Tick(CALL_ID, 5, 5, b"b")], [other]])
    new = store.Run(2, [[Snapshot(), state, Tick(CALL_ID, 5, 7, b"c")]])
    (found,) = LeftOpenCalls(Path("/nowhere"), "u", [old, new]).calls()
    assert [(t.first, t.sealed) for t in recovery.following(found.ticks, 0)] == [(0, b"a"), (5, b"c")]
    assert [t.first for t in recovery.following(found.ticks, 3)] == [5]


def test_where_a_restarted_recorder_had_written_some_ticks_anew_the_old_ones_close_the_hole() -> None:
    """They end elsewhere, and power failed before the new ones had reached that point."""
    old = [Tick(CALL_ID, first, 10, b"old") for first in range(0, 60, 10)]
    new = [Tick(CALL_ID, 0, 25, b"new")]
    found = list(recovery.following([*old, *new], 0))
    assert [(tick.first, tick.sealed) for tick in found] == [(first, b"old") for first in range(0, 60, 10)]
    later = [*new, Tick(CALL_ID, 25, 40, b"new")]
    assert [tick.sealed for tick in recovery.following([*old, *later], 0)] == [b"new", b"new"]
    assert [tick.first for tick in recovery.following([*old[:2], *old[4:], *new], 0)] == [0, 40, 50]
    assert list(recovery.following([], 7)) == []


def indexed(unit: Unit, identity: Path) -> list[index.Entry]:
    """The entries in the index, opened by the key's holder with stock age, each segment separately."""
    found = []
    for path in sorted((unit.config.vault_path / index.FOLDER).rglob("*.age")):
        done = run(["age", "-d", "-i", str(identity), str(path)])
        assert done.returncode == 0, path
        found += index.decode(done.stdout)
    return found


def test_a_call_that_a_power_cut_has_ended_is_found_by_its_number(unit: Unit, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.publish(authority.make("2027-01-01", 60))
    unit = replace(unit, config=authority.commissioned(unit.config), epoch=authority.identity("2027-01-24"))
    clock = ManualClock(sealed.call_ns(CALL_ID))
    recorder = Recorder(unit, clock=clock)
    recorder.begin()
    recorder.note(direction="out", dialled="0212345678", caller=None)  # known a second later
    recorder.note(OTHER_ID, 2)  # never passes its gate
    clock.advance(1_000_000_000)
    recorder.talk(2)
    again = after_cut(recorder)
    assert again.vault.step()
    assert again.record().recovered
    (entry,) = indexed(unit, authority.identity("2027-01-24.index"))
    assert (entry.call_id, entry.number, entry.direction) == (CALL_ID, "0212345678", "out")


def test_a_call_that_was_sealed_and_not_told_of_yet_is_in_the_index_after_a_power_cut(unit: Unit) -> None:
    """Its record is there and the journal does not know it: its entry is in the index, once or twice."""
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(1)
    journal = [path.read_bytes() for path in sorted(recorder.journal.folder.iterdir())]
    record = CallRecord(call_id=CALL_ID, unit="floor-03", line=1, direction="in", caller=Caller(number=NUMBER))
    recorder.vault.close(CALL_ID, FIRST + RATE_HZ, msgspec.structs.replace(record, ended_at="2026-11-24T22:56:01.123Z"))
    assert recorder.vault.step()
    for path, data in zip(sorted(recorder.journal.folder.iterdir()), journal, strict=True):
        path.write_bytes(data)
    for path in (unit.config.vault_path / index.FOLDER).rglob("*.age"):
        path.unlink()
    again = after_cut(recorder)
    assert again.vault.step()
    assert [(entry.call_id, entry.number) for entry in indexed(unit, unit.epoch)] == [(CALL_ID, NUMBER)]


def test_a_marked_call_after_a_power_cut_says_that_its_class_is_pending(unit: Unit, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.publish(authority.make("2027-01-01", 60))
    unit = replace(unit, config=authority.commissioned(unit.config), epoch=authority.identity("2027-01-24"))
    clock = ManualClock(sealed.call_ns(CALL_ID))
    recorder = Recorder(unit, clock=clock)
    recorder.begin()
    recorder.note(marks=[Mark(0.5, "abuse")])
    clock.advance(1_000_000_000)
    recorder.talk(2)
    (recorder.folder() / sealed.NEXT_KEY).write_bytes(b"of an ending that the power cut short")
    again = after_cut(recorder)
    assert again.vault.step()
    said = again.record().retention
    assert said is not None
    assert (said.class_, said.epoch, said.class_pending) == ("marked", "2027-01-24", True)
    assert len(again.heard()) == 2 * RATE_HZ


def test_a_power_cut_in_the_middle_of_an_end_keeps_what_was_done_of_it(unit: Unit, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.publish(authority.make("2027-01-01", 60))
    config = msgspec.structs.replace(
        authority.commissioned(unit.config),
        situation=[Situation(name="threat", code="**4", notice="ko", retention="marked")],
    )
    unit = replace(unit, config=config, epoch=authority.identity("2027-01-24"))
    clock = ManualClock(sealed.call_ns(CALL_ID))
    recorder = Recorder(unit, clock=clock)
    recorder.begin()
    at = "2026-11-24T22:56:01.000Z"
    end = EndRecord(situation="threat", by="time", code_at=at, notice=NoticeRecord(id="ko", started_at=at))
    recorder.note(end=end)
    clock.advance(1_000_000_000)
    recorder.talk(2)
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert (record.ended_by, record.end) == ("power", end)
    assert record.retention is not None
    assert record.retention.class_ == "marked"
