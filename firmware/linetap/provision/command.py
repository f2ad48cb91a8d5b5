# SPDX-License-Identifier: Apache-2.0
"""`linetap provision pack|apply`: one file for a unit's card, and what the unit makes of it at boot."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import sys
from pathlib import Path

from linetap.clock import SYSTEM, Clock
from linetap.config.load import Source
from linetap.desk import wipe
from linetap.durable.replace import replace_durably
from linetap.errors import BadInput, LinetapError
from linetap.provision import CARD_WRONG, admit, memory, order, outcome, pack, retire
from linetap.provision.lay import lay, take_certificate
from linetap.provision.outcome import OrderFault

DONE, ERROR = "linetap-done.txt", "linetap-error.txt"
_WRONG = f"""{order.NAME}: 이 파일에 잘못이 있어 아무것도 바꾸지 않았습니다. 고쳐서 다시 넣어 주십시오.
{order.NAME}: something in this file is wrong, and nothing was changed. Put it right, and start the unit again.

"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    pack.add_arguments(verbs.add_parser("pack", help="one file of all that a unit is to know"))
    apply = verbs.add_parser("apply", help="on the unit, at boot: take what is on the card")
    apply.add_argument("boot", type=Path, metavar="DIR", help="the boot partition")
    apply.add_argument("--etc", type=Path, default=Path("/etc"), metavar="DIR", help="default %(default)s")
    apply.add_argument("--run", type=Path, default=Path("/run"), metavar="DIR", help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    """0 where nothing was on the card, too."""
    return pack.run(args) if args.verb == "pack" else apply(args.boot, args.etc, args.run)


def apply(boot: Path, etc: Path, run_dir: Path, clock: Clock = SYSTEM) -> int:
    """What was wrong stands in linetap-error.txt too: whoever wrote the file has the card, and no terminal."""
    for old in (run_dir / CARD_WRONG, run_dir / outcome.NAME):
        old.unlink(missing_ok=True)
    digest: str | None = None
    try:
        with contextlib.suppress(OSError):  # a folder of that name keeps nobody from being served
            (boot / ERROR).unlink(missing_ok=True)
        said = take_certificate(etc, boot) or ""
        if (boot / retire.ASKED).exists():
            told, digest = retire.retire(boot, etc / "linetap", clock)
            outcome.note(run_dir, "retired", digest)
            said += told
        path = boot / order.NAME
        memory.learn(etc / "linetap", path.exists())
        if path.exists():
            data = admit.read_card(path)
            digest = hashlib.sha256(data).hexdigest()
            said += _take(data, boot, etc, run_dir)
            if not (run_dir / outcome.NAME).exists():  # that a key has ended says more
                outcome.note(run_dir, "taken", digest)
    except (LinetapError, OSError) as error:
        told = str(error).replace(f"{boot}/", "")
        with contextlib.suppress(OSError):
            replace_durably(boot / ERROR, f"{_WRONG}{told}\n".encode())
        with contextlib.suppress(OSError):
            (run_dir / CARD_WRONG).touch()
            outcome.note(run_dir, error.code if isinstance(error, OrderFault) else "order_invalid", digest)
        raise BadInput(told) from None
    if said:
        with contextlib.suppress(OSError):  # the journal has it too
            replace_durably(boot / DONE, said.encode())
        sys.stdout.write(said)
    return 0


def _take(data: bytes, boot: Path, etc: Path, run_dir: Path) -> str:
    """The same bytes are judged and carried out: a card may show others when it is read again."""
    home = etc / "linetap"
    admit.require_authority(data, boot, home)
    found = order.read(Source(boot / order.NAME, data))
    admit.require_new(found, data, home)
    admit.require_debugger(found, data, boot)
    said = lay(found, data, etc, run_dir, boot)
    wipe.wipe(boot / order.NAME)
    (boot / admit.SIGNATURE).unlink(missing_ok=True)
    return said
