# SPDX-License-Identifier: Apache-2.0
"""The `linetap` command: a sub-command for each service and tool. It has no logic of its own.

Only the module of the sub-command that was asked for is imported: a service must not pay for a tool's libraries.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from linetap import __version__
from linetap.errors import BadInput, LinetapError

INTERRUPTED = 130
BROKEN_PIPE = 141  # as the shell counts a SIGPIPE
BAD_INPUT = 2
EXAMPLES = argparse.RawDescriptionHelpFormatter  # an example is copied, so it is not broken into lines
# What a plain installation does not have -> the extra of pyproject.toml that brings it.
EXTRAS = {"scipy": "bench", "rich": "bench", "RPi": "pi", "sqlalchemy": "desk"} | dict.fromkeys(
    ("starlette", "uvicorn", "jinja2", "alembic", "argon2", "authlib", "httpx", "python_multipart", "babel"), "desk"
)


@dataclass(frozen=True, slots=True)
class Command:
    """A tool's `module` offers add_arguments(parser) and run(args) -> exit status; a service's, run(config)."""

    module: str
    help: str
    example: str
    service: bool = False


COMMANDS = {
    "capture": Command(
        "capture.service", "service 1: a card's audio into its ring", "--config unit.toml", service=True
    ),
    "recorder": Command("recorder.service", "service 2: calls, sealed", "--config unit.toml", service=True),
    "reporter": Command("reporter.service", "service 3: reports to the broker", "--config unit.toml", service=True),
    "panel": Command("panel.service", "service 4: the LEDs and the button", "--config unit.toml", service=True),
    "bench": Command("bench.command", "the simulated exchange", "--config unit.toml --script calls.toml"),
    "fleet": Command(
        "bench.fleet.command",
        "a thousand simulated units towards a broker",
        "--units 1000 --broker mqtt://127.0.0.1:1883 --happens storm@30 --happens outage@60+10",
    ),
    "replay": Command(
        "recorder.replay.command",
        "the recorder over a recording of the lines",
        "--config unit.toml --audio lines.wav --events events.jsonl --out vault",
    ),
    "signals": Command(
        "recorder.listen.command", "what the detectors hear in a recording", "--audio lines.wav --events events.jsonl"
    ),
    "notice": Command("notices.command", "the spoken notices", 'import hall.wav --text "이 통화는 녹음됩니다."'),
    "config": Command("commission.command", "make or check a configuration", "check unit.toml"),
    "provision": Command(
        "provision.command",
        "one file for a unit's card, and what it makes of it",
        "pack unit.toml ca.pem -o linetap.toml",
    ),
    "update": Command(
        "update.command", "another version: installed, tried, kept or not", "show --config /etc/linetap/unit.toml"
    ),
    "tones": Command(
        "commission.tones", "the tones of a PBX", "learn --name pbx busy=busy.wav ringback=ringback.wav -o profile.toml"
    ),
    "relays": Command("board.relays", "open a card's notice relays, whatever became of its capture", "open --card 1"),
    "idle": Command("commission.idle", "wait until no line is in use", "--config unit.toml --within 3600"),
    "line": Command("commission.learn", "measure a line of a running unit", "learn 3 --config unit.toml"),
    "walk": Command("commission.walk", "walk test: lift each line in turn", "--config /etc/linetap/unit.toml"),
    "check": Command("checks.command", "the self-diagnosis", "--config unit.toml"),
    "keygen": Command(
        "desk.keygen",
        "keys: custodian, epoch, unit, authority, and epochs with their list",
        "custodian -o custodian.txt",
    ),
    "tpm": Command("tpm.command", "the boots that a key in a TPM signs in", "boot $(cat root.hash) --key release.key"),
    "volume": Command("tpm.volumecommand", "a card's partitions, encrypted by the TPM", "test /dev/mmcblk0p4"),
    "roles": Command("desk.roles", "who may do what at the desk", "check roles.json --authority authority.pub"),
    "release": Command("desk.release.command", "ask for a recording, approve it", "show request.json"),
    "unwrap": Command(
        "desk.unwrap",
        "the vault officer's half of opening",
        "CALL_DIR --identity epoch.txt --request request.json -o inner.age",
    ),
    "open": Command(
        "desk.open",
        "check and open a call",
        "CALL_DIR --identity custodian.txt --inner inner.age --signers allowed_signers -o call.wav",
    ),
    "custody": Command(
        "desk.custody.command",
        "the custodian's helper: hear a released call in memory, and hand it on",
        "--desk https://desk.city.example:8443 --ca ca.pem --identity custodian.txt --identity one-time.txt",
    ),
    "find": Command(
        "desk.find",
        "the calls of a number",
        "--number 010-1234-5678 --from '2026-11-24 13:00' vaults/floor-03 --identity /media/a",
    ),
    "access": Command("desk.access_command", "who did what with whose recording", "show"),
    "command": Command(
        "desk.command", "signed commands to a unit", "apply hold.command --config /etc/linetap/unit.toml"
    ),
    "witness": Command(
        "desk.witness",
        "cosign the heads of units' logs that go on",
        "--log vault/log --state seen.json --key witness.key --signers allowed_signers -o heads",
    ),
    "checkpoint": Command(
        "desk.witnessing.carry",
        "carry the head of a unit's log to the witnesses of a policy, and their cosignatures back",
        "vault/log --key keeper.key --policy policy --signers allowed_signers -o heads",
    ),
    "timestamp": Command(
        "desk.timestamp",
        "an authority's time stamp (RFC 3161) over a unit's head",
        "ask vault/log --tsa http://tsa.example/ --ca tsa-ca.pem --signers allowed_signers -o stamps",
    ),
    "sigsum": Command(
        "desk.sigsum",
        "a proof for stock sigsum-verify that a call stands in its unit's log",
        "CALL_ID --log vault/log --key desk.key --signers allowed_signers -o proofs",
    ),
    "epoch": Command("desk.epoch", "destroy a day's keys, and what is overdue", "overdue --certificates certificates"),
    "hold": Command("desk.hold", "keep a call for a case", "wrap CALL_DIR --identity 2027-01-24.txt --to age1..."),
    "overflow": Command(
        "desk.overflow", "overflow calls to their days", "rewrap CALL_DIR --identity overflow-2.txt --to 2027-01-24"
    ),
    "bundle": Command(
        "desk.bundle.command",
        "calls and all that proves them in one zip, with a report for a court",
        "CALL_DIR --signers allowed_signers --case 2026-117 -o case.zip",
    ),
    "desk": Command(
        "desk.ingest.command",
        "the central side: takes what units report, and finds it again",
        "ingest --config desk.toml",
    ),
    "watch": Command("desk.watch.command", "all units as the broker has them, now", "--config desk.toml"),
    "pki": Command(
        "desk.pki.command",
        "certificates for units, brokers and desks",
        "unit floor-03.request --dir /media/pki -o floor-03.pem",
    ),
    "verify": Command(
        "desk.verify", "check a call, a vault or a bundle, without any secret", "vault --signers allowed_signers"
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 the answer is no, 2 bad input or usage (argparse exits with it by itself)."""
    # Our products are small: a second BLAS thread spins beside them and doubles what they cost. Before numpy loads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Korean is no reason to fail
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    service = chosen in COMMANDS and COMMANDS[chosen].service
    try:
        status = _run(chosen, arguments)
        sys.stdout.flush()
    except LinetapError as error:
        return _say(str(error), error.exit_status)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        # What a service says goes to the journal, where a traceback helps; a person who runs a tool gets a line.
        if service or "LINETAP_TRACEBACK" in os.environ:
            raise
        return _explain(chosen, error)
    return status


