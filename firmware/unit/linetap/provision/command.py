# SPDX-License-Identifier: Apache-2.0
"""`linetap provision pack|apply`: makes one file for a unit's card, and processes it on the unit at boot."""

from __future__ import annotations

import argparse
import contextlib
import errno
import functools
import hashlib
import sys
from pathlib import Path

from linetap import cardresult, unitkeys
from linetap.cardresult import CARD_WRONG
from linetap.commission import tlsrequest
from linetap.config.require import TLS_KEY
from linetap.provision import acceptorder, adopted, cardfiles, memory, pack, retire
from linetap.provision.applyorder import apply_order, describe, leave_request, take_certificate
from linetap_core.clock import SYSTEM, Clock
from linetap_core.durable import privatefile
from linetap_core.durable.files import move_durably, replace_durably
from linetap_core.enrolment import order
from linetap_core.errors import BadInput, LinetapError
from linetap_core.tomlfile.source import Source

DONE, ERROR = "linetap-done.txt", "linetap-error.txt"
FULL = "linetap-error-card-is-full.txt"  # empty: on a card without a free block a name is all that can be written
_TAKEN = ".linetap.taken"  # name of an order while it is wiped; systemd/provision-linetap.service looks for it
_WRONG = f"""{order.NAME}: 이 파일에 잘못이 있어 아무것도 바꾸지 않았습니다. 고쳐서 다시 넣어 주십시오.
{order.NAME}: something in this file is wrong, and nothing was changed. Put it right, and start the unit again.

"""
_FILES = """카드의 파일을 확인하십시오. 아무것도 바꾸지 않았습니다.
The files on this card are not as they should be, and nothing was changed.

"""
_NO_REQUEST = f"""{order.NAME}: 설정을 적용했으나 인증서 요청 파일을 카드에 쓰지 못했습니다.
카드에 빈 공간을 만든 뒤 다시 시작하십시오.
{order.NAME}: the order is in force, but the request for its certificate is not on the card.
Make room there, and start the unit again.

"""
_NOT_USED = """이 기기는 이 카드를 사용하지 않습니다. 아래 이유를 확인하십시오.
This unit does not use this card. The necessary action is below.

"""


class CardRefused(BadInput):
    """State and data are not used in this boot: nothing is written to their replacements in RAM."""

    code = "card_refused"


