# SPDX-License-Identifier: Apache-2.0
"""The four services from nothing: when the first call could be recorded, and what they then hold of memory."""

from __future__ import annotations

from pathlib import Path

from linetap_bench.measure.busy import SERVICES
from linetap_bench.measure.row import Row
from linetap_bench.measure.usage import private_mb, pss_mb
from linetap_bench.processes import ChildFailed
from linetap_bench.scenarios import eight_busy
from linetap_bench.stage import READY_S, Stage
from linetap_core.clock import NS_PER_S, SYSTEM
from linetap_core.records import CaptureState, RecorderState
from linetap_core.service import alive, read_state

ROUNDS = 5
SETTLED_S = 5.0
LOOK_EVERY_S = 0.01


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    took_s: list[float] = []
    memory: dict[str, float] = {}
    more_mb = 0.0
    for n in range(ROUNDS):
        place = folder / str(n)
        place.mkdir()
        script = place / "calls.toml"
        script.write_text(eight_busy(1.2))
        with Stage(place) as stage:
            stage.prepare(notices)
            stage.start_exchange(script, voices=voices)
            began_ns = SYSTEM.monotonic_ns()
            pids = {name: stage.start(name).process.pid for name in SERVICES}
            _wait_until_recording(stage)
            took_s.append((SYSTEM.monotonic_ns() - began_ns) / NS_PER_S)
            SYSTEM.sleep(SETTLED_S)
            more_mb = max(more_mb, private_mb(pids["capture"], "jack"))
            memory = {name: max(memory.get(name, 0.0), pss_mb(pid)) for name, pid in pids.items()}
            stage.children.check()
    parts = ", ".join(f"{name} {figure:.1f} MB" for name, figure in memory.items())
    return [
        Row(
            name="start of the four services to the first call that could be recorded",
            figure=max(took_s),
            unit="s",
            target=6,
            method=f"all four at once, until the recorder follows a ring; worst of {ROUNDS}, best {min(took_s):.2f} s",
        ),
        Row(
            name="one card: memory of the four services together",
            figure=sum(memory.values()),
            unit="MB",
            target=220,
            method=f"PSS {SETTLED_S:g} s later, the most of each, the ring among it: {parts}",
        ),
        Row(
            name="each further card: memory",
            figure=more_mb,
            unit="MB",
            target=45,
            method="pages that are this capture's alone, its ring of 8 lines among them, JACK's shared memory not",
        ),
    ]


def _wait_until_recording(stage: Stage) -> None:
    """Capture writes its ring, and the recorder has followed what is in it."""
    end_ns = SYSTEM.monotonic_ns() + round(READY_S * NS_PER_S)
    while True:
        capture = read_state(stage.run_dir, "capture@1", CaptureState)
        recorder = read_state(stage.run_dir, "recorder", RecorderState)
        if capture and recorder and alive(recorder, SYSTEM) and capture.progress > 0 and recorder.progress > 0:
            return
        stage.children.check()
        if SYSTEM.monotonic_ns() > end_ns:
            raise ChildFailed(f"no ring is followed within {READY_S:g} s")
        SYSTEM.sleep(LOOK_EVERY_S)
