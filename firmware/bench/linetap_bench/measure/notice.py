# SPDX-License-Identifier: Apache-2.0
"""When a notice begins, over a hundred calls, beside two processes that keep both cores busy."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import numpy as np
from scipy.signal import fftconvolve

from linetap.notices import load_notices
from linetap.ring import I16, RATE_HZ
from linetap_bench.exchange.playedlog import Played, read_played
from linetap_bench.figures import Row
from linetap_bench.measure.noticeheard import greeting_rows, words_rows
from linetap_bench.script.script import load_script
from linetap_bench.script.timing import times_of
from linetap_bench.stage.stage import READY_S, Stage
from linetap_core.clock import parse_rfc3339
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord

LINES, ROUNDS = 8, 13
EVERY_S = 6.0
DEBOUNCE_MS, DELAY_MS = 35, 500
LIMIT_MS = 20.0


def measure(folder: Path, voices: Path, notices: Path) -> list[Row]:
    script_path = folder / "calls.toml"
    script_path.write_text(_script())
    (folder / "notices").mkdir()
    short = load_notices(notices)["ko"]
    for suffix in ("wav", "txt"):
        (folder / "notices" / f"ko.{suffix}").write_bytes((notices / f"ko.{suffix}").read_bytes())
    plain = [*greeting_rows(voices), *words_rows(list(load_notices(notices).values()))]
    with Stage(folder) as stage:
        stage.prepare(folder / "notices", {"greeting_max_ms = 6000": "greeting_max_ms = 0"})
        exchange = stage.start_exchange(script_path, folder / "exchange", voices)
        for service in ("capture", "recorder"):
            stage.start(service)
        for number in range(2):
            stage.children.start(f"busy-{number}", [sys.executable, "-c", "while True: pass"])
        exchange.process.wait(READY_S + EVERY_S * (ROUNDS + 2))
        records = records_of(stage.folder / "vault")
    played, lines = read_played(folder / "exchange")
    written = [late_ms(record) for record in records if record.notice]
    heard = _heard_late_ms(script_path, played, lines, short.samples)
    return [
        *plain,
        _row("notice: first sample at hook edge + 35 + 500 ms", written, "by the ring's frames, as the record says"),
        _row("notice: as heard back on the line", heard - np.median(heard),
             f"exchange's own log of the line, less the constant echo path of {np.median(heard):.0f} ms"),
    ]  # fmt: skip


def _row(name: str, late_ms: list[float] | np.ndarray[tuple[int], np.dtype[np.float64]], method: str) -> Row:
    error = np.abs(np.asarray(late_ms))
    worst = float(np.percentile(error, 99)) if len(error) else float("inf")
    text = f"p99 of |error| over {len(error)} calls, two busy loops beside it; {method}"
    return Row(name=name, figure=worst, unit="ms", target=LIMIT_MS, method=text)


def _script() -> str:
    calls = [
        f'\n[[call]]\nline = {line}\nstart_s = {0.5 + number * EVERY_S + line * 0.17:.2f}\ndirection = "in"\n'
        "rings = 1\ntalk_after_s = 0.0\ntalk_s = 1.8\nbounce_ms = 0\n"
        for number in range(ROUNDS)
        for line in range(1, LINES + 1)
    ]
    return f"lines = {LINES}\nseed = 3\n" + "".join(calls)


def records_of(vault: Path) -> list[CallRecord]:
    """All sealed records."""
    found = sorted(vault.glob(f"[0-9]*/*/*/*/{sealed.RECORD}"))
    return [msgspec.json.decode(path.read_bytes(), type=CallRecord) for path in found]


def late_ms(record: CallRecord) -> float:
    """The delay of the notice's first sample, after hook edge, debounce and the configured delay."""
    assert record.notice is not None
    assert record.off_hook_at is not None
    waited = (parse_rfc3339(record.notice.started_at) - parse_rfc3339(record.off_hook_at)) / 1e6
    return waited - DEBOUNCE_MS - DELAY_MS


def _heard_late_ms(
    script_path: Path, played: Played, lines: dict[int, I16], notice: I16
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """From the due time by the script's own times to the place of the notice's first half second on the line."""
    assert played.script_sample is not None
    reference = notice[: RATE_HZ // 2].astype(np.float64)
    late = []
    for call in load_script(script_path).call:
        off_hook = times_of(call).off_hook
        assert off_hook is not None
        due = played.script_sample + (off_hook + DEBOUNCE_MS + DELAY_MS) * RATE_HZ // 1000
        window = lines[call.line][due - RATE_HZ // 4 : due + RATE_HZ].astype(np.float64)
        likeness = fftconvolve(window, reference[::-1], mode="valid")
        late.append((int(np.argmax(likeness)) - RATE_HZ // 4) * 1000 / RATE_HZ)
    return np.asarray(late)
