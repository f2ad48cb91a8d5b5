# SPDX-License-Identifier: Apache-2.0
"""`update`: the wanted version is written to a file in the vault, root installs it, and the log gets the outcome.

Version, size and hash are signed: the bundle's origin does not matter, and root checks its own signature (RAUC).
"""

from __future__ import annotations

import msgspec

from linetap.config import Config
from linetap.recorder.vault.log.log import UnitLog
from linetap.update import state
from linetap.update.judge import require_newer, require_running
from linetap.update.state import UpdateFault, UpdateRequest
from linetap_core.durable.smallfile import SmallFile
from linetap_core.errors import BadInput
from linetap_core.evidence.authorization import commandbody
from linetap_core.evidence.authorization.command import Command, CommandFault
from linetap_core.records import UpdateState
from linetap_core.service import stamp
from linetap_core.wire import updates

LOGGED = "update.told"  # in the vault: the logged outcome, so that older leaves need not be searched


class _Logged(msgspec.Struct, frozen=True):
    outcome: str


_FILE = SmallFile("update_told", _Logged, 4096, old=lambda data: _Logged(data.decode("ascii")))


class Update:
    """The update's state, for the vault's thread; any thread may read `state`."""

    def __init__(self, config: Config, unit_log: UnitLog) -> None:
        self._config, self._log = config, unit_log
        self._folder = state.folder_of(config)
        self._stamp = stamp(self._folder / state.STATE)
        self.state: UpdateState | None = state.load(self._folder)
        self._logged: UpdateState | None = None

    def apply(self, command: Command) -> str:
        """Writes the wanted version for root. OSError: the desk repeats the command."""
        wanted = self._read(command)
        try:
            running = require_running()
            require_newer(wanted.version, running)
        except UpdateFault as fault:
            raise CommandFault(fault.code, str(fault)) from None
        self.require_settled()
        if wanted.version == running:
            return f"version {running} runs already"
        state.REQUEST_FILE.replace(self._config.vault_path / state.WISH, wanted)
        return f"version {wanted.version} from {wanted.url}, then tried when no call is in progress; {running} runs"

    def require_settled(self) -> None:
        """CommandFault while a version is on trial: the old version may have to read a file that is changed now."""
        self._reload()
        if self.state is not None and self.state.step == "trying":
            raise CommandFault("update_on_trial", f"version {self.state.version} is on trial: in some minutes again")

    def tick(self) -> None:
        """Logs the outcome of an update. OSError: retried at the next tick."""
        self._reload()
        now = self.state
        if now is None or now is self._logged or now.step not in ("done", "failed"):
            return
        logged, path = _Logged(f"{now.at} {now.sha256}"), self._config.vault_path / LOGGED
        if _FILE.load(path) != logged:
            outcome = now.code or now.step
            self._log.append("update", at=now.at, version=now.version, sha256=now.sha256, by=now.by, code=outcome)
            _FILE.replace(path, logged)
        self._logged = now

    def _reload(self) -> None:
        seen = stamp(self._folder / state.STATE)
        if seen != self._stamp:
            self._stamp, self.state = seen, state.load(self._folder)

    def _read(self, command: Command) -> UpdateRequest:
        body = commandbody.read(command, commandbody.Update)
        try:
            # Validated like root does, so that root refuses no written request.
            found = state.usual_url(self._config, body.version) if body.url is None else body.url
            wanted = msgspec.convert({**msgspec.structs.asdict(body), "url": found}, UpdateRequest)
            updates.check_url(found)
        except (BadInput, msgspec.ValidationError) as error:
            raise CommandFault("command_malformed", str(error)) from None
        return wanted