class RequestNotWritten(BadInput):
    """The order is in force, and the next start writes UNIT.request."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    pack.add_arguments(verbs.add_parser("pack", help="make one file with the unit's whole configuration"))
    key = verbs.add_parser("key", help="on the unit: renew the copies of its keys, or put a damaged key back from them")
    key.add_argument("--etc", type=Path, default=Path("/etc"), metavar="DIR", help="default %(default)s")
    apply = verbs.add_parser("apply", help="on the unit, at boot: process the files on the card")
    apply.add_argument("boot", type=Path, metavar="DIR", help="the boot partition")
    apply.add_argument("--etc", type=Path, default=Path("/etc"), metavar="DIR", help="default %(default)s")
    apply.add_argument("--run", type=Path, default=Path("/run"), metavar="DIR", help="default %(default)s")
    adopt = verbs.add_parser("adopt", help="on a new unit: process the desk's files (linetap adopt)")
    adopt.add_argument("sent", type=Path, metavar="DIR", help="the folder of the exchange")
    adopt.add_argument("--etc", type=Path, default=Path("/etc"), metavar="DIR", help="default %(default)s")
    adopt.add_argument("--run", type=Path, default=Path("/run"), metavar="DIR", help="default %(default)s")
    for each in (apply, adopt):
        each.add_argument(
            "--kept",
            type=Path,
            metavar="DIR",
            help="folder of the network's files, checked at each start; default: ETC",
        )


def run(args: argparse.Namespace) -> int:
    """Runs the command. Returns 0 also if nothing was on the card."""
    if args.verb == "key":
        return 0 if _keep_keys(args.etc / "linetap") else 1
    if args.verb == "pack":
        return pack.run(args)
    act = functools.partial(apply, kept_etc=args.kept)
    return (
        act(args.boot, args.etc, args.run)
        if args.verb == "apply"
        else adopted.process_adoption(args.sent, args.etc, args.run, act)
    )


def _keep_keys(home: Path) -> bool:
    """Keeps copies of both keys, so that one flipped bit cannot stop recorder or reporter. False if one is no key and
    has no copy."""
    good = True
    for name, keep in ((memory.KEY, unitkeys.keep_copy), (TLS_KEY, tlsrequest.keep_copy)):
        try:
            keep(home / name)
        except (LinetapError, OSError) as error:
            sys.stderr.write(f"{home / name}: {error}\n")  # its service and the LEDs report it too
            good = False
    return good


def apply(
    boot: Path,
    etc: Path,
    run_dir: Path,
    clock: Clock = SYSTEM,
    by_network: bool = False,
    kept_etc: Path | None = None,
) -> int:
    """Processes the card. Errors also go to linetap-error.txt: the person who wrote the file has no terminal."""
    if not by_network or (boot / order.NAME).exists():  # the exchange must not remove the address on the card
        for old in (run_dir / CARD_WRONG, run_dir / cardresult.NAME):
            old.unlink(missing_ok=True)
    digest: str | None = None
    if not by_network:
        cardfiles.move_folders_away(boot, (DONE, ERROR, FULL, _TAKEN))
    try:
        with contextlib.suppress(OSError):
            (boot / FULL).unlink(missing_ok=True)
            (boot / ERROR).unlink(missing_ok=True)
        with contextlib.suppress(BadInput):  # the next start tries it again
            _finish_wiping(boot)
        _require_card(boot, run_dir)
        cardfiles.require_names(boot)
        if not by_network:
            _name_desk(boot, run_dir)
        done = take_certificate(etc, boot) or ""
        if (boot / retire.ASKED).exists():
            text, digest = retire.retire(boot, etc / "linetap", clock)
            cardresult.write_order_result(run_dir, "retired", digest)
            done += text
        path = boot / order.NAME
        memory.learn(etc / "linetap", path.exists())
        if path.exists():
            data = acceptorder.read_card(path)
            digest = hashlib.sha256(data).hexdigest()
            cardfiles.require_text(data)
            if by_network:
                acceptorder.require_unowned(data, etc / "linetap")
            done += _take(data, boot, etc, kept_etc or etc, run_dir, signed=by_network) + _how(run_dir)
            if not (run_dir / cardresult.NAME).exists():  # the end of a key has priority
                cardresult.write_order_result(run_dir, "taken", digest)
        elif not by_network:
            with contextlib.suppress(LinetapError, OSError):  # the unit continues without it on the card
                leave_request(etc, boot)
            with contextlib.suppress(LinetapError, OSError):
                done += _finish_wiped(boot, etc, run_dir)
        _keep_keys(etc / "linetap")
    except (LinetapError, OSError) as error:
        fault = str(error).replace(f"{boot}/", "")
        with contextlib.suppress(OSError):
            _write_error(boot, _explained(error, fault).encode())
        with contextlib.suppress(OSError):
            (run_dir / CARD_WRONG).touch()
            cardresult.write_order_result(run_dir, _code_of(error), digest)
        raise BadInput(fault) from None
    if done:
        with contextlib.suppress(OSError):  # also in the journal
            replace_durably(boot / DONE, done.encode())
        sys.stdout.write(done)
    return 0


def _write_error(boot: Path, text: bytes) -> None:
    """Writes linetap-error.txt. On a full card the last linetap-done.txt makes room for it; without one, the name of
    an empty file is the message."""
    try:
        replace_durably(boot / ERROR, text)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        if not (boot / DONE).exists():
            (boot / FULL).touch()
            return
        (boot / DONE).unlink()
        _write_error(boot, text)


def _name_desk(boot: Path, run_dir: Path) -> None:
    """Stores the desk's address from the card for `linetap adopt`, which has no access to the card."""
    (run_dir / cardresult.DESK).unlink(missing_ok=True)
    if (boot / cardfiles.DESK).exists():
        address = cardfiles.one_line(acceptorder.read_card(boot / cardfiles.DESK))
        cardfiles.require_other_desk(cardfiles.desk_address(address)[0])
        (run_dir / cardresult.DESK).write_text(f"{address}\n")


def _code_of(error: LinetapError | OSError) -> str:
    """The order's result, as in `cardresult` and the log."""
    match error:
        case order.OrderFault():
            return error.code
        case RequestNotWritten():
            return "taken"
        case _:
            return "order_invalid"


