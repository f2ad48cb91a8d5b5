# SPDX-License-Identifier: Apache-2.0
"""Which calls the recorder has to seal that nobody is recording any more: after a cut, a kill, a lost checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from linetap import restartstate
from linetap.config.schema import Config
from linetap.recorder.vault.callfolder.jobs import Close, Job, Open
from linetap.recorder.vault.journal import store
from linetap.recorder.vault.journal.journal import FOLDER
from linetap.recorder.vault.journal.opencalls import FoundCall, Left, is_open, open_folders
from linetap.recorder.vault.recordings.entries import State
from linetap.recorder.vault.recordings.recording import Recording, open_calls
from linetap_core.evidence.calls import sealed
from linetap_core.records.call import CallEvent

OF_THIS_BOOT = "journal.begun"  # in RAM: the journal on the disk is of a recorder of this boot


class AtStart(NamedTuple):
    """`going_on`: what the journal says of the calls that go on."""

    left: list[FoundCall]
    going_on: dict[str, State]


class LeftOpen:
    """Finds them; sealing is the writer's. `add` and `abandon` may be called by any thread."""

    def __init__(self, config: Config, recordings: dict[str, Recording]) -> None:
        """`recordings`: those being written; an abandoned one is taken out."""
        self._config, self._recordings = config, recordings
        self._found = set[str]()  # calls without a record, by the scan of the vault
        self._abandoned = set[str]()
        self._marker = open_calls(config) / OF_THIS_BOOT

    def add(self, call_id: str) -> None:
        """The scan of the vault has met a folder without a record."""
        self._found.add(call_id)

    def abandon(self, call_id: str) -> None:
        """The call of this recording is unknown to the recorder: it is sealed from its folder and the journal."""
        self._abandoned.add(call_id)

    def found_at_start(
        self,
        unfinished: Callable[[], list[Job]],
        named: Mapping[str, object] | Iterable[str],
        events: Callable[[], Iterable[CallEvent]],
    ) -> AtStart:
        """At the first start of a boot all calls known anywhere and not sealed. At a later start calls go on, or their
        ends stand in the checkpoint: then the folders alone that the checkpoint does not know.

        `named`: calls that are open by the log. `events`: the newest of the outbox.
        """
        self._let_go()
        left = self._left()
        going_on = {call.state.call_id: call.state for call in left.calls() if call.state.call_id in self._recordings}
        left.add_folders(open_folders(self._config.vault_path))
        if not self._marker.exists():
            left.add_named(named)
            left.add_events(events())
            return AtStart(left.calls(self._recordings), going_on)
        at_work = self._at_work(unfinished)
        return AtStart([call for call in left.calls(at_work) if is_open(self._folder(call.state.call_id))], going_on)

    def begun(self) -> None:
        """The journal begins anew."""
        restartstate.keep(self._marker, b"")

    def found_since(self, unfinished: Callable[[], list[Job]]) -> list[FoundCall]:
        """Folders without a record that the scan of the vault found, also below days of a wrong clock, and abandoned
        recordings."""
        self._let_go()
        folders = [self._folder(call_id) for call_id in self._found - self._at_work(unfinished)]
        self._found.clear()
        if not (folders := [folder for folder in folders if is_open(folder)]):
            return []
        left = self._left()
        left.add_folders(folders)
        names = {folder.name for folder in folders}
        return [call for call in left.calls() if call.state.call_id in names]

    def _let_go(self) -> None:
        while self._abandoned:
            call_id = self._abandoned.pop()
            if (recording := self._recordings.pop(call_id, None)) is not None:
                recording.forget()
                self._found.add(call_id)

    def _left(self) -> Left:
        return Left(self._config.vault_path, self._config.unit, store.read(self._config.vault_path / FOLDER))

    def _at_work(self, unfinished: Callable[[], list[Job]]) -> set[str]:
        """Calls whose folders are being written, or are about to be."""
        return {job.call_id for job in unfinished() if isinstance(job, Open | Close)} | self._recordings.keys()

    def _folder(self, call_id: str) -> Path:
        return self._config.vault_path / sealed.call_path(call_id)
