# SPDX-License-Identifier: Apache-2.0
"""`linetap line learn`: measures one line of a running unit, and lets a faulty line record again."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from linetap import learned
from linetap.commission.learn_steps import MeasuredLine, Tape
from linetap.config import Config, load_config, profile_of, schema
from linetap.config.require import require_lines, require_usual_places
from linetap.learned import Learned
from linetap.notices import notices_of
from linetap.ring import RATE_HZ, RingReader
from linetap.sockets import SocketClient
from linetap_core import jsontext
from linetap_core.cli import say
from linetap_core.clock import SYSTEM, Clock, rfc3339
from linetap_core.errors import BadInput, Refusal, file_and_reason
from linetap_core.records import LEAST_OPEN_MS, MOST_OPEN_MS, PlayNotice, Refused, ReleaseLine
from linetap_core.rundir import socket_path

_EXAMPLE = "example: linetap line learn 3 --config /etc/linetap/unit.toml"
_SOON = RATE_HZ // 2  # half a second ahead, so that a command is never late


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    what = "voltages, polarity and the echo of the notice, with the handset down and then off; capture must run"
    raw = argparse.RawDescriptionHelpFormatter
    verb = verbs.add_parser("learn", help="measure a line", description=what, epilog=_EXAMPLE, formatter_class=raw)
    verb.add_argument("line", type=int, metavar="N", help="the line's number")
    verb.add_argument("--config", type=Path, required=True, metavar="unit.toml")
    verb.add_argument("--yes", action="store_true", help="begin without a confirmation")
    verb.add_argument("--wait-s", type=float, default=60.0, metavar="S", help="for the handset, default %(default)g")
    verb.add_argument(
        "--digit-s", type=float, default=15.0, metavar="S", help="seconds for a digit, default %(default)g; 0: no digit"
    )
    verb.add_argument(
        "--release", action="store_true", help="also how the line is released: ends a call that you make for it"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command. Refusal (1) if the line did not react as required: nothing is written then."""
    config = load_config(args.config)
    require_usual_places(config, args.config)
    require_lines(config, args.config, [args.line])
    line = next(line for line in config.line if line.number == args.line)
    for name, value in (("--wait-s", args.wait_s), ("--digit-s", args.digit_s)):
        if not 0 <= value <= 3600:
            raise BadInput(f"{name} {value:g}: 0 to 3600 expected")
    if not args.yes and sys.stdin.isatty():
        say("시작하려면 Enter / Enter to begin, while no one talks on this line")
        sys.stdin.readline()
    reader = RingReader(config.run_path, line.card)
    try:
        found = _learn(config, line, reader, args, SYSTEM)
    finally:
        reader.close()
    folder = Path(config.learned)
    _save(folder, line.number, found)
    say(f"line {line.number}: {_summary(found)}; {learned.path_of(folder, line.number)}")
    say("수화기를 내려놓으십시오 / put the handset down")
    return 0


def _learn(config: Config, line: schema.Line, reader: RingReader, args: argparse.Namespace, clock: Clock) -> Learned:
    """The earlier values, updated with the new measurements."""
    if line.number not in reader.line_numbers:
        raise BadInput(
            f"the ring of card {line.card} does not hold line {line.number}: restart linetap-capture@{line.card}"
        )
    it = MeasuredLine(Tape(reader, line.number, clock), line.number, profile_of(config, line.profile), args.wait_s)
    found = learned.load(Path(config.learned)).get(line.number) or Learned(learned_at=rfc3339(clock.utc_ns()))
    say("1. 수화기를 내려놓으십시오 / put the handset down")
    rest_v = it.at_rest()
    if rest_v is not None:
        if abs(rest_v) > learned.MOST_V:
            raise Refusal(
                f"line {line.number}: the card reads {rest_v:.1f} V, and no line has more than {learned.MOST_V:g} V: "
                "nothing was learnt; measure with a voltmeter at the terminals"
            )
        found = msgspec.structs.replace(found, on_hook_v=abs(rest_v), reversed=rest_v > 0)
    say(f"   {_volts(rest_v)}")
    say("2. 수화기를 드십시오 / lift the handset")
    it.wait_until_lifted()
    loop_v = it.lifted()
    if loop_v is not None:
        found = msgspec.structs.replace(found, off_hook_v=loop_v)
    say(f"   {_volts(loop_v)}")
    if line.exempt:
        say("3. an exempt line has neither notice nor audio: echo and digits are left as they were")
    else:
        say("3. 안내 방송이 나갑니다. 말하지 마십시오 / the notice plays; say nothing")
        level_db, delay_ms = _echo(config, line, it)
        found = msgspec.structs.replace(found, echo_db=round(level_db, 1), echo_delay_ms=round(delay_ms, 1))
        say(f"   echo {found.echo_db} dB after {found.echo_delay_ms} ms")
        found = _digit(it, found, args.digit_s)
    if args.release:
        found = msgspec.structs.replace(found, release_ms=_release(config, line, it, args.yes))
    return msgspec.structs.replace(found, learned_at=rfc3339(clock.utc_ns()))


