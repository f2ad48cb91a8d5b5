# SPDX-License-Identifier: Apache-2.0
"""The cost of the four services: at start (imports, time until the first call could be recorded, memory), with eight
busy lines, with capture at a codec's 48 kHz (8 and 32 lines), and with 32 busy lines beside two processes that keep
both cores busy.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from linetap.config import load_config
from linetap_bench.figures import Row, cpu_s, main_thread_cpu_s, percent_of_a_core, private_mb, pss_mb, resident_mb
from linetap_bench.measure.noticeheard import late_ms, records_of
from linetap_bench.script.scenarios import STAGGER_S, eight_busy
from linetap_bench.stage.processes import ChildFailed
from linetap_bench.stage.stage import READY_S, Stage
from linetap_core.clock import NS_PER_S, SYSTEM, ns_of
from linetap_core.records import CaptureState, RecorderState
from linetap_core.rundir import capture_service
from linetap_core.service import alive, read_state

RUNS = 7
LIMIT_S = 60
TARGET_S = 0.3
_ASK = "import time; t = time.process_time(); import linetap.recorder.service; print(time.process_time() - t)"


def measure_imports(_folder: Path, _voices: Path, _notices: Path) -> list[Row]:
    least = min(_once() for _ in range(RUNS))
    method = f"CPU time of `import linetap.recorder.service`, the least of {RUNS}, bytecode there"
    return [Row(name="importing what the recorder needs", figure=least, unit="s", target=TARGET_S, method=method)]


def _once() -> float:
    done = subprocess.run([sys.executable, "-c", _ASK], check=True, timeout=LIMIT_S, capture_output=True, text=True)
    return float(done.stdout)


SERVICES = ("panel", "capture", "recorder", "reporter")
WARM_UP_S = 18.0  # the last line rings at 9.6 s; by now the notices have played and all lines are recorded
MEASURED_S = 30.0


def measure_busy(folder: Path, voices: Path, notices: Path) -> list[Row]:
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


ROUNDS = 5
SETTLED_S = 5.0
LOOK_EVERY_S = 0.01


def measure_boot(folder: Path, voices: Path, notices: Path) -> list[Row]:
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
    """Waits until capture writes its ring and the recorder has read it."""
    end_ns = SYSTEM.monotonic_ns() + ns_of(READY_S)
    while True:
        capture = read_state(stage.run_dir, capture_service(1), CaptureState)
        recorder = read_state(stage.run_dir, "recorder", RecorderState)
        if capture and recorder and alive(recorder, SYSTEM) and capture.progress > 0 and recorder.progress > 0:
            return
        stage.children.check()
        if SYSTEM.monotonic_ns() > end_ns:
            raise ChildFailed(f"no ring is followed within {READY_S:g} s")
        SYSTEM.sleep(LOOK_EVERY_S)


CAPTURE_WARM_UP_S = 8.0
CAPTURE_MEASURED_S = 20.0


def measure_capture(folder: Path, voices: Path, notices: Path) -> list[Row]:
    rows = []
    for channels, target in ((8, 2.0), (32, 4.0)):
        own, whole = _shares(folder / str(channels), channels, voices, notices)
        name = f"capture at 48 kHz, {channels} channels"
        method = (
            f"of one core, run time of its own thread over {CAPTURE_MEASURED_S:.0f} s, S16, all lines in use; with "
            f"JACK's client threads, which stand where a kernel driver would, {whole:.2f} %"
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
        SYSTEM.sleep(CAPTURE_WARM_UP_S)
        pid = capture.process.pid
        accounts = {"own": partial(main_thread_cpu_s, pid), "whole": partial(cpu_s, pid)}
        shares = percent_of_a_core(accounts, CAPTURE_MEASURED_S)
        stage.children.check()
    return shares["own"], shares["whole"]


LINES = 32
MINUTES = float(os.environ.get("LINETAP_LOAD_MINUTES", "2"))  # 30 in the full bench
LATE_MS = 100.0
FILL_MS = 120  # a notice counts as heard if it returns within 200 ms


def measure_load(folder: Path, voices: Path, notices: Path) -> list[Row]:
    script = folder / "calls.toml"
    script.write_text(eight_busy(MINUTES, LINES))
    with Stage(folder, lines=LINES) as stage:
        stage.prepare(notices)
        _on_one_card(stage.config_path)
        exchange = stage.start_exchange(script, voices=voices, fill_ms=FILL_MS)
        for service in ("capture", "recorder"):
            stage.start(service)
        for number in range(2):
            stage.children.start(f"busy-{number}", [sys.executable, "-c", "while True: pass"])
        exchange.process.wait(2 * READY_S + 60 * MINUTES + STAGGER_S * LINES)
        capture = read_state(stage.run_dir, capture_service(1), CaptureState)
        assert capture is not None
        records = records_of(folder / "vault")
    late = sorted(abs(late_ms(record)) for record in records if record.notice)
    gaps = [gap for record in records if record.audio for gap in record.audio.gaps]
    lost = [record for record in records if record.disposition != "recorded"]
    why = ", ".join(sorted({f"{record.disposition} {record.why}" for record in lost})) or "none"
    causes = ", ".join(sorted({gap.cause for gap in gaps})) or "none"
    method = (
        f"{LINES} lines on a card of {LINES} channels, {MINUTES:g} min, two busy loops beside it, {len(late)} notices"
    )
    return [
        Row(name="32 busy lines: overruns of ALSA's ring", figure=capture.overruns, unit="", target=0, method=method),
        Row(name="32 busy lines: calls that were not recorded", figure=len(lost), unit="", target=0,
            method=f"of {len(records)}: {why}"),
        Row(name="32 busy lines: gaps in recordings", figure=len(gaps), unit="", target=0,
            method=f"of {len(records)} calls, by cause: {causes}"),
        Row(name="32 busy lines: the notice that began latest", figure=late[-1] if late else float("inf"), unit="ms",
            target=LATE_MS, method="from hook edge + 35 + 500 ms, by the record; either side"),
    ]  # fmt: skip


def _on_one_card(path: Path) -> None:
    """Puts all lines on one card: `config init` makes cards of eight, each with its own clock; a cable has one."""
    text = path.read_text()
    head, cards = text.split("[[card]]", 1)
    card, lines = cards.split("[[card]]", 1)[0], text[text.index("[[line]]") :]
    card = card.replace("channels = 8", f"channels = {LINES}")
    lines = re.sub(
        r"card = (\d+)\nchannel = (\d+)",
        lambda found: f"card = 1\nchannel = {8 * (int(found[1]) - 1) + int(found[2])}",
        lines,
    )
    path.write_text(f"{head}[[card]]{card}\n{lines}")
    load_config(path)
