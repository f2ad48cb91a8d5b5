# SPDX-License-Identifier: Apache-2.0
"""The longest time of a call: warned before it, ended at it, extended by staff, postponed if a rule forbids it.

Answer at 1.5 s, warning 6 s and end 12 s after it, 6 s more each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from ending_rig import at, ending_config, frame_of, incoming, kinds, of, only, outgoing, recording
from sounds import NEAR_DBM0, digits, frames

from linetap.config.schema import Config, Ending
from linetap.recorder.calls import endrules
from linetap_bench.sounds.synth import DTMF_COLUMNS_HZ, DTMF_KEYS, DTMF_ROWS_HZ, Tones
from linetap_core.records import EndRecord

TIMES = Ending(warn_s=6, end_s=12, extend_s=6, extend_most=2)
WARNED, ENDED = 7.5, 13.5


@pytest.fixture
def config(tmp_path: Path, run_dir: Path) -> Config:
    return ending_config(tmp_path, run_dir, ending=TIMES)


def test_a_call_is_warned_and_then_ended(config: Config) -> None:
    story = incoming(config)
    kept = story.tell(10)
    record = only(kept)
    assert isinstance(record.end, EndRecord)
    assert (record.end.situation, record.end.by, record.end.code_at) == ("overlong", "time", at(ENDED))
    assert (record.ended_by, kinds(record), record.marks[0].kind) == ("released", ["warned"], "warned")
    assert story.asked == ["ko", "warn-overlong", "end-overlong"]
    (warned,) = of(kept, "warned")
    assert (warned.situation, warned.notice, warned.proof) == ("overlong", "warn-overlong", "full")
    assert record.retention is not None
    assert record.retention.class_ == "marked"


def test_by_default_there_is_no_longest_time(config: Config) -> None:
    story = incoming(msgspec.structs.replace(config, ending=Ending()), end_s=18)
    assert (only(story.tell(10)).end, story.asked) == (msgspec.UNSET, ["ko"])


def test_a_warning_alone_ends_nothing(config: Config) -> None:
    story = incoming(msgspec.structs.replace(config, ending=Ending(warn_s=6)), end_s=18)
    record = only(story.tell(10))
    assert (record.end, kinds(record), record.ended_by) == (msgspec.UNSET, ["warned"], "on_hook")


@pytest.mark.parametrize("dialled_s", [5.0, 10.5])
def test_staff_give_more_time_and_the_warning_comes_again(config: Config, dialled_s: float) -> None:
    story = incoming(config, seconds=28).sound(dialled_s, digits("**0"))
    record = only(story.tell(10))
    assert isinstance(record.end, EndRecord)
    assert record.end.code_at == at(ENDED + TIMES.extend_s)
    again = ["warned", "extended", "warned"] if dialled_s > WARNED else ["extended", "warned"]
    assert kinds(record) == again


def test_more_time_is_given_so_often_and_no_more(config: Config) -> None:
    story = incoming(msgspec.structs.replace(config, ending=msgspec.structs.replace(TIMES, extend_most=1)), seconds=28)
    kept = story.sound(4.5, digits("**0")).sound(10.5, digits("**0")).tell(10)
    record = only(kept)
    assert isinstance(record.end, EndRecord)
    assert record.end.code_at == at(ENDED + TIMES.extend_s)
    assert [event.why for event in of(kept, "end_refused")] == ["no_more_time"]
    assert len(list(of(kept, "extended"))) == 1


def test_the_code_for_more_time_stops_an_end_that_has_begun(config: Config) -> None:
    story = incoming(config, seconds=30).sound(14.6, digits("**0"))
    record = only(story.tell(10))
    assert kinds(record) == ["warned", "end_cancelled", "extended", "warned"]
    assert isinstance(record.end, EndRecord)
    warned_again = 14.6 + 0.38
    assert frame_of(record.end.code_at) > warned_again + TIMES.end_s - TIMES.warn_s, "from the new warning on"
    assert len(story.released) == 1


def test_an_end_that_staff_have_stopped_does_not_come_back_by_itself(config: Config) -> None:
    story = incoming(config, end_s=28, seconds=31).sound(14.6, digits("5"))
    record = only(story.tell(10))
    assert (record.end, kinds(record)) == (msgspec.UNSET, ["warned", "end_cancelled"])


def test_without_a_warning_that_was_heard_there_is_no_end(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is postponed and reported; after the warning was heard, the whole time between warning and end
    still passes.
    """
    monkeypatch.setattr(endrules, "PUT_OFF_S", 3)
    story = incoming(config, seconds=34).until(6)
    story.card.return_nothing()
    story.until(14)
    story.card._deaf = set()
    kept = story.tell(10)
    record = only(kept)
    refused, (warned,) = list(of(kept, "end_refused")), of(kept, "warned")
    assert {event.why for event in refused} == {"notice_not_heard"}
    assert len(refused) == 2
    assert isinstance(record.end, EndRecord)
    heard = [asked for asked, notice in story.contact.asked if notice == "warn-overlong"][-1] / 8000
    assert frame_of(record.end.code_at) == pytest.approx(heard - 0.2 + TIMES.end_s - TIMES.warn_s, abs=0.01)
    assert frame_of(warned.at) > heard