def _echo(config: Config, line: schema.Line, it: MeasuredLine) -> tuple[float, float]:
    """Measures the echo. Requests the notice from capture itself: on a faulty line the recorder plays none."""
    notice = notices_of(config)[line.notice or config.recording.notice]
    with _capture(config, line, "does not play the notice") as capture:
        capture.send(msgspec.json.encode(PlayNotice(line.number, notice.id, it.now() + _SOON, plain=True)))
        return it.echo(notice)


def _release(config: Config, line: schema.Line, it: MeasuredLine, agreed: bool) -> float:
    """Measures the release, by ending a call made by the person at the telephone."""
    if not config.has_contact(line):
        raise Refusal(f'line {line.number}: its loop is never opened: no contacts on its card, or release = "staff"')
    say("5. 다른 전화에 걸어 통화가 연결되게 하십시오. 이 통화는 끊어집니다")
    say("   call another telephone and have it answered: this call will be ended")
    if not agreed and sys.stdin.isatty():
        say("   연결되었으면 Enter / Enter once it is answered")
        sys.stdin.readline()
    it.now()
    with _capture(config, line, "does not open the contact") as capture:
        found = _release_ms(it, lambda ms: capture.send(msgspec.json.encode(ReleaseLine(line.number, ms))))
    say(f"   {_released(found)}")
    return found


# The card measures idle voltage as soon as its contact opens, so that voltage says nothing about the exchange. The
# evidence is dial tone or busy tone after the contact has closed again (docs/line-release.md).
_OPENINGS_MS = (LEAST_OPEN_MS, MOST_OPEN_MS)
_BEFORE_S = 2.0
_OPENS_WITHIN_S = 2.0
_LATE_S = 1.0
_LISTENS_S = 6.0
_RESTS_S = 4.0  # the meter's contact can open again after 3 s


def _release_ms(it: MeasuredLine, ask: Callable[[int], None]) -> float:
    """The shortest opening that released the call, or 0. `ask` requests an opening from capture.

    Refusal if there is no call, the loop does not open, or the handset is put down.
    """
    if it.tone(_BEFORE_S) is not None:
        raise it.refusal("it gives a tone: there is no call on it that could be released")
    for open_ms in _OPENINGS_MS:
        ask(open_ms)
        it.loop_opens(_OPENS_WITHIN_S)
        it.loop_closes(open_ms / 1000 + _LATE_S)
        if it.tone(_LISTENS_S) is not None:
            return float(open_ms)
        it.tone(_RESTS_S)
    return 0.0


@contextmanager
def _capture(config: Config, line: schema.Line, does_not: str) -> Iterator[SocketClient]:
    """Opens the line's capture. If capture has refused the command, its reason replaces a Refusal inside."""
    capture = SocketClient(socket_path(config.run_path, line.card))
    try:
        yield capture
    except Refusal:
        for answer in capture.answers():
            why = jsontext.decode(answer, type=Refused).why
            raise Refusal(f"line {line.number}: capture {does_not}: {why}") from None
        raise
    finally:
        capture.close()


def _released(ms: float) -> str:
    return f"released by an opening of {ms:.0f} ms" if ms else "does not release: staff hang up after the notice"


def _digit(it: MeasuredLine, found: Learned, seconds: float) -> Learned:
    if not seconds:
        return found
    say(f"4. {seconds:g}초 안에 아무 번호나 누르십시오 / press any digit within {seconds:g} s, or wait")
    level = it.digit(seconds)
    if level is None:
        say("   no digit: its level is left as it was")
        return found
    say(f"   one tone {level:.1f} dBm0")
    return msgspec.structs.replace(found, near_digit_dbm0=round(level, 1))


def _save(folder: Path, line: int, found: Learned) -> None:
    try:
        learned.save(folder, line, found)
    except OSError as error:
        raise BadInput(f"{file_and_reason(error, folder)}; a folder that you can write expected") from None


def _volts(volts: float | None) -> str:
    return "no meter: voltage and polarity are left as they were" if volts is None else f"{volts:.1f} V"


def _summary(found: Learned) -> str:
    texts = [
        (found.on_hook_v, "on-hook {:.1f} V"), (found.off_hook_v, "off-hook {:.1f} V"),
        (found.echo_db, "echo {:.1f} dB"), (found.echo_delay_ms, "after {:.0f} ms"),
        (found.near_digit_dbm0, "digits {:.1f} dBm0"),
    ]  # fmt: skip
    parts = [text.format(value) for value, text in texts if value is not None]
    if found.release_ms is not None:
        parts.append(_released(found.release_ms))
    if found.reversed is not None:
        parts.insert(1, "reversed" if found.reversed else "not reversed")
    return ", ".join(parts) or "nothing could be measured"
