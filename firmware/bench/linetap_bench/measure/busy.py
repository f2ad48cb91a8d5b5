# SPDX-License-Identifier: Apache-2.0
"""Eight busy lines: what the four services cost together."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from linetap_bench.measure.row import Row
from linetap_bench.measure.usage import cpu_s, percent_of_a_core, pss_mb, resident_mb
from linetap_bench.scenarios import eight_busy
from linetap_bench.stage import Stage
from linetap_core.clock import SYSTEM

SERVICES = ("panel", "capture", "recorder", "reporter")
WARM_UP_S = 18.0  # the last line rings at 9.6 s; by then notices have been played and all lines are recorded
MEASURED_S = 30.0


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    script = folder / "calls.toml"
    script.write_text(eight_busy(1.2))
    with Stage(folder) as stage:
        stage.prepare(notices)
        stage.start_exchange(script, voices=voices)
        pids = {name: stage.start(name).process.pid for name in SERVICES}
        SYSTEM.sleep(WARM_UP_S)
        shares = percent_of_a_core({name: partial(cpu_s, pid) for name, pid in pids.items()}, MEASURED_S)
        memory = {name: pss_mb(pid) for name, pid in pids.items()}
        reporter_mb = resident_mb(pids["reporter"])
        stage.children.check()
    return [
        Row(
            name="eight busy lines: CPU of the four services together",
            figure=sum(shares.values()),
            unit="%",
            target=8,
            method=f"of one core, run time by the scheduler over {MEASURED_S:.0f} s: " + _parts(shares, "%"),
        ),
        Row(
            name="eight busy lines: memory of the four services together",
            figure=sum(memory.values()),
            unit="MB",
            target=250,
            method="PSS, the ring among it: " + _parts(memory, "MB"),
        ),
        Row(
            name="reporter of eight busy lines: CPU",
            figure=shares["reporter"],
            unit="%",
            target=0.5,
            method="of one core, as above",
        ),
        Row(
            name="reporter of eight busy lines: resident",
            figure=reporter_mb,
            unit="MB",
            target=40,
            method="RSS, what it shares with others included",
        ),
    ]


def _parts(figures: dict[str, float], unit: str) -> str:
    return ", ".join(f"{name} {figure:.1f} {unit}" for name, figure in figures.items())
