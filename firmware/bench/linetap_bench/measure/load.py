# SPDX-License-Identifier: Apache-2.0
"""Thirty-two busy lines on one card, beside two processes that keep both cores busy."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from linetap.config import load_config
from linetap_bench.measure.notice import late_ms, records_of
from linetap_bench.measure.row import Row
from linetap_bench.scenarios import STAGGER_S, eight_busy
from linetap_bench.stage import READY_S, Stage
from linetap_core.records import CaptureState
from linetap_core.service import read_state

LINES = 32
MINUTES = float(os.environ.get("LINETAP_LOAD_MINUTES", "2"))  # the full one is 30
LATE_MS = 100.0
FILL_MS = 120  # a notice counts as heard when it comes back within 200


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
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
        capture = read_state(stage.run_dir, "capture@1", CaptureState)
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
    """`config init` spreads lines over cards of eight, each with a clock of its own; a cable has one."""
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
