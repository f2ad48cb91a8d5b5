# SPDX-License-Identifier: Apache-2.0
"""Capture at a codec's 48 kHz, decimating: what it costs with 8 and with 32 lines."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from linetap_bench.measure.row import Row
from linetap_bench.measure.usage import cpu_s, main_thread_cpu_s, percent_of_a_core
from linetap_bench.scenarios import eight_busy
from linetap_bench.stage import Stage
from linetap_core.clock import SYSTEM

WARM_UP_S = 8.0
MEASURED_S = 20.0


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    rows = []
    for channels, target in ((8, 2.0), (32, 4.0)):
        own, whole = _shares(folder / str(channels), channels, voices, notices)
        name = f"capture at 48 kHz, {channels} channels"
        method = (
            f"of one core, run time of its own thread over {MEASURED_S:.0f} s, S16, all lines in use; with JACK's "
            f"client threads, which stand where a kernel driver would, {whole:.2f} %"
        )
        rows.append(Row(name=name, figure=own, unit="%", target=target, method=method))
    return rows


def _shares(folder: Path, channels: int, voices: Path, notices: Path) -> tuple[float, float]:
    folder.mkdir()
    script = folder / "calls.toml"
    script.write_text(eight_busy(1.2, lines=channels))
    lines = "".join(f"\n[[line]]\nnumber = {n}\ncard = 1\nchannel = {n}\n" for n in range(9, channels + 1))
    changes = {"rate_hz = 8000": "rate_hz = 48000", "channels = 8": f"channels = {channels}"}
    with Stage(folder, rate_hz=48000, channels=channels) as stage:
        stage.prepare(notices, changes, more=lines)
        stage.start_exchange(script, voices=voices)
        capture = stage.start("capture")
        stage.start("recorder")  # the exchange waits for it
        SYSTEM.sleep(WARM_UP_S)
        pid = capture.process.pid
        accounts = {"own": partial(main_thread_cpu_s, pid), "whole": partial(cpu_s, pid)}
        shares = percent_of_a_core(accounts, MEASURED_S)
        stage.children.check()
    return shares["own"], shares["whole"]
