# SPDX-License-Identifier: Apache-2.0
"""Calls left open by a power cut are found in any remaining source, sealed once, and state their losses."""

from __future__ import annotations

import json

import pytest
from journal_rig import CALL_ID, CODES, FIRST, NUMBER, OTHER_ID, Recorder, after_cut

from linetap.recorder.calls.ports import final_snapshot
from linetap.recorder.vault.journal import store
from linetap.recorder.vault.journal.missingaudio import BACK_MS, Start, chunk_ms, missing_behind, missing_since
from linetap.recorder.vault.recordings.entries import Beat, next_seam
from linetap.ring import RATE_HZ
from linetap_core.clock import NS_PER_MS, NS_PER_S, ManualClock
from linetap_core.codecs.registry import MULAW
from linetap_core.durable import broken
from linetap_core.evidence.calls import sealed
from linetap_core.evidence.signing import signers
from linetap_core.records import CallEvent, CallRecord
from linetap_desk.vaultproofs.verifyvault import verify_vault
from sealing_rig import run
from unit_rig import Unit

CHUNKS = next_seam(next_seam(0))  # samples of two whole chunks
UTC = 1_800_000_000 * NS_PER_S


def in_a_call(unit: Unit, clock: ManualClock | None = None) -> Recorder:
    """Twenty seconds of a call; two whole chunks are in its folder."""
    recorder = Recorder(unit, clock=clock)
    recorder.begin()
    recorder.talk(20)
    assert [recorder.vault.step() for _ in range(2)] == [True, True]  # a fetch has eight seconds
    return recorder


def zero_journals(recorder: Recorder) -> None:
    for name in store.NAMES:
        path = recorder.vault_path / "journal" / name
        path.write_bytes(bytes(path.stat().st_size))


def meta(recorder: Recorder) -> dict[str, object]:
    recorder.heard()
    key = f"{recorder.unit.folder}/call.key"
    found: dict[str, object] = json.loads(run(["age", "-d", "-i", key, str(recorder.folder() / sealed.META)]).stdout)
    return found


# --- the remaining sources ---------------------------------------------------------------------------------------


def test_with_both_journal_halves_zeroed_a_call_is_sealed_by_what_lies_in_its_folder(unit: Unit) -> None:
    recorder = in_a_call(unit)
    zero_journals(recorder)
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert again.heard() == CODES[FIRST : FIRST + CHUNKS].tobytes()
    assert (record.ended_by, record.direction, record.recovered) == ("power", "in", True)
    assert NUMBER in str(meta(again)["caller"])
    assert again.events() == ["ended", "sealed"]
    assert not (again.folder() / sealed.OPEN).exists()


@pytest.mark.parametrize("journal", ["there", "zeroed"])
def test_audio_whose_key_is_gone_has_a_record_that_states_it(unit: Unit, journal: str) -> None:
    """The disk has lost key.age. Nobody can open the audio, which stays; the call is sealed and reported, once."""
    recorder = in_a_call(unit)
    if journal == "zeroed":
        zero_journals(recorder)
    (recorder.folder() / sealed.KEY).unlink()
    parts = {path.name: path.read_bytes() for path in recorder.folder().glob("audio*")}
    assert parts
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert (record.disposition, record.why, record.files, record.recovered) == ("discarded", "key_lost", {}, True)
    assert record.audio is not None
    assert record.audio.gaps[0].ms >= CHUNKS * 1000 / RATE_HZ
    put_away = again.vault_path / "unopenable" / CALL_ID
    assert {path.name: len(path.read_bytes()) for path in put_away.iterdir()}.keys() == parts.keys()
    assert again.events() == ["ended", "sealed"]
    assert any(name.endswith(f"/{sealed.KEY}") for name in broken.names())
    again.vault.vault.log.publish()
    allowed = signers.parse(unit.signers.read_text())
    problems = [each for verdict in verify_vault(again.vault_path, allowed) for each in verdict.problems]
    assert {each.code for each in problems} <= {"outbox_event"}, "whose key this rig does not name"
    assert after_cut(again).vault.step()
    assert again.events() == ["ended", "sealed"]


def test_a_gate_that_the_journal_never_heard_of_is_known_by_the_folder(unit: Unit) -> None:
    """The recorder was killed, or the journal could not be written, between the gate and the journal's next entry."""
    recorder = Recorder(unit)
    recorder.vault.step()
    recorder.note()
    recorder.journal.step()
    recorder.vault.open(CALL_ID, 1, FIRST)
    assert recorder.vault.step()
    recorder.vault.permit(CALL_ID, FIRST + 20 * RATE_HZ)
    assert [recorder.vault.step() for _ in range(2)] == [True, True]
    again = after_cut(recorder)
    assert again.vault.step()
    assert again.record().disposition == "recorded"
    assert again.heard() == CODES[FIRST : FIRST + CHUNKS].tobytes()


