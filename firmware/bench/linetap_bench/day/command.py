# SPDX-License-Identifier: Apache-2.0
"""`./build.sh bench day`: draws a day, runs it, prints the table; or replays one call of it."""

from __future__ import annotations

import argparse
import os
import sys
import wave
from pathlib import Path

import msgspec

from linetap.config.schema import Recording
from linetap.notices import Notice, load_notices
from linetap.notices.defaults import make_default_notices
from linetap.notices.shipped import ANNOUNCEMENTS
from linetap.recorder.calls.context import LineMemory
from linetap.ring import I16, RATE_HZ
from linetap_bench.day import recorder
from linetap_bench.day.draw import DayCall
from linetap_bench.day.judge import DayReport, Table, judge, records_of
from linetap_bench.day.mix import calls_of_day, kinds_matching, script_of
from linetap_bench.figures import table
from linetap_bench.sounds.voices import Voices
from linetap_core.clock import NS_PER_S, SYSTEM, rfc3339
from linetap_core.errors import BadInput, LinetapError
from linetap_core.records import CallRecord

PROJECT = Path(__file__).resolve().parents[4]
MOST_CALLS = 20_000
MARGIN_MS = 2000  # of audio in the WAV, before and after the call


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="build.sh bench day",
        description="A city hall's day of calls through the recorder, and what it made of them.",
        epilog="example: ./build.sh bench day --seed 3 --only 417 --wav /tmp/417.wav",
    )
    made.add_argument("--calls", type=int, default=1000, metavar="N", help="number of calls a day (default 1000)")
    made.add_argument("--seed", type=int, default=1, metavar="N", help="the first day (default 1)")
    made.add_argument("--days", type=int, default=1, metavar="N", help="number of days, each with the next seed")
    made.add_argument("--only", type=int, metavar="N", help="only this call, with those of its line before it")
    made.add_argument("--wav", type=Path, metavar="FILE", help="with --only: what was on its line, the notice too")
    made.add_argument("--kinds", metavar="PATTERN", help="only kinds of calls with this in their name")
    made.add_argument("--recording", default="{}", metavar="JSON",
                      help='other keys of [recording], e.g. {"notice_delay_ms": 800}')  # fmt: skip
    made.add_argument("--voices", type=Path, default=PROJECT / "build" / "voices", metavar="DIR")
    made.add_argument("--out", type=Path, default=PROJECT / "build" / "bench" / "day.json", metavar="FILE")
    return made


def main(arguments: list[str] | None = None) -> int:
    args = parser().parse_args(arguments)
    try:
        return run(args)
    except LinetapError as error:
        print(f"bench day: {error}", file=sys.stderr)
        return error.exit_status


def run(args: argparse.Namespace) -> int:
    if not 1 <= args.calls <= MOST_CALLS:
        raise BadInput(f"--calls {args.calls}: 1 to {MOST_CALLS} expected")
    if args.seed < 0 or args.days < 1:
        raise BadInput("--seed is 0 or more, --days 1 or more")
    try:
        recording = msgspec.convert(msgspec.json.decode(args.recording), Recording)
    except msgspec.MsgspecError as error:
        raise BadInput(f"--recording: {error}") from None
    folder = args.out.parent
    folder.mkdir(parents=True, exist_ok=True)
    notices_folder = folder / "day-notices"
    if not (notices_folder / "ko.wav").exists():
        make_default_notices(notices_folder, ANNOUNCEMENTS)
    kinds = None if args.kinds is None else kinds_matching(args.kinds)
    bench = Bench(Voices(args.voices), load_notices(notices_folder), recording, kinds)
    if args.only is not None:
        return bench.only(args.seed, args.only, args.wav)
    began_ns, results = SYSTEM.monotonic_ns(), Table()
    seeds = [args.seed + n for n in range(args.days)]
    for seed in seeds:
        bench.day(seed, args.calls, results)
    took_s = (SYSTEM.monotonic_ns() - began_ns) / NS_PER_S
    cpu_s = sum(os.times()[:4])  # of this process and of its speech and codec programs
    report = DayReport(
        at=rfc3339(SYSTEM.utc_ns()),
        seeds=seeds,
        calls=results.calls,
        took_s=took_s,
        cpu_s=cpu_s,
        kinds={kind: dict(counts) for kind, counts in results.kinds.items()},
        by={by: dict(counts) for by, counts in results.by.items()},
        rows=results.rows(),
        failures=results.failures,
    )
    args.out.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    print(results.failures_text())
    print(results.text())
    print(table(results.rows()))
    print(f"{results.calls} calls in {took_s:.0f} s, {cpu_s:.0f} s of a core; all failures in {args.out}")
    return 0


class Bench:
    def __init__(
        self, voices: Voices, notices: dict[str, Notice], recording: Recording, kinds: list[str] | None = None
    ) -> None:
        self._voices, self._notices, self._recording, self._kinds = voices, notices, recording, kinds

    def day(self, seed: int, count: int, results: Table) -> None:
        """Runs every call of the day and adds the results to the table."""
        calls = calls_of_day(seed, count, self._voices, self._kinds)
        memories: dict[int, LineMemory] = {}
        lines = sorted({each.call.line for each in calls})
        for hour in _hours(calls):
            _, records, memories = self._hour(seed, hour, lines, memories)
            for each in hour:
                results.add(seed, each, judge(each, records[each.number], recorder.start_of(each.hour)))
            print(f"seed {seed}: {hour[-1].number} of {count} calls", file=sys.stderr, flush=True)

    def only(self, seed: int, number: int, wav: Path | None) -> int:
        """Runs one call on a line whose memory is the same as in the whole day."""
        calls = calls_of_day(seed, number, self._voices, self._kinds)
        wanted = calls[-1]
        mine = [each for each in calls if each.call.line == wanted.call.line]
        memories: dict[int, LineMemory] = {}
        for hour in _hours(mine):
            audio, records, memories = self._hour(seed, hour, [wanted.call.line], memories)
        start_ns = recorder.start_of(wanted.hour)
        verdict = judge(wanted, records[number], start_ns)
        for what in (wanted.truth, wanted.call, *records[number], verdict):
            print(msgspec.json.encode(what).decode())
        if wav is not None:
            first = max(0, wanted.truth.began_ms - MARGIN_MS) * RATE_HZ // 1000
            end = (wanted.truth.ended_ms + MARGIN_MS) * RATE_HZ // 1000
            _write_wav(wav, audio[0, first:end])
            print(f"{wav}: from {first / RATE_HZ:.3f} s of the hour on")
        return 1 if verdict.faults else 0

    def _hour(
        self, seed: int, calls: list[DayCall], lines: list[int], memories: dict[int, LineMemory]
    ) -> tuple[I16, dict[int, list[CallRecord]], dict[int, LineMemory]]:
        config = recorder.config_of(lines, self._recording)
        audio, levels = recorder.rendered(script_of(calls, seed), lines, self._voices)
        hour = calls[0].hour
        records, memories = recorder.follow(config, audio, levels, self._notices, hour, memories)
        return audio, records_of(calls, records, recorder.start_of(hour)), memories


def _hours(calls: list[DayCall]) -> list[list[DayCall]]:
    return [[each for each in calls if each.hour == hour] for hour in sorted({each.hour for each in calls})]


def _write_wav(path: Path, samples: I16) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
