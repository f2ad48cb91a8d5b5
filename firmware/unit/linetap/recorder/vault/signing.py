# SPDX-License-Identifier: Apache-2.0
"""The unit's signing key, used by the recorder alone, the outbox and log that it signs, and further attempts to sign.

Recording needs no signature: while the TPM with the key does not sign, audio is still sealed and written; events and
the ends of calls wait in order (callfolder/jobs.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from linetap import unitkeys
from linetap.config.schema import Config, Keys
from linetap.recorder.vault.callfolder.folder import Sign
from linetap.recorder.vault.incarnation import Incarnation
from linetap.recorder.vault.log.log import UnitLog
from linetap.recorder.vault.outbox.outbox import Outbox
from linetap.tpm.device import TpmFault
from linetap_core.clock import NS_PER_S, Clock
from linetap_core.evidence.keys import keys
from linetap_core.evidence.signing import namespaces, sshsig

AGAIN_NS = 5 * NS_PER_S  # a hanging TPM costs seconds at each attempt

_PROBE = b""

log = logging.getLogger("linetap.recorder.vault")


class Signing:
    """The attempts to sign. `fault`: the code of the fault that prevents signing, or None."""

    def __init__(self, sign: Sign, clock: Clock) -> None:
        self._sign, self._clock = sign, clock
        self.fault: str | None = None
        self._again_ns = 0

    def may_try(self) -> bool:
        return self.fault is None or self._clock.monotonic_ns() >= self._again_ns

    def attempt[*Ts](self, act: Callable[[*Ts], object], *args: *Ts) -> bool:
        """Runs `act`, which signs. False: the key did not sign, and `act` must be repeated."""
        try:
            act(*args)
        except TpmFault as fault:
            self.failed(fault)
            return False
        return True

    def probe(self) -> None:
        """Tests the key before an act that would first write an entry in the index and its leaf."""
        self._sign(_PROBE)

    def failed(self, fault: TpmFault) -> None:
        if self.fault is None:
            log.error("%s: %s; calls are recorded and wait for their signature", fault.code, fault)
        self.fault, self._again_ns = fault.code, self._clock.monotonic_ns() + AGAIN_NS

    def works(self) -> None:
        if self.fault is not None:
            log.warning("the unit's key signs again")
        self.fault = None


class UnitKey:
    """The key. BadInput, with the file's name, if the file at `path` is not of the kind named in `settings`."""

    def __init__(self, path: Path, settings: Keys | None = None) -> None:
        self._key = unitkeys.open_key(path, settings)

    def signer(self, namespace: str) -> Callable[[bytes], str]:
        """Returns a function that makes an armored SSHSIG of `namespace`. A key in a TPM may raise TpmFault."""
        return lambda data: sshsig.sign(data, self._key, namespace)

    def incarnation(self, config: Config, clock: Clock, config_file: Path | None = None) -> Incarnation:
        """Returns the identity of the vault; an empty vault gets one before log and outbox are opened.

        The number of vaults so far is kept beside `config_file`, or beside the key.
        """
        memory = (config_file.resolve() if config_file is not None else Path(config.key)).parent
        origin, sign = keys.fingerprint(self._key.public_key()), self.signer(namespaces.HEAD)
        return Incarnation(config.vault_path, config.unit, origin, sign, clock, memory)

    def open_outbox(
        self, config: Config, log_size: Callable[[], int] = lambda: 0, vault: str = "", used: int = 0
    ) -> Outbox:
        """Opens the outbox.

        `log_size`: the number of leaves in the unit's log; `used`: the newest event that they name; a replay, which
        drops nothing, needs neither. `vault`: its name.
        """
        origin, sign = keys.fingerprint(self._key.public_key()), self.signer(namespaces.EVENT)
        max_bytes = config.storage.outbox_mb << 20
        return Outbox(config.vault_path / "outbox", config.unit, sign, origin, max_bytes, log_size, vault, used)

    def open_log(self, config: Config, clock: Clock, vault: str = "") -> UnitLog:
        return UnitLog(config.vault_path, config.unit, self._key, clock, vault)