def test_a_folder_of_a_version_that_laid_no_word_into_it_is_sealed_without_numbers(unit: Unit) -> None:
    recorder = in_a_call(unit)
    zero_journals(recorder)
    (recorder.folder() / sealed.OPEN).unlink()
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert sealed.META not in record.files
    assert record.audio is not None
    assert [(gap.ms, gap.unbounded) for gap in record.audio.gaps] == [(chunk_ms(MULAW) + BACK_MS, True)]
    assert again.heard() == CODES[FIRST : FIRST + CHUNKS].tobytes()


def test_a_call_of_which_the_outbox_alone_knows_has_a_record_and_an_end(unit: Unit) -> None:
    """The cut came between the event and the journal's next entry."""
    recorder = Recorder(unit)
    recorder.vault.step()
    at = "2026-11-24T22:56:00.123Z"
    recorder.vault.report(CallEvent(seq=0, event="started", at=at, unit="", call_id=CALL_ID, line=1, direction="out"))
    recorder.vault.report(CallEvent(seq=0, event="answered", at="2026-11-24T22:56:05.000Z", unit="", call_id=CALL_ID))
    assert recorder.vault.step()
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert (record.line, record.direction, record.disposition, record.why) == (1, "out", "discarded", "power")
    assert again.events() == ["started", "answered", "ended", "sealed"]
    assert after_cut(again).vault.step()
    assert again.events() == ["started", "answered", "ended", "sealed"]


