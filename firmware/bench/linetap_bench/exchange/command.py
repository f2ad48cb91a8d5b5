# SPDX-License-Identifier: Apache-2.0
"""`linetap bench`: a script played into a unit in real time, or rendered into files for `linetap replay`."""

from __future__ import annotations

import argparse
import contextlib
import gc
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from linetap.config import Config, load_config
from linetap_bench.exchange.exchange import Exchange
from linetap_bench.exchange.feed import PlayedLog
from linetap_bench.exchange.timeline import render
from linetap_bench.script.script import load_script, repeated
from linetap_bench.script.scriptkeys import Script
from linetap_bench.sounds.voices import Voices, default_folder
from linetap_bench.stage.cable import Cable
from linetap_bench.stage.jack import JackCable
from linetap_core.clock import SYSTEM, ns_of
from linetap_core.errors import BadInput, DeviceFault
from linetap_core.records import CaptureState, RecorderState, ServiceState
from linetap_core.rundir import capture_service
from linetap_core.service import Stop, alive, read_state, start_logging, try_realtime

PRIORITY = 40  # below jackd and capture
READY = "ready"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="unit.toml", help="unit.toml of the unit on these lines")
    parser.add_argument("--script", type=Path, required=True, metavar="calls.toml", help="the script of the calls")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="number of runs, one after the other")
    parser.add_argument("--render", type=Path, metavar="DIR", help="write lines.wav and events.jsonl instead")
    parser.add_argument("--unit", action="store_true", help="with --render: and a unit to replay them on")
    parser.add_argument("--log", type=Path, metavar="DIR", help="store every sample of the lines")
    parser.add_argument("--wait-services", type=float, metavar="S", help="wait for capture and recorder first")
    parser.add_argument(
        "--fill-ms", type=int, default=Cable.fill_ms, metavar="MS", help="playback kept ahead; delays the echo"
    )
    parser.add_argument(
        "--period-ms", type=int, default=Cable.period_ms, metavar="MS", help="audio at once; longer costs less"
    )
    parser.add_argument(
        "--stalled-ms", type=int, default=Cable.stalled_ms, metavar="MS", help="longest time without a period"
    )
    parser.add_argument(
        "--playback-pcm", default=JackCable.exchange_playback, metavar="PCM", help="of the exchange's end"
    )
    parser.add_argument(
        "--capture-pcm", default=JackCable.exchange_capture, metavar="PCM", help="of the exchange's end"
    )
    parser.add_argument(
        "--voices", type=Path, default=default_folder(), metavar="DIR", help="folder of stored utterances"
    )


def run(args: argparse.Namespace) -> int:
    script = repeated(load_script(args.script), args.repeat)
    voices = Voices(args.voices)
    if args.render is not None:
        audio, events = render(script, voices, args.render)
        print(f"{audio}: {script.duration_ms / 1000:g} s, {script.lines} lines; {events}")
        if args.unit:
            print(f"then: {_replay_command(script, args.render, audio, events)}")
        return 0
    if args.unit:
        raise BadInput("--unit goes with --render; in real time --config names the unit")
    if args.config is None:
        raise BadInput("--config is missing: only --render does without a unit")
    if not 20 <= args.fill_ms <= 400:
        raise BadInput(f"--fill-ms {args.fill_ms}: 20 to 400 expected")
    if not 100 <= args.stalled_ms <= 60000:
        raise BadInput(f"--stalled-ms {args.stalled_ms}: 100 to 60000 expected")
    if not 10 <= args.period_ms <= args.fill_ms // 2:
        raise BadInput(f"--period-ms {args.period_ms}: 10 to {args.fill_ms // 2} expected, half of --fill-ms")
    return play(args, load_config(args.config), script, voices)


def _replay_command(script: Script, folder: Path, audio: Path, events: Path) -> str:
    """Makes the unit in `folder`."""
    from linetap_bench.stage.madeunit import STARTS_AT, make_unit  # an exchange in real time needs no desk

    unit = make_unit(script, folder)
    words = ["--config", unit, "--audio", audio, "--events", events, "--out", unit.with_name("vault")]
    words += ["--start", STARTS_AT]
    for number in sorted(script.deaf_lines):
        words += ["--deaf-line", number]
    return shlex.join(["linetap", "replay", *map(str, words)])


def play(args: argparse.Namespace, config: Config, script: Script, voices: Voices) -> int:
    stop = Stop()
    log = start_logging("bench")
    cable = Cable(args.playback_pcm, args.capture_pcm, args.fill_ms, args.stalled_ms, args.period_ms)
    exchange = Exchange(config, script, voices, cable)
    played_log = None if args.log is None else PlayedLog(args.log, exchange.played)
    gc.freeze()
    exchange.played.realtime = try_realtime(PRIORITY)
    if not exchange.played.realtime:
        log.warning("no real-time priority here: on a busy machine the lines may under-run; --fill-ms helps")
    with contextlib.closing(exchange):
        exchange.start(played_log)
        print(f"{READY}: {len(exchange.played.lines)} lines on {args.playback_pcm}", flush=True)
        exchange.run(_may_begin(config, args.wait_services), lambda: stop.requested)
    played = exchange.played
    seconds = played.samples / played.rate_hz
    print(f"exchange: {seconds:.1f} s played, {played.underruns} under-runs, {played.overruns} overruns", flush=True)
    return 0


def _may_begin(config: Config, wait_s: float | None) -> Callable[[], bool]:
    if wait_s is None:
        return lambda: True
    deadline = SYSTEM.monotonic_ns() + ns_of(wait_s)
    wanted: list[tuple[str, type[ServiceState]]] = [
        (capture_service(config.card[0].number), CaptureState),
        ("recorder", RecorderState),
    ]

    def up() -> bool:
        missing = [name for name, kind in wanted if not alive(read_state(config.run_path, name, kind), SYSTEM)]
        if missing and SYSTEM.monotonic_ns() > deadline:
            raise DeviceFault(
                "services_absent", f"{config.run_path}: no {' and no '.join(missing)} within {wait_s:g} s"
            )
        return not missing

    return up


def main() -> int:
    """`python -m linetap_bench.exchange.command`."""
    parser = argparse.ArgumentParser(prog="linetap bench")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
