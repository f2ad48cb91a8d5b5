# SPDX-License-Identifier: Apache-2.0
"""`./build.sh demo`: a unit, a broker and a telephone exchange on this machine, and a minute of real calls.

All files are in a fresh folder; no process remains, however the demo ends. At the end one recording is opened with
stock `age` and compared with the exchange's signal on the line, and its evidence bundle is checked with stock tools.
For the call that staff end by a code, the card's contact, the record and the exchange must all show the end.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from linetap.commission.init import SIGNERS
from linetap.config import Config
from linetap.notices.defaults import make_default_notices
from linetap_bench.demo.ended import check_ended, ended_by_code
from linetap_bench.demo.opening import CaseFile, Opened, make_and_check, open_and_check
from linetap_bench.demo.view import Snapshot, SnapshotReader, describe, open_view
from linetap_bench.exchange.feed import read_log
from linetap_bench.script.script import load_script
from linetap_bench.script.scriptkeys import Script
from linetap_bench.script.timing import times_of
from linetap_bench.stage.processes import Child, ChildFailed, Processes
from linetap_bench.stage.stage import Stage, linetap
from linetap_core.clock import NS_PER_S, SYSTEM, ns_of
from linetap_core.errors import BadInput, LinetapError, Refusal

MARKER = ".linetap-demo"  # only a folder made by a demo is deleted


def fresh(folder: Path) -> None:
    if folder.exists() and not (folder / MARKER).exists():
        raise BadInput(f"{folder}: exists and was not made by a demo; another --folder expected")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP end a demo like Ctrl-C; a second signal does not stop the cleanup."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


PROJECT = Path(__file__).resolve().parents[4]
SCRIPT = PROJECT / "tests" / "scenarios" / "demo.toml"
FOLDER = PROJECT / "build" / "demo"
DESK_FOLDER = PROJECT / "build" / "demo-desk"
MOST_MINUTES = 240.0  # for --desk: recordings of four hours take 2 GB
EXEMPT_LINE = 8
LINES = 8
SEALED_S = 20.0  # after the last on-hook
LOOK_S = 0.1
INTERRUPTED = 130


def watch(config: Config, script: Path, children: Processes, exchange: Child) -> Snapshot:
    """Shows the state until the exchange is finally on-hook and all calls are sealed."""
    reader = SnapshotReader(config)
    limit_ns = SYSTEM.monotonic_ns() + ns_of(load_script(script).duration_ms / 1000 + 60)
    ended_ns: int | None = None
    with open_view() as view:
        while True:
            snapshot = reader.refresh()
            view.show(snapshot)
            now_ns = SYSTEM.monotonic_ns()
            if ended_ns is None and exchange.process.poll() == 0:
                children.end(exchange)
                ended_ns = now_ns
            children.check()
            if ended_ns is not None and _settled(snapshot, now_ns - ended_ns):
                return snapshot
            if now_ns > limit_ns:
                raise ChildFailed(f"the script is over and calls are not sealed; {exchange.log.parent} has details")
            SYSTEM.sleep(LOOK_S)


def _settled(snapshot: Snapshot, since_ns: int) -> bool:
    """Whether all lines are idle and all reports sent. Also true after the longest wait: the end names what is
    missing.
    """
    return (since_ns > NS_PER_S and snapshot.idle and snapshot.reports_waiting == 0) or since_ns > SEALED_S * NS_PER_S


def demo(folder: Path, script: Path) -> int:
    """Runs the demo. Exit status 0 if every expected call was recorded and one recording was opened and is right."""
    fresh(folder)
    make_default_notices(folder / "notices")
    with Stage(folder, LINES) as stage:
        # the file's last table is that of EXEMPT_LINE
        config = stage.prepare(folder / "notices", stage.with_contacts, more="exempt = true\n")
        exchange = stage.start_exchange(script, folder / "exchange", folder.parent / "voices")
        stage.start_meter()
        for service in ("panel", "capture", "recorder", "reporter"):
            stage.start(service)
        children = stage.children
        snapshot = watch(config, script, children, exchange)
        output = exchange.log.read_text().strip().splitlines()
        for child in reversed(children.children[1:]):
            if status := children.end(child):
                raise ChildFailed(f"{child.name} ended with {status}; {child.log}:\n{child.log_tail()}")
    played = load_script(script)
    recorded = sum(call.disposition == "recorded" for call in snapshot.calls)
    if recorded < (wanted := _conversations(played)):
        raise Refusal(f"{wanted} calls should have been recorded, {recorded} were; {folder / 'logs'} has details")
    ended = check_ended(ended_by_code(played, config), snapshot.calls, read_log(folder / "exchange").releases)
    verified = linetap("verify", config.vault_path, "--signers", folder / SIGNERS).splitlines()[-1]
    opened = open_and_check(folder, config, snapshot.calls, folder / "exchange")
    case = make_and_check(folder, opened.call_dir, folder / SIGNERS)
    _print_result(folder, snapshot, ended, opened, case, output[-1], verified)
    return 0


def _conversations(script: Script) -> int:
    return sum(times_of(call).answer is not None and call.line != EXEMPT_LINE for call in script.call)


def _print_result(
    folder: Path, snapshot: Snapshot, ended: list[str], opened: Opened, case: CaseFile, exchange: str, verified: str
) -> None:
    recorded = [call for call in snapshot.calls if call.disposition == "recorded"]
    lines = [
        "",
        f"{len(snapshot.calls)} calls, {len(recorded)} recorded; gaps {snapshot.gap_ms:.0f} ms; {exchange}",
        *(f"  {call.call_id}  {describe(call)}" for call in snapshot.calls),
        *(["Ended by a code of staff:"] if ended else []),
        *(f"  {call}" for call in ended),
        f"{snapshot.reports_delivered} reports delivered to the broker.",
        f"The vault: {folder / 'vault'}; by linetap verify, calls and log: {verified}",
        "One recording, opened with stock age:",
        *(f"  {line}" for line in opened.recipe),
        f"  {opened.wav}: {opened.seconds:.2f} s, as long as in its record;",
        f"  {opened.likeness * 100:.2f} % like what was on line {opened.line}.",
        f"The same call for a court, {case.path}, checked by the published {case.script.name} with stock tools:",
        *(f"  {line}" for line in case.lines),
    ]
    if opened.slips:
        lines.append(f"  (The sound server passed over {opened.slips} periods: no real-time priority here.)")
    print("\n".join(lines), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="linetap demo", description="A minute of real calls on this machine.")
    parser.add_argument("--folder", type=Path, metavar="DIR", help=f"made anew (default {FOLDER}, or {DESK_FOLDER})")
    parser.add_argument("--script", type=Path, default=SCRIPT, metavar="calls.toml")
    parser.add_argument("--desk", action="store_true", help="the desk's pages, before this unit and ten simulated ones")
    parser.add_argument(
        "--minutes", type=float, metavar="N", help=f"with --desk: so long, or until Ctrl-C (default {MOST_MINUTES})"
    )
    parser.add_argument("--keep", action="store_true", help="with --desk: leave the folder there")
    args = parser.parse_args()
    with interruptible():
        try:
            if args.desk:
                return _desk(args)
            if args.minutes is not None or args.keep:
                raise BadInput("--minutes and --keep go with --desk")
            return demo((args.folder or FOLDER).absolute(), args.script)
        except LinetapError as error:
            print(f"linetap demo: {error}", file=sys.stderr)
            return error.exit_status
        except KeyboardInterrupt:
            print("linetap demo: interrupted; nothing is left running", file=sys.stderr)
            return INTERRUPTED


def _desk(args: argparse.Namespace) -> int:
    """Runs until Ctrl-C; the folder of a failed demo is kept for its logs."""
    from linetap_bench.demo import deskstage

    folder = (args.folder or DESK_FOLDER).absolute()
    fresh(folder)
    with contextlib.suppress(KeyboardInterrupt):
        deskstage.demo(folder, args.script, MOST_MINUTES if args.minutes is None else args.minutes, MOST_MINUTES)
    if not args.keep:
        shutil.rmtree(folder)
    print(f"nothing is left running; {folder} is {'kept' if args.keep else 'removed'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
