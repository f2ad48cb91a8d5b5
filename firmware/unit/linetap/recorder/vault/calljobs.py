# SPDX-License-Identifier: Apache-2.0
"""A call in the vault, from its opening to its seal: the jobs `Open` and `Close`, and the audio in between."""

from __future__ import annotations

import logging

import msgspec

from linetap.recorder.vault.callfolder.folder import seal_without_audio
from linetap.recorder.vault.callfolder.jobs import Close, Open
from linetap.recorder.vault.recordings.recording import Recording, open_calls
from linetap.recorder.vault.vault import Vault
from linetap.ring import RATE_HZ
from linetap_core.errors import Refusal
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, UnitKeyRecord

log = logging.getLogger("linetap.recorder.vault")


def open_call(vault: Vault, job: Open) -> None:
    """Creates the call's folder with its key, and logs the call."""
    if job.call_id not in vault.recordings and not vault.is_sealed(job.call_id):
        recording = vault.recordings[job.call_id] = Recording.begin(vault.config, job, vault.epochs)
        if vault.journal is not None:
            recording.folder.keep_open(vault.journal.opened(recording, vault.index.of_one_call()))
    vault.log.append("open", call_id=job.call_id, line=job.line)


def resume_calls(vault: Vault) -> None:
    """Continues the recordings that a killed recorder had open."""
    for path in sorted(open_calls(vault.config).glob("*.json")):
        try:
            recording = Recording.resume(vault.config, path)
        except Refusal as refusal:
            log.error("vault_damaged: %s", refusal)
            if path.exists():
                path.rename(path.with_suffix(".damaged"))
            continue
        vault.recordings[recording.state.call_id] = recording
        log.warning("%s goes on after %.3f s that are kept", path.stem, recording.folder.samples / RATE_HZ)


# --- The audio of open recordings, to disk: already encoded by the journal's thread, else from the ring ---------------


def write_due(vault: Vault) -> None:
    """Writes the permitted audio of each recording that has enough of it."""
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


# --- The seal of a call that is over, by the job `Close`: its last audio, its record, its leaf, its event -------------


def seal_call(vault: Vault, job: Close) -> None:
    """Seals the call, unless it is sealed already.

    TpmFault: the key does not sign; the job is repeated later.
    """
    recording = vault.recordings.get(job.call_id)
    record = msgspec.structs.replace(vault.dated(job.record), unit_key=UnitKeyRecord(vault.config.keys.unit_key))
    if job.end_frame is not None and recording is not None:
        write_to_end(vault, job)
        record = _seal_recording(vault, recording, record)
    elif not vault.is_sealed(job.call_id):
        if record.retention is not None:
            record = msgspec.structs.replace(record, retention=vault.epochs.resolve(record.retention)[0])
        if recording is not None:  # the call was opened, and ended before its first sample
            (recording.folder.path / sealed.KEY).unlink(missing_ok=True)
        seal_without_audio(vault.config.vault_path, record, vault.sign)
    vault.report_sealed(job.call_id, record)
    if recording is not None:
        del vault.recordings[job.call_id]
        recording.forget()
    if vault.journal is not None:
        vault.journal.over(job.call_id)


def _seal_recording(vault: Vault, recording: Recording, record: CallRecord) -> CallRecord:
    retention, epoch = vault.epochs.settle(recording.state, record.retention)
    record = msgspec.structs.replace(record, retention=retention)
    if retention is not None:
        vault.index.add(record, retention)  # before the seal, which the journal repeats after a power cut
    return recording.seal(record, vault.sign, epoch)
