# SPDX-License-Identifier: Apache-2.0
"""A compromised service reports arbitrary states, valid by type but senseless. The others continue."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import inspect

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "panel"))

from test_panel_service import Room

from linetap import checks
from linetap.capture.lineleds import _shown
from linetap.checks import Damper, Finding, Judgement, Watch, take_snapshot
from linetap.reporter.health import OutboxFigures, health
from linetap.reporter.telemetry import AlertTelemetry, LineTelemetry, pace
from linetap_core import rundir
from linetap_core.clock import NS_PER_MS
from linetap_core.durable.files import replace_in_ram
from linetap_core.records import CaptureState, RecorderState, ReporterState, ServiceState
from linetap_core.service import read_state
from linetap_core.wire.topics import Topics
from state_files import unit

KINDS: dict[str, type[ServiceState]] = {
    "capture@1": CaptureState, "recorder": RecorderState, "reporter": ReporterState,
}  # fmt: skip
INTS = (0, 1, 2, -1, 255, 1 << 31, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1)
HUGE = ("-1" + "0" * 400, str(1 << 64), str(-(1 << 63) - 1))
FLOATS = (0.0, -1.0, 3.5, 1e308, -1e308, 1e-300)
TIMES = ("2026-11-24T22:56:00.000Z", "2026-99-99T22:56:00.000Z")
TEXTS = ("", "x", "x" * 5000, "a\nb", "\u2028", "idle", "\u0663", *TIMES)


def senseless(kind: inspect.Type, dice: random.Random) -> Any:
    """A value valid for its type, as senseless as the type permits."""
    match kind:
        case inspect.UnionType(types=types):
            return senseless(dice.choice(types), dice)
        case inspect.StructType(fields=fields):
            there = [field for field in fields if field.required or dice.random() < 0.8]
            return {field.encode_name: senseless(field.type, dice) for field in there}
        case inspect.IntType(ge=least, le=most):
            return min(max(dice.choice(INTS), INTS[-2] if least is None else least), INTS[-1] if most is None else most)
        case inspect.FloatType():
            return dice.choice(FLOATS)
        case inspect.StrType():
            return dice.choice(TEXTS)
        case inspect.BoolType():
            return dice.random() < 0.5
        case inspect.LiteralType(values=values):
            return dice.choice(values)
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return [senseless(item, dice) for _ in range(dice.choice((0, 1, 3)))]
        case inspect.TupleType(item_types=items):
            return [senseless(item, dice) for item in items]
        case inspect.DictType(key_type=key, value_type=value):
            return {str(senseless(key, dice)): senseless(value, dice) for _ in range(2)}
        case inspect.NoneType():
            return None
    raise AssertionError(f"a state has a {kind}: say what is senseless there")


@pytest.mark.parametrize("seed", range(3))
def test_whatever_a_service_says_of_itself_the_others_go_on(run_dir: Path, seed: int) -> None:
    dice, room, config = random.Random(seed), Room(run_dir), unit(run_dir)
    room.pass_ms(500)
    watch, topics, damper = Watch(config, room.clock), Topics("u"), Damper(checks.CHECKS)
    lines, alerts = LineTelemetry(topics, [1, 2]), AlertTelemetry(topics, [check.id for check in checks.CHECKS])
    standing: list[Finding] = []
    taken = 0
    for _ in range(200):
        room.unit.write()
        name = dice.choice(list(KINDS))
        said = senseless(inspect.type_info(KINDS[name]), dice)
        now_ns = room.clock.monotonic_ns()
        data = msgspec.json.encode({**said, "service": name, "mono_ns": now_ns})
        replace_in_ram(rundir.make_service_folder(run_dir, name) / f"{name}.json", data)
        room.panel.tick()
        snapshot = take_snapshot(config, watch, room.clock)
        standing = checks.run(snapshot, standing)
        told = damper.steadied(standing, now_ns)
        alerts.changed(told, now_ns)
        recorder = watch.recorder()
        lines.changed(recorder, room.clock.utc_ns(), now_ns, pace(0))
        health(snapshot, OutboxFigures(0, 0, 0, "broker", 0, None), Judgement(tuple(told)))
        if recorder.state is not None:
            _shown(recorder.state)
            taken += name == "recorder"
        room.clock.advance(300 * NS_PER_MS)
    assert taken > 20, "they were believed to be states"


@pytest.mark.parametrize("number", HUGE)
def test_a_state_with_an_integer_beyond_64_bits_is_none(run_dir: Path, number: str) -> None:
    """JSON has integers of any length; divided by a second they raise OverflowError in the service that reads them."""
    room = Room(run_dir)
    room.pass_ms(500)
    room.unit.write()
    assert read_state(run_dir, "recorder", RecorderState) is not None
    state = rundir.service_folder(run_dir, "recorder") / "recorder.json"
    body = state.read_bytes().splitlines()[-1]
    changed = re.sub(rb'"started_ns":-?[0-9]+', b'"started_ns":' + number.encode(), body)
    assert changed != body
    replace_in_ram(state, changed)
    assert read_state(run_dir, "recorder", RecorderState) is None
