# SPDX-License-Identifier: Apache-2.0
"""Outgoing calls played by the simulated exchange, each on its own line, through the recorder's detectors and call
table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from linetap.config.schema import Config, Recording
from linetap.notices import Notice, load_notices
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap_bench.day import recorder
from linetap_bench.script.callkeys import Call, CallSound
from linetap_bench.script.scriptkeys import Script
from linetap_bench.script.timing import times_of
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_core.clock import NS_PER_MS, parse_rfc3339
from linetap_core.records import CallRecord

FAR = "01023456789"


def sound(play: Any, at_s: float, **keys: Any) -> CallSound:
    return CallSound(play=play, at_s=at_s, **keys)


def ring(hz: list[float], cadence_ms: list[int], at_s: float = 1.0, **keys: Any) -> CallSound:
    return sound("tone", at_s, hz=hz, cadence_ms=cadence_ms, **keys)


def nobody(progress_s: float, **keys: Any) -> dict[str, Any]:
    """Staff waits this long after the last digit, and hangs up."""
    return {"digits": FAR, "progress_s": progress_s, "outcome": "unanswered", "ringback": False} | keys


class Told(NamedTuple):
    answer_ms: int | None
    records: list[CallRecord]

    @property
    def begun_ms(self) -> list[int]:
        starts = [notice.started_at for record in self.records for notice in record.notices if notice.started_at]
        return sorted((parse_rfc3339(at) - recorder.start_of(0)) // NS_PER_MS for at in starts)


def notices_in(factory: pytest.TempPathFactory) -> dict[str, Notice]:
    folder = factory.mktemp("notices")
    make_default_notices(folder, ANNOUNCEMENTS)
    return load_notices(folder)


LATE_MS = 3000  # a notice that begins later is late


def began_in_time(call: Told) -> None:
    """Asserts that the first notice began in time, and none before the answer."""
    assert call.answer_ms is not None
    after = [at - call.answer_ms for at in call.begun_ms]
    assert after, [record.why for record in call.records]
    assert 0 <= after[0] <= LATE_MS


def follow(wanted: dict[str, dict[str, Any]], notices: dict[str, Notice], policy: Recording) -> dict[str, Told]:
    """The results by name; at most 32 calls."""
    usual: dict[str, Any] = {"start_s": 1.0, "direction": "out"}
    calls = [Call(line=n, **(usual | keys)) for n, keys in enumerate(wanted.values(), 1)]
    lines = list(range(1, len(calls) + 1))
    voices = Voices(default_folder())
    audio, levels = recorder.rendered(Script(lines=len(calls), seed=7, call=calls), lines, voices)
    config: Config = recorder.config_of(lines, policy)
    records, _ = recorder.follow(config, audio, levels, notices, 0, {})
    return {
        name: Told(times_of(call).answer, [record for record in records if record.line == call.line])
        for name, call in zip(wanted, calls, strict=True)
    }
