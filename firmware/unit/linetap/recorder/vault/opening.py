# SPDX-License-Identifier: Apache-2.0
"""How a recording begins in the vault: by the job `Open`, or from what a killed recorder had open."""

from __future__ import annotations

import logging

from linetap.recorder.vault.callfolder.jobs import Open
from linetap.recorder.vault.recordings.recording import Recording, open_calls
from linetap.recorder.vault.vault import Vault
from linetap.ring import RATE_HZ
from linetap_core.errors import Refusal

log = logging.getLogger("linetap.recorder.vault")


def open_call(vault: Vault, job: Open) -> None:
    """Makes the call's folder with its key, and logs it. Its audio follows (writing.py)."""
    if job.call_id not in vault.recordings and not vault.is_sealed(job.call_id):
        recording = vault.recordings[job.call_id] = Recording.begin(vault.config, job, vault.epochs)
        if vault.journal is not None:
            recording.folder.keep_open(vault.journal.opened(recording, vault.index.of_one_call()))
    vault.log.append("open", call_id=job.call_id, line=job.line)


def resume_calls(vault: Vault) -> None:
    """Takes up the recordings that a killed recorder had open."""
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