def _explained(error: LinetapError | OSError, fault: str) -> str:
    match error:
        case CardRefused():
            return f"{_NOT_USED}{fault}\n"
        case cardfiles.CardMistake():
            return f"{_FILES}{error.ko}\n{fault}\n"
        case RequestNotWritten():
            return f"{_NO_REQUEST}{fault}\n"
        case _:
            return f"{_WRONG}{fault}\n"


def _require_card(boot: Path, run_dir: Path) -> None:
    encryption = cardresult.read_encryption(run_dir)
    if encryption.word == "refused":
        raise CardRefused(f"the card is not used: {encryption.why}")
    if encryption.word == "sealed":
        (boot / cardresult.MARK).unlink(missing_ok=True)


_HELD = {"tpm": "in the TPM", "otp": "in the board's fuses (OTP)"}


def _how(run_dir: Path) -> str:
    said = cardresult.read_encryption(run_dir)
    return f"the card is encrypted, with a key {_HELD[said.held_by or 'tpm']}\n" if said.word == "sealed" else ""


def _require_encrypted(found: order.Order, run_dir: Path) -> None:
    """Raises a fault before any secret is written to the card."""
    said = cardresult.read_encryption(run_dir)
    if found.card is None or (said.word == "sealed" and said.held_by in (None, found.card.encrypt)):
        return
    if said.word == "sealed":
        why = f"this card is encrypted already, with a key {_HELD[said.held_by or 'tpm']}"
    else:
        why = said.why or (cardresult.NO_TPM if found.card.encrypt == "tpm" else cardresult.NO_BOARD_KEY)
    raise BadInput(f"{order.NAME}: [card] encrypt: {why}")


def _take(data: bytes, boot: Path, etc: Path, kept_etc: Path, run_dir: Path, signed: bool) -> str:
    """Checks and applies the same bytes: a card might return others at a second read.

    An order that is in force already, when a power cut has left it on the card, is only wiped. Its ssh access ended
    with the boot that a power cut ended, and is not granted again.
    """
    home = etc / "linetap"
    if memory.order_to_wipe(home) == hashlib.sha256(data).hexdigest():
        _wipe(boot, home)
        done = describe(home, boot)
    else:
        done = _apply_new(data, boot, etc, kept_etc, run_dir, signed)
        _wipe(boot, home)
    try:
        leave_request(etc, boot)
    except OSError as error:
        raise RequestNotWritten(str(error)) from None
    return done


def _apply_new(data: bytes, boot: Path, etc: Path, kept_etc: Path, run_dir: Path, signed: bool) -> str:
    home = etc / "linetap"
    acceptorder.require_authority(data, boot, home)
    found = order.read(Source(boot / order.NAME, data))
    acceptorder.require_new(found, data, home)
    if signed or found.ssh_key is not None:
        acceptorder.require_own_authority(found, data, boot)
    _require_encrypted(found, run_dir)
    return apply_order(found, data, etc, kept_etc, run_dir, boot)


def _wipe(boot: Path, home: Path) -> None:
    """Wipes an order that is in force from the card, and then stores that this is done."""
    try:
        move_durably(boot / order.NAME, boot / _TAKEN)
    except OSError as error:
        raise BadInput(f"{order.NAME}: {error.strerror}") from None
    privatefile.wipe(boot / _TAKEN)
    (boot / acceptorder.SIGNATURE).unlink(missing_ok=True)
    memory.note_wiped(home)


def _finish_wiped(boot: Path, etc: Path, run_dir: Path) -> str:
    """Reports an order that a power cut has removed from the card, perhaps except for its signature."""
    home = etc / "linetap"
    sha256 = memory.order_to_wipe(home)
    if not sha256 or (boot / _TAKEN).exists():
        return ""
    (boot / acceptorder.SIGNATURE).unlink(missing_ok=True)
    done = describe(home, boot)
    if not (run_dir / cardresult.NAME).exists():
        cardresult.write_order_result(run_dir, "taken", sha256)
    memory.note_wiped(home)
    return done


def _finish_wiping(boot: Path) -> None:
    """Wipes the rest of an order that a power cut left under the name of orders in process."""
    if (boot / _TAKEN).exists():
        privatefile.wipe(boot / _TAKEN)