def test_a_warning_that_is_never_heard_is_tried_five_times(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endrules, "PUT_OFF_S", 1)
    story = incoming(config, end_s=34, seconds=36).until(6)
    story.card.return_nothing()
    kept = story.tell(10)
    assert (len(list(of(kept, "end_refused"))), only(kept).end) == (5, msgspec.UNSET)


@pytest.mark.parametrize(("number", "changes", "why"), [
    ("119", {"record_emergency": True}, "emergency"), ("2345", {"record_internal": True}, "internal"),
])  # fmt: skip
def test_an_emergency_or_internal_call_may_last(
    config: Config, number: str, changes: dict[str, bool], why: str
) -> None:
    story = outgoing(recording(config, **changes), end_s=30, seconds=33, number=number)
    kept = story.tell(10)
    assert [event.why for event in of(kept, "end_refused")] == [why]
    assert (only(kept).end, story.asked) == (msgspec.UNSET, ["ko"])


def test_the_time_counts_from_the_answer_over_a_record_that_was_sealed(config: Config) -> None:
    story = incoming(recording(config, longest_call_s=5))
    kept = story.tell(10)
    ended = [record for record in kept.records if isinstance(record.end, EndRecord)]
    assert len(ended) == 1
    assert isinstance(ended[0].end, EndRecord)
    assert ended[0].end.code_at == at(ENDED)
    assert ended[0].continues is not None


def doubtful(text: str) -> npt.NDArray[Any]:
    """Keys each of which may be another telephone's, by pitch or by twist, although their mean is this one's."""
    off = [(1.002, 1.0, 0.0), (1.0, 1.002, 0.0), (1.0, 1.0, 3.0)]  # row, column, and row above column in dB
    parts = []
    for key, (row, column, above) in zip(text, off, strict=True):
        at = divmod(DTMF_KEYS.index(key), 4)
        tones = [
            (DTMF_ROWS_HZ[at[0]] * row, NEAR_DBM0 + above / 2), (DTMF_COLUMNS_HZ[at[1]] * column, NEAR_DBM0 - above / 2)
        ]  # fmt: skip
        parts += [Tones(tones, frames(0.09)).render(0, frames(0.09)), np.zeros(frames(0.1))]
    return np.concatenate(parts)


OUT_ENDED = 20.0  # end of a call that is answered at 8 s


@pytest.mark.parametrize("code", ["**0", "**9"])
def test_a_code_of_doubtful_keys_stops_an_end_that_has_begun(config: Config, code: str) -> None:
    """Their telephone is learnt from the number that it has dialled."""
    story = outgoing(config, end_s=44, seconds=47).sound(OUT_ENDED + 0.7, doubtful(code))
    kept = story.on_hook(30, 47).tell(10) if code == "**9" else story.tell(10)
    record = only(kept)
    said = ["extended", "warned"] if code == "**0" else ["abuse"]
    assert kinds(record) == ["warned", "end_cancelled", *said]
    if code == "**0":
        assert isinstance(record.end, EndRecord)
        assert frame_of(record.end.code_at) > OUT_ENDED + TIMES.extend_s
    else:
        assert record.end == msgspec.UNSET
    assert len(story.released) == (1 if code == "**0" else 0)


def test_doubtful_keys_one_by_one_stop_nothing(config: Config) -> None:
    story = outgoing(config, seconds=30).sound(OUT_ENDED + 0.7, doubtful("**7"))
    record = only(story.tell(10))
    assert (kinds(record), record.ended_by) == (["warned"], "released")


def test_where_staff_are_not_known_no_time_ends_a_call(config: Config) -> None:
    """Nobody could stop or postpone that end: staff's keys and the caller's are indistinguishable."""
    story = incoming(config, end_s=24, seconds=27).sound(14.6, digits("**0"))
    story.recorder.update_learned({})
    kept = story.tell(10)
    assert [event.why for event in of(kept, "end_refused")] == ["staff_unknown"]
    assert (only(kept).end, story.asked, story.released) == (msgspec.UNSET, ["ko"], [])


def test_where_staff_are_not_known_a_warning_alone_is_played(config: Config) -> None:
    story = incoming(msgspec.structs.replace(config, ending=Ending(warn_s=6)), end_s=18)
    story.recorder.update_learned({})
    assert kinds(only(story.tell(10))) == ["warned"]
