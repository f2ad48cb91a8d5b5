# SPDX-License-Identifier: Apache-2.0
"""The holder of an encrypted card's key: the unit's TPM or, without a TPM, the fuses of its board.

The order on the card names one of the two; an encrypted card names its own holder. The other is never tried instead.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from linetap.cardresult import NO_BOARD_KEY, NO_TPM
from linetap.tpm import boardkey, bootpolicy, device, freshness, unitkey, volume
from linetap.tpm.device import TpmFault
from linetap_core.errors import BadInput, Refusal
from linetap_core.records import KeyHolder


class Holder(Protocol):
    @property
    def name(self) -> KeyHolder: ...

    def new(self) -> tuple[bytes, volume.Token]:
        """The secret of a new card, and its token."""

    def secret_of(self, path: Path) -> bytes:
        """The secret of an encrypted partition. LinetapError in one line if it is not this unit's."""

    def begin(self, state: Path) -> int:
        """Gives a new card, mounted at `state`, the number of its first boot."""

    def next_boot(self, state: Path) -> int:
        """Gives the card this boot's number. Stale if it is an older copy, as far as the holder can detect that."""


@dataclass(frozen=True, slots=True)
class TpmHolder:
    tpm: Path = Path(device.DEVICE)
    boots: Path = Path("/proc/cmdline")
    release: Path = Path(unitkey.RELEASE)

    @property
    def name(self) -> KeyHolder:
        return "tpm"

    def new(self) -> tuple[bytes, volume.Token]:
        return volume.seal(self.tpm, unitkey.release_of(self.release), bootpolicy.read(self.boots))

    def secret_of(self, path: Path) -> bytes:
        return volume.secret_of(path, self.tpm, bootpolicy.read(self.boots))

    def begin(self, state: Path) -> int:
        with closing(device.open_device(self.tpm)) as transport:
            return freshness.begin(state, transport)

    def next_boot(self, state: Path) -> int:
        with closing(device.open_device(self.tpm)) as transport:
            return freshness.check_state(state, transport)

    def has_encrypted(self) -> bool:
        """Whether a card of this unit was encrypted before. A TPM that does not answer counts as removed."""
        try:
            with closing(device.open_device(self.tpm)) as transport:
                return freshness.read_counter(transport) is not None
        except TpmFault:
            return False


@dataclass(frozen=True, slots=True)
class BoardHolder:
    """The board's fuses as holder. The kernel gives out the key once: call one of `new` and `secret_of`, once."""

    path: Path = Path(boardkey.PATH)

    @property
    def name(self) -> KeyHolder:
        return "otp"

    def new(self) -> tuple[bytes, volume.Token]:
        return boardkey.new(boardkey.read(self.path))

    def secret_of(self, path: Path) -> bytes:
        token = volume.token_of(path)
        if not isinstance(token, boardkey.OtpToken):
            raise BadInput(f"{path}: its token is of no board's key")
        try:
            return boardkey.secret_of(boardkey.read(self.path), token)
        except Refusal as why:
            raise Refusal(f"{path}: {why}") from None

    def begin(self, state: Path) -> int:
        return freshness.begin_uncounted(state)

    def next_boot(self, state: Path) -> int:
        return freshness.next_uncounted(state)


def of_card(path: Path, tpm: TpmHolder, board: BoardHolder) -> Holder:
    """The holder that an encrypted partition names. Refusal if the unit has had one with a key in its TPM."""
    if isinstance(volume.token_of(path), volume.TpmToken):
        return tpm
    if tpm.has_encrypted():
        raise Refusal(f"{path}: encrypted with a board's key (OTP), and this unit's card with its TPM: not taken")
    return board


def of_order(wanted: KeyHolder, tpm: TpmHolder, board: BoardHolder) -> Holder:
    """The holder that an order names. Refusal if the unit has none, or a better one."""
    if wanted == "tpm":
        if not tpm.tpm.exists():
            raise Refusal(NO_TPM)
        return tpm
    if tpm.tpm.exists():
        raise Refusal('this unit has a TPM, which is stronger than the key in the fuses: "tpm" expected')
    if not board.path.exists():
        raise Refusal(NO_BOARD_KEY)
    return board