def test_what_was_sealed_or_destroyed_long_ago_is_not_begun_again(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.vault.step()
    for event in ("started", "ended", "sealed", "destroyed", "copied"):
        at = "2026-11-24T22:56:00.123Z"
        recorder.vault.report(CallEvent(seq=0, event=event, at=at, unit="", call_id=CALL_ID, line=1))
    recorder.vault.report(CallEvent(seq=0, event="copied", at=at, unit="", call_id=OTHER_ID, line=2))
    assert recorder.vault.step()
    again = after_cut(recorder)
    assert again.vault.step()
    assert not again.folder().exists()
    assert not again.folder(OTHER_ID).exists()


def test_a_folder_of_a_day_long_ago_is_found_by_the_scan_of_the_vault(unit: Unit) -> None:
    """The clock was in 1970 when the call began, and its journal is gone."""
    recorder = in_a_call(unit)
    zero_journals(recorder)
    for day in ("24", "25", "26", "27"):  # one more newer day than the start scans
        (recorder.vault_path / "2027/01" / day).mkdir(parents=True)
    again = after_cut(recorder)
    again.vault.start_upkeep(boot=lambda: "another", synced=lambda: False)
    for _ in range(3):
        assert again.vault.step()
    assert again.record().ended_by == "power"
    assert again.events() == ["ended", "sealed"]


def test_a_call_that_is_being_written_is_left_alone_by_that_scan(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.vault.start_upkeep(boot=lambda: "this", synced=lambda: False)
    recorder.begin()
    recorder.talk(20)
    for _ in range(3):
        assert recorder.vault.step()
    assert not (recorder.folder() / sealed.RECORD).exists()


def test_in_the_same_boot_a_folder_that_nobody_remembers_is_sealed_too(unit: Unit) -> None:
    in_a_call(unit)
    (unit.config.run_path / "calls" / f"{CALL_ID}.json").unlink()
    second = Recorder(unit)
    assert second.vault.step()
    assert second.record().ended_by == "power"
    assert second.events() == ["ended", "sealed"]


def test_a_recording_whose_call_the_checkpoint_has_lost_is_sealed_with_all_that_is_known(unit: Unit) -> None:
    in_a_call(unit)
    second = Recorder(unit)
    assert [call.call_id for call in second.vault.orphans(set())] == [CALL_ID]
    second.vault.abandon(CALL_ID)
    assert second.vault.step()
    record = second.record()
    assert second.heard() == CODES[FIRST : FIRST + 20 * RATE_HZ].tobytes()
    assert record.audio is not None
    assert [(gap.at_s, gap.cause) for gap in record.audio.gaps] == [(20.0, "power")]
    assert second.events() == ["ended", "sealed"]
    assert second.vault.orphans(set()) == []


@pytest.mark.parametrize("frame", [0, 1, 5, -1])
def test_a_frame_gone_bad_costs_what_is_in_it_and_no_call(unit: Unit, frame: int) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(6)
    path = max((recorder.vault_path / "journal").iterdir(), key=lambda each: each.read_bytes().count(b"LTJ1"))
    data = bytearray(path.read_bytes())
    starts = [at for at in range(len(data)) if data.startswith(b"LTJ1", at)]
    data[starts[frame] + 40] ^= 4
    path.write_bytes(data)
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert record.audio is not None
    kept, whole = again.heard(), CODES[FIRST : FIRST + 6 * RATE_HZ].tobytes()
    lost = [gap for gap in record.audio.gaps if gap.at_s * RATE_HZ < len(kept)]
    assert sum(gap.ms for gap in lost) <= 250
    for gap in lost:
        a, b = round(gap.at_s * RATE_HZ), round((gap.at_s + gap.ms / 1000) * RATE_HZ)
        whole = whole[:a] + b"\xff" * (b - a) + whole[b:]
    assert kept == whole[: len(kept)]
    assert len(kept) >= 5.75 * RATE_HZ


# --- its end is reported once ------------------------------------------------------------------------------------


def test_an_end_that_the_desk_was_told_is_the_end_of_the_record(unit: Unit) -> None:
    """The cut came between outbox and journal."""
    clock = ManualClock(sealed.call_ns(CALL_ID))
    recorder = in_a_call(unit, clock)
    at = "2026-11-24T22:56:21.500Z"
    told = CallEvent(seq=0, event="ended", at=at, unit="", call_id=CALL_ID, line=1, direction="in",
                     disposition="recorded", duration_s=21.377)  # fmt: skip
    recorder.vault.report(told)
    assert recorder.vault.step()
    clock.advance(30 * NS_PER_S)
    again = after_cut(recorder, clock)
    assert again.vault.step()
    record = again.record()
    assert again.events() == ["ended", "sealed"]
    assert (record.ended_at, record.duration_s, record.ended_by, record.recovered) == (at, 21.377, None, True)
    assert record.audio is not None
    assert [round(gap.ms) for gap in record.audio.gaps] == [1378]  # from 20 s on, to the reported end


def test_an_end_that_was_told_of_a_call_of_which_nothing_is_left_is_all_gap(unit: Unit) -> None:
    recorder = Recorder(unit)
    recorder.begin()
    recorder.talk(3)
    zero_journals(recorder)
    told = CallEvent(seq=0, event="ended", at="2026-11-24T22:56:03.500Z", unit="", call_id=CALL_ID, line=1,
                     disposition="recorded", duration_s=3.377)  # fmt: skip
    recorder.vault.report(told)
    assert recorder.vault.step()
    again = after_cut(recorder)
    assert again.vault.step()
    record = again.record()
    assert record.disposition == "recorded"
    assert record.audio is not None
    assert (record.audio.samples, [gap.ms for gap in record.audio.gaps]) == (0, [3377.0])
    assert again.events() == ["ended", "sealed"]


def test_an_end_that_the_journal_knows_and_nobody_was_told_is_told_once(unit: Unit) -> None:
    recorder = in_a_call(unit)
    record = CallRecord(call_id=CALL_ID, unit="floor-03", line=1, disposition="recorded",
                        ended_at="2026-11-24T22:56:20.123Z", ended_by="on_hook")  # fmt: skip
    recorder.vault.snapshot(CALL_ID, final_snapshot(record, FIRST + 20 * RATE_HZ))
    recorder.journal.step()
    again = after_cut(recorder)
    assert again.vault.step()
    assert again.record().ended_by == "on_hook"
    assert again.events() == ["ended", "sealed"]
    assert after_cut(again).vault.step()
    assert again.events() == ["ended", "sealed"]


# --- the missing time --------------------------------------------------------------------------------------------

BEAT = Beat("boot", 1000 * NS_PER_S, UTC, True, {1: (80_000, 1000 * NS_PER_S - 30 * NS_PER_MS)})


def test_in_the_same_boot_it_is_at_most_until_the_start() -> None:
    start = Start("boot", 1007 * NS_PER_S, None)
    found = missing_behind(1, 80_000 - 8 * 250, BEAT, start)
    assert not found.unbounded
    assert 250 + 7030 <= found.ms <= 250 + 7030 + 30


def test_after_another_boot_it_is_at_most_until_that_began_if_both_clocks_were_right() -> None:
    assert missing_behind(1, 80_000, BEAT, Start("next", 0, UTC + 60 * NS_PER_S)).ms == pytest.approx(60_030, abs=100)
    for start in (Start("next", 0, None), Start("next", 0, UTC - 1)):
        assert missing_behind(1, 80_000 - 800, BEAT, start) == (100 + 30 + BACK_MS, True)
    unsynced = Beat(BEAT.boot, BEAT.mono_ns, BEAT.utc_ns, False, BEAT.heads)
    assert missing_behind(1, 80_000, unsynced, Start("next", 0, UTC + 60 * NS_PER_S)).unbounded


def test_of_a_call_of_which_nothing_is_known_it_is_all_since_its_first_sign() -> None:
    start = Start("next", 5 * NS_PER_S, UTC + 60 * NS_PER_S)
    assert missing_since(UTC, 8000, start, MULAW).ms == pytest.approx(57_000, abs=100)
    assert missing_since(UTC, 8000, Start("next", 0, None), MULAW) == (chunk_ms(MULAW) + BACK_MS, True)


def test_a_recorder_dead_before_the_cut_is_in_what_is_stated(unit: Unit) -> None:
    clock = ManualClock(sealed.call_ns(CALL_ID))
    recorder = Recorder(unit, clock=clock)
    recorder.begin()
    recorder.talk(3)
    clock.advance(2740 * NS_PER_MS)  # dead, while the line continues
    again = after_cut(recorder, clock)
    assert again.vault.step()
    audio = again.record().audio
    assert audio is not None
    assert [gap.cause for gap in audio.gaps] == ["power"]
    assert 2740 <= audio.gaps[0].ms <= 2800