def _explain(chosen: str, error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        # Nobody reads on; without this the interpreter complains once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    if isinstance(error, OSError):
        return _say(f"{error.filename}: {error.strerror}" if error.filename else str(error), BAD_INPUT)
    package = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package in EXTRAS:
        return _say(f"this needs {package}: pip install 'linetap[{EXTRAS[package]}]' brings it", BAD_INPUT)
    text = f"a fault in linetap itself: {type(error).__name__}: {error}; LINETAP_TRACEBACK=1 shows where"
    return _say(f"linetap {chosen}: {text}", BAD_INPUT)


def _run(chosen: str, arguments: list[str]) -> int:
    args = _parser(chosen).parse_args(arguments)
    command = COMMANDS[args.command]
    status: int = _serve(args) if command.service else _module(command).run(args)
    return status


def _parser(chosen: str) -> argparse.ArgumentParser:
    """All sub-commands by name; of the chosen one its arguments too."""
    parser = argparse.ArgumentParser(
        prog="linetap",
        description="Announces, records and seals telephone calls.",
        epilog="example: linetap notice list",
    )
    parser.add_argument("--version", action="version", version=f"linetap {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        example = f"example: linetap {name} {command.example}"
        sub = commands.add_parser(
            name, help=command.help, description=command.help, epilog=example, formatter_class=EXAMPLES
        )
        if name == chosen and command.service:
            sub.add_argument("--config", type=Path, required=True, metavar="unit.toml")
            if name == "capture":
                sub.add_argument("--card", type=int, default=1, metavar="N", help="default %(default)s")
        elif name == chosen:
            _module(command).add_arguments(sub)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from linetap.config import load_config
    from linetap.config.named import require_card

    try:
        config = load_config(args.config)
    except BadInput as error:
        if args.command == "panel":
            return int(import_module("linetap.panel.wrong").run(args.config.absolute(), error))
        unconfigured = import_module("linetap.unconfigured")
        if not unconfigured.is_supervised():
            raise
        return int(unconfigured.wait(args.command, getattr(args, "card", 1), args.config.absolute(), error))
    if args.command == "capture":
        require_card(config, args.config, args.card)
        return int(_module(COMMANDS["capture"]).run(config, args.card))
    if args.command == "recorder":
        return int(_module(COMMANDS["recorder"]).run(config, config_file=args.config.absolute()))
    return int(_module(COMMANDS[args.command]).run(config))


def _module(command: Command) -> ModuleType:
    return import_module(f"linetap.{command.module}")


def _say(text: str, status: int) -> int:
    sys.stderr.write(f"{text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
