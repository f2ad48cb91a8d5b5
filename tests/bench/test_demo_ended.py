# SPDX-License-Identifier: Apache-2.0
"""The demo's own check of the call ended by its staff: its output, and its refusals."""

from __future__ import annotations

import msgspec
import pytest

from linetap.config.schema import Card, Config, Keys, Line, Situation
from linetap_bench.demo.__main__ import SCRIPT
from linetap_bench.demo.ended import check_ended, ended_by_code
from linetap_bench.exchange.releasing import Released
from linetap_bench.script.script import load_script
from linetap_core.errors import Refusal
from linetap_core.records import CallRecord, EndRecord, NoticeRecord

NOTICE = NoticeRecord(id="end-abuse", started_at="2026-11-24T00:00:00.000Z", ended_at="2026-11-24T00:00:11.600Z")
END = EndRecord(
    situation="abuse", by="code", code_at="2026-11-23T23:59:59.700Z", released_at="2026-11-24T00:00:12.050Z",
    seen_by="dial_tone", notice=msgspec.structs.replace(NOTICE, proof="full"),
)  # fmt: skip
CALL = CallRecord(
    call_id="20261124T000000.000Z-L02", unit="u", line=2, disposition="recorded", ended_by="released", end=END
)
OPENED = Released(2, 1000, 2710, "released")


def test_the_demo_has_one_such_call_on_line_2() -> None:
    keys = Keys(custodians=["none"], overflow_epoch="none")
    situation = Situation(name="abuse", code="**2", notice="end-abuse", then="end")
    lines = [Line(number=2, channel=1)]
    config = Config(unit="u", keys=keys, card=[Card(channels=1)], line=lines, situation=[situation])
    assert ended_by_code(load_script(SCRIPT), config) == [2]


def test_it_says_how_the_call_was_ended() -> None:
    (said,) = check_ended([2], [CALL], [OPENED])
    assert "heard (full); 0.45 s after its end the card opened the loop, for 1.71 s" in said
    assert said.endswith("the exchange ended the call, and dial tone came.")


def test_a_call_that_staff_had_to_hang_up_is_not_let_pass() -> None:
    by_hand = msgspec.structs.replace(CALL, ended_by="staff_after_notice")
    with pytest.raises(Refusal, match=r"line 2: \S+ ended by staff_after_notice; openings that the exchange saw: none"):
        check_ended([2], [by_hand], [])
    with pytest.raises(Refusal, match="openings that the exchange saw: held"):
        check_ended([2], [CALL], [msgspec.structs.replace(OPENED, outcome="held")])
    unseen = msgspec.structs.replace(CALL, end=msgspec.structs.replace(END, seen_by="idle_voltage"))
    with pytest.raises(Refusal, match="not seen to be free: idle_voltage"):
        check_ended([2], [unseen], [OPENED])
    with pytest.raises(Refusal, match="no call was ended by its code"):
        check_ended([2], [], [])


def test_an_opening_that_nobody_asked_for_is_not_let_pass() -> None:
    with pytest.raises(Refusal, match="line 5: its loop was opened"):
        check_ended([2], [CALL], [OPENED, Released(5, 1000, 2700, "released")])
