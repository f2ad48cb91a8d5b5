# SPDX-License-Identifier: Apache-2.0
"""The results of the card's start and of an order on the card: files in /run, written by root before the services.

They are lost at the next boot. The recorder writes the order's result into the log, and a refused order raises an
alert. usr/lib/linetap/data also reads the first word of the encryption's result; without that file the card is plain
and the unit has neither a TPM nor a key in its board's fuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from linetap_core.clock import SYSTEM, parse_rfc3339, rfc3339
from linetap_core.durable.smallfile import SmallFile
from linetap_core.records import KeyHolder, OrderState

CARD_WRONG = "linetap-card-wrong"  # in /run, beside the services' folder
NAME = "linetap-order.json"
ADOPTED = "linetap-adopted"  # in /run, root's: the files from a desk, in the form of a card
DESK = "linetap-desk"  # the desk's address, from the card
CERTIFICATE = "certificate.pem"  # as received by the exchange
_LIMIT_BYTES = 4096
_READABLE = 0o644

_FILE = SmallFile("order", OrderState, _LIMIT_BYTES, check=lambda state: parse_rfc3339(state.at))


def write_order_result(run_dir: Path, code: str, sha256: str | None) -> None:
    """Writes the result. `sha256`: of the order, or of the statement that a key has ended."""
    path = run_dir / NAME
    _FILE.replace(path, OrderState(rfc3339(SYSTEM.utc_ns()), code, sha256 or ""))
    path.chmod(_READABLE)


def load(run_path: Path) -> OrderState | None:
    """The result; None if nothing was on the card in this boot. The file is beside `run_path`, the services' folder."""
    return _FILE.load_in_place(run_path.with_name(NAME))


# --- Encryption of the card -------------------------------------------------------------------------------------------


CARD_NAME = "linetap-card"
REFUSED = "linetap-card-refused"  # beside it: its presence starts provision-linetap.service
MARK = "linetap-encrypting.txt"  # on the boot partition, while the contents of state and data are undefined

EncryptionWord = Literal["sealed", "plain", "refused"]
NO_TPM = "this unit has no TPM (/dev/tpm0)"
NO_BOARD_KEY = "no key is burnt into the fuses (OTP) of this board, or its firmware does not give it out"


@dataclass(frozen=True, slots=True)
class Encryption:
    """The state of the encryption. `why`: one line for a person, or "". For an encrypted card: `boot`, its number;
    `held_by`, the holder of its key.
    """

    word: EncryptionWord
    why: str = ""
    boot: int | None = None
    held_by: KeyHolder | None = None


def write_encryption(run: Path, result: Encryption) -> None:
    """Writes the state, once a boot, before anything else uses /run."""
    (run / CARD_NAME).write_text(f"{result.word} {result.boot or '-'} {result.held_by or '-'}\n{result.why}\n")
    if result.word == "refused":
        (run / REFUSED).touch()


def read_encryption(run: Path) -> Encryption:
    try:
        with (run / CARD_NAME).open("rb") as file:
            lines = file.read(_LIMIT_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return Encryption("plain")
    word, boot, held, *_ = [*(lines or [""])[0].split(" "), "", "", ""]
    why = lines[1] if len(lines) > 1 else ""
    match word:
        case "sealed":
            held_by: KeyHolder | None = "tpm" if held == "tpm" else "otp" if held == "otp" else None
            return Encryption("sealed", why, int(boot) if boot.isdigit() else None, held_by)
        case "plain":
            return Encryption("plain", why)
        case _:
            return Encryption("refused", why or "the start of the card was not completed")
