# SPDX-License-Identifier: Apache-2.0
"""SMDR in the recorder: the port, the join and the vault connected, with their part of the checkpoint and the state
file.
"""

from __future__ import annotations

from datetime import date, timedelta

from linetap.config.schema import Config
from linetap.recorder.pbx.join import FOLDER, SmdrJoin, SmdrMemory
from linetap.recorder.pbx.ledger import DAY_FILE, MOST_DAYS
from linetap.recorder.smdr.port import SmdrPort
from linetap.recorder.vault.writer import VaultWriter
from linetap_core.clock import Clock
from linetap_core.records import RecorderState


class Smdr:
    """Everything about SMDR, while a port is configured."""

    def __init__(self, config: Config, clock: Clock, vault: VaultWriter, remembered: SmdrMemory | None) -> None:
        assert config.smdr.port is not None
        self._clock, self._vault = clock, vault
        self._bad = 0
        self.join = SmdrJoin(config, vault, clock, vault.keep, remembered)
        if remembered is None:
            self._take_up_days(config)
        self._port = SmdrPort(config.smdr.port, config.smdr.baud, clock)
        self._port.start()

    def turn(self) -> bool:
        """Joins new lines with calls; whether the checkpoint should be written."""
        lines = self._port.take_lines()
        for arrived_ns, raw in lines:
            self.join.line(raw, arrived_ns)
        bad, self._bad = self._port.bad - self._bad, self._port.bad
        if bad:
            self.join.ledger.day_at(self._clock.utc_ns()).bad += bad
        recovered = self._vault.take_recovered()
        for record in recovered:
            self.join.ledger.call_recovered(record)
        return self.join.turn() or bool(lines or recovered)

    def tell(self, state: RecorderState) -> None:
        day = self.join.ledger.day_at(self._clock.utc_ns())
        state.smdr_connected = self._port.connected
        state.smdr_lines, state.smdr_bad, state.smdr_unmatched = day.lines, day.bad, day.unmatched
        state.pbx_day = self.join.ledger.last_day()

    def end(self) -> None:
        """Stops the port, seals the calls that wait, writes the days' reports."""
        self._port.stop()
        self.turn()
        self.join.seal_all()
        self.join.report_days()

    def _take_up_days(self, config: Config) -> None:
        """After a power cut: continues the day from its last report; earlier days are settled by theirs."""
        ledger = self.join.ledger
        today = date.fromisoformat(ledger.name_at(self._clock.utc_ns()))
        for ago in range(MOST_DAYS):
            name = (today - timedelta(days=ago)).isoformat()
            found = DAY_FILE.load(config.vault_path / FOLDER / f"{name}.json")
            if found is not None and found.day == name:
                ledger.memory.days[name] = found


def start_smdr(config: Config, clock: Clock, vault: VaultWriter, remembered: SmdrMemory | None) -> Smdr | None:
    """None where no port is configured: then calls are sealed at once."""
    return Smdr(config, clock, vault, remembered) if config.smdr.port is not None else None
