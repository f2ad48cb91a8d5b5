# SPDX-License-Identifier: Apache-2.0
"""How a call is sealed when it is over, by the job `Close`: its last audio, its record, its leaf, its event."""

from __future__ import annotations

import msgspec

from linetap.recorder.vault.callfolder.folder import seal_without_audio
from linetap.recorder.vault.callfolder.jobs import Close
from linetap.recorder.vault.recordings.recording import Recording
from linetap.recorder.vault.vault import Vault
from linetap.recorder.vault.writing import write_to_end
from linetap_core.evidence.calls import sealed
from linetap_core.records import CallRecord, UnitKeyRecord


def seal_call(vault: Vault, job: Close) -> CallRecord:
    """Seals the call, unless that is done already. Returns its record.

    TpmFault: the key does not sign, and the same job is done again later.
    """
    recording = vault.recordings.get(job.call_id)
    record = msgspec.structs.replace(vault.dated(job.record), unit_key=UnitKeyRecord(vault.config.keys.unit_key))
    if job.end_frame is not None and recording is not None:
        write_to_end(vault, job)
        record = _seal_recording(vault, recording, record)
    elif not vault.is_sealed(job.call_id):
        if record.retention is not None:
            record = msgspec.structs.replace(record, retention=vault.epochs.resolve(record.retention)[0])
        if recording is not None:  # opened, and ended before its first sample
            (recording.folder.path / sealed.KEY).unlink(missing_ok=True)
        seal_without_audio(vault.config.vault_path, record, vault.sign)
    vault.report_sealed(job.call_id, record)
    if recording is not None:
        del vault.recordings[job.call_id]
        recording.forget()
    if vault.journal is not None:
        vault.journal.over(job.call_id)
    return record


def _seal_recording(vault: Vault, recording: Recording, record: CallRecord) -> CallRecord:
    retention, epoch = vault.epochs.settle(recording.state, record.retention)
    record = msgspec.structs.replace(record, retention=retention)
    if retention is not None:
        vault.index.add(record, retention)  # before it is sealed: a power cut now seals it from the journal
    return recording.seal(record, vault.sign, epoch)
