# SPDX-License-Identifier: Apache-2.0
"""The process of the vault in a replay: the vault's writer, which receives jobs from `vaultside`."""

from __future__ import annotations

import contextlib
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from linetap.recorder.replay.vaultside import DISK_S, Done, Setup, mapped
from linetap.recorder.vault.signing import UnitKey
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writer import VaultWriter
from linetap.ring import I16, Stretch
from linetap_core.clock import ManualClock
from linetap_core.errors import BadInput, LinetapError, Refusal
from linetap_core.evidence.signing import namespaces
from linetap_core.records import CallRecord


class _Past:
    """The writer's audio source."""

    def __init__(self, audio: I16, lines: list[int]) -> None:
        self._audio, self._place = audio, {line: index for index, line in enumerate(lines)}

    def stretch(self, line: int, first: int, end: int) -> Stretch:
        return Stretch(self._audio[self._place[line], first:end], [])


class _ReplayVault(Vault):
    """A vault that keeps the sealed records."""

    records: list[CallRecord]

    def report_sealed(self, call_id: str, record: CallRecord) -> None:
        super().report_sealed(call_id, record)
        self.records.append(record)

    def clock_is_trusted(self, made_at_ns: int) -> bool:  # noqa: ARG002
        """True: the time of a replay is given, and may be long ago."""
        return True


def _serve(way: Connection[Done, object], audio_fd: int) -> Done:
    setup = way.recv()
    assert isinstance(setup, Setup)
    config = setup.config
    key, clock = UnitKey(Path(config.key), config.keys), ManualClock(setup.start_ns)
    config.vault_path.mkdir(parents=True, exist_ok=True)
    past = _Past(mapped(audio_fd, len(setup.lines), setup.frames), setup.lines)
    sign, unit_log = key.signer(namespaces.RECORD), key.open_log(config, clock)
    replayed = _ReplayVault(config, past, key.open_outbox(config), sign, clock, unit_log)
    replayed.records = []
    vault = VaultWriter(replayed)
    vault.start()
    try:
        _follow(vault, way)
    finally:
        vault.stop(DISK_S)
    if vault.failure is not None:
        raise vault.failure
    if vault.refused() or vault.unfinished():
        raise BadInput(f"{config.vault}: {vault.refused() or 'too slow'}: the disk accepts no more data")
    return Done(replayed.records, None)


def _follow(vault: VaultWriter, way: Connection[Done, object]) -> None:
    while vault.failure is None and not vault.refused():
        jobs = way.recv()
        if jobs is None:
            return
        assert isinstance(jobs, list)
        for name, args in jobs:
            if name == "log_leaf":
                kind, at_ns, fields = args
                vault.log_leaf(kind, at_ns, **fields)
            else:
                getattr(vault, name)(*args)


def main() -> None:
    way_fd, audio_fd = map(int, sys.argv[1:])
    way: Connection[Done, object] = Connection(way_fd)
    try:
        done = _serve(way, audio_fd)
    except (EOFError, KeyboardInterrupt):  # the replay has ended
        os._exit(1)
    except LinetapError as error:
        done = Done([], BadInput(str(error)) if error.exit_status == BadInput.exit_status else Refusal(str(error)))
    except OSError as error:
        done = Done([], OSError(error.errno, error.strerror, error.filename))
    with contextlib.suppress(BrokenPipeError):
        way.send(done)
    os._exit(0)  # all data is on disk, and the replay waits


if __name__ == "__main__":
    main()
