# SPDX-License-Identifier: Apache-2.0
"""The audio of open recordings, to disk: what the journal's thread has encoded already, else from the ring."""

from __future__ import annotations

from linetap.recorder.vault.callfolder.jobs import Close
from linetap.recorder.vault.recordings.recording import Recording
from linetap.recorder.vault.vault import Vault


def write_due(vault: Vault) -> None:
    """Writes what is permitted of each recording that has enough for the disk."""
    for recording in list(vault.recordings.values()):
        if recording.is_due():
            _write(vault, recording, recording.permitted)


def write_to_end(vault: Vault, job: Close) -> None:
    """Writes all audio of a call that is over."""
    recording = vault.recordings.get(job.call_id)
    if recording is not None and job.end_frame is not None:
        recording.withheld, recording.permitted = job.withheld, job.end_frame
        while recording.position < job.end_frame:
            _write(vault, recording, job.end_frame)


def _write(vault: Vault, recording: Recording, end: int) -> None:
    def gaps_found() -> None:
        if vault.journal is not None:
            vault.journal.step()

    frames, gap_ms = recording.write_up_to(end, vault.source, gaps_found)
    vault.written_bytes += frames
    vault.gap_ms += gap_ms
    vault.steps.step()
